import { EVD, Matrix, pseudoInverse, QrDecomposition } from 'ml-matrix';
import { axpy, dot, maxAbs, norm } from '../linalg.js';

/**
 * Curvature pair of one term, in the subspace: the step between two evaluations, and the change of the gradient over
 * it.
 */
export interface Change {
  readonly step: Float64Array;
  readonly grad: Float64Array;
}

/** The quasi-Newton update of a Hessian. @inline */
export type HessianUpdate = 'bfgs' | 'rank1';

/** Estimate of the Hessian of one term: H = Σ sign·b·bᵀ + diagonal·I. */
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

/**
 * A ← A + a·Σ sign·b·bᵀ: adds H without its diagonal part. Changes only the lower triangle of A, which is a full
 * row-major matrix.
 */
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

/**
 * An orthonormal basis of the span of the vectors; the unit vectors if there are at least as many vectors as
 * dimensions.
 */
function basisOf(vectors: readonly Float64Array[], dimensions: number): Float64Array[] {
  const size = vectors[0]!.length;
  if (vectors.length >= dimensions)
    return Array.from({ length: dimensions }, (_, k) =>
      Float64Array.from({ length: size }, (_, i) => (i === k ? 1 : 0)),
    );
  const Q = new QrDecomposition(asColumns(vectors)).orthogonalMatrix;
  return vectors.map((_, k) => Float64Array.from(Q.getColumn(k)));
}

/** The largest curvature that the changes show, and the initial diagonal: the smallest, bounded from below. */
function curvatureRange(
  steps: readonly Float64Array[],
  grads: readonly Float64Array[],
  maxDeviation: number,
  fallback: number,
): { readonly largest: number; readonly diagonal: number } {
  // ΔG = H·ΔZ, so W = ΔG·ΔZ⁺ equals H on the span of the steps. W need not be symmetric, so take its singular values.
  const W = asColumns(grads).mmul(pseudoInverse(asColumns(steps)));
  const { realEigenvalues } = new EVD(W.transpose().mmul(W), { assumeSymmetric: true });
  const singularValues = realEigenvalues.map((e) => Math.sqrt(Math.abs(e))).sort((a, b) => b - a);
  // W has at most as many singular values above rounding as there are changes.
  const significant = singularValues.slice(0, steps.length);
  const [largest, smallest] = [significant[0]!, significant.at(-1)!];
  if (!(smallest > 0) || !significant.every(Number.isFinite)) return { largest: fallback, diagonal: fallback };
  return { largest, diagonal: Math.max(smallest, largest / maxDeviation) };
}

/** The rank-one terms weight·v·vᵀ that a change adds to H. */
function rankOneTerms(update: HessianUpdate, s: Float64Array, y: Float64Array, Hs: Float64Array) {
  if (update === 'bfgs')
    return [
      { v: y, weight: 1 / dot(y, s) },
      { v: Hs, weight: -1 / dot(s, Hs) },
    ];
  const v = y.map((value, k) => value - Hs[k]!);
  return [{ v, weight: 1 / dot(s, v) }];
}

/**
 * Estimates the Hessian of one term from its own changes. Applies BFGS or symmetric rank-one updates, from the oldest
 * change to the newest, then makes the result positive definite.
 *
 * @param changes at least one, the newest first
 * @param maxDeviation upper bound on the ratio of the largest to the smallest eigenvalue
 * @param fallback the curvature to assume if the changes show none
 * @param dimensions number of vector elements in use; the others are zero
 */
export function estimateHessian(
  changes: readonly Change[],
  update: HessianUpdate,
  maxDeviation: number,
  fallback: number,
  dimensions = changes[0]!.step.length,
): Hessian {
  // The whole computation takes place in the span of the changes.
  const basis = basisOf([...changes.map(({ step }) => step), ...changes.map(({ grad }) => grad)], dimensions);
  const inBasis = (vector: Float64Array): Float64Array => Float64Array.from(basis, (b) => dot(b, vector));
  const steps = changes.map(({ step }) => inBasis(step));
  const grads = changes.map(({ grad }) => inBasis(grad));
  const { largest, diagonal: initialDiagonal } = curvatureRange(steps, grads, maxDeviation, fallback);

  let diagonal = initialDiagonal;
  /** H − diagonal·I. */
  const lowRank = basis.map(() => new Float64Array(basis.length));
  for (let k = changes.length - 1; k >= 0; k--) {
    // Both are divided by the length of the step, to avoid overflow and underflow.
    const length = norm(steps[k]!);
    const s = steps[k]!.map((v) => v / length);
    const y = grads[k]!.map((v) => v / length);
    const Hs = Float64Array.from(lowRank, (row, i) => dot(row, s) + diagonal * s[i]!);
    const terms = rankOneTerms(update, s, y, Hs);
    if (terms.every(({ v, weight }) => Number.isFinite(weight * maxAbs(v) ** 2)))
      for (const { v, weight } of terms) for (const [i, row] of lowRank.entries()) axpy(weight * v[i]!, v, row);
    else diagonal = largest;
  }
  return makePositiveDefinite(lowRank, diagonal, largest, maxDeviation, basis);
}

/** Replaces negative and too small eigenvalues of H by the median of the positive ones. Returns H in the subspace. */
function makePositiveDefinite(
  lowRank: readonly Float64Array[],
  diagonal: number,
  largest: number,
  maxDeviation: number,
  basis: readonly Float64Array[],
): Hessian {
  const H = asColumns(lowRank);
  for (let k = 0; k < basis.length; k++) H.set(k, k, H.get(k, k) + diagonal);
  const { realEigenvalues, eigenvectorMatrix } = new EVD(H, { assumeSymmetric: true });
  const eigenvalues = realEigenvalues.some((e) => e > 0) ? realEigenvalues : realEigenvalues.map(() => largest);
  const replacement = median(eigenvalues.filter((e) => e > 0));
  const smallest = Math.max(...eigenvalues.map(Math.abs)) / maxDeviation;
  const columns = eigenvalues.flatMap((e, k) => {
    const weight = (e < smallest ? replacement : e) - diagonal;
    if (weight === 0) return [];
    const b = new Float64Array(basis[0]!.length);
    const size = Math.sqrt(Math.abs(weight));
    for (const [j, vector] of basis.entries()) axpy(size * eigenvectorMatrix.get(j, k), vector, b);
    return [{ b, sign: Math.sign(weight) }];
  });
  return { diagonal, columns };
}

/**
 * Whether a change is worth keeping: it is long enough, and step and gradient change are not orthogonal. Negative
 * curvature is kept, because the estimate is made positive definite afterwards.
 */
export function isInformative({ step, grad }: Change, tiny: number): boolean {
  const [stepLength, gradLength] = [norm(step), norm(grad)];
  return stepLength >= tiny && gradLength >= tiny && Math.abs(dot(step, grad)) / (stepLength * gradLength) >= tiny;
}
