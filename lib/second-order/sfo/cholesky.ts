/**
 * Cholesky decomposition: returns L with A + shift·I = L·Lᵀ, or undefined if A + shift·I is not positive definite.
 *
 * Reads only the lower triangle of the first `size` matrix rows and columns of A. A is row-major with `stride` elements
 * to a matrix row; L is row-major, size × size.
 */
export function cholesky(A: Float64Array, stride: number, size: number, shift: number): Float64Array | undefined {
  const L = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = A[i * stride + j]!;
      for (let k = 0; k < j; k++) sum -= L[i * size + k]! * L[j * size + k]!;
      if (i > j) {
        L[i * size + j] = sum / L[j * size + j]!;
        continue;
      }
      const square = sum + shift;
      if (!(square > 0 && square < Number.POSITIVE_INFINITY)) return undefined;
      L[i * size + i] = Math.sqrt(square);
    }
  }
  return L;
}

/** Forward substitution: L⁻¹·v. Elements of v beyond the size of L must be zero. */
export function solveLower(L: Float64Array, v: Float64Array): Float64Array {
  const size = Math.sqrt(L.length);
  const x = v.slice();
  for (let i = 0; i < size; i++) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= L[i * size + k]! * x[k]!;
    x[i] = sum / L[i * size + i]!;
  }
  return x;
}

/** Back substitution: L⁻ᵀ·v. Elements of v beyond the size of L must be zero. */
export function solveUpper(L: Float64Array, v: Float64Array): Float64Array {
  const size = Math.sqrt(L.length);
  const x = v.slice();
  for (let i = size - 1; i >= 0; i--) {
    x[i]! /= L[i * size + i]!;
    for (let k = 0; k < i; k++) x[k]! -= L[i * size + k]! * x[i]!;
  }
  return x;
}
