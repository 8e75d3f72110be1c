import { rangeError, show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import type { Scalar } from '../core/declaration.js';
import { inspect, print } from '../core/print.js';
import { groupsOf } from './param-groups.js';

const name = 'ReduceOnPlateau';

/** Options of {@link ReduceOnPlateau}. */
export interface ReduceOnPlateauOptions {
  /**
   * 'min' for a metric that should fall, such as a loss; 'max' for one that should rise, such as an accuracy. Default
   * 'min'.
   */
  readonly mode?: 'min' | 'max' | undefined;
  /** Factor of each reduction of lr. [0, 1), default 0.1. */
  readonly factor?: number | undefined;
  /**
   * Number of bad updates in a row that are tolerated. The next bad one reduces lr. An integer in [0, inf), default 10.
   */
  readonly patience?: number | undefined;
  /** Smallest improvement on the best metric that counts. [0, inf), default 1e-4. */
  readonly threshold?: number | undefined;
  /** Whether the threshold is relative to the best metric or absolute. Default 'rel'. */
  readonly thresholdMode?: 'rel' | 'abs' | undefined;
  /** Number of updates after a reduction during which bad ones don't count. An integer in [0, inf), default 0. */
  readonly cooldown?: number | undefined;
  /** Lower bound on lr: a number, or a list with one for each param group. [0, inf), default 0. */
  readonly min?: number | readonly number[] | undefined;
  /** A reduction of lr by at most this is skipped. [0, inf), default 1e-8. */
  readonly eps?: number | undefined;
}

type ResolvedOptions = { readonly [K in keyof ReduceOnPlateauOptions]-?: NonNullable<ReduceOnPlateauOptions[K]> };

/** Everything that a resumed {@link ReduceOnPlateau} needs: plain data that survives JSON. */
export interface ReduceOnPlateauState extends ResolvedOptions {
  /** The best metric so far. null before the first. */
  readonly best: number | null;
  /** Number of bad updates in a row. */
  readonly numBadEpochs: number;
  /** Number of updates left in the cooldown. */
  readonly cooldownCounter: number;
}

const optionNames = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'min', 'eps'] as const;
const stateNames = [...optionNames, 'best', 'numBadEpochs', 'cooldownCounter'] as const;

/**
 * Reduces lr when a metric, such as the validation loss of each epoch, has stopped improving.
 *
 * Formula: an update is good if the metric is below best·(1 − threshold) ('min', 'rel') or best − threshold ('min',
 * 'abs'), or above best·(1 + threshold) ('max', 'rel') or best + threshold ('max', 'abs'). A good metric becomes the
 * new best. Any other update is bad, including one with NaN. After more than `patience` bad updates in a row, lr ←
 * max(lr·factor, min) in each param group, unless that lowers it by at most `eps`. In the next `cooldown` updates, bad
 * ones don't count.
 *
 * @param optimizer any optimizer. The lr of its param groups changes; each must be a number.
 * @param options `mode` ('min' | 'max', default 'min'), `factor` (0.1, [0, 1)), `patience` (10, [0, ∞)), `threshold`
 *   (1e-4, [0, ∞)), `thresholdMode` ('rel' | 'abs', default 'rel'), `cooldown` (0, [0, ∞)), `min` (0, [0, ∞)), `eps`
 *   (1e-8, [0, ∞)): {@link ReduceOnPlateauOptions}
 * @throws TypeError for a wrong type, an unknown option or an lr that is a Schedule; RangeError for a value out of
 *   range
 * @see PyTorch's `ReduceLROnPlateau`, which follows the same rules exactly
 * @example
 * ```ts
 * import { ReduceOnPlateau, SGD } from 'schuss';
 *
 * const sgd = new SGD(new Float32Array(10), { lr: 0.5 });
 * const plateau = new ReduceOnPlateau(sgd, { factor: 0.5, patience: 1 });
 * for (const loss of [1, 0.9, 0.9, 0.9]) plateau.update(loss);
 * sgd.lr; // 0.25
 * ```
 */
export class ReduceOnPlateau {
  readonly #optimizer: { readonly paramGroups: readonly { lr: Scalar | undefined }[] };
  #options: ResolvedOptions;
  #best: number | null = null;
  #numBadEpochs = 0;
  #cooldownCounter = 0;

  constructor(
    optimizer: { readonly paramGroups: readonly { lr: Scalar | undefined }[] },
    options: ReduceOnPlateauOptions = {},
  ) {
    this.#optimizer = optimizer;
    const lrs = this.#lrs(name);
    checkOptions(name, options, optionNames);
    refuseFixed(ReduceOnPlateau, name, optionNames);
    this.#options = resolveOptions(name, options, lrs.length);
  }

  /**
   * Records a metric, and reduces lr when it is due.
   *
   * @param metric the new value, such as a validation loss. NaN counts as bad.
   * @returns whether the lr of a param group has changed
   * @throws TypeError if the metric is not a number, or if the lr of a group has become a Schedule; RangeError if `min`
   *   is a list and groups were added. Nothing has changed then.
   */
  update(metric: number): boolean {
    if (typeof metric !== 'number') throw typeError(name, 'metric', show(metric), 'a number');
    const { patience, cooldown, min } = this.#options;
    const lrs = this.#lrs(name);
    if (Array.isArray(min)) checkCount(name, min, lrs.length);
    const isGood = this.#isBetter(metric);
    const isCooling = this.#cooldownCounter > 0;
    const numBadEpochs = isGood || isCooling ? 0 : this.#numBadEpochs + 1;
    const isDue = numBadEpochs > patience;
    const changed = isDue && this.#reduce(lrs);
    if (isGood) this.#best = metric;
    if (isCooling) this.#cooldownCounter--;
    if (isDue) this.#cooldownCounter = cooldown;
    this.#numBadEpochs = isDue ? 0 : numBadEpochs;
    return changed;
  }

  /** Returns a copy of everything that a resumed run needs: the options, the best metric, and the counters. */
  stateDict(): ReduceOnPlateauState {
    const { min } = this.#options;
    return {
      ...this.#options,
      min: Array.isArray(min) ? [...min] : min,
      best: this.#best,
      numBadEpochs: this.#numBadEpochs,
      cooldownCounter: this.#cooldownCounter,
    };
  }

  /**
   * Replaces options, best metric and counters by those of a state that {@link stateDict} returned. If it throws,
   * nothing has changed. The values of lr are not included; they belong to the optimizer's state.
   *
   * @throws TypeError for missing or unknown entries or wrong types, RangeError for a value out of range
   * @example
   * ```ts
   * import { ReduceOnPlateau, SGD } from 'schuss';
   *
   * const sgd = new SGD(new Float32Array(10), { lr: 0.5 });
   * const plateau = new ReduceOnPlateau(sgd, { factor: 0.5 });
   * plateau.update(1);
   * const resumed = new ReduceOnPlateau(sgd);
   * resumed.loadStateDict(JSON.parse(JSON.stringify(plateau.stateDict())));
   * resumed.stateDict().best; // 1
   * ```
   */
  loadStateDict(dict: ReduceOnPlateauState): void {
    const who = `${name}.loadStateDict`;
    checkOptions(who, dict, stateNames);
    const { best, numBadEpochs, cooldownCounter, ...options } = dict as ReduceOnPlateauState;
    for (const entry of optionNames)
      if (options[entry] === undefined) throw typeError(who, entry, 'undefined', 'what stateDict gives');
    const next = resolveOptions(who, options, groupsOf(who, this.#optimizer).length);
    if (best !== null && typeof best !== 'number') throw typeError(who, 'best', show(best), 'a number or null');
    if (Number.isNaN(best)) throw rangeError(who, 'best', 'NaN', 'a number or null');
    checkInteger(who, 'numBadEpochs', numBadEpochs, '[0, inf)');
    checkInteger(who, 'cooldownCounter', cooldownCounter, '[0, inf)');
    this.#options = next;
    this.#best = best;
    this.#numBadEpochs = numBadEpochs;
    this.#cooldownCounter = cooldownCounter;
  }

  /** The class, its options, and what it has counted. */
  toString(): string {
    const counts = { numBadEpochs: this.#numBadEpochs, cooldownCounter: this.#cooldownCounter };
    return print(name, { best: this.#best ?? undefined, ...counts, ...this.#options });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  #isBetter(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const best = this.#best ?? (mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
    if (mode === 'min') return metric < (thresholdMode === 'rel' ? best * (1 - threshold) : best - threshold);
    return metric > (thresholdMode === 'rel' ? best * (threshold + 1) : best + threshold);
  }

  #reduce(lrs: readonly number[]): boolean {
    const { factor, min, eps } = this.#options;
    let changed = false;
    for (const [i, group] of this.#optimizer.paramGroups.entries()) {
      const lr = lrs[i] as number;
      const next = Math.max(lr * factor, typeof min === 'number' ? min : (min[i] as number));
      if (!(lr - next > eps)) continue;
      group.lr = next;
      changed = true;
    }
    return changed;
  }

  /** The lr of each group. @throws TypeError if one is a Schedule, which would override an assigned value */
  #lrs(who: string): number[] {
    return groupsOf(who, this.#optimizer).map(({ lr }, i) => {
      if (typeof lr !== 'number')
        throw typeError(who, `optimizer.paramGroups[${i}].lr`, show(lr), 'a number', 'a Schedule sets lr by itself');
      return lr;
    });
  }
}

/** Checks the options and fills in their defaults. @throws TypeError, RangeError */
function resolveOptions(who: string, options: ReduceOnPlateauOptions, groups: number): ResolvedOptions {
  const {
    mode = 'min',
    factor = 0.1,
    patience = 10,
    threshold = 1e-4,
    thresholdMode = 'rel',
    cooldown = 0,
    min = 0,
    eps = 1e-8,
  } = options;
  return {
    mode: checkOneOf(who, 'mode', mode, ['min', 'max']),
    factor: checkNumber(who, 'factor', factor, '[0, 1)'),
    patience: checkInteger(who, 'patience', patience, '[0, inf)'),
    threshold: checkNumber(who, 'threshold', threshold, '[0, inf)'),
    thresholdMode: checkOneOf(who, 'thresholdMode', thresholdMode, ['rel', 'abs']),
    cooldown: checkInteger(who, 'cooldown', cooldown, '[0, inf)'),
    min: Array.isArray(min)
      ? Array.from(checkCount(who, min, groups), (m, i) => checkNumber(who, `min[${i}]`, m, '[0, inf)'))
      : checkNumber(who, 'min', min, '[0, inf)'),
    eps: checkNumber(who, 'eps', eps, '[0, inf)'),
  };
}

function checkCount(who: string, min: readonly number[], groups: number): readonly number[] {
  if (min.length !== groups) throw rangeError(who, 'min', `length ${min.length}`, `${groups}, one for each group`);
  return min;
}
