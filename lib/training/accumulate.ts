import { rangeError, show } from '../check/errors.js';
import { checkInteger, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, copyInto, floatsOf, lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import { type Extent, extentOf } from '../core/extents.js';
import type { Grads, Tensor } from '../core/params.js';
import type { AnyParams, GivenAny, GradsOf, IsOpen, TreeOf } from '../core/params-of.js';
import { inspect, print, printedParams } from '../core/print.js';
import { checkNotInFlight } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';
import { checkGrad } from './grads.js';

const who = 'GradAccumulator';

/** Everything that a resumed run needs of a {@link GradAccumulator}: plain data that survives `structuredClone`. */
export interface GradAccumulatorState {
  readonly version: 1;
  /** Number of calls of `add` since the last `reset`. */
  readonly count: number;
  /** The sum of each param, by its name or index; null without a gradient so far. */
  readonly sums: { readonly [param: string]: Float32Array | null };
}

/** The sums, in the structure of the params; null for a param without a gradient. */
type SumsOf<P> = IsOpen<P> extends true ? Grads : TreeOf<P, Float32Array | null>;

/** The sum of one param's gradients. */
interface Sum {
  readonly tensor: Tensor;
  readonly path: string;
  readonly length: number;
  readonly array: Float32Array;
  /** Whether a gradient was added since the last reset. The first one overwrites the old sum. */
  hasGrad: boolean;
}

/**
 * Sums the gradients of several small batches, so that one step has the effect of a large batch.
 *
 * Formula: Σ g over the calls of `add` since the last `reset`, in float32. For the mean over the batches, pass
 * `gradScale: 1 / count` to the step; that costs no extra pass over the gradients.
 *
 * A `null` gradient adds nothing. A param with only `null` gradients is also `null` in `grads`, so the step leaves it
 * and its state unchanged. The sums are arrays of the accumulator; the given gradients do not change.
 *
 * @param params the params of the optimizer, in any form that its constructor takes, or its `paramGroups`. Only their
 *   names and lengths are used.
 * @throws TypeError for anything that is not a param, or if only some params have names; RangeError for no params, or
 *   for a name used twice
 * @example
 * ```ts
 * import { Adam, GradAccumulator } from 'schuss';
 *
 * const params = { weight: new Float32Array(2), bias: new Float32Array(1) };
 * const adam = new Adam(params);
 * const sum = new GradAccumulator(params);
 * for (const x of [1, 2, 3, 4]) sum.add({ weight: new Float32Array([x, -x]), bias: new Float32Array([x]) });
 * sum.count; // 4
 * adam.step(sum.grads, { gradScale: 1 / sum.count });
 * params.weight[1]; // 0.001
 * sum.reset();
 * ```
 */
export class GradAccumulator<const P extends object = AnyParams> {
  readonly #tensors: readonly Tensor[];
  readonly #structure: Structure;
  readonly #sums: readonly Sum[];
  #count = 0;

  constructor(params: GivenAny<P>) {
    this.#tensors = collect(who, params).flatMap(({ tensors }) => tensors);
    this.#structure = new Structure(who, this.#tensors);
    const { allocate } = engine();
    this.#sums = this.#tensors.map((tensor) => {
      const length = lengthOf(tensor.data);
      return { tensor, path: this.#structure.gradPath(tensor), length, array: allocate(length), hasGrad: false };
    });
  }

  /**
   * Adds the gradients of one batch.
   *
   * @param grads one gradient for each param, in the structure of the params. They do not change. `null` adds nothing.
   * @throws TypeError for another structure, a wrong type, a sparse gradient, a detached buffer or memory of a pending
   *   step; RangeError for another length or count. Nothing is added then.
   */
  add(grads: GradsOf<P>): void {
    const given: unknown[] = [];
    this.#structure.read(grads, given);
    const arrays = this.#sums.map(({ tensor: { key }, path, length, array }, i) => {
      checkLength(who, `the sum of ${path}`, array, length);
      const grad = checkGrad(who, path, given[i]);
      if (grad !== null) checkLength(who, path, grad, length, typeof key === 'string' ? key : undefined);
      return grad;
    });
    checkNotInFlight(who, () => [
      ...this.#extents(),
      ...this.#sums.flatMap(({ path }, i) => (arrays[i] ? [extentOf(engine(), arrays[i], path)] : [])),
    ]);
    for (const [i, sum] of this.#sums.entries()) {
      const grad = arrays[i];
      if (grad === null || grad === undefined) continue;
      if (sum.hasGrad) engine().add(floatsOf(sum.array), floatsOf(grad));
      else copyInto(sum.array, grad);
      sum.hasGrad = true;
    }
    this.#count++;
  }

  /**
   * The sums, in the structure that `step` takes. The arrays are those of the accumulator, always the same;
   * `clipGradNorm` may scale them in place. Read this property after the last `add`, because `add` can turn a `null`
   * into an array.
   */
  get grads(): SumsOf<P> {
    const values = this.#sums.map(({ array, hasGrad }) => (hasGrad ? array : null));
    return this.#structure.assemble(values as Float32Array[]) as SumsOf<P>;
  }

  /** Number of calls of `add` since the last `reset`. */
  get count(): number {
    return this.#count;
  }

  /** Starts a new sum. The arrays keep their contents until the next `add`. */
  reset(): void {
    for (const sum of this.#sums) sum.hasGrad = false;
    this.#count = 0;
  }

  /** Returns a copy of the sums and the count. */
  stateDict(): GradAccumulatorState {
    const sums = this.#sums.map(({ tensor, path, length, array, hasGrad }) => {
      checkLength(who, `the sum of ${path}`, array, length);
      return [tensor.key, hasGrad ? copyFloats(engine(), array) : null];
    });
    return { version: 1, count: this.#count, sums: Object.fromEntries(sums) };
  }

  /**
   * Loads a state that {@link stateDict} returned. The sums are copied.
   *
   * @throws TypeError for a wrong type or other names; RangeError for another version or length, or a count that is
   *   negative. Nothing has changed then.
   */
  loadStateDict(dict: GradAccumulatorState): void {
    const where = `${who}.loadStateDict`;
    checkOptions(where, dict, ['version', 'count', 'sums'] satisfies (keyof GradAccumulatorState)[]);
    const { version, count, sums } = dict as Readonly<Record<string, unknown>>;
    if (version !== 1) throw rangeError(where, 'version', show(version), '1');
    const loadedCount = checkInteger(where, 'count', count, '[0, inf)');
    checkOptions(
      `${where}: sums`,
      sums,
      this.#tensors.map(({ key }) => String(key)),
    );
    const loaded = this.#sums.map(({ tensor: { key }, length }) => {
      const path = `sums[${JSON.stringify(key)}]`;
      const given = sums[key];
      if (given === null) return null;
      const sum = checkFloat32(where, path, given, 'a Float32Array or null');
      checkLength(where, path, sum, length);
      return copyFloats(engine(), sum); // copied now, because a getter that is read later may detach it
    });
    for (const { path, array, length } of this.#sums) checkLength(who, `the sum of ${path}`, array, length);
    checkNotInFlight(who, () => this.#extents());
    for (const [i, sum] of this.#sums.entries()) {
      const from = loaded[i] ?? null;
      sum.hasGrad = from !== null;
      if (from !== null) copyInto(sum.array, from);
    }
    this.#count = loadedCount;
  }

  /** The class, the count, and the params by name and shape. */
  toString(): string {
    return print(who, { count: this.#count, ...printedParams(this.#tensors) });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  #extents(): Extent[] {
    return this.#sums.map(({ path, array }) => extentOf(engine(), array, `the sum of ${path}`));
  }
}
