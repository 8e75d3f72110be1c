import type { Evaluate } from '../evaluation.js';
import {
  addScaled,
  dot,
  isSame,
  maxAbsDifference,
  norm,
  subtract,
  sumAbs,
  sumAbsProducts,
  type Vector,
  type VectorConstructor,
} from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import { correctCurvature } from './curvature.js';
import { History } from './history.js';
import { LineSearch, type Trial } from './line-search.js';
import type { Pair } from './two-loop.js';

/** How an iteration ended: it moved to a new point, or it stayed, and why. */
export type Outcome = 'moved' | 'function' | 'line-search' | 'non-finite';

/** How the step along a direction is chosen. @inline */
export type LineSearchName = 'strong-wolfe' | 'none';

/**
 * Runs L-BFGS one iteration at a time. Holds the current point with its value and gradient, and the curvature pairs. If
 * an evaluation throws, the point does not change.
 */
export class LineSearchSolver {
  readonly history: History;
  /** max |Δxᵢ| of the last iteration that moved. */
  lastMove = 0;
  #x: Vector;
  /** Value and gradient at x, as the start of the search line. */
  readonly #current: Trial;
  /** The search direction d. */
  readonly #direction: Float64Array;
  readonly #search: LineSearch;
  /** x + α·d, and its α. NaN when it is out of date. */
  #trialX: Vector;
  #trialStep = Number.NaN;
  /** Whether the current line search has evaluated a point, and whether one was finite. */
  #hasTried = false;
  #hasFinite = false;
  readonly #epsilon: number;

  constructor(length: number, VectorType: VectorConstructor, historySize: number) {
    this.#x = new VectorType(length);
    this.#trialX = new VectorType(length);
    this.#current = { step: 0, value: Number.NaN, slope: 0, grad: new VectorType(length) };
    this.history = new History(length, VectorType, historySize);
    this.#search = new LineSearch([new VectorType(length), new VectorType(length), new VectorType(length)]);
    // Always float64. With a float32 direction, float32 problems take up to 1.5 times as long to reach the accuracy of
    // float32.
    this.#direction = new Float64Array(length);
    this.#epsilon = VectorType === Float32Array ? 2 ** -23 : 2 ** -52;
  }

  /** The current point. Write the first point to it before {@link start}, and only read it afterwards. */
  get x(): Vector {
    return this.#x;
  }

  get grad(): Vector {
    return this.#current.grad;
  }

  get value(): number {
    return this.#current.value;
  }

  /** Evaluates at x. */
  *start(evaluate: Evaluate): Task<void> {
    this.#current.value = Number.NaN;
    const value = evaluate(this.#x, this.#current.grad);
    this.#current.value = typeof value === 'number' ? value : yield* value;
  }

  /**
   * Runs one iteration. The current value and gradient must be finite.
   *
   * @param lr factor of the first trial step; without a line search, the step itself
   */
  *iterate(evaluate: Evaluate, lineSearch: LineSearchName, lr: number): Task<Outcome> {
    const { history } = this;
    for (;;) {
      const isSteepest = history.pairs.length === 0;
      this.#current.slope = history.direction(this.grad, this.#direction);
      this.#trialStep = Number.NaN;
      const isDescent = this.#current.slope < 0 && Number.isFinite(this.#current.slope);
      if (isDescent && lineSearch === 'none')
        return yield* this.#fixedStep(evaluate, isSteepest ? lr * this.#firstScale(sumAbs) : lr);
      const outcome = isDescent
        ? yield* this.#lineSearch(evaluate, isSteepest ? lr * this.#firstScale(norm) : lr)
        : this.#noDescent();
      if (outcome === 'moved' || outcome === 'function' || isSteepest) return outcome;
      // The pairs may be misleading. Drop them and try steepest descent.
      history.clear();
    }
  }

  /** Call after an evaluation has thrown. Moves to the best point of the interrupted search if that is lower than x. */
  keepBest(): boolean {
    const { best } = this.#search;
    if (best === undefined || !(best.value < this.value)) return false;
    this.#moveTo(best);
    return true;
  }

  /**
   * min(1, 1/‖g‖): without pairs, nothing is known about the scale of the problem, so the first step is at most 1 long.
   */
  #firstScale(length: (x: Vector) => number): number {
    return Math.min(1, 1 / length(this.grad));
  }

  *#lineSearch(evaluate: Evaluate, firstStep: number): Task<Outcome> {
    const current = this.#current;
    this.#hasTried = false;
    this.#hasFinite = false;
    const found = yield* this.#search.run(
      current,
      firstStep,
      (trial) => this.#evaluate(evaluate, trial),
      (step) => this.#isTooShort(step),
    );
    // An equal value counts as progress only with a smaller gradient. Otherwise the iteration might never end.
    if (found !== undefined && (found.value < current.value || norm(found.grad) < norm(current.grad))) {
      const neighbour = this.#search.neighbour(found);
      const pair = this.#pairTo(found);
      correctCurvature(pair.y, current, found, neighbour, this.#epsilon * Math.abs(current.value));
      this.history.conjugate(pair);
      this.history.push(pair);
      this.#moveTo(found);
      return 'moved';
    }
    this.#search.reset();
    if (this.#hasTried && !this.#hasFinite) return 'non-finite';
    return -current.slope * firstStep <= this.#roundingError() ? 'function' : 'line-search';
  }

  /** Why the direction does not lead downhill. The slope along −g is −‖g‖², which can leave the range of float64. */
  #noDescent(): Outcome {
    if (!Number.isFinite(this.#current.slope)) return 'non-finite';
    return this.#current.slope === 0 ? 'function' : 'line-search';
  }

  *#fixedStep(evaluate: Evaluate, step: number): Task<Outcome> {
    const trial = this.#search.spareTrial;
    trial.step = step;
    const pending = this.#evaluate(evaluate, trial);
    if (pending !== undefined) yield* pending;
    if (!Number.isFinite(trial.value) || !Number.isFinite(trial.slope)) return 'non-finite';
    this.history.push(this.#pairTo(trial));
    this.#moveTo(trial);
    return 'moved';
  }

  #evaluate(evaluate: Evaluate, trial: Trial): MaybeTask<void> {
    this.#setTrialX(trial.step);
    const value = evaluate(this.#trialX, trial.grad);
    return typeof value === 'number' ? this.#complete(trial, value) : this.#evaluateLater(trial, value);
  }

  *#evaluateLater(trial: Trial, value: Task<number>): Task<void> {
    this.#complete(trial, yield* value);
  }

  /** Writes the value and the slope of a trial, whose gradient is known. */
  #complete(trial: Trial, value: number): void {
    trial.value = value;
    trial.slope = dot(trial.grad, this.#direction);
    this.#hasTried = true;
    this.#hasFinite ||= Number.isFinite(trial.value) && Number.isFinite(trial.slope);
  }

  /** Whether x + α·d rounds to x. */
  #isTooShort(step: number): boolean {
    this.#setTrialX(step);
    return isSame(this.#trialX, this.#x);
  }

  #setTrialX(step: number): void {
    if (this.#trialStep === step) return;
    addScaled(this.#x, step, this.#direction, this.#trialX);
    this.#trialStep = step;
  }

  /** The curvature pair of the step to `trial`. It is computed from the points as they were rounded. */
  #pairTo(trial: Trial): Pick<Pair, 's' | 'y'> {
    this.#setTrialX(trial.step);
    const pair = this.history.acquire();
    subtract(this.#trialX, this.#x, pair.s);
    subtract(trial.grad, this.grad, pair.y);
    return pair;
  }

  #moveTo(trial: Trial): void {
    this.#setTrialX(trial.step);
    this.lastMove = maxAbsDifference(this.#trialX, this.#x);
    [this.#x, this.#trialX] = [this.#trialX, this.#x];
    [this.#current.grad, trial.grad] = [trial.grad, this.#current.grad];
    this.#current.value = trial.value;
    this.#trialStep = Number.NaN;
    this.#search.reset();
  }

  /** Bound on the change of the value by rounding alone: the rounding of the value, and that of x. */
  #roundingError(): number {
    return 4 * this.#epsilon * (Math.abs(this.value) + sumAbsProducts(this.#x, this.grad));
  }
}
