/** How the inverse root of a symmetric matrix A is computed: (A/divisor + ε·I)^(−1/4), or ^(−1/2). */
export interface InverseRoot {
  readonly divisor: number;
  /** ε. All eigenvalues are raised by the same number if the smallest would be below it. */
  readonly eps: number;
  /** Whether the exponent is −1/4. Otherwise it is −1/2. */
  readonly isQuarter: boolean;
}

/**
 * Decompositions of square row-major matrices of float32. They compute in float64 in a fixed order, and round each result
 * once. If a number of the matrix is not finite, the vectors are those of the identity, the eigenvalues NaN, and the
 * inverse root is 0: a factor that has overflowed must not make the params NaN.
 */
export interface Eigen {
  /**
   * The eigenvectors of a symmetric matrix, as the columns of `vectors`. The largest eigenvalue comes first; the order of
   * equal ones and the signs are those of the algorithm. Writes the eigenvalues to `values`.
   */
  eigenvectors(matrix: Float32Array, side: number, vectors: Float32Array, values: Float64Array): void;
  /** The inverse root of a symmetric matrix. */
  inverseRoot(matrix: Float32Array, side: number, root: InverseRoot, out: Float32Array): void;
  /** The orthogonal factor of the QR decomposition of a matrix. The signs of its columns are those of the algorithm. */
  orthonormalize(matrix: Float32Array, side: number, out: Float32Array): void;
}
