import { refuseFixed } from '../check/members.js';
import { checkBoolean, checkFunction, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, isFloat32, lengthOf } from '../check/typed-array.js';
import { inspect, print } from '../core/print.js';
import { checkClasses, checkList, checkMatrixRows, checkWeights } from './inputs.js';
import { type AveragePredictionsOptions, checkKind, checkProbabilities, meanOf, voteOf } from './predictions.js';

/** A model of an ensemble: a function from an input to probabilities or logits, or to a Promise of them. */
export type EnsembleMember<X = Float32Array> = (x: X) => Float32Array | PromiseLike<Float32Array>;

/** Options of {@link Ensemble}. */
export interface EnsembleOptions<Vote extends boolean = boolean>
  extends Pick<AveragePredictionsOptions, 'from' | 'classes' | 'weights'> {
  /**
   * Whether to return the class that most members choose instead of mean probabilities. Requires `classes`. Default
   * false.
   */
  readonly vote?: Vote | undefined;
}

/**
 * Combines several models into one that predicts the mean of their probabilities, or their vote.
 *
 * Formula: that of `averagePredictions`, or of `majorityVote` with `vote`.
 *
 * @typeParam X the input of the members
 * @param members functions from an input to predictions: {@link EnsembleMember}
 * @param options `from` ('probabilities' | 'logits', default 'probabilities'), `classes` (an integer in [1, ∞),
 *   required with logits and with `vote`), `weights` (each [0, ∞), equal by default), `vote` (false):
 *   {@link EnsembleOptions}
 * @throws TypeError for a wrong type or an unknown option; RangeError for no members, or weights that are negative, not
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
  readonly #from: 'probabilities' | 'logits';
  readonly #weights: Float64Array;
  readonly #softmaxOver: number | undefined;
  readonly #classes: number | undefined;
  readonly #vote: boolean;

  constructor(members: readonly EnsembleMember<X>[], options: EnsembleOptions<Vote> = {}) {
    const who = 'Ensemble';
    checkOptions(who, options, ['from', 'classes', 'weights', 'vote'] satisfies (keyof EnsembleOptions)[]);
    refuseFixed(Ensemble, who, ['from', 'classes', 'weights', 'vote']);
    const { from, classes, weights, vote = false } = options as EnsembleOptions;
    checkList(who, 'members', members, 'function');
    this.#members = Array.from(members, (member, i) =>
      checkFunction(who, `members[${i}]`, member, 'a function (x) => Float32Array'),
    );
    this.#vote = checkBoolean(who, 'vote', vote);
    this.#from = from ?? 'probabilities';
    this.#softmaxOver = checkKind(who, { from, classes });
    this.#classes = this.#vote ? checkClasses(who, classes) : classes;
    this.#weights = checkWeights(who, weights, this.#members.length, 'member');
  }

  /**
   * Calls every member with `x`, all concurrently, and combines their predictions.
   *
   * A synchronous member may return the same array at each call, because it is copied before the next member is called.
   * An asynchronous member must not change its array after it has resolved.
   *
   * @param x passed to all members unchanged
   * @returns a Promise of a new array: batch × classes mean probabilities or, with `vote`, the class of each matrix
   *   row. It rejects with the error of a member. It also rejects with a TypeError or RangeError that names the member
   *   if a prediction is wrong: not a Float32Array; a length other than that of the first member, or no multiple of
   *   classes; a number outside [0, 1] although `classes` asks for probabilities; or NaN with `vote`.
   */
  async predict(x: X): Promise<Vote extends true ? Int32Array : Float32Array> {
    type Result = Vote extends true ? Int32Array : Float32Array;
    const who = 'Ensemble';
    const path = (i: number) => `members[${i}](x)`;
    // The async callback turns an exception of one member into a rejection, so that the Promises of other members are
    // handled.
    const predictions = await Promise.all(
      this.#members.map(async (member, i) => {
        const result: unknown = member(x);
        return new Float32Array(checkFloat32(who, path(i), isFloat32(result) ? result : await result));
      }),
    );
    const first = predictions[0]!;
    for (const [i, prediction] of predictions.entries()) checkLength(who, path(i), prediction, lengthOf(first));
    if (this.#classes !== undefined) checkMatrixRows(who, path(0), first, this.#classes);
    if (this.#vote) return voteOf(who, predictions, this.#weights, this.#classes!, path) as Result;
    if (this.#classes !== undefined && this.#softmaxOver === undefined)
      checkProbabilities(who, predictions, this.#weights, path);
    return meanOf(predictions, this.#weights, this.#softmaxOver, first) as Result;
  }

  /** The class, the members by the names of their functions, and the options. */
  toString(): string {
    return print('Ensemble', {
      members: this.#members,
      from: this.#from,
      classes: this.#classes,
      weights: [...this.#weights],
      vote: this.#vote,
    });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }
}
