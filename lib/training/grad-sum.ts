import type { ReadGrad } from '../core/read-grad.js';
import { ParamSum, type Sum } from './param-sum.js';

/** The order in which gradients are summed. */
export type SumOrder = 'sequential' | 'tree';

/** How many times the last two runs of gradients are joined after the `count`-th. */
const joinsAfter: Readonly<Record<SumOrder, (count: number) => number>> = {
  sequential: (count) => (count > 1 ? 1 : 0),
  // A binary tree: as many as the number has zeros at its end. At most log₂(count) + 1 runs are left.
  tree: (count) => 31 - Math.clz32(count & -count),
};

/** Σ weight · gradient for each param, Σ weight and Σ weight · loss, in one order. */
export class GradSum {
  readonly params: readonly ParamSum[];
  readonly order: SumOrder;
  /** Gradients added so far. */
  count = 0;
  /** False during a change, and after one that vm's timeout interrupted. */
  isWhole = true;
  /** The sums of the weights of each run. */
  weights: number[] = [];
  /** The sums of weight · loss of each run, in float64. */
  #losses: number[] = [];
  #totals: readonly Sum[] | undefined;

  /** @param allocate Makes memory for a run of a param: see {@link ParamSum}. */
  constructor(order: SumOrder, params: number, allocate: (param: number, run: number) => Float32Array) {
    this.order = order;
    this.params = Array.from({ length: params }, (_, i) => new ParamSum((run) => allocate(i, run)));
  }

  /** Adds checked gradients, and their loss where there is one. A weight of 0 adds nothing, not even NaN. */
  add(grads: readonly ReadGrad[], weight: number, loss = 0): void {
    const joins = joinsAfter[this.order](this.count + 1);
    const given = (i: number): ReadGrad => (weight === 0 ? null : (grads[i] as ReadGrad));
    for (const [i, param] of this.params.entries()) param.reserve(given(i), weight, joins);
    this.isWhole = false;
    for (const [i, param] of this.params.entries()) param.add(given(i), weight, joins);
    addRun(this.weights, weight, joins);
    addRun(this.#losses, weight === 0 ? 0 : weight * loss, joins);
    this.count++;
    this.#totals = undefined;
    this.isWhole = true;
  }

  /** Adds nothing until the runs of a tree are one. */
  complete(): void {
    while ((this.count & (this.count - 1)) !== 0) this.add([], 0);
  }

  /** The sum of each param. It is kept until the next change, because `clipGradNorm` may scale it. */
  get totals(): readonly Sum[] {
    this.#totals ??= this.params.map((param) => param.total());
    return this.#totals;
  }

  get weight(): number {
    return sumOfRuns(this.weights);
  }

  /** Σ weight · loss. */
  get loss(): number {
    return sumOfRuns(this.#losses);
  }

  reset(): void {
    this.set(
      0,
      [],
      this.params.map(() => []),
    );
  }

  /** Replaces everything. */
  set(count: number, weights: readonly number[], sums: readonly (readonly Sum[])[]): void {
    this.isWhole = false;
    this.count = count;
    this.weights = [...weights];
    this.#losses = weights.map(() => 0);
    for (const [i, param] of this.params.entries()) param.sums = [...(sums[i] as readonly Sum[])];
    this.#totals = undefined;
    this.isWhole = true;
  }
}

/** Adds a run of one number, then joins the last runs. */
function addRun(runs: number[], number: number, joins: number): void {
  runs.push(number);
  for (let join = 0; join < joins; join++) {
    const right = runs.pop() as number;
    runs[runs.length - 1]! += right;
  }
}

function sumOfRuns(runs: readonly number[]): number {
  return runs.length === 0 ? 0 : runs.reduceRight((sum, number) => number + sum);
}
