import { EVD, Matrix } from 'ml-matrix';
import type { Evaluate } from '../lbfgs/solver.js';
import { axpy, dot, maxAbs, norm, scale, subtract } from '../linalg.js';
import { cholesky, solveLower, solveUpper } from './cholesky.js';
import {
  addLowRank,
  addProduct,
  type Change,
  estimateHessian,
  type Hessian,
  type HessianUpdate,
  isTelling,
  median,
  quadraticForm,
} from './hessian.js';
import type { Random } from './random.js';
import { Subspace, tiny } from './subspace.js';

/** How the next term is chosen among the active ones. @inline */
export type Selection = 'distance' | 'random' | 'cyclic';

/** The hyper-parameters of SFO. */
export interface SFOSettings {
  readonly historySize: number;
  readonly hessianInit: number;
  readonly initialActive: number;
  readonly maxDeviation: number;
  readonly selection: Selection;
  readonly maxGradientNoise: number;
  readonly maxStepRatio: number;
  readonly minStep: number;
  readonly hessianUpdate: HessianUpdate;
}

/** Where a term was evaluated last, what is known of it from there, and its history. */
interface Term {
  /** How often it was evaluated. */
  evaluations: number;
  isActive: boolean;
  /** Position and gradient of the last evaluation, in the subspace. */
  z: Float64Array;
  grad: Float64Array;
  /** Whether there was such a one: until then they are where all began, and 0. */
  isKnown: boolean;
  /** The value there. */
  value: number;
  /** The newest first. */
  changes: Change[];
  hessian: Hessian;
}

/** Value and gradient of a term at a point. */
interface Sample {
  readonly value: number;
  readonly grad: Float64Array;
}

/** What one step was. */
export interface SFOProgress {
  /** The term that was evaluated. */
  readonly term: number;
  /** Its value and the norm of its gradient where the step began, after a failed one where that went back to. */
  readonly value: number;
  readonly gradNorm: number;
  /** Whether the step before had to be shortened or taken back. */
  readonly failed: boolean;
}

/** Thrown where a term is finite neither at the point nor at the last good one. */
export class NowhereFinite extends Error {
  readonly term: number;
  readonly value: number;

  constructor(term: number, value: number) {
    super(`term ${term} is not finite`);
    this.term = term;
    this.value = value;
  }
}

function isFiniteSample({ value, grad }: Sample): boolean {
  return Number.isFinite(value) && Number.isFinite(maxAbs(grad));
}

function difference(x: Float64Array, y: Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  subtract(x, y, out);
  return out;
}

/**
 * SFO, a step at a time: a quadratic model for each term around the place where it was last evaluated. A step evaluates one
 * term, refreshes its model, and jumps to the minimiser of the sum of all models.
 */
export class SumOfModels {
  /** The point: for its owner to read. */
  readonly theta: Float64Array;
  readonly terms: readonly Term[];
  readonly subspace: Subspace;
  readonly #settings: SFOSettings;
  readonly #random: Random;
  /** Whether points are float32: they are rounded before anything is evaluated there. */
  readonly #isSingle: boolean;
  /** Where the last step began: the last good point. */
  readonly #before: Float64Array;
  /** θ in the subspace. */
  #z: Float64Array;
  /** The Hessians of all terms without their diagonals: the lower triangle, in rows of full length. */
  #lowRank: Float64Array;
  #stepScale = 1;
  #pathLength = 0;
  #evaluations = 0;
  #sinceGrowth = 0;
  /** By how much the sum of the models fell in the last step. */
  #predicted = 0;
  /** For the selection 'cyclic'. */
  #turn = 0;

  constructor(theta: Float64Array, N: number, settings: SFOSettings, random: Random, isSingle: boolean) {
    this.theta = theta;
    this.#before = theta.slice();
    this.#settings = settings;
    this.#random = random;
    this.#isSingle = isSingle;
    this.subspace = new Subspace(theta, N, random);
    this.#z = this.subspace.project(theta);
    this.#lowRank = new Float64Array(this.#z.length ** 2);
    const active = new Set(random.permutation(N).subarray(0, settings.initialActive));
    this.terms = Array.from({ length: N }, (_, i) => ({
      evaluations: 0,
      isActive: active.has(i),
      z: this.#z.slice(),
      grad: new Float64Array(this.#z.length),
      isKnown: false,
      value: Number.NaN,
      changes: [],
      hessian: { diagonal: active.has(i) ? settings.hessianInit : 0, columns: [] },
    }));
  }

  /** The last good point: where the owner goes when an evaluation throws. */
  get before(): Float64Array {
    return this.#before;
  }

  get active(): readonly Term[] {
    return this.terms.filter(({ isActive }) => isActive);
  }

  /** Goes elsewhere: the models stay. */
  moveTo(theta: Float64Array): void {
    this.theta.set(theta);
    this.#take(theta);
    this.#before.set(theta);
    // What it was to gain from there says nothing here.
    this.#predicted = Number.POSITIVE_INFINITY;
    this.#z = this.subspace.project(theta);
  }

  /** Forgets what was learnt of a term, which has become another function. */
  replace(i: number): void {
    const term = this.terms[i]!;
    Object.assign(term, { evaluations: 0, isKnown: false, changes: [] });
  }

  /**
   * One step.
   *
   * @param evaluate the value and gradient of term i; where it throws, the point is the last good one again
   * @throws NowhereFinite, and what `evaluate` throws
   */
  step(evaluate: (i: number) => Evaluate): SFOProgress {
    const i = this.#choose();
    const term = this.terms[i]!;
    const counts = [term.evaluations, this.#evaluations] as const;
    try {
      const sample = this.#evaluate(term, evaluate(i));
      const failed = this.#hasFailed(term, sample);
      const kept = failed ? this.#handleFailure(i, evaluate(i), sample) : sample;
      if (failed) this.#stepScale = Math.max(1e-5, this.#stepScale / 2);
      else this.#stepScale = 1 / this.terms.length + this.#stepScale * (1 - 1 / this.terms.length);
      this.#remember(term, this.#z, kept.value, this.subspace.project(kept.grad));
      this.#pathLength += norm(difference(this.theta, this.#before));
      this.#updateHessian(term);
      const factor = this.#factor();
      this.#jump(factor);
      this.#growActiveSet(factor, failed);
      return { term: i, value: kept.value, gradNorm: norm(kept.grad), failed };
    } catch (error) {
      [term.evaluations, this.#evaluations] = counts;
      this.theta.set(this.#before);
      this.#z = this.subspace.project(this.theta);
      throw error;
    }
  }

  #pick<T>(among: readonly T[]): T {
    return among[Math.floor(this.#random.uniform() * among.length)] as T;
  }

  #choose(): number {
    const active = this.terms.flatMap(({ isActive }, i) => (isActive ? [i] : []));
    const evaluations = (i: number): number => this.terms[i]!.evaluations;
    const once = active.find((i) => evaluations(i) === 1);
    if (once !== undefined) return once;
    const never = active.filter((i) => evaluations(i) === 0);
    if (never.length > 0) return this.#pick(never);
    const { selection } = this.#settings;
    if (selection === 'random') return this.#pick(active);
    if (selection === 'cyclic') {
      const i = active[this.#turn % active.length]!;
      this.#turn = (this.#turn + 1) % active.length;
      return i;
    }
    const byAll = this.#random.uniform() < 0.5;
    const distances = active.map((i) => {
      const { z, hessian } = this.terms[i]!;
      const away = difference(this.#z, z);
      return byAll ? this.#quadraticFormOfAll(away) : quadraticForm(hessian, away);
    });
    const most = Math.max(...distances);
    const inactive = this.terms.flatMap(({ isActive }, i) => (isActive ? [] : [i]));
    // All have been looked at here.
    if (byAll && most < tiny && inactive.length > 0) {
      const i = this.#pick(inactive);
      this.terms[i]!.isActive = true;
      return i;
    }
    return active[distances.indexOf(most)] ?? this.#pick(active);
  }

  /** Σ of the diagonals. */
  get #diagonal(): number {
    return this.active.reduce((sum, { hessian }) => sum + hessian.diagonal, 0);
  }

  /** vᵀHv, H the Hessian of all. */
  #quadraticFormOfAll(v: Float64Array): number {
    const size = v.length;
    let sum = this.#diagonal * dot(v, v);
    for (let i = 0; i < this.subspace.count; i++) {
      let row = this.#lowRank[i * size + i]! * v[i]!;
      for (let j = 0; j < i; j++) row += 2 * this.#lowRank[i * size + j]! * v[j]!;
      sum += v[i]! * row;
    }
    return sum;
  }

  #evaluate(term: Term, evaluate: Evaluate, at = this.theta): Sample {
    const grad = new Float64Array(this.theta.length);
    const value = evaluate(at, grad);
    term.evaluations++;
    this.#evaluations++;
    this.#take(grad);
    return { value, grad };
  }

  /** Takes a direction into the subspace. */
  #take(direction: Float64Array): void {
    if (!this.subspace.add(direction)) return;
    const { active } = this;
    const kept = [...active.map(({ grad }) => grad), ...active.map(({ z }) => z)];
    for (const turn of this.subspace.collapse([
      ...kept,
      this.subspace.project(direction),
      this.subspace.project(this.theta),
    ])) {
      for (const { z, grad, changes, hessian } of this.terms) {
        for (const vector of [z, grad]) turn(vector);
        for (const change of changes) for (const vector of [change.step, change.grad]) turn(vector);
        for (const { b } of hessian.columns) turn(b);
      }
    }
    this.#z = this.subspace.project(this.theta);
    this.#sumLowRank();
  }

  /** Anew, so that what rounding adds up does not stay. */
  #sumLowRank(): void {
    this.#lowRank.fill(0);
    for (const { hessian } of this.terms) addLowRank(hessian, 1, this.#lowRank);
  }

  /** The value of a term where the point is, by its model. */
  #predict({ value, grad, z, hessian }: Term): number {
    const away = difference(this.#z, z);
    return value + dot(grad, away) + quadraticForm(hessian, away) / 2;
  }

  #hasFailed(term: Term, sample: Sample): boolean {
    const { value } = sample;
    if (!isFiniteSample(sample)) return true;
    if (term.evaluations === 1) {
      const others = this.terms.filter(({ evaluations }) => evaluations > 1).map((other) => other.value);
      if (others.length === 0) return false;
      const mean = others.reduce((sum, v) => sum + v, 0) / others.length;
      const deviation = Math.sqrt(others.reduce((sum, v) => sum + (v - mean) ** 2, 0) / others.length);
      return value > mean + 3 * deviation;
    }
    // It may rise by what the others are to have gained.
    const predicted = this.#predict(term);
    return value > term.value && value - predicted > this.#predicted - (term.value - predicted);
  }

  /** Looks at the term where the step began, and goes back there unless it is higher. Returns what holds at the point. */
  #handleFailure(i: number, evaluate: Evaluate, failed: Sample): Sample {
    const term = this.terms[i]!;
    const { theta } = this;
    const old = this.#evaluate(term, evaluate, this.#before);
    if (!isFiniteSample(old)) {
      if (isFiniteSample(failed)) return failed;
      throw new NowhereFinite(i, old.value);
    }
    // A value that has exploded is no curvature to learn: nearer by and by.
    let sample = failed;
    const gain = Math.abs(Number.isFinite(term.value) ? this.#predict(term) - term.value : failed.value - old.value);
    const usual = Number.isFinite(gain) && gain > tiny ? gain : tiny;
    for (let trial = 0; trial < 10 && !(sample.value - old.value < 10 * usual); trial++) {
      for (let k = 0; k < theta.length; k++) theta[k] = this.#round(0.99 * this.#before[k]! + 0.01 * theta[k]!);
      this.#goTo(theta);
      sample = this.#evaluate(term, evaluate);
    }
    if (isFiniteSample(sample) && sample.value < old.value) {
      this.#remember(term, this.subspace.project(this.#before), old.value, this.subspace.project(old.grad));
      return sample;
    }
    if (isFiniteSample(sample)) this.#remember(term, this.#z, sample.value, this.subspace.project(sample.grad));
    this.#goTo(this.#before);
    return old;
  }

  #goTo(theta: Float64Array): void {
    this.theta.set(theta);
    this.#z = this.subspace.project(this.theta);
  }

  #round(value: number): number {
    return this.#isSingle ? Math.fround(value) : value;
  }

  /** Puts an evaluation into the history of its term. */
  #remember(term: Term, z: Float64Array, value: number, grad: Float64Array): void {
    const change = { step: difference(z, term.z), grad: difference(grad, term.grad) };
    // The authors ask for a second evaluation; a first step that failed has had two, and no point before.
    if (term.isKnown && isTelling(change, tiny))
      term.changes = [change, ...term.changes].slice(0, this.#settings.historySize);
    Object.assign(term, { z: z.slice(), grad, value, isKnown: true });
  }

  #updateHessian(term: Term): void {
    const { maxDeviation, hessianUpdate } = this.#settings;
    if (term.changes.length === 0) {
      let diagonal = this.#medianCurvature() / this.active.length;
      // The first steps were too short to show anything.
      if (term.evaluations > 2 && this.#evaluations < 5) diagonal /= 10;
      addLowRank(term.hessian, -1, this.#lowRank);
      term.hessian = { diagonal, columns: [] };
      return;
    }
    const substitute = Math.max(...this.active.map(({ hessian }) => hessian.diagonal));
    const hessian = estimateHessian(term.changes, hessianUpdate, maxDeviation, substitute, this.subspace.count);
    addLowRank(term.hessian, -1, this.#lowRank);
    addLowRank(hessian, 1, this.#lowRank);
    term.hessian = hessian;
  }

  /** The median eigenvalue of the Hessian of all. */
  #medianCurvature(): number {
    const { count, size } = this.subspace;
    const used = Matrix.zeros(count, count);
    for (let i = 0; i < count; i++)
      for (let j = 0; j < count; j++) used.set(i, j, this.#lowRank[Math.max(i, j) * size + Math.min(i, j)]!);
    const { realEigenvalues } = new EVD(used, { assumeSymmetric: true });
    // Columns that are not in use yet are zero.
    return median([...realEigenvalues, ...new Array<number>(size - count).fill(0)]) + this.#diagonal;
  }

  /** The Cholesky factor of the Hessian of all. */
  #factor(): Float64Array {
    const { size, count } = this.subspace;
    const diagonal = this.#diagonal;
    let factor = cholesky(this.#lowRank, size, count, diagonal);
    if (factor !== undefined) return factor;
    // Each term's is positive definite, so that this is rounding; or the numbers' range is at its end.
    this.#sumLowRank();
    const most = Math.max(diagonal, maxAbs(this.#lowRank), Number.MIN_VALUE);
    if (!(most < 1e290)) {
      this.#forget();
      return this.#factor();
    }
    for (let more = 0; factor === undefined; more = more === 0 ? most * 1e-14 : more * 10)
      factor = cholesky(this.#lowRank, size, count, diagonal + more);
    return factor;
  }

  /** Begins with the curvature again, as at the start. */
  #forget(): void {
    for (const term of this.terms) {
      term.changes = [];
      term.hessian = { diagonal: term.isActive ? this.#settings.hessianInit : 0, columns: [] };
    }
    this.#sumLowRank();
  }

  /** To the minimiser of the sum of all models, or as far as is allowed. */
  #jump(factor: Float64Array): void {
    const { minStep, maxStepRatio } = this.#settings;
    const gradient = new Float64Array(this.#z.length);
    for (const { z, grad, hessian } of this.terms) {
      addProduct(hessian, difference(this.#z, z), gradient);
      axpy(1, grad, gradient);
    }
    const d = solveUpper(factor, solveLower(factor, gradient));
    scale(-this.#stepScale, d, d);
    const length = norm(d);
    if (length > 0 && length < minStep) scale(minStep / length, d, d);
    const longest = (maxStepRatio * this.#pathLength) / this.#evaluations;
    if (this.#evaluations > this.terms.length && longest > 0 && norm(d) > longest) scale(longest / norm(d), d, d);
    this.#before.set(this.theta);
    this.subspace.addTo(this.theta, d);
    if (this.#isSingle) {
      // What is evaluated is the rounded point, and so what is learnt.
      for (let k = 0; k < this.theta.length; k++) this.theta[k] = Math.fround(this.theta[k]!);
      this.#z = this.subspace.project(this.theta);
    } else axpy(1, d, this.#z);
    this.#predicted = this.#quadraticFormOfAll(d) / 2;
  }

  /** Takes one more term in when the gradient's noise, or a failure, or a pass without says so. */
  #growActiveSet(factor: Float64Array, failed: boolean): void {
    const { active } = this;
    const inactive = this.terms.filter(({ isActive }) => !isActive);
    const since = this.#sinceGrowth++;
    if (inactive.length === 0 || active.some(({ evaluations }) => evaluations < 2)) return;
    if (!failed && since <= active.length && !this.#isNoisy(active, factor)) return;
    this.#pick(inactive).isActive = true;
    this.#sinceGrowth = 0;
  }

  /** Whether the mean gradient is no larger than its standard error, measured by H⁻¹. */
  #isNoisy(active: readonly Term[], factor: Float64Array): boolean {
    const n = active.length;
    const mean = new Float64Array(this.#z.length);
    for (const { grad } of active) axpy(1 / n, grad, mean);
    // vᵀH⁻¹v = ‖L⁻¹v‖².
    const power = (v: Float64Array): number => norm(solveLower(factor, v)) ** 2;
    const noise = active.reduce((sum, { grad }) => sum + power(difference(grad, mean)), 0) / (n * (n - 1));
    return noise >= power(mean) * this.#settings.maxGradientNoise;
  }
}
