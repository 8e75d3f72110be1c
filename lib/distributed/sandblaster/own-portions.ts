import type { EvaluatePortion, PortionSum } from './portion.js';
import { TreeSum, treeSumOf } from './tree.js';
import type { Turns } from './turns.js';

/** The sum of all portions, which one rank computes alone. */
export class OwnPortions implements PortionSum {
  readonly #losses: Float64Array;
  readonly #sum: TreeSum;
  readonly #turns: Turns;

  constructor(portions: number, length: number, turns: Turns) {
    this.#losses = new Float64Array(portions);
    this.#sum = new TreeSum(length);
    this.#turns = turns;
  }

  async evaluate(portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    for (let p = 0; p < this.#losses.length; p++) {
      const own = this.#sum.next();
      this.#losses[p] = portion(p, own);
      this.#sum.add(own);
      await this.#turns.give();
    }
    this.#sum.finish(grad);
    return treeSumOf(this.#losses);
  }
}
