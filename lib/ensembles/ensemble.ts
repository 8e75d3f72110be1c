import { checkBoolean, checkFunction, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, isFloat32, lengthOf } from '../check/typed-array.js';
import { checkClasses, checkList, checkRows, checkWeights } from './inputs.js';
import { type AveragePredictionsOptions, checkKind, meanOf, voteOf } from './predictions.js';

/** A model as an ensemble sees it: from an input to probabilities or logits, at once or later. */
export type EnsembleMember<X = Float32Array> = (x: X) => Float32Array | PromiseLike<Float32Array>;

/** Options of {@link Ensemble}. */
export interface EnsembleOptions<Vote extends boolean = boolean>
  extends Pick<AveragePredictionsOptions, 'from' | 'classes' | 'weights'> {
  /** Give the class that most members choose in place of mean probabilities. Needs `classes`. Default false. */
  readonly vote?: Vote | undefined;
}

/**
 * Several models that predict as one: the mean of their probabilities, or their vote.
 *
 * Formula: that of `averagePredictions` or, with `vote`, of `majorityVote`.
 *
 * Options: `from` ('probabilities' | 'logits', default 'probabilities'), `classes` (an integer in [1, ∞), needed with
 * logits and with `vote`), `weights` (each [0, ∞), all the same by default), `vote` (false).
 *
 * @typeParam X what the members take
 * @throws TypeError for another type or an unknown option; RangeError for no members, or weights that are negative, not
 *   finite, all 0 or of another count
 * @see Hansen & Salamon 1990, "Neural Network Ensembles"
 * @example
 * ```ts
 * import { Ensemble } from 'schuss';
 *
 * const a = (x: Float32Array) => x.map((v) => v / 4);
 * const b = async (x: Float32Array) => x.map((v) => v / 2);
 * const ensemble = new Ensemble([a, b], { weights: [3, 1] });
 * await ensemble.predict(new Float32Array([1, 3])); // [0.3125, 0.9375]
 * await new Ensemble([a, b], { vote: true, classes: 2 }).predict(new Float32Array([1, 3])); // [1]
 * ```
 */
export class Ensemble<X = Float32Array, Vote extends boolean = false> {
  readonly #members: readonly EnsembleMember<X>[];
  readonly #weights: Float64Array;
  readonly #softmaxOver: number | undefined;
  readonly #classes: number | undefined;
  readonly #vote: boolean;

  constructor(members: readonly EnsembleMember<X>[], options: EnsembleOptions<Vote> = {}) {
    const who = 'Ensemble';
    checkOptions(who, options, ['from', 'classes', 'weights', 'vote'] satisfies (keyof EnsembleOptions)[]);
    const { from, classes, weights, vote = false } = options as EnsembleOptions;
    checkList(who, 'members', members, 'function');
    this.#members = Array.from(members, (member, i) =>
      checkFunction(who, `members[${i}]`, member, 'a function (x) => Float32Array'),
    );
    this.#vote = checkBoolean(who, 'vote', vote);
    this.#softmaxOver = checkKind(who, { from, classes });
    this.#classes = this.#vote ? checkClasses(who, classes) : classes;
    this.#weights = checkWeights(who, weights, this.#members.length, 'member');
  }

  /**
   * Gives `x` to every member, without waiting for one before the next is called, and combines what they return.
   *
   * @param x handed to all members as it is
   * @returns a Promise of a new array: rows × classes mean probabilities or, with `vote`, the class of each row. It
   *   rejects with a member's own error; with a TypeError or RangeError that names the member if what it gave is no
   *   Float32Array, or of another length than the first one's, or no multiple of classes, or with `vote` holds NaN.
   *   A synchronous member may return the same array at each call (it is copied before the next member is called); an
   *   asynchronous one must leave its array alone.
   */
  async predict(x: X): Promise<Vote extends true ? Int32Array : Float32Array> {
    type Result = Vote extends true ? Int32Array : Float32Array;
    const who = 'Ensemble';
    const path = (i: number) => `members[${i}](x)`;
    // An async function makes a throw of one member a rejection, and so leaves no other member's Promise unhandled.
    const predictions = await Promise.all(
      this.#members.map(async (member, i) => {
        const given: unknown = member(x);
        return new Float32Array(checkFloat32(who, path(i), isFloat32(given) ? given : await given));
      }),
    );
    const first = predictions[0]!;
    for (const [i, prediction] of predictions.entries()) checkLength(who, path(i), prediction, lengthOf(first));
    if (this.#classes !== undefined) checkRows(who, path(0), first, this.#classes);
    if (this.#vote) return voteOf(who, predictions, this.#weights, this.#classes!, path) as Result;
    return meanOf(predictions, this.#weights, this.#softmaxOver, first) as Result;
  }
}
