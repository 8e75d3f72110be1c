import { EVD, Matrix, QrDecomposition } from 'ml-matrix';
import { dot, maxAbs, norm, scale } from '../linalg.js';
import type { Random } from './random.js';
import { addCombination, gemmInPlace, gram, orthonormalise, project } from './tall-matrix.js';

/** Anything shorter than this is treated as rounding. */
export const tiny = 1e-12;

/** K_min and K_max of the {@link Subspace} for N terms of M variables. */
export function subspaceSize(M: number, N: number): { readonly least: number; readonly size: number } {
  const least = Math.min(2 * N + 2, M);
  return { least, size: Math.min(Math.ceil(1.5 * least), M) };
}

/** Changes the basis of a vector in place. Apply it to every vector that is expressed in the old basis. */
export type BasisChange = (vector: Float64Array) => void;

/** v ← T·v. If T has fewer matrix rows than v has elements, the remaining elements become zero. */
function multiplyBy(rows: readonly Float64Array[]): BasisChange {
  const product = new Float64Array(rows.length);
  return (vector) => {
    for (const [i, row] of rows.entries()) product[i] = dot(row, vector);
    vector.fill(0);
    vector.set(product);
  };
}

/**
 * The subspace that SFO works in: an orthonormal basis P (M × K_max) that grows to include each new gradient. When all
 * `size` columns are in use, it collapses to `least` columns. If M is at most `size`, P is always the identity.
 */
export class Subspace {
  /** K_max: the length of a vector in the subspace. */
  readonly size: number;
  /** K_min: number of columns after a collapse. */
  readonly least: number;
  /** Whether P is the identity. */
  readonly isIdentity: boolean;
  /** The columns of P; empty if P is the identity. */
  readonly columns: readonly Float64Array[];
  #count: number;
  readonly #random: Random;

  constructor(theta: Float64Array, N: number, random: Random) {
    const M = theta.length;
    const { least, size } = subspaceSize(M, N);
    this.least = least;
    this.size = size;
    this.isIdentity = size === M;
    this.#random = random;
    this.#count = this.isIdentity ? M : 1;
    this.columns = Array.from({ length: this.isIdentity ? 0 : this.size }, () => new Float64Array(M));
    if (this.isIdentity) return;
    const first = this.columns[0]!;
    first.set(maxAbs(theta) > 0 ? theta : theta.map(() => random.normal()));
    scale(1 / norm(first), first, first);
  }

  /** Takes over the columns in use of another subspace of this size. */
  load(columns: readonly Float64Array[]): void {
    if (this.isIdentity) return;
    for (const [k, column] of this.columns.entries()) {
      const source = columns[k];
      if (source === undefined) column.fill(0);
      else column.set(source);
    }
    this.#count = columns.length;
  }

  /** K_cur: number of columns in use. The others are zero. */
  get count(): number {
    return this.#count;
  }

  /** Pᵀx. */
  project(x: Float64Array): Float64Array {
    const z = new Float64Array(this.size);
    if (this.isIdentity) z.set(x);
    else project(this.columns, this.#count, x, z);
    return z;
  }

  /** x ← x + P·z. */
  addTo(x: Float64Array, z: Float64Array): void {
    if (this.isIdentity) for (let i = 0; i < x.length; i++) x[i]! += z[i]!;
    else addCombination(this.columns, this.#count, 1, z, x);
  }

  /**
   * Adds the direction of x to the basis unless it is already inside. Returns true if the basis is full and must
   * collapse.
   */
  add(x: Float64Array): boolean {
    if (this.isIdentity) return false;
    const length = norm(x);
    if (!Number.isFinite(length) || length < tiny) return false;
    const column = this.columns[this.#count]!;
    scale(1 / length, x, column);
    // Up to three passes of Gram–Schmidt: what remains of a vector that is almost inside is mostly rounding.
    for (let pass = 0; pass < 3; pass++) {
      addCombination(this.columns, this.#count, -1, this.project(column), column);
      const remainder = norm(column);
      if (remainder < tiny) {
        column.fill(0);
        return false;
      }
      scale(1 / remainder, column, column);
      if (remainder > 0.1) break;
    }
    this.#count++;
    return this.#count === this.size;
  }

  /**
   * Collapses the basis to `least` columns and returns the basis changes, in order. The `kept` vectors stay inside
   * exactly; there may be at most `least` of them. Random directions fill the remaining columns.
   */
  collapse(kept: readonly Float64Array[]): BasisChange[] {
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
    return [multiplyBy(q), ...this.#reorthonormalise()];
  }

  /** Makes P orthonormal again if rounding errors have accumulated. */
  #reorthonormalise(): BasisChange[] {
    const used = this.columns.slice(0, this.#count);
    const products = gram(used);
    // No eigenvalue of PᵀP differs from 1 by more than the largest absolute row sum of PᵀP − I. This bound usually
    // makes the eigenvalues unnecessary.
    const bound = Math.max(
      ...products.map((row, i) => row.reduce((sum, v, j) => sum + Math.abs(v - (i === j ? 1 : 0)), 0)),
    );
    if (bound <= tiny) return [];
    const { realEigenvalues } = new EVD(products, { assumeSymmetric: true });
    return Math.max(...realEigenvalues) <= 1 + tiny ? [] : [multiplyBy(orthonormalise(used))];
  }
}
