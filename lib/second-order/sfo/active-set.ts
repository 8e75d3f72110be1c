import { axpy, difference, norm } from '../linalg.js';
import type { ActiveTerms } from './active-terms.js';
import { solveLower } from './cholesky.js';
import { quadraticForm } from './hessian.js';
import type { Random } from './random.js';
import type { SFOSettings } from './settings.js';
import { tiny } from './subspace.js';
import type { Term } from './term.js';
import type { TotalHessian } from './total-hessian.js';

/** Chooses the term to evaluate next among the active terms, and lets further terms join. */
export class ActiveSet {
  readonly #terms: ActiveTerms;
  readonly #hessian: TotalHessian;
  readonly #settings: SFOSettings;
  readonly #random: Random;
  stepsSinceGrowth = 0;
  /** Next position in the active set, for the selection 'cyclic'. */
  nextInCycle = 0;
  /** Activates the term with an index. */
  readonly #activate: (i: number) => void;

  constructor(
    terms: ActiveTerms,
    hessian: TotalHessian,
    settings: SFOSettings,
    random: Random,
    activate: (i: number) => void,
  ) {
    this.#terms = terms;
    this.#hessian = hessian;
    this.#settings = settings;
    this.#random = random;
    this.#activate = activate;
  }

  /**
   * The index of the term to evaluate at z. Terms with one evaluation come first, then terms with none; then
   * `selection` decides. 'distance' picks the farthest term. A random choice with equal odds decides whether the
   * Hessian of the sum or of the term measures the distance.
   */
  choose(z: Float64Array): number {
    const { active, inactiveCount } = this.#terms;
    const once = active.find(({ evaluations }) => evaluations === 1);
    if (once !== undefined) return once.index;
    const never = active.filter(({ evaluations }) => evaluations === 0);
    if (never.length > 0) return this.#pick(never).index;
    const { selection } = this.#settings;
    if (selection === 'random') return this.#pick(active).index;
    if (selection === 'cyclic') {
      const { index } = active[this.nextInCycle % active.length]!;
      this.nextInCycle = (this.nextInCycle + 1) % active.length;
      return index;
    }
    const usesTotal = this.#random.uniform() < 0.5;
    const distances = active.map((term) => {
      const offset = difference(z, term.z);
      return usesTotal ? this.#hessian.quadraticForm(offset) : quadraticForm(term.hessian, offset);
    });
    const farthest = Math.max(...distances);
    // All active terms were evaluated at this point, so only a new term can tell more.
    if (usesTotal && farthest < tiny && inactiveCount > 0) return this.#activateAny();
    return (active[distances.indexOf(farthest)] ?? this.#pick(active)).index;
  }

  /**
   * Activates one more term if the step failed, if the gradient is mostly noise, or if the set has not grown for more
   * steps than it has terms.
   *
   * @param factor the Cholesky factor of the Hessian of the sum
   */
  grow(factor: Float64Array, failed: boolean): void {
    const { active, inactiveCount } = this.#terms;
    const stepsSinceGrowth = this.stepsSinceGrowth++;
    if (inactiveCount === 0 || active.some(({ evaluations }) => evaluations < 2)) return;
    if (!failed && stepsSinceGrowth <= active.length && !this.#isNoisy(active, factor)) return;
    this.#activateAny();
    this.stepsSinceGrowth = 0;
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

  /** Activates one of the other terms, with equal odds. Returns its index. */
  #activateAny(): number {
    const i = this.#terms.inactive(Math.floor(this.#random.uniform() * this.#terms.inactiveCount));
    this.#activate(i);
    return i;
  }

  #pick<T>(among: readonly T[]): T {
    return among[Math.floor(this.#random.uniform() * among.length)] as T;
  }
}
