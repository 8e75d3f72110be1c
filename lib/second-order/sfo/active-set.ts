import { axpy, difference, norm } from '../linalg.js';
import { solveLower } from './cholesky.js';
import { quadraticForm } from './hessian.js';
import type { Random } from './random.js';
import type { SFOSettings } from './settings.js';
import { tiny } from './subspace.js';
import type { Term } from './term.js';
import type { TotalHessian } from './total-hessian.js';

/** Chooses the term to evaluate next among the active terms, and lets further terms join. */
export class ActiveSet {
  readonly #terms: readonly Term[];
  readonly #hessian: TotalHessian;
  readonly #settings: SFOSettings;
  readonly #random: Random;
  #stepsSinceGrowth = 0;
  /** Next position in the active set, for the selection 'cyclic'. */
  #nextInCycle = 0;

  constructor(terms: readonly Term[], hessian: TotalHessian, settings: SFOSettings, random: Random) {
    this.#terms = terms;
    this.#hessian = hessian;
    this.#settings = settings;
    this.#random = random;
  }

  get active(): readonly Term[] {
    return this.#terms.filter(({ isActive }) => isActive);
  }

  /**
   * The index of the term to evaluate at z. Terms with one evaluation come first, then terms with none; then
   * `selection` decides. 'distance' picks the farthest term. A random choice with equal odds decides whether the
   * Hessian of the sum or of the term measures the distance.
   */
  choose(z: Float64Array): number {
    const active = this.#terms.flatMap(({ isActive }, i) => (isActive ? [i] : []));
    const evaluations = (i: number): number => this.#terms[i]!.evaluations;
    const once = active.find((i) => evaluations(i) === 1);
    if (once !== undefined) return once;
    const never = active.filter((i) => evaluations(i) === 0);
    if (never.length > 0) return this.#pick(never);
    const { selection } = this.#settings;
    if (selection === 'random') return this.#pick(active);
    if (selection === 'cyclic') {
      const i = active[this.#nextInCycle % active.length]!;
      this.#nextInCycle = (this.#nextInCycle + 1) % active.length;
      return i;
    }
    const usesTotal = this.#random.uniform() < 0.5;
    const distances = active.map((i) => {
      const term = this.#terms[i]!;
      const offset = difference(z, term.z);
      return usesTotal ? this.#hessian.quadraticForm(offset) : quadraticForm(term.hessian, offset);
    });
    const farthest = Math.max(...distances);
    const inactive = this.#terms.flatMap(({ isActive }, i) => (isActive ? [] : [i]));
    // All active terms were evaluated at this point, so only a new term can tell more.
    if (usesTotal && farthest < tiny && inactive.length > 0) {
      const i = this.#pick(inactive);
      this.#terms[i]!.isActive = true;
      return i;
    }
    return active[distances.indexOf(farthest)] ?? this.#pick(active);
  }

  /**
   * Activates one more term if the step failed, if the gradient is mostly noise, or if the set has not grown for more
   * steps than it has terms.
   *
   * @param factor the Cholesky factor of the Hessian of the sum
   */
  grow(factor: Float64Array, failed: boolean): void {
    const { active } = this;
    const inactive = this.#terms.filter(({ isActive }) => !isActive);
    const stepsSinceGrowth = this.#stepsSinceGrowth++;
    if (inactive.length === 0 || active.some(({ evaluations }) => evaluations < 2)) return;
    if (!failed && stepsSinceGrowth <= active.length && !this.#isNoisy(active, factor)) return;
    this.#pick(inactive).isActive = true;
    this.#stepsSinceGrowth = 0;
  }

  /** Whether the standard error of the mean gradient, measured by H⁻¹, is large compared with the mean gradient. */
  #isNoisy(active: readonly Term[], factor: Float64Array): boolean {
    const n = active.length;
    const mean = new Float64Array(active[0]!.grad.length);
    for (const { grad } of active) axpy(1 / n, grad, mean);
    // vᵀH⁻¹v = ‖L⁻¹v‖².
    const squaredNorm = (v: Float64Array): number => norm(solveLower(factor, v)) ** 2;
    const noise = active.reduce((sum, { grad }) => sum + squaredNorm(difference(grad, mean)), 0) / (n * (n - 1));
    return noise >= squaredNorm(mean) * this.#settings.maxGradientNoise;
  }

  #pick<T>(among: readonly T[]): T {
    return among[Math.floor(this.#random.uniform() * among.length)] as T;
  }
}
