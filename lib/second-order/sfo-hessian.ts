import { EVD, Matrix, pseudoInverse, QrDecomposition } from 'ml-matrix';
import { axpy, dot, norm } from './vector.js';

/** A step between two evaluations of one term, and the change of its gradient, in the subspace. */
export interface Change {
  readonly step: Float64Array;
  readonly grad: Float64Array;
}

/** How a pair changes the estimate. */
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

/** A ← A + a·Σ sign·b·bᵀ: the part without the diagonal. A is stored row after row. */
export function addLowRank({ columns }: Hessian, a: number, A: Float64Array): void {
  for (const { b, sign } of columns) {
    const n = b.length;
    for (let i = 0; i < n; i++) {
      const weight = a * sign * b[i]!;
      if (weight === 0) continue;
      for (let j = 0; j < n; j++) A[i * n + j]! += weight * b[j]!;
    }
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function asColumns(vectors: readonly Float64Array[]): Matrix {
  return new Matrix(vectors.map((v) => [...v])).transpose();
}

/** H ← H + weight·v·vᵀ. Returns false, and does nothing, where that is not finite. */
function addSquare(H: Matrix, weight: number, v: Matrix): boolean {
  const square = v.mmul(v.transpose()).mul(weight);
  if (!square.to1DArray().every(Number.isFinite)) return false;
  H.add(square);
  return true;
}

/** The diagonal to begin with, and the largest curvature: the least and the largest that the changes show. */
function curvatures(steps: Matrix, grads: Matrix, maxDeviation: number, substitute: number) {
  // ΔG = H·ΔZ, so that W = ΔG·ΔZ⁺ is H where the steps have been; its singular values need no symmetry.
  const W = grads.mmul(pseudoInverse(steps));
  const { realEigenvalues } = new EVD(W.transpose().mmul(W), { assumeSymmetric: true });
  const sizes = realEigenvalues.map((e) => Math.sqrt(Math.abs(e))).sort((a, b) => b - a);
  // No more of them can be told from rounding than there are pairs.
  const told = sizes.slice(0, steps.columns);
  const [most, least] = [told[0]!, told.at(-1)!];
  if (!(least > 0) || !told.every(Number.isFinite)) return { most: substitute, diagonal: substitute };
  return { most, diagonal: Math.max(least, most / maxDeviation) };
}

/**
 * The Hessian of one term from its own changes: BFGS, or symmetric rank one, from the oldest change to the newest, and made
 * positive definite afterwards.
 *
 * @param changes at least one, the newest first
 * @param maxDeviation the most that the largest eigenvalue may be of the least
 * @param substitute the curvature where the changes do not tell one
 */
export function estimateHessian(
  changes: readonly Change[],
  update: HessianUpdate,
  maxDeviation: number,
  substitute: number,
): Hessian {
  const size = changes[0]!.step.length;
  const all = [...changes.map(({ step }) => step), ...changes.map(({ grad }) => grad)];
  // Everything happens in the span of the changes.
  const Q = all.length < size ? new QrDecomposition(asColumns(all)).orthogonalMatrix : Matrix.eye(size);
  const inBasis = Q.transpose().mmul(asColumns(all));
  const count = changes.length;
  const steps = inBasis.subMatrix(0, inBasis.rows - 1, 0, count - 1);
  const grads = inBasis.subMatrix(0, inBasis.rows - 1, count, 2 * count - 1);
  const { most, diagonal: first } = curvatures(steps, grads, maxDeviation, substitute);

  let diagonal = first;
  /** H − diagonal·I. */
  const lowRank = Matrix.zeros(inBasis.rows, inBasis.rows);
  for (let k = count - 1; k >= 0; k--) {
    // Both by the length of the step, for the sake of the numbers' range.
    const length = steps.getColumnVector(k).norm();
    const s = steps.getColumnVector(k).div(length);
    const y = grads.getColumnVector(k).div(length);
    const Hs = lowRank.mmul(s).add(Matrix.mul(s, diagonal));
    const before = lowRank.clone();
    const isFine =
      update === 'bfgs'
        ? addSquare(lowRank, 1 / y.dot(s), y) && addSquare(lowRank, -1 / s.dot(Hs), Hs)
        : addSquare(lowRank, 1 / s.dot(Matrix.sub(y, Hs)), Matrix.sub(y, Hs));
    if (isFine) continue;
    lowRank.setSubMatrix(before, 0, 0);
    diagonal = most;
  }
  return positive(lowRank, diagonal, most, maxDeviation, Q);
}

/** H with its eigenvalues that are negative or too small replaced, as columns in the subspace. */
function positive(lowRank: Matrix, diagonal: number, most: number, maxDeviation: number, Q: Matrix): Hessian {
  const H = Matrix.add(lowRank, Matrix.eye(lowRank.rows).mul(diagonal));
  const { realEigenvalues, eigenvectorMatrix } = new EVD(H, { assumeSymmetric: true });
  const found = realEigenvalues.some((e) => e > 0) ? realEigenvalues : realEigenvalues.map(() => most);
  const middle = median(found.filter((e) => e > 0));
  const least = Math.max(...found.map(Math.abs)) / maxDeviation;
  const vectors = Q.mmul(eigenvectorMatrix);
  const columns = found.flatMap((e, k) => {
    const weight = (e < least ? middle : e) - diagonal;
    if (weight === 0) return [];
    return [
      { b: Float64Array.from(vectors.getColumn(k), (v) => v * Math.sqrt(Math.abs(weight))), sign: Math.sign(weight) },
    ];
  });
  return { diagonal, columns };
}

/** A change worth keeping. One of negative curvature is: the estimate is made positive definite afterwards. */
export function isTelling({ step, grad }: Change, tiny: number): boolean {
  const [stepLength, gradLength] = [norm(step), norm(grad)];
  return stepLength >= tiny && gradLength >= tiny && Math.abs(dot(step, grad)) / (stepLength * gradLength) >= tiny;
}
