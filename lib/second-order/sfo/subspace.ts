import { EVD, Matrix, QrDecomposition } from 'ml-matrix';
import { dot, maxAbs, norm, scale } from '../linalg.js';
import type { Random } from './random.js';
import { addCombination, gemmInPlace, gram, orthonormalise, project } from './tall.js';

/** What is shorter than this says nothing but rounding. */
export const tiny = 1e-12;

/** A change of basis, to be applied in place to every vector that is held in the old one. */
export type Turn = (vector: Float64Array) => void;

/** v ← T·v; what T has fewer rows than v elements becomes zeros. */
function turnBy(rows: readonly Float64Array[]): Turn {
  const turned = new Float64Array(rows.length);
  return (vector) => {
    for (const [i, row] of rows.entries()) turned[i] = dot(row, vector);
    vector.fill(0);
    vector.set(turned);
  };
}

/**
 * The subspace that SFO works in: an orthonormal basis P (M×K) that takes in the gradients as they come and is squeezed to
 * `least` columns when all `size` are in use. Where the whole space is no larger than that, P is the identity for good.
 */
export class Subspace {
  /** K_max: the length of a vector in the subspace. */
  readonly size: number;
  /** K_min: columns that are left after a collapse. */
  readonly least: number;
  /** Whether P is the identity. */
  readonly isWhole: boolean;
  /** P; of no columns where it is the identity. */
  readonly columns: readonly Float64Array[];
  #count: number;
  readonly #random: Random;

  constructor(theta: Float64Array, N: number, random: Random) {
    const M = theta.length;
    this.least = Math.min(2 * N + 2, M);
    this.size = Math.min(Math.ceil(1.5 * this.least), M);
    this.isWhole = this.size === M;
    this.#random = random;
    this.#count = this.isWhole ? M : 1;
    this.columns = Array.from({ length: this.isWhole ? 0 : this.size }, () => new Float64Array(M));
    if (this.isWhole) return;
    const first = this.columns[0]!;
    first.set(maxAbs(theta) > 0 ? theta : theta.map(() => random.normal()));
    scale(1 / norm(first), first, first);
  }

  /** K_cur: columns in use; the others are zero. */
  get count(): number {
    return this.#count;
  }

  /** Pᵀx. */
  project(x: Float64Array): Float64Array {
    const z = new Float64Array(this.size);
    if (this.isWhole) z.set(x);
    else project(this.columns, this.#count, x, z);
    return z;
  }

  /** x ← x + P·z. */
  addTo(x: Float64Array, z: Float64Array): void {
    if (this.isWhole) for (let i = 0; i < x.length; i++) x[i]! += z[i]!;
    else addCombination(this.columns, this.#count, 1, z, x);
  }

  /** Takes a direction in, if it is a new one. Returns whether the basis is full now, and must be collapsed. */
  add(x: Float64Array): boolean {
    if (this.isWhole) return false;
    const length = norm(x);
    if (!Number.isFinite(length) || length < tiny) return false;
    const column = this.columns[this.#count]!;
    scale(1 / length, x, column);
    // More than once: what is left of a vector that was almost inside is mostly rounding.
    for (let pass = 0; pass < 3; pass++) {
      addCombination(this.columns, this.#count, -1, this.project(column), column);
      const left = norm(column);
      if (left < tiny) {
        column.fill(0);
        return false;
      }
      scale(1 / left, column, column);
      if (left > 0.1) break;
    }
    this.#count++;
    return this.#count === this.size;
  }

  /**
   * Squeezes the basis to `least` columns. `kept`, vectors in the subspace, at most as many, stay inside exactly; random
   * directions fill up.
   */
  collapse(kept: readonly Float64Array[]): Turn[] {
    const basis = Matrix.zeros(this.size, this.least);
    for (let k = 0; k < this.least; k++) {
      const vector = kept[k] ?? Float64Array.from({ length: this.size }, () => this.#random.normal());
      for (let i = 0; i < this.size; i++) basis.set(i, k, vector[i]!);
    }
    const q = new QrDecomposition(basis).orthogonalMatrix
      .transpose()
      .to2DArray()
      .map((row) => Float64Array.from(row));
    gemmInPlace(this.columns, q);
    this.#count = this.least;
    return [turnBy(q), ...this.#straighten()];
  }

  /** Makes P orthonormal again where rounding has added up. */
  #straighten(): Turn[] {
    const used = this.columns.slice(0, this.#count);
    const products = gram(used);
    // No eigenvalue is farther from 1 than the largest row sum of PᵀP − I: mostly that spares to compute them.
    const bound = Math.max(
      ...products.map((row, i) => row.reduce((sum, v, j) => sum + Math.abs(v - (i === j ? 1 : 0)), 0)),
    );
    if (bound <= tiny) return [];
    const { realEigenvalues } = new EVD(products, { assumeSymmetric: true });
    return Math.max(...realEigenvalues) <= 1 + tiny ? [] : [turnBy(orthonormalise(used))];
  }
}
