import { rangeError, show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, copyInto, floatsOf, lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import { disjoint, extentOf } from '../core/extents.js';
import type { Tensor } from '../core/params.js';
import type { AnyParams, ArraysOf, GivenAny } from '../core/params-of.js';
import { power } from '../core/power.js';
import { inspect, print, printedParams } from '../core/print.js';
import { checkNotInFlight } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import { chunkLength, type Engine } from '../engine/engine.js';

/** Options of a {@link WeightAverage} in mode 'ema', an exponential moving average. */
export interface EmaOptions {
  readonly mode?: 'ema' | undefined;
  /** Factor of the old average at each update. [0, 1). Required. */
  readonly decay: number;
  /** Whether to start at 0 and correct the bias, instead of starting at the first weights. Default false. */
  readonly debias?: boolean | undefined;
}

/** Options of a {@link WeightAverage} in mode 'swa', in which all updates have the same weight. */
export interface SwaOptions {
  readonly mode: 'swa';
}

/** Everything that a resumed run needs of a {@link WeightAverage}: plain data that survives `structuredClone`. */
export type WeightAverageState = {
  readonly version: 1;
  /** Number of updates. */
  readonly count: number;
  /** The average of each param, by its name or index. With `debias`, before the division. */
  readonly params: { readonly [param: string]: Float32Array };
} & ({ readonly mode: 'ema'; readonly decay: number; readonly debias: boolean } | { readonly mode: 'swa' });

/** A param with its average. */
interface AveragedParam extends Tensor {
  readonly length: number;
  readonly average: Float32Array;
  /** The array in `params`: the average itself or, with `debias`, the average divided by its bias correction. */
  readonly corrected: Float32Array;
}

const who = 'WeightAverage';

/**
 * Averages the weights during training. The average often predicts better than the final weights.
 *
 * ```
 * EMA:            avg ← w at the first update, then avg ← avg + (1−d)·(w − avg)
 * EMA, debias:    s ← s + (1−d)·(w − s) from s = 0;   avg = s / (1 − dⁿ)
 * SWA:            avg ← avg + (w − avg)/n, the mean of the weights at all updates
 * ```
 * w are the weights, d is `decay`, and n is the number of updates, including the current one. Each update is one native
 * pass in float32, with the same bits on every machine.
 *
 * @param params the params, in any structure that an optimizer takes; the options of groups are ignored. Only `swap`
 *   changes them.
 * @param options `mode` ('ema' | 'swa', default 'ema'); for 'ema' `decay` (required, [0, 1)), `debias` (false):
 *   {@link EmaOptions}, {@link SwaOptions}
 * @throws TypeError for a wrong type or an unknown option; RangeError for a decay out of range or overlapping params
 * @example
 * ```ts
 * import { SGD, WeightAverage } from 'schuss';
 *
 * const w = new Float32Array([1]);
 * const sgd = new SGD(w, { lr: 0.5 });
 * const swa = new WeightAverage(w, { mode: 'swa' });
 * for (let i = 0; i < 3; i++) {
 *   sgd.step(new Float32Array([1]));
 *   swa.update();
 * }
 * swa.params; // [[0]]
 * swa.swap();
 * w; // [0]
 * swa.swap();
 * w; // [-0.5]
 * ```
 * @see Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; SWA: Izmailov et al. 2018,
 *   https://arxiv.org/abs/1803.05407; debiasing: Kingma & Ba 2015, section 3, https://arxiv.org/abs/1412.6980
 */
export class WeightAverage<const P extends object = AnyParams> {
  readonly #engine: Engine = engine();
  readonly #mode: 'ema' | 'swa';
  readonly #debias: boolean;
  readonly #averaged: readonly AveragedParam[];
  readonly #params: readonly Float32Array[];
  readonly #averagedParams: ArraysOf<P>;
  #decay: number;
  #count = 0;
  /** The count at the last bias correction. */
  #correctedCount = 0;
  #swapped = false;
  /** Whether a call writes to averages or params. It stays so if vm's timeout interrupts the call. */
  #isWriting = false;

  constructor(params: GivenAny<P>, options: EmaOptions | SwaOptions) {
    checkOptions(who, options, ['decay', 'debias', 'mode'] satisfies (keyof EmaOptions)[]);
    refuseFixed(WeightAverage, who, ['decay', 'debias', 'mode']);
    const { mode = 'ema', decay, debias } = options as { mode?: unknown; decay?: unknown; debias?: unknown };
    this.#mode = checkOneOf(who, 'mode', mode, ['ema', 'swa']);
    if (this.#mode === 'swa') {
      for (const [name, value] of Object.entries({ decay, debias })) {
        if (value !== undefined) throw typeError(who, name, show(value), `no ${name} with mode "swa"`);
      }
    }
    this.#decay = this.#mode === 'swa' ? Number.NaN : checkNumber(who, 'decay', decay, '[0, 1)');
    this.#debias = checkBoolean(who, 'debias', debias ?? false);

    const tensors = collect(who, params).flatMap((group) => group.tensors);
    const structure = new Structure(who, tensors);
    disjoint(
      who,
      tensors.map(({ data, path }) => extentOf(this.#engine, data, path)),
    );
    this.#averaged = tensors.map((tensor) => {
      const length = lengthOf(tensor.data);
      const corrected = this.#engine.zeros(length);
      copyInto(corrected, tensor.data);
      return { ...tensor, length, corrected, average: this.#debias ? this.#engine.zeros(length) : corrected };
    });
    this.#params = Object.freeze(this.#averaged.map(({ corrected }) => corrected));
    this.#averagedParams = structure.assemble(this.#params) as ArraysOf<P>;
  }

  /** Number of updates so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * The averaged weights, in the order of the params. Always the same arrays: `update` changes them in place or, with
   * `debias`, reading this property does. Before the first update they hold the weights at construction. While swapped,
   * they hold the contents of the params. Do not write to them, because that changes the average.
   */
  get params(): readonly Float32Array[] {
    this.#correctBias();
    return this.#params;
  }

  /** The arrays of {@link params} in the structure of the params. They are the same arrays, and the same rules hold. */
  get averagedParams(): ArraysOf<P> {
    this.#correctBias();
    return this.#averagedParams;
  }

  /**
   * Adds the current weights to the average.
   *
   * @throws TypeError while swapped, if the buffer of a param is detached, or while a stepAsync changes it; RangeError
   *   if a param has another length
   */
  update(): void {
    this.#checkNotSwapped('update');
    this.#checkMemory();
    const rate = this.#rate();
    this.#isWriting = true;
    for (const { data, average } of this.#averaged) {
      // At rate 1, copy: s + 1·(w − s) would be rounded twice.
      if (rate === 1) copyInto(average, data);
      else this.#engine.lerp(floatsOf(average), floatsOf(data), rate);
    }
    this.#count++;
    this.#isWriting = false;
  }

  /**
   * Swaps the contents of the params and of the average, so that the model predicts with the averaged weights. A second
   * call restores both, bit for bit. Do not step between the two calls: the second would put the stepped weights into
   * the average. To go on training from the average, make a new WeightAverage.
   *
   * @throws TypeError before the first update, if the buffer of a param is detached, or while a stepAsync changes it;
   *   RangeError if a param has another length
   */
  swap(): void {
    if (this.#count === 0) throw typeError(who, 'swap', 'no average yet', 'a call of update() first');
    this.#checkMemory();
    this.#correctBias();
    const longest = this.#averaged.reduce((max, { length }) => Math.max(max, length), 0);
    const buffer = new Float32Array(Math.min(longest, chunkLength));
    this.#isWriting = true;
    for (const { data, corrected, length } of this.#averaged) {
      for (let offset = 0; offset < length; offset += buffer.length) {
        // Copies arrays, because copying single numbers could change the bits of a NaN.
        const end = Math.min(offset + buffer.length, length);
        const [weights, averages] = [floatsOf(data, offset, end), floatsOf(corrected, offset, end)];
        buffer.set(weights);
        weights.set(averages);
        averages.set(buffer.subarray(0, end - offset));
      }
    }
    this.#swapped = !this.#swapped;
    this.#isWriting = false;
  }

  /**
   * Returns a copy of everything that a resumed run needs, apart from the params.
   *
   * @throws TypeError while swapped, if the buffer of an average was detached, or if vm's timeout interrupted an update
   *   or a swap
   */
  stateDict(): WeightAverageState {
    this.#checkNotSwapped('stateDict');
    this.#checkWhole();
    for (const { average, path, length } of this.#averaged) checkLength(who, `average of ${path}`, average, length);
    const params = Object.fromEntries(this.#averaged.map(({ key, average }) => [key, new Float32Array(average)]));
    const common = { version: 1, count: this.#count, params } as const;
    return this.#mode === 'swa'
      ? { ...common, mode: 'swa' }
      : { ...common, mode: 'ema', decay: this.#decay, debias: this.#debias };
  }

  /**
   * Replaces the count, the decay and the averages by those of a state that {@link stateDict} returned. The arrays are
   * copied. If it throws, nothing has changed.
   *
   * @throws TypeError while swapped, or for another mode, debias, names or types; RangeError for another version, other
   *   lengths or values out of range
   * @example
   * ```ts
   * import { WeightAverage } from 'schuss';
   *
   * const w = new Float32Array([1]);
   * const ema = new WeightAverage(w, { decay: 0.5 });
   * ema.update();
   * const resumed = new WeightAverage(new Float32Array([3]), { decay: 0.5 });
   * resumed.loadStateDict(structuredClone(ema.stateDict()));
   * resumed.update();
   * resumed.params; // [[2]]
   * ```
   */
  loadStateDict(dict: WeightAverageState): void {
    const where = `${who}.loadStateDict`;
    checkOptions(where, dict, [
      'version',
      'mode',
      'count',
      'params',
      ...(this.#mode === 'swa' ? [] : ['decay', 'debias']),
    ]);
    const { version, mode, decay, debias, count, params } = dict as Readonly<Record<string, unknown>>;
    if (version !== 1) throw rangeError(where, 'version', show(version), '1');
    if (mode !== this.#mode) throw typeError(where, 'mode', show(mode), `"${this.#mode}"`);
    const loadedDecay = this.#mode === 'swa' ? Number.NaN : checkNumber(where, 'decay', decay, '[0, 1)');
    if ((debias ?? false) !== this.#debias) throw typeError(where, 'debias', show(debias), String(this.#debias));
    const loadedCount = checkInteger(where, 'count', count, '[0, inf)');
    checkOptions(
      `${where}: params`,
      params,
      this.#averaged.map(({ key }) => String(key)),
    );
    const sources = this.#averaged.map(({ key, length }) => {
      const path = `params[${JSON.stringify(key)}]`;
      const source = checkFloat32(where, path, params[key]);
      checkLength(where, path, source, length);
      return new Float32Array(source); // a copy, because a getter that is read later might change it
    });
    this.#checkNotSwapped('loadStateDict');
    this.#checkMemory();

    this.#averaged.forEach(({ average, corrected, data }, i) => {
      copyInto(corrected, data); // for debias at count 0, when there is no bias correction
      copyInto(average, sources[i]!);
    });
    this.#decay = loadedDecay;
    this.#count = loadedCount;
    this.#correctedCount = Number.NaN;
  }

  /** The class, its options, the count, and the params by name and shape. */
  toString(): string {
    const isEma = this.#mode === 'ema';
    const options = { decay: isEma ? this.#decay : undefined, debias: isEma ? this.#debias : undefined };
    const state = { mode: this.#mode, ...options, count: this.#count, isSwapped: this.#swapped || undefined };
    return print(who, { ...state, ...printedParams(this.#averaged) });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  /** How far the next update moves the average towards the weights, as a fraction of the distance. */
  #rate(): number {
    if (this.#mode === 'swa') return 1 / (this.#count + 1);
    return this.#count === 0 && !this.#debias ? 1 : 1 - this.#decay;
  }

  /** With `debias`, updates the corrected averages. Runs at most once for each count, so never while swapped. */
  #correctBias(): void {
    if (!this.#debias || this.#count === 0 || this.#correctedCount === this.#count) return;
    const correction = 1 - power(this.#decay, this.#count);
    for (const { average, corrected, length } of this.#averaged) {
      for (let i = 0; i < length; i++) corrected[i] = average[i]! / correction;
    }
    this.#correctedCount = this.#count;
  }

  #checkNotSwapped(argument: string): void {
    if (this.#swapped) throw typeError(who, argument, 'the average is swapped in', 'a call of swap() first');
  }

  #checkWhole(): void {
    if (this.#isWriting)
      throw typeError(
        who,
        'this',
        "an average whose last call vm's timeout interrupted",
        'a new one',
        'its arrays and the params may be half changed, so load a checkpoint',
      );
  }

  /**
   * Refuses arrays that are detached, have changed their length or are in a pending step. @throws TypeError, RangeError
   */
  #checkMemory(): void {
    this.#checkWhole();
    for (const { data, average, corrected, path, length } of this.#averaged) {
      checkLength(who, path, data, length);
      checkLength(who, `average of ${path}`, average, length);
      checkLength(who, `average of ${path}`, corrected, length);
    }
    checkNotInFlight(who, () =>
      this.#averaged.flatMap(({ data, corrected, path }) => [
        extentOf(this.#engine, data, path),
        extentOf(this.#engine, corrected, `average of ${path}`),
      ]),
    );
  }
}
