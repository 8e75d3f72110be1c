/** L with A + shift·I = L·Lᵀ, or undefined where that is not positive definite. Matrices are stored row after row. */
export function cholesky(A: Float64Array, size: number, shift: number): Float64Array | undefined {
  const L = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = A[i * size + j]! + (i === j ? shift : 0);
      for (let k = 0; k < j; k++) sum -= L[i * size + k]! * L[j * size + k]!;
      if (i > j) L[i * size + j] = sum / L[j * size + j]!;
      else if (sum > 0 && sum < Number.POSITIVE_INFINITY) L[i * size + i] = Math.sqrt(sum);
      else return undefined;
    }
  }
  return L;
}

/** L⁻¹·v. */
export function solveLower(L: Float64Array, v: Float64Array): Float64Array {
  const size = v.length;
  const x = v.slice();
  for (let i = 0; i < size; i++) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= L[i * size + k]! * x[k]!;
    x[i] = sum / L[i * size + i]!;
  }
  return x;
}

/** L⁻ᵀ·v. */
export function solveUpper(L: Float64Array, v: Float64Array): Float64Array {
  const size = v.length;
  const x = v.slice();
  for (let i = size - 1; i >= 0; i--) {
    x[i]! /= L[i * size + i]!;
    for (let k = 0; k < i; k++) x[k]! -= L[i * size + k]! * x[i]!;
  }
  return x;
}
