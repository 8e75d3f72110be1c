import { rangeError, show } from '../check/errors.js';
import { checkOneOf, checkOptions } from '../check/options.js';
import { lengthOf } from '../check/typed-array.js';
import { checkClasses, checkMatrixRows, checkMembers, checkOut, checkWeights } from './inputs.js';
import { weightedMean } from './mean.js';
import { addSoftmax } from './softmax.js';

/** Options of {@link averagePredictions}. */
export interface AveragePredictionsOptions {
  /** What the members hold. A softmax is applied to logits first. Default 'probabilities'. */
  readonly from?: 'probabilities' | 'logits' | undefined;
  /**
   * Number of classes: the length of a matrix row. An integer in [1, inf), required with logits. Without logits, it
   * asks for probabilities: numbers below 0 or above 1, as logits have, are refused.
   */
  readonly classes?: number | undefined;
  /** Weight of each member, each in [0, inf). They are divided by their sum. Default: equal weights. */
  readonly weights?: ArrayLike<number> | undefined;
  /** Receives the result. May be one of the members. Default: a new array. */
  readonly out?: Float32Array | undefined;
}

/**
 * Averages the members' probabilities: the prediction of an ensemble of classifiers (soft voting).
 *
 * Formula: Σₖ aₖ·pₖ / Σₖ aₖ, where pₖ is member k or, from logits, the softmax of each of its matrix rows. The sum is
 * float64, and the result is rounded once. A member of weight 0 is ignored, even if it holds NaN. Any other NaN appears
 * in the result.
 *
 * @param members predictions of the same length: row-major matrices, batch × classes. A member changes only if it is
 *   also `out`.
 * @param options `from` ('probabilities' | 'logits', default 'probabilities'), `classes` (required with logits),
 *   `weights` (each [0, ∞), equal by default), `out`: {@link AveragePredictionsOptions}
 * @returns `out`, or a new array
 * @throws TypeError for a wrong type or an unknown option; RangeError for no members, members of other lengths, a
 *   length that is not a multiple of classes, probabilities outside [0, 1] if `classes` is given, weights that are
 *   negative, not finite or all 0, or an `out` that overlaps a member in part. Nothing is written then.
 * @see Hansen & Salamon 1990, "Neural Network Ensembles"; Lakshminarayanan et al. 2017,
 *   https://arxiv.org/abs/1612.01474
 * @example
 * ```ts
 * import { averagePredictions } from 'schuss';
 *
 * const a = new Float32Array([0.5, 0.25, 0.25]), b = new Float32Array([0, 0.75, 0.25]);
 * averagePredictions([a, b]); // [0.25, 0.5, 0.25]
 * averagePredictions([a, b], { weights: [3, 1] }); // [0.375, 0.375, 0.25]
 * averagePredictions([new Float32Array([2, 2]), new Float32Array([-9, -9])], { from: 'logits', classes: 2 }); // [0.5, 0.5]
 * ```
 */
export function averagePredictions(
  members: readonly Float32Array[],
  options: AveragePredictionsOptions = {},
): Float32Array {
  const who = 'averagePredictions';
  checkOptions(who, options, ['from', 'classes', 'weights', 'out'] satisfies (keyof AveragePredictionsOptions)[]);
  const { weights, out, ...kind } = options as AveragePredictionsOptions;
  const checked = checkMembers(who, 'members', members);
  const softmaxOver = checkKind(who, kind);
  if (kind.classes !== undefined) checkMatrixRows(who, 'members[0]', checked[0]!, kind.classes);
  const target = checkTarget(who, out, checked);
  const checkedWeights = checkWeights(who, weights, checked.length, 'member');
  if (kind.classes !== undefined && softmaxOver === undefined) checkProbabilities(who, checked, checkedWeights);
  return meanOf(checked, checkedWeights, softmaxOver, target);
}

/** How far outside [0, 1] a probability may be, by rounding. */
const tolerance = 1e-3;

/** Refuses numbers that are most likely logits. `path` names member i in errors. NaN is allowed. @throws RangeError */
export function checkProbabilities(
  who: string,
  members: readonly Float32Array[],
  weights: Float64Array,
  path = (i: number) => `members[${i}]`,
): void {
  for (const [m, member] of members.entries()) {
    if (weights[m] === 0) continue;
    const bad = member.findIndex((p) => p < -tolerance || p > 1 + tolerance);
    if (bad >= 0)
      throw rangeError(who, `${path(m)}[${bad}]`, show(member[bad]), 'a probability in [0, 1]', "or from: 'logits'");
  }
}

/**
 * The number of classes for the softmax, or undefined if the members hold probabilities.
 * @throws TypeError, RangeError
 */
export function checkKind(
  who: string,
  { from = 'probabilities', classes }: Pick<AveragePredictionsOptions, 'from' | 'classes'>,
): number | undefined {
  const logits = checkOneOf(who, 'from', from, ['probabilities', 'logits']) === 'logits';
  if (logits || classes !== undefined) checkClasses(who, classes);
  return logits ? classes : undefined;
}

/**
 * The weighted mean of checked members. If `softmaxOver` is given, of the softmax of their matrix rows of that length.
 */
export function meanOf(
  members: readonly Float32Array[],
  weights: Float64Array,
  softmaxOver: number | undefined,
  out: Float32Array,
): Float32Array {
  // Without rows, the number of classes may be any.
  if (softmaxOver === undefined || lengthOf(out) === 0) return weightedMean(members, weights, out);
  return weightedMean(members, weights, out, addSoftmax(softmaxOver, 1), softmaxOver);
}

/** Returns `out` after checks, or a new array. @throws TypeError, RangeError */
function checkTarget(who: string, out: Float32Array | undefined, members: readonly Float32Array[]): Float32Array {
  const length = lengthOf(members[0]!);
  return out === undefined
    ? new Float32Array(length)
    : checkOut(who, 'out', { out, length, inputs: members, inputPath: (i) => `members[${i}]` });
}

/** Options of {@link averageLogits}. */
export type AverageLogitsOptions = Pick<AveragePredictionsOptions, 'weights' | 'out'>;

/**
 * Averages the members' logits. The softmax of the result is the normalised geometric mean of their probabilities.
 *
 * Formula: Σₖ aₖ·zₖ / Σₖ aₖ. The sum is float64, and the result is rounded once. A member of weight 0 is ignored.
 *
 * @param members logits of the same length: row-major matrices, batch × classes. A member changes only if it is also
 *   `out`.
 * @param options `weights` (each [0, ∞), equal by default), `out`: as for {@link averagePredictions}
 * @returns `out`, or a new array
 * @throws TypeError for a wrong type or an unknown option; RangeError for no members, members of other lengths, weights
 *   that are negative, not finite or all 0, or an `out` that overlaps a member in part
 * @see Hinton 2002, "Training Products of Experts by Minimizing Contrastive Divergence"
 * @example
 * ```ts
 * import { averageLogits } from 'schuss';
 *
 * averageLogits([new Float32Array([4, -2]), new Float32Array([0, 2])]); // [2, 0]
 * ```
 */
export function averageLogits(members: readonly Float32Array[], options: AverageLogitsOptions = {}): Float32Array {
  const who = 'averageLogits';
  checkOptions(who, options, ['weights', 'out'] satisfies (keyof AverageLogitsOptions)[]);
  const { weights, out } = options as AverageLogitsOptions;
  const checked = checkMembers(who, 'members', members);
  const target = checkTarget(who, out, checked);
  return meanOf(checked, checkWeights(who, weights, checked.length, 'member'), undefined, target);
}

/** Options of {@link majorityVote}. */
export interface MajorityVoteOptions {
  /** Number of classes: the length of a matrix row. An integer in [1, inf). */
  readonly classes: number;
  /** Number of votes of each member, each in [0, inf). Default: one. */
  readonly weights?: ArrayLike<number> | undefined;
}

/**
 * Returns the class that most members choose (hard voting), for each matrix row.
 *
 * Formula: argmax_c Σₖ aₖ·[argmax_j pₖⱼ = c]. Ties go to the lowest class, both among a member's values and among the
 * votes.
 *
 * @param members probabilities or logits of the same length: row-major matrices, batch × classes. They do not change.
 * @param options `classes` (required), `weights` (each [0, ∞), one vote by default): {@link MajorityVoteOptions}
 * @returns the class of each matrix row
 * @throws TypeError for a wrong type or an unknown option; RangeError for no members, members of other lengths, a
 *   length that is not a multiple of classes, weights that are negative, not finite or all 0, or NaN in a member whose
 *   weight is not 0. NaN cannot be compared, so such a matrix row has no most likely class.
 * @see Hansen & Salamon 1990, "Neural Network Ensembles"
 * @example
 * ```ts
 * import { majorityVote } from 'schuss';
 *
 * const a = new Float32Array([0.5, 0.25, 0.25]), b = new Float32Array([0, 0.25, 0.75]), c = new Float32Array([-1, 2, 5]);
 * majorityVote([a, b, c], { classes: 3 }); // [2]
 * majorityVote([a, b], { classes: 3 }); // [0]
 * ```
 */
export function majorityVote(members: readonly Float32Array[], options: MajorityVoteOptions): Int32Array {
  const who = 'majorityVote';
  checkOptions(who, options, ['classes', 'weights'] satisfies (keyof MajorityVoteOptions)[]);
  const { classes, weights } = options as unknown as MajorityVoteOptions;
  const checked = checkMembers(who, 'members', members);
  checkMatrixRows(who, 'members[0]', checked[0]!, checkClasses(who, classes));
  return voteOf(who, checked, checkWeights(who, weights, checked.length, 'member'), classes);
}

/** The vote of checked members. `path` names member i in errors. @throws RangeError for NaN */
export function voteOf(
  who: string,
  members: readonly Float32Array[],
  weights: Float64Array,
  classes: number,
  path = (i: number) => `members[${i}]`,
): Int32Array {
  const rows = lengthOf(members[0]!) / classes;
  const votes = new Float64Array(rows === 0 ? 0 : classes); // without rows, classes may be any number
  return Int32Array.from({ length: rows }, (_, row) => {
    votes.fill(0);
    for (let m = 0; m < members.length; m++) {
      if (weights[m] === 0) continue;
      const choice = argmax(members[m]!, row * classes, classes);
      if (choice < 0) throw rangeError(who, path(m), `NaN in row ${row}`, 'values to compare');
      votes[choice] = votes[choice]! + weights[m]!;
    }
    return argmax(votes, 0, classes);
  });
}

/** The index of the first maximum of `length` values from `offset` on, or -1 if one is NaN. */
function argmax(values: Float32Array | Float64Array, offset: number, length: number): number {
  let best = 0;
  for (let c = 0; c < length; c++) {
    const value = values[offset + c]!;
    if (Number.isNaN(value)) return -1;
    if (value > values[offset + best]!) best = c;
  }
  return best;
}
