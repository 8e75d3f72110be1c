import { rangeError } from '../check/errors.js';
import { checkOneOf, checkOptions } from '../check/options.js';
import { lengthOf } from '../check/typed-array.js';
import { checkClasses, checkMembers, checkOut, checkRows, checkWeights } from './inputs.js';
import { weightedMean } from './mean.js';
import { addSoftmax } from './softmax.js';

/** Options of {@link averagePredictions}. */
export interface AveragePredictionsOptions {
  /** What the members hold; logits go through a softmax first. Default 'probabilities'. */
  readonly from?: 'probabilities' | 'logits' | undefined;
  /** The length of a row. An integer in [1, inf), needed with logits. */
  readonly classes?: number | undefined;
  /** How much each member counts, each in [0, inf); divided by their sum. Default: all the same. */
  readonly weights?: ArrayLike<number> | undefined;
  /** Where the result is written; may be one of the members. Default: a new array. */
  readonly out?: Float32Array | undefined;
}

/**
 * The mean of the members' probabilities: what an ensemble of classifiers predicts.
 *
 * Formula: Σₖ aₖ·pₖ / Σₖ aₖ, with pₖ the member or, from logits, the softmax of each of its rows. Summed in float64,
 * rounded once. A member of weight 0 takes no part, whatever it holds; another member's NaN goes through.
 *
 * @param members predictions of one length, rows × classes
 * @param options `from` ('probabilities'), `classes` (needed with logits), `weights`, `out`: {@link AveragePredictionsOptions}
 * @returns `out`, or a new array; the members are not changed, but for one that is `out`
 * @throws TypeError for another type or an unknown option; RangeError for no members, other lengths, a length that is no
 *   multiple of classes, weights that are negative, not finite or all 0, an `out` that overlaps a member in part
 * @see Hansen & Salamon 1990, "Neural Network Ensembles"; Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474
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
  if (kind.classes !== undefined) checkRows(who, 'members[0]', checked[0]!, kind.classes);
  const target = checkTarget(who, out, checked);
  return meanOf(checked, checkWeights(who, weights, checked.length, 'member'), softmaxOver, target);
}

/** The classes over which members are made probabilities, or undefined where they are. @throws TypeError, RangeError */
export function checkKind(
  who: string,
  { from = 'probabilities', classes }: Pick<AveragePredictionsOptions, 'from' | 'classes'>,
): number | undefined {
  const logits = checkOneOf(who, 'from', from, ['probabilities', 'logits']) === 'logits';
  if (logits || classes !== undefined) checkClasses(who, classes);
  return logits ? classes : undefined;
}

/** The weighted mean of what was checked, after a softmax over rows of `softmaxOver` if that is given. */
export function meanOf(
  members: readonly Float32Array[],
  weights: Float64Array,
  softmaxOver: number | undefined,
  out: Float32Array,
): Float32Array {
  if (softmaxOver === undefined) return weightedMean(members, weights, out);
  return weightedMean(members, weights, out, addSoftmax(softmaxOver, 1), softmaxOver);
}

/** `out`, checked, or a new array. @throws TypeError, RangeError */
function checkTarget(who: string, out: Float32Array | undefined, members: readonly Float32Array[]): Float32Array {
  const length = lengthOf(members[0]!);
  return out === undefined
    ? new Float32Array(length)
    : checkOut(who, 'out', out, length, members, (i) => `members[${i}]`);
}

/** Options of {@link averageLogits}. */
export type AverageLogitsOptions = Pick<AveragePredictionsOptions, 'weights' | 'out'>;

/**
 * The mean of the members' logits: after a softmax, the normalised geometric mean of their probabilities.
 *
 * Formula: Σₖ aₖ·zₖ / Σₖ aₖ. Summed in float64, rounded once. A member of weight 0 takes no part.
 *
 * @param members logits of one length, rows × classes
 * @param options `weights`, `out`: as for {@link averagePredictions}
 * @returns `out`, or a new array; the members are not changed, but for one that is `out`
 * @throws TypeError for another type or an unknown option; RangeError for no members, other lengths, weights that are
 *   negative, not finite or all 0, an `out` that overlaps a member in part
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
  /** The length of a row. An integer in [1, inf). */
  readonly classes: number;
  /** How many votes each member has, each in [0, inf). Default: one. */
  readonly weights?: ArrayLike<number> | undefined;
}

/**
 * The class that most members find the likeliest, row by row.
 *
 * Formula: argmax_c Σₖ aₖ·[argmax_j pₖⱼ = c]; ties, of a member's values and of the votes, go to the lowest class.
 *
 * @param members probabilities or logits of one length, rows × classes; not changed
 * @param options `classes`, `weights` (one vote each): {@link MajorityVoteOptions}
 * @returns the class of each row
 * @throws TypeError for another type or an unknown option; RangeError for no members, other lengths, a length that is no
 *   multiple of classes, weights that are negative, not finite or all 0, NaN in a member whose weight is not 0: it is
 *   neither more nor less than another value, so its row has no likeliest class
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
  checkRows(who, 'members[0]', checked[0]!, checkClasses(who, classes));
  return voteOf(who, checked, checkWeights(who, weights, checked.length, 'member'), classes);
}

/** The vote over what was checked. @throws RangeError for NaN */
export function voteOf(
  who: string,
  members: readonly Float32Array[],
  weights: Float64Array,
  classes: number,
  path = (i: number) => `members[${i}]`,
): Int32Array {
  const votes = new Float64Array(classes);
  return Int32Array.from({ length: lengthOf(members[0]!) / classes }, (_, row) => {
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

/** The index of the first of the largest values, or -1 if one is NaN. */
function argmax(values: Float32Array | Float64Array, begin: number, length: number): number {
  let best = 0;
  for (let c = 0; c < length; c++) {
    const value = values[begin + c]!;
    if (Number.isNaN(value)) return -1;
    if (value > values[begin + best]!) best = c;
  }
  return best;
}
