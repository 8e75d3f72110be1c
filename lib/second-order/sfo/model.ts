import { type Evaluate, isFinitePoint } from '../evaluation.js';
import { axpy, difference, norm, scale } from '../linalg.js';
import type { Task } from '../task.js';
import { ActiveSet } from './active-set.js';
import { ActiveTerms } from './active-terms.js';
import { solveLower, solveUpper } from './cholesky.js';
import { addProduct, estimateHessian, isInformative } from './hessian.js';
import type { ModelState } from './model-state.js';
import type { Random } from './random.js';
import type { SFOSettings } from './settings.js';
import { Subspace, tiny } from './subspace.js';
import { predict, type Term } from './term.js';
import { TotalHessian } from './total-hessian.js';

/** Value and gradient of a term at a point. */
interface Sample {
  readonly value: number;
  readonly grad: Float64Array;
}

/** Result of one step. */
export interface StepOutcome {
  /** The term that was evaluated. */
  readonly term: number;
  /** Its value at the start of the step. If the previous step had failed, at the point where its correction ended. */
  readonly value: number;
  /** The L2 norm of its gradient at that point. */
  readonly gradNorm: number;
  /** Whether the previous step had to be shortened or undone. */
  readonly failed: boolean;
}

/** Thrown when a term is finite neither at the current point nor at the last good point. */
export class NonFiniteError extends Error {
  readonly term: number;
  readonly value: number;

  constructor(term: number, value: number) {
    super(`term ${term} is not finite`);
    this.term = term;
    this.value = value;
  }
}

function isFiniteSample({ value, grad }: Sample): boolean {
  return isFinitePoint(value, grad);
}

/**
 * Runs SFO one step at a time. Each term has a quadratic model around the point of its last evaluation. A step
 * evaluates one term, updates its model, and moves to the minimiser of the sum of all models.
 */
export class SumOfModels {
  /** The current point. Only for reading; {@link moveTo} changes it. */
  readonly theta: Float64Array;
  readonly subspace: Subspace;
  readonly #terms: ActiveTerms;
  readonly #random: Random;
  readonly #settings: SFOSettings;
  /** Whether points are rounded to float32 before a term is evaluated there. */
  readonly #isSingle: boolean;
  readonly #hessian: TotalHessian;
  readonly #activeSet: ActiveSet;
  /** The last good point: the start of the last step. */
  readonly #lastGood: Float64Array;
  /** θ in the subspace. */
  #z: Float64Array;
  /** The starting point in the subspace: the point of each term that joins. */
  #origin: Float64Array;
  /** Fraction of the way to the minimiser that a step takes. A failed step halves it; later steps restore it. */
  #stepScale = 1;
  /** Sum of the lengths of all steps. */
  #pathLength = 0;
  #evaluations = 0;
  /** Decrease of the sum of the models in the last step. */
  #predictedDecrease = 0;

  constructor(theta: Float64Array, N: number, settings: SFOSettings, random: Random, isSingle: boolean) {
    this.theta = theta;
    this.#lastGood = theta.slice();
    this.#settings = settings;
    this.#isSingle = isSingle;
    this.subspace = new Subspace(theta, N, random);
    this.#z = this.subspace.project(theta);
    this.#origin = this.#z.slice();
    this.#random = random;
    this.#terms = new ActiveTerms(N);
    const count = Math.min(settings.initialActive, N);
    // A permutation takes time and memory for every term. Up to this N it stays, so that a seed keeps its run.
    const first = N <= 2 ** 20 ? random.permutation(N).slice(0, count).sort() : random.sample(N, count);
    this.#terms.reset(Array.from(first, (index) => this.#newTerm(index, settings.hessianInit)));
    this.#hessian = new TotalHessian(this.#terms, this.subspace);
    this.#activeSet = new ActiveSet(this.#terms, this.#hessian, settings, random, (index) =>
      this.#terms.add(this.#newTerm(index, 0)),
    );
  }

  #newTerm(index: number, diagonal: number): Term {
    return {
      index,
      evaluations: 0,
      isKnown: false,
      z: this.#origin.slice(),
      grad: new Float64Array(this.#z.length),
      value: Number.NaN,
      changes: [],
      hessian: { diagonal, columns: [] },
    };
  }

  /** The last good point. The owner returns to it when an evaluation throws. */
  get before(): Float64Array {
    return this.#lastGood;
  }

  /** The active terms, in the order of their indices. */
  get active(): readonly Term[] {
    return this.#terms.active;
  }

  /** Everything that a resumed run needs. The arrays are live. */
  get state(): ModelState {
    return {
      theta: this.theta,
      lastGood: this.#lastGood,
      z: this.#z,
      origin: this.#origin,
      basis: this.subspace.columns.slice(0, this.subspace.count),
      lowRank: this.#hessian.lowRank,
      terms: this.#terms.active,
      counters: {
        random: this.#random.state,
        stepScale: this.#stepScale,
        pathLength: this.#pathLength,
        evaluations: this.#evaluations,
        predictedDecrease: this.#predictedDecrease,
        stepsSinceGrowth: this.#activeSet.stepsSinceGrowth,
        nextInCycle: this.#activeSet.nextInCycle,
      },
    };
  }

  /** Takes over a state of the same sizes. Keeps its terms, and copies the other arrays. */
  load({ theta, lastGood, z, origin, basis, lowRank, terms, counters }: ModelState): void {
    this.theta.set(theta);
    this.#lastGood.set(lastGood);
    this.#z = z.slice();
    this.#origin = origin.slice();
    this.subspace.load(basis);
    this.#hessian.lowRank.set(lowRank);
    this.#terms.reset(terms);
    this.#random.state = counters.random;
    this.#stepScale = counters.stepScale;
    this.#pathLength = counters.pathLength;
    this.#evaluations = counters.evaluations;
    this.#predictedDecrease = counters.predictedDecrease;
    this.#activeSet.stepsSinceGrowth = counters.stepsSinceGrowth;
    this.#activeSet.nextInCycle = counters.nextInCycle;
  }

  /** Moves to another point. The models stay. */
  moveTo(theta: Float64Array): void {
    this.theta.set(theta);
    this.#extendSubspace(theta);
    this.#lastGood.set(theta);
    // The decrease was predicted for another point, so the next value must not count as a failure.
    this.#predictedDecrease = Number.POSITIVE_INFINITY;
    this.#z = this.subspace.project(theta);
  }

  /** Forgets the history of a term that has become another function. */
  replace(i: number): void {
    const term = this.#terms.find(i);
    if (term !== undefined) Object.assign(term, { evaluations: 0, isKnown: false, changes: [] });
  }

  /**
   * Runs one step.
   *
   * @param evaluate returns the function that evaluates term i. If it throws, the point becomes the last good point
   *   again.
   * @throws NonFiniteError, and whatever `evaluate` throws
   */
  *step(evaluate: (i: number) => Evaluate): Task<StepOutcome> {
    const i = this.#activeSet.choose(this.#z);
    const term = this.#terms.find(i)!;
    const counts = [term.evaluations, this.#evaluations] as const;
    try {
      const sample = yield* this.#evaluate(term, evaluate(i));
      const failed = this.#hasFailed(term, sample);
      const kept = failed ? yield* this.#handleFailure(i, evaluate(i), sample) : sample;
      if (failed) this.#stepScale = Math.max(1e-5, this.#stepScale / 2);
      else this.#stepScale = 1 / this.#terms.N + this.#stepScale * (1 - 1 / this.#terms.N);
      this.#record(term, this.#z, kept.value, this.subspace.project(kept.grad));
      this.#pathLength += norm(difference(this.theta, this.#lastGood));
      this.#updateHessian(term);
      const factor = this.#factor();
      this.#moveToMinimiser(factor);
      this.#activeSet.grow(factor, failed);
      return { term: i, value: kept.value, gradNorm: norm(kept.grad), failed };
    } catch (error) {
      [term.evaluations, this.#evaluations] = counts;
      this.#setPoint(this.#lastGood);
      throw error;
    }
  }

  *#evaluate(term: Term, evaluate: Evaluate, at = this.theta): Task<Sample> {
    const grad = new Float64Array(this.theta.length);
    const result = evaluate(at, grad);
    const value = typeof result === 'number' ? result : yield* result;
    term.evaluations++;
    this.#evaluations++;
    this.#extendSubspace(grad);
    return { value, grad };
  }

  /** Adds a direction to the subspace. If that is full, collapses it and changes the basis of all vectors. */
  #extendSubspace(direction: Float64Array): void {
    if (!this.subspace.add(direction)) return;
    const { active } = this;
    const basisChanges = this.subspace.collapse([
      ...active.map(({ grad }) => grad),
      ...active.map(({ z }) => z),
      this.subspace.project(direction),
      this.subspace.project(this.theta),
    ]);
    for (const changeBasis of basisChanges) {
      changeBasis(this.#origin);
      for (const { z, grad, changes, hessian } of active) {
        for (const vector of [z, grad]) changeBasis(vector);
        for (const change of changes) for (const vector of [change.step, change.grad]) changeBasis(vector);
        for (const { b } of hessian.columns) changeBasis(b);
      }
    }
    this.#z = this.subspace.project(this.theta);
    this.#hessian.recompute();
  }

  /** Whether the last step was too long, judged by the term's value at its end. */
  #hasFailed(term: Term, sample: Sample): boolean {
    const { value } = sample;
    if (!isFiniteSample(sample)) return true;
    if (term.evaluations === 1) {
      const others = this.active.filter(({ evaluations }) => evaluations > 1).map((other) => other.value);
      if (others.length === 0) return false;
      const mean = others.reduce((sum, v) => sum + v, 0) / others.length;
      const deviation = Math.sqrt(others.reduce((sum, v) => sum + (v - mean) ** 2, 0) / others.length);
      return value > mean + 3 * deviation;
    }
    // One term may rise by as much as the other terms should have fallen.
    const predicted = predict(term, this.#z);
    return value > term.value && value - predicted > this.#predictedDecrease - (term.value - predicted);
  }

  /**
   * Evaluates the term at the start of the last step, and moves back there unless its value is higher. Returns the
   * sample at the resulting point.
   */
  *#handleFailure(i: number, evaluate: Evaluate, failed: Sample): Task<Sample> {
    const term = this.#terms.find(i)!;
    const { theta } = this;
    const old = yield* this.#evaluate(term, evaluate, this.#lastGood);
    if (!isFiniteSample(old)) {
      if (isFiniteSample(failed)) return failed;
      throw new NonFiniteError(i, old.value);
    }
    // If the value has exploded, the curvature measured there is useless. So go back towards the last good point until
    // the value is moderate.
    let sample = failed;
    const change = Math.abs(
      Number.isFinite(term.value) ? predict(term, this.#z) - term.value : failed.value - old.value,
    );
    const expected = Number.isFinite(change) && change > tiny ? change : tiny;
    for (let trial = 0; trial < 10 && !(sample.value - old.value < 10 * expected); trial++) {
      for (let k = 0; k < theta.length; k++) theta[k] = this.#round(0.99 * this.#lastGood[k]! + 0.01 * theta[k]!);
      this.#setPoint(theta);
      sample = yield* this.#evaluate(term, evaluate);
    }
    if (isFiniteSample(sample) && sample.value < old.value) {
      this.#record(term, this.subspace.project(this.#lastGood), old.value, this.subspace.project(old.grad));
      return sample;
    }
    if (isFiniteSample(sample)) this.#record(term, this.#z, sample.value, this.subspace.project(sample.grad));
    this.#setPoint(this.#lastGood);
    return old;
  }

  #setPoint(theta: Float64Array): void {
    this.theta.set(theta);
    this.#z = this.subspace.project(this.theta);
  }

  #round(value: number): number {
    return this.#isSingle ? Math.fround(value) : value;
  }

  /** Adds an evaluation to the history of its term. */
  #record(term: Term, z: Float64Array, value: number, grad: Float64Array): void {
    const change = { step: difference(z, term.z), grad: difference(grad, term.grad) };
    // The authors require a second evaluation instead. But after a first step that failed, a term has two evaluations
    // and no earlier point.
    if (term.isKnown && isInformative(change, tiny))
      term.changes = [change, ...term.changes].slice(0, this.#settings.historySize);
    Object.assign(term, { z: z.slice(), grad, value, isKnown: true });
  }

  #updateHessian(term: Term): void {
    const { maxDeviation, hessianUpdate } = this.#settings;
    if (term.changes.length === 0) {
      let diagonal = this.#hessian.medianEigenvalue() / this.active.length;
      // The first steps were too short to show any curvature.
      if (term.evaluations > 2 && this.#evaluations < 5) diagonal /= 10;
      this.#hessian.replace(term, { diagonal, columns: [] });
      return;
    }
    const fallback = Math.max(...this.active.map(({ hessian }) => hessian.diagonal));
    const hessian = estimateHessian(term.changes, hessianUpdate, maxDeviation, fallback, this.subspace.count);
    this.#hessian.replace(term, hessian);
  }

  /** The Cholesky factor of the Hessian of the sum. If it overflows, resets the curvature first. */
  #factor(): Float64Array {
    const factor = this.#hessian.factor();
    if (factor !== undefined) return factor;
    this.#resetCurvature();
    return this.#factor();
  }

  /** Resets the curvature of all terms to its initial value. */
  #resetCurvature(): void {
    for (const term of this.active) {
      term.changes = [];
      term.hessian = { diagonal: this.#settings.hessianInit, columns: [] };
    }
    this.#hessian.recompute();
  }

  /** Moves towards the minimiser of the sum of all models, as far as the limits on the step allow. */
  #moveToMinimiser(factor: Float64Array): void {
    const { minStep, maxStepRatio } = this.#settings;
    const gradient = new Float64Array(this.#z.length);
    for (const { z, grad, hessian } of this.active) {
      addProduct(hessian, difference(this.#z, z), gradient);
      axpy(1, grad, gradient);
    }
    const step = solveUpper(factor, solveLower(factor, gradient));
    scale(-this.#stepScale, step, step);
    const length = norm(step);
    if (length > 0 && length < minStep) scale(minStep / length, step, step);
    const maxLength = (maxStepRatio * this.#pathLength) / this.#evaluations;
    if (this.#evaluations > this.#terms.N && maxLength > 0 && norm(step) > maxLength)
      scale(maxLength / norm(step), step, step);
    this.#lastGood.set(this.theta);
    this.subspace.addTo(this.theta, step);
    if (this.#isSingle) {
      // The terms are evaluated at the rounded point, so the models must be relative to that point.
      for (let k = 0; k < this.theta.length; k++) this.theta[k] = Math.fround(this.theta[k]!);
      this.#z = this.subspace.project(this.theta);
    } else axpy(1, step, this.#z);
    this.#predictedDecrease = this.#hessian.quadraticForm(step) / 2;
  }
}
