import { EVD, Matrix, pseudoInverse, QrDecomposition } from 'ml-matrix';
import { axpy, dot, maxAbs, norm } from '../linalg.js';

/** A step between two evaluations of one term, and the change of its gradient, in the subspace. */
export interface Change {
  readonly step: Float64Array;
  readonly grad: Float64Array;
}

/** How a pair changes the estimate. @inline */
export type HessianUpdate = 'bfgs' | 'rank1';

/** The estimate of the Hessian of one term: H = Σ sign·b·bᵀ + diagonal·I. */
export interface Hessian {
  readonly diagonal: number;
  readonly columns: readonly { readonly b: Float64Array; readonly sign: number }[];
}

/** out ← out + H·v. */
export function addProduct({ diagonal, columns }: Hessian, v: Float64Array, out: Float64Array): void {
  axpy(diagonal, v, out);
  for (const { b, sign } of columns) axpy(sign * dot(b, v), b, out);
}

/** vᵀHv. */
export function quadraticForm({ diagonal, columns }: Hessian, v: Float64Array): number {
  let sum = diagonal * dot(v, v);
  for (const { b, sign } of columns) sum += sign * dot(b, v) ** 2;
  return sum;
}

/** A ← A + a·Σ sign·b·bᵀ: the part without the diagonal. Of A, the lower triangle, row after row, in rows of full length. */
export function addLowRank({ columns }: Hessian, a: number, A: Float64Array): void {
  for (const { b, sign } of columns) {
    const n = b.length;
    for (let i = 0; i < n; i++) {
      const weight = a * sign * b[i]!;
      if (weight === 0) continue;
      for (let j = 0; j <= i; j++) A[i * n + j]! += weight * b[j]!;
    }
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function asColumns(vectors: readonly Float64Array[]): Matrix {
  const matrix = Matrix.zeros(vectors[0]!.length, vectors.length);
  for (const [k, vector] of vectors.entries()) for (let i = 0; i < vector.length; i++) matrix.set(i, k, vector[i]!);
  return matrix;
}

/** An orthonormal basis of the span of the vectors, or of the first `dimensions` where those are no more. */
function basisOf(vectors: readonly Float64Array[], dimensions: number): Float64Array[] {
  const size = vectors[0]!.length;
  if (vectors.length >= dimensions)
    return Array.from({ length: dimensions }, (_, k) =>
      Float64Array.from({ length: size }, (_, i) => (i === k ? 1 : 0)),
    );
  const Q = new QrDecomposition(asColumns(vectors)).orthogonalMatrix;
  return vectors.map((_, k) => Float64Array.from(Q.getColumn(k)));
}

/** The diagonal to begin with, and the largest curvature: the least and the largest that the changes show. */
function curvatures(
  steps: readonly Float64Array[],
  grads: readonly Float64Array[],
  maxDeviation: number,
  substitute: number,
) {
  // ΔG = H·ΔZ, so that W = ΔG·ΔZ⁺ is H where the steps have been; its singular values need no symmetry.
  const W = asColumns(grads).mmul(pseudoInverse(asColumns(steps)));
  const { realEigenvalues } = new EVD(W.transpose().mmul(W), { assumeSymmetric: true });
  const sizes = realEigenvalues.map((e) => Math.sqrt(Math.abs(e))).sort((a, b) => b - a);
  // No more of them can be told from rounding than there are pairs.
  const told = sizes.slice(0, steps.length);
  const [most, least] = [told[0]!, told.at(-1)!];
  if (!(least > 0) || !told.every(Number.isFinite)) return { most: substitute, diagonal: substitute };
  return { most, diagonal: Math.max(least, most / maxDeviation) };
}

/** What a pair adds to H: weight·v·vᵀ for each. */
function corrections(update: HessianUpdate, s: Float64Array, y: Float64Array, Hs: Float64Array) {
  if (update === 'bfgs')
    return [
      { v: y, weight: 1 / dot(y, s) },
      { v: Hs, weight: -1 / dot(s, Hs) },
    ];
  const v = y.map((value, k) => value - Hs[k]!);
  return [{ v, weight: 1 / dot(s, v) }];
}

/**
 * The Hessian of one term from its own changes: BFGS, or symmetric rank one, from the oldest change to the newest, and made
 * positive definite afterwards.
 *
 * @param changes at least one, the newest first
 * @param maxDeviation the most that the largest eigenvalue may be of the least
 * @param substitute the curvature where the changes do not tell one
 * @param dimensions the elements of a vector that are in use; the others are zero
 */
export function estimateHessian(
  changes: readonly Change[],
  update: HessianUpdate,
  maxDeviation: number,
  substitute: number,
  dimensions = changes[0]!.step.length,
): Hessian {
  // Everything happens in the span of the changes.
  const basis = basisOf([...changes.map(({ step }) => step), ...changes.map(({ grad }) => grad)], dimensions);
  const inBasis = (vector: Float64Array): Float64Array => Float64Array.from(basis, (b) => dot(b, vector));
  const steps = changes.map(({ step }) => inBasis(step));
  const grads = changes.map(({ grad }) => inBasis(grad));
  const { most, diagonal: first } = curvatures(steps, grads, maxDeviation, substitute);

  let diagonal = first;
  /** H − diagonal·I. */
  const lowRank = basis.map(() => new Float64Array(basis.length));
  for (let k = changes.length - 1; k >= 0; k--) {
    // Both by the length of the step, for the sake of the numbers' range.
    const length = norm(steps[k]!);
    const s = steps[k]!.map((v) => v / length);
    const y = grads[k]!.map((v) => v / length);
    const Hs = Float64Array.from(lowRank, (row, i) => dot(row, s) + diagonal * s[i]!);
    const all = corrections(update, s, y, Hs);
    if (all.every(({ v, weight }) => Number.isFinite(weight * maxAbs(v) ** 2)))
      for (const { v, weight } of all) for (const [i, row] of lowRank.entries()) axpy(weight * v[i]!, v, row);
    else diagonal = most;
  }
  return positive(lowRank, diagonal, most, maxDeviation, basis);
}

/** H with its eigenvalues that are negative or too small replaced, as columns in the subspace. */
function positive(
  lowRank: readonly Float64Array[],
  diagonal: number,
  most: number,
  maxDeviation: number,
  basis: readonly Float64Array[],
): Hessian {
  const H = asColumns(lowRank);
  for (let k = 0; k < basis.length; k++) H.set(k, k, H.get(k, k) + diagonal);
  const { realEigenvalues, eigenvectorMatrix } = new EVD(H, { assumeSymmetric: true });
  const found = realEigenvalues.some((e) => e > 0) ? realEigenvalues : realEigenvalues.map(() => most);
  const middle = median(found.filter((e) => e > 0));
  const least = Math.max(...found.map(Math.abs)) / maxDeviation;
  const columns = found.flatMap((e, k) => {
    const weight = (e < least ? middle : e) - diagonal;
    if (weight === 0) return [];
    const b = new Float64Array(basis[0]!.length);
    const size = Math.sqrt(Math.abs(weight));
    for (const [j, vector] of basis.entries()) axpy(size * eigenvectorMatrix.get(j, k), vector, b);
    return [{ b, sign: Math.sign(weight) }];
  });
  return { diagonal, columns };
}

/** A change worth keeping. One of negative curvature is: the estimate is made positive definite afterwards. */
export function isTelling({ step, grad }: Change, tiny: number): boolean {
  const [stepLength, gradLength] = [norm(step), norm(grad)];
  return stepLength >= tiny && gradLength >= tiny && Math.abs(dot(step, grad)) / (stepLength * gradLength) >= tiny;
}
