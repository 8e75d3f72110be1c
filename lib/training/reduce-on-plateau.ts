import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import type { Scalar } from '../core/declaration.js';
import { groupsOf } from './tunable.js';

const name = 'ReduceOnPlateau';

/** Options of {@link ReduceOnPlateau}. */
export interface ReduceOnPlateauOptions {
  /** Whether the metric should fall, as a loss, or rise, as an accuracy. Default 'min'. */
  readonly mode?: 'min' | 'max' | undefined;
  /** What lr is multiplied by. [0, 1), default 0.1. */
  readonly factor?: number | undefined;
  /** Bad updates in a row that are let pass: lr falls at the one after them. An integer in [0, inf), default 10. */
  readonly patience?: number | undefined;
  /** How much better than the best is better. [0, inf), default 1e-4. */
  readonly threshold?: number | undefined;
  /** Whether the threshold is a share of the best or a difference from it. Default 'rel'. */
  readonly thresholdMode?: 'rel' | 'abs' | undefined;
  /** Updates after a fall of lr in which bad ones don't count. An integer in [0, inf), default 0. */
  readonly cooldown?: number | undefined;
  /** What lr does not fall below; a list has one for each group. [0, inf), default 0. */
  readonly min?: number | readonly number[] | undefined;
  /** A fall of lr by no more than this is left out. [0, inf), default 1e-8. */
  readonly eps?: number | undefined;
}

type Options = { readonly [K in keyof ReduceOnPlateauOptions]-?: NonNullable<ReduceOnPlateauOptions[K]> };

/** Everything that a resumed {@link ReduceOnPlateau} needs: plain data, which JSON keeps too. */
export interface ReduceOnPlateauState extends Options {
  /** The best metric so far; null before the first. */
  readonly best: number | null;
  readonly numBadEpochs: number;
  readonly cooldownCounter: number;
}

const optionNames = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'min', 'eps'] as const;
const stateNames = [...optionNames, 'best', 'numBadEpochs', 'cooldownCounter'] as const;

/**
 * Lowers lr when a metric, such as the validation loss of each epoch, has stopped getting better.
 *
 * Formula: an update is good if the metric is below best·(1 − threshold) ('min', 'rel'), best − threshold ('min', 'abs'),
 * or above best·(1 + threshold) ('max', 'rel'), best + threshold ('max', 'abs'), and is then the new best; any other one
 * is bad, NaN too. After more than `patience` bad ones in a row, lr ← max(lr·factor, min) in each group, unless that
 * lowers it by no more than `eps`; then `cooldown` updates pass in which bad ones don't count.
 *
 * @param optimizer its groups' lr, a number each, is what changes
 * @param options `mode`, `factor`, `patience`, `threshold`, `thresholdMode`, `cooldown`, `min`, `eps`:
 *   {@link ReduceOnPlateauOptions}
 * @throws TypeError for another type, an unknown option or an lr that is a Schedule, RangeError out of range
 * @see PyTorch's ReduceLROnPlateau, whose rules these are to the letter
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
  #options: Options;
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
    this.#options = checked(name, options, lrs.length);
  }

  /**
   * Takes note of a metric, and lowers the groups' lr if it is time.
   *
   * @returns whether an lr has changed
   * @throws TypeError for what is no number, or if a group's lr has become a Schedule; RangeError if `min` is a list and
   *   groups were added. Nothing has changed then.
   */
  update(metric: number): boolean {
    if (typeof metric !== 'number') throw typeError(name, 'metric', show(metric), 'a number');
    const { patience, cooldown, min } = this.#options;
    const lrs = this.#lrs(name);
    if (Array.isArray(min)) checkCount(name, min, lrs.length);
    const good = this.#isBetter(metric);
    const cooling = this.#cooldownCounter > 0;
    const bad = good || cooling ? 0 : this.#numBadEpochs + 1;
    const due = bad > patience;
    const changed = due && this.#reduce(lrs);
    if (good) this.#best = metric;
    if (cooling) this.#cooldownCounter--;
    if (due) this.#cooldownCounter = cooldown;
    this.#numBadEpochs = due ? 0 : bad;
    return changed;
  }

  /** A copy of what a resumed run needs: the options, the best metric, and the counters. */
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
   * Takes over a state that {@link stateDict} made, options too, all or nothing. The lrs are the optimizer's, and in its
   * own state.
   *
   * @throws TypeError for missing or unknown entries or other types, RangeError for a value out of range
   */
  loadStateDict(dict: ReduceOnPlateauState): void {
    const who = `${name}.loadStateDict`;
    checkOptions(who, dict, stateNames);
    const { best, numBadEpochs, cooldownCounter, ...options } = dict as ReduceOnPlateauState;
    for (const entry of optionNames)
      if (options[entry] === undefined) throw typeError(who, entry, 'undefined', 'what stateDict gives');
    const next = checked(who, options, groupsOf(who, this.#optimizer).length);
    if (best !== null && typeof best !== 'number') throw typeError(who, 'best', show(best), 'a number or null');
    if (Number.isNaN(best)) throw rangeError(who, 'best', 'NaN', 'a number or null');
    checkInteger(who, 'numBadEpochs', numBadEpochs, '[0, inf)');
    checkInteger(who, 'cooldownCounter', cooldownCounter, '[0, inf)');
    this.#options = next;
    this.#best = best;
    this.#numBadEpochs = numBadEpochs;
    this.#cooldownCounter = cooldownCounter;
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

  /** The groups' lrs. @throws TypeError if one is a Schedule, which would not keep what is assigned */
  #lrs(who: string): number[] {
    return groupsOf(who, this.#optimizer).map(({ lr }, i) => {
      if (typeof lr !== 'number')
        throw typeError(who, `optimizer.paramGroups[${i}].lr`, show(lr), 'a number', 'a Schedule sets lr by itself');
      return lr;
    });
  }
}

function checked(who: string, options: ReduceOnPlateauOptions, groups: number): Options {
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
      ? checkCount(who, min, groups).map((m, i) => checkNumber(who, `min[${i}]`, m, '[0, inf)'))
      : checkNumber(who, 'min', min, '[0, inf)'),
    eps: checkNumber(who, 'eps', eps, '[0, inf)'),
  };
}

function checkCount(who: string, min: readonly number[], groups: number): readonly number[] {
  if (min.length !== groups) throw rangeError(who, 'min', `length ${min.length}`, `${groups}, one for each group`);
  return min;
}
