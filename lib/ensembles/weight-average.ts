import { rangeError, show, typeError } from '../check/errors.js';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../check/typed-array.js';
import { disjoint, extentOf } from '../core/extents.js';
import { collect, type Params, structureOf, type Tensor } from '../core/params.js';
import { power } from '../core/power.js';
import { engine } from '../engine/backend.js';
import { chunkLength, type Engine } from '../engine/engine.js';

/** Options of a {@link WeightAverage} that forgets exponentially. */
export interface EmaOptions {
  readonly mode?: 'ema' | undefined;
  /** How much of the average stays at an update. [0, 1). */
  readonly decay: number;
  /** Start at 0 and correct for it, in place of starting at the first weights. Default false. */
  readonly debias?: boolean | undefined;
}

/** Options of a {@link WeightAverage} in which all updates count the same. */
export interface SwaOptions {
  readonly mode: 'swa';
}

/** What a resumed run needs of a {@link WeightAverage}; plain data that survives `structuredClone`. */
export type WeightAverageState = {
  readonly version: 1;
  readonly count: number;
  /** The average of each param, by its name or index; with `debias` as it is before the division. */
  readonly params: { readonly [param: string]: Float32Array };
} & ({ readonly mode: 'ema'; readonly decay: number; readonly debias: boolean } | { readonly mode: 'swa' });

/** One param, and what is kept for it. */
interface Slot extends Tensor {
  readonly length: number;
  readonly average: Float32Array;
  /** What users see: the average itself or, with debias, its quotient. */
  readonly shown: Float32Array;
}

const who = 'WeightAverage';

/**
 * An average of the weights along a training run, which often predicts better than the last ones.
 *
 * ```
 * EMA:            avg ← w at the first update, then avg ← avg + (1−d)·(w − avg)
 * EMA, debias:    s ← s + (1−d)·(w − s) from s = 0;   avg = s / (1 − dⁿ)
 * SWA:            avg ← avg + (w − avg)/(n+1), the mean of the weights at all updates
 * ```
 * n counts updates. Each is one native pass in float32, the same bits on every machine.
 *
 * Options: `decay` ([0, 1), needed but for SWA), `debias` (false), `mode` ('ema' | 'swa', default 'ema').
 *
 * The params, in any structure that an optimizer takes (options of groups are ignored), are read by `update` and written
 * by `swap` alone.
 *
 * @throws TypeError for another type or an unknown option; RangeError for a decay out of range or overlapping params
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
export class WeightAverage {
  readonly #engine: Engine = engine();
  readonly #mode: 'ema' | 'swa';
  readonly #debias: boolean;
  readonly #slots: readonly Slot[];
  readonly #params: readonly Float32Array[];
  #decay: number;
  #count = 0;
  /** The count at which the quotients were last taken. */
  #shownCount = 0;
  #swapped = false;

  constructor(params: Params<Readonly<Record<string, unknown>>>, options: EmaOptions | SwaOptions) {
    checkOptions(who, options, ['decay', 'debias', 'mode'] satisfies (keyof EmaOptions)[]);
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
    structureOf(who, tensors);
    disjoint(
      who,
      tensors.map(({ data, path }) => extentOf(this.#engine, data, path)),
    );
    this.#slots = tensors.map((tensor) => {
      const length = lengthOf(tensor.data);
      const shown = this.#engine.allocate(length);
      shown.set(tensor.data);
      return { ...tensor, length, shown, average: this.#debias ? this.#engine.allocate(length) : shown };
    });
    this.#params = Object.freeze(this.#slots.map(({ shown }) => shown));
  }

  /** The updates so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * The averaged weights, in the order of the params: always the same arrays, which `update` changes (with `debias`,
   * reading this does). Before the first update they hold the weights as they were at construction; while swapped, what
   * the params held. They are for reading: what is written to them goes into the average.
   */
  get params(): readonly Float32Array[] {
    this.#divide();
    return this.#params;
  }

  /**
   * Takes the present weights into the average.
   *
   * @throws TypeError while swapped, and where a param's memory is gone; RangeError where it has another length
   */
  update(): void {
    this.#checkNotSwapped('update');
    this.#checkMemory();
    const rate = this.#rate();
    for (const { data, average } of this.#slots) {
      // At rate 1, s + 1·(w − s) would round twice on its way to w.
      if (rate === 1) average.set(data);
      else this.#engine.lerp(average, data, rate);
    }
    this.#count++;
  }

  /**
   * Exchanges the contents of the params and of the average, so that the model predicts with the averaged weights; a
   * second call puts both back, to the bit.
   *
   * @throws TypeError before the first update, and where a param's memory is gone; RangeError where it has another length
   */
  swap(): void {
    if (this.#count === 0) throw typeError(who, 'swap', 'no average yet', 'an update() before');
    this.#checkMemory();
    this.#divide();
    const longest = this.#slots.reduce((max, { length }) => Math.max(max, length), 0);
    const kept = new Float32Array(Math.min(longest, chunkLength));
    for (const { data, shown, length } of this.#slots) {
      for (let begin = 0; begin < length; begin += kept.length) {
        // Array by array, not number by number, which might change the bits of a NaN.
        const chunk = data.subarray(begin, begin + kept.length);
        kept.set(chunk);
        chunk.set(shown.subarray(begin, begin + kept.length));
        shown.set(kept.subarray(0, chunk.length), begin);
      }
    }
    this.#swapped = !this.#swapped;
  }

  /** A copy of everything that a resumed run needs, apart from the params. @throws TypeError while swapped */
  stateDict(): WeightAverageState {
    this.#checkNotSwapped('stateDict');
    const params = Object.fromEntries(this.#slots.map(({ key, average }) => [key, new Float32Array(average)]));
    const common = { version: 1, count: this.#count, params } as const;
    return this.#mode === 'swa'
      ? { ...common, mode: 'swa' }
      : { ...common, mode: 'ema', decay: this.#decay, debias: this.#debias };
  }

  /**
   * Takes over a state that {@link stateDict} made, all or nothing: the count, the decay and the arrays, which are copied.
   *
   * @throws TypeError while swapped, for another version, mode, debias, names or types; RangeError for other lengths or
   *   values
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
      this.#slots.map(({ key }) => String(key)),
    );
    const sources = this.#slots.map(({ key, length }) => {
      const path = `params[${JSON.stringify(key)}]`;
      const source = checkFloat32(where, path, params[key]);
      checkLength(where, path, source, length);
      return new Float32Array(source); // what is read next might be a getter that changes it
    });
    this.#checkNotSwapped('loadStateDict');
    this.#checkMemory();

    this.#slots.forEach(({ average, shown, data }, i) => {
      shown.set(data); // for debias at count 0, when there is no quotient
      average.set(sources[i]!);
    });
    this.#decay = loadedDecay;
    this.#count = loadedCount;
    this.#shownCount = Number.NaN;
  }

  /** What the next update moves the average by, as a share of the way to the weights. */
  #rate(): number {
    if (this.#mode === 'swa') return 1 / (this.#count + 1);
    return this.#count === 0 && !this.#debias ? 1 : 1 - this.#decay;
  }

  /** With `debias`, brings what users see up to date: at most once for each count, so never while swapped. */
  #divide(): void {
    if (!this.#debias || this.#count === 0 || this.#shownCount === this.#count) return;
    const correction = 1 - power(this.#decay, this.#count);
    for (const { average, shown } of this.#slots) {
      for (let i = 0; i < shown.length; i++) shown[i] = average[i]! / correction;
    }
    this.#shownCount = this.#count;
  }

  #checkNotSwapped(argument: string): void {
    if (this.#swapped) throw typeError(who, argument, 'the average is swapped in', 'swap() before');
  }

  /** Refuses arrays whose memory is gone or has changed its size. */
  #checkMemory(): void {
    for (const { data, average, shown, path, length } of this.#slots) {
      checkLength(who, path, data, length);
      checkLength(who, `average of ${path}`, average, length);
      checkLength(who, `average of ${path}`, shown, length);
    }
  }
}
