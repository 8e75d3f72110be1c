import {
  dot,
  maxAbsDifference,
  move,
  norm,
  subtract,
  sumAbs,
  sumAbsProducts,
  type Vector,
  type VectorConstructor,
} from '../linalg.js';
import { checkConvergence } from './curvature.js';
import { History } from './history.js';
import { LineSearch, type Trial } from './line-search.js';

/** Returns the value at x and writes the gradient there. What it throws passes through. */
export type Evaluate = (x: Vector, grad: Vector) => number;

/** How an iteration ended: at a new point, or where it was, and why. */
export type Outcome = 'moved' | 'function' | 'line-search' | 'non-finite';

/** How the step along a direction is chosen. @inline */
export type LineSearchName = 'strong-wolfe' | 'none';

/**
 * L-BFGS, an iteration at a time: a point with its value and gradient, and the curvature pairs that the next direction
 * comes from. Whatever an evaluation throws, the point stays where it was.
 */
export class LineSearchSolver {
  readonly history: History;
  /** max |Δxᵢ| of the last iteration that moved. */
  lastMove = 0;
  #x: Vector;
  /** Value and gradient at x. */
  readonly #here: Trial;
  readonly #direction: Float64Array;
  readonly #search: LineSearch;
  /** Where x goes next, and the step along the direction that it is at. */
  #next: Vector;
  #nextStep = Number.NaN;
  readonly #epsilon: number;

  constructor(length: number, make: VectorConstructor, historySize: number) {
    this.#x = new make(length);
    this.#next = new make(length);
    this.#here = { step: 0, value: Number.NaN, slope: 0, grad: new make(length) };
    this.history = new History(length, make, historySize);
    this.#search = new LineSearch([new make(length), new make(length), new make(length)]);
    // Float64 for both kinds: in float32 it takes longer to float32's own floor, up to half as long again.
    this.#direction = new Float64Array(length);
    this.#epsilon = make === Float32Array ? 2 ** -23 : 2 ** -52;
  }

  /** The point: for its owner to write to before {@link start}, and to read. */
  get x(): Vector {
    return this.#x;
  }

  get grad(): Vector {
    return this.#here.grad;
  }

  get value(): number {
    return this.#here.value;
  }

  /** Evaluates at x. */
  start(evaluate: Evaluate): void {
    this.#here.value = Number.NaN;
    this.#here.value = evaluate(this.#x, this.#here.grad);
  }

  /**
   * One iteration, from where value and gradient are finite.
   *
   * @param lr what the first step to try is multiplied by; the step itself where there is no line search
   */
  iterate(evaluate: Evaluate, lineSearch: LineSearchName, lr: number): Outcome {
    const { history } = this;
    for (;;) {
      const isFirst = history.pairs.length === 0;
      this.#here.slope = history.direction(this.grad, this.#direction);
      const isDownhill = this.#here.slope < 0 && Number.isFinite(this.#here.slope);
      if (isDownhill && lineSearch === 'none') return this.#step(evaluate, isFirst ? lr * this.#shorten(sumAbs) : lr);
      const outcome = isDownhill
        ? this.#lineSearch(evaluate, isFirst ? lr * this.#shorten(norm) : lr)
        : ('line-search' as const);
      if (outcome === 'moved' || outcome === 'function' || isFirst) return outcome;
      // It may be the pairs that are wrong: once more, straight downhill.
      history.clear();
    }
  }

  /** After an evaluation has thrown: goes to the best point of the search that it was part of, if there is a lower one. */
  keepBest(): boolean {
    const { best } = this.#search;
    if (best === undefined || !(best.value < this.value)) return false;
    this.#moveTo(best);
    return true;
  }

  /** Nothing is known of the scale yet: the first step is no longer than 1. */
  #shorten(length: (x: Vector) => number): number {
    return Math.min(1, 1 / length(this.grad));
  }

  #lineSearch(evaluate: Evaluate, step: number): Outcome {
    const here = this.#here;
    let sawFinite = false;
    const found = this.#search.run(here, step, (trial) => {
      this.#evaluate(evaluate, trial);
      sawFinite ||= Number.isFinite(trial.value) && Number.isFinite(trial.slope);
    });
    // An equal value is progress only if the gradient is smaller, or this would never end.
    if (found !== undefined && (found.value < here.value || norm(found.grad) < norm(here.grad))) {
      const neighbour = this.#search.neighbour(found);
      const pair = this.#pairTo(found);
      checkConvergence(pair.y, here, found, neighbour, this.#epsilon * Math.abs(here.value));
      this.history.conjugate(pair);
      this.history.push(pair);
      this.#moveTo(found);
      return 'moved';
    }
    this.#search.reset();
    if (!sawFinite) return 'non-finite';
    return -here.slope * step <= this.#noise() ? 'function' : 'line-search';
  }

  #step(evaluate: Evaluate, step: number): Outcome {
    const trial = this.#search.trial;
    trial.step = step;
    this.#evaluate(evaluate, trial);
    if (!Number.isFinite(trial.value) || !Number.isFinite(trial.slope)) return 'non-finite';
    this.history.push(this.#pairTo(trial));
    this.#moveTo(trial);
    return 'moved';
  }

  #evaluate(evaluate: Evaluate, trial: Trial): void {
    this.#goTo(trial.step);
    trial.value = evaluate(this.#next, trial.grad);
    trial.slope = dot(trial.grad, this.#direction);
  }

  #goTo(step: number): void {
    move(this.#x, step, this.#direction, this.#next);
    this.#nextStep = step;
  }

  /** The curvature pair of the step to `trial`, from the points as they were rounded. */
  #pairTo(trial: Trial): { readonly s: Vector; readonly y: Vector } {
    if (this.#nextStep !== trial.step) this.#goTo(trial.step);
    const pair = this.history.blank();
    subtract(this.#next, this.#x, pair.s);
    subtract(trial.grad, this.grad, pair.y);
    return pair;
  }

  #moveTo(trial: Trial): void {
    if (this.#nextStep !== trial.step) this.#goTo(trial.step);
    this.lastMove = maxAbsDifference(this.#next, this.#x);
    [this.#x, this.#next] = [this.#next, this.#x];
    [this.#here.grad, trial.grad] = [trial.grad, this.#here.grad];
    this.#here.value = trial.value;
    this.#nextStep = Number.NaN;
    this.#search.reset();
  }

  /** How much the value may change by rounding alone: its own, and that of x. */
  #noise(): number {
    return 4 * this.#epsilon * (Math.abs(this.value) + sumAbsProducts(this.#x, this.grad));
  }
}
