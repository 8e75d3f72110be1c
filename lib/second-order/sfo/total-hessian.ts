import { EVD, Matrix } from 'ml-matrix';
import { dot, maxAbs } from '../linalg.js';
import type { ActiveTerms } from './active-terms.js';
import { cholesky } from './cholesky.js';
import { addLowRank, type Hessian, median } from './hessian.js';
import type { Subspace } from './subspace.js';
import type { Term } from './term.js';

/** The Hessian of the sum of all models, H = Σ Hᵢ, in the subspace. */
export class TotalHessian {
  readonly #terms: ActiveTerms;
  readonly #subspace: Subspace;
  /**
   * H without the diagonal parts of its terms: the lower triangle, row-major, `subspace.size` elements to a matrix row.
   */
  readonly #lowRank: Float64Array;

  constructor(terms: ActiveTerms, subspace: Subspace) {
    this.#terms = terms;
    this.#subspace = subspace;
    this.#lowRank = new Float64Array(subspace.size ** 2);
  }

  /** Sum of the diagonals of the active terms. */
  get #diagonal(): number {
    return this.#terms.active.reduce((sum, { hessian }) => sum + hessian.diagonal, 0);
  }

  /** H without the diagonal parts: the live array. */
  get lowRank(): Float64Array {
    return this.#lowRank;
  }

  /** Replaces the Hessian of a term. */
  replace(term: Term, hessian: Hessian): void {
    addLowRank(term.hessian, -1, this.#lowRank);
    addLowRank(hessian, 1, this.#lowRank);
    term.hessian = hessian;
  }

  /** Sums the terms again. Needed after a change of basis; it also removes the rounding errors of {@link replace}. */
  recompute(): void {
    this.#lowRank.fill(0);
    for (const { hessian } of this.#terms.active) addLowRank(hessian, 1, this.#lowRank);
  }

  /** vᵀHv. */
  quadraticForm(v: Float64Array): number {
    const size = v.length;
    let sum = this.#diagonal * dot(v, v);
    for (let i = 0; i < this.#subspace.count; i++) {
      let row = this.#lowRank[i * size + i]! * v[i]!;
      for (let j = 0; j < i; j++) row += 2 * this.#lowRank[i * size + j]! * v[j]!;
      sum += v[i]! * row;
    }
    return sum;
  }

  /** The median eigenvalue of H. */
  medianEigenvalue(): number {
    const { count, size } = this.#subspace;
    const used = Matrix.zeros(count, count);
    for (let i = 0; i < count; i++)
      for (let j = 0; j < count; j++) used.set(i, j, this.#lowRank[Math.max(i, j) * size + Math.min(i, j)]!);
    const { realEigenvalues } = new EVD(used, { assumeSymmetric: true });
    // Columns of the basis that are not in use contribute zeros.
    return median([...realEigenvalues, ...new Array<number>(size - count).fill(0)]) + this.#diagonal;
  }

  /** The Cholesky factor of H, or undefined if elements of H are too large for float64 arithmetic. */
  factor(): Float64Array | undefined {
    const { size, count } = this.#subspace;
    const diagonal = this.#diagonal;
    let factor = cholesky(this.#lowRank, size, count, diagonal);
    if (factor !== undefined) return factor;
    // Every term is positive definite, so the failure comes from rounding or from overflow.
    this.recompute();
    const largest = Math.max(diagonal, maxAbs(this.#lowRank), Number.MIN_VALUE);
    if (!(largest < 1e290)) return undefined;
    for (let shift = 0; factor === undefined; shift = shift === 0 ? largest * 1e-14 : shift * 10)
      factor = cholesky(this.#lowRank, size, count, diagonal + shift);
    return factor;
  }
}
