import type { Eigen, InverseRoot } from './eigen.js';

// The executable specification of native/engine/eigen.cpp: the same operations in the same order, in float64.

/** Sums of squares below this are those of rounding errors: a reflection from them would not be orthogonal. */
const tiny = 2 ** -900;
/** Sweeps for one eigenvalue. About two are needed. */
const maxSweeps = 60;

/** √(a² + b²) without overflow. */
function hypotenuse(a: number, b: number): number {
  const [x, y] = [Math.abs(a), Math.abs(b)];
  const [large, small] = x > y ? [x, y] : [y, x];
  if (large === 0) return 0;
  const ratio = small / large;
  return large * Math.sqrt(1 + ratio * ratio);
}

/** sum ← sum + Σ weights[k]·row k, for `length` elements, k ascending. Row k starts at `begin + k·stride`. */
function addRows(
  rows: Float64Array,
  begin: number,
  stride: number,
  weights: Float64Array,
  count: number,
  sum: Float64Array,
  length: number,
): void {
  for (let k = 0; k < count; k++) {
    const at = begin + k * stride;
    const weight = weights[k]!;
    for (let j = 0; j < length; j++) sum[j] = sum[j]! + weight * rows[at + j]!;
  }
}

/** y ← y − a·x, for `length` elements of y from `at` on. */
function subtract(a: number, x: Float64Array, y: Float64Array, at: number, length: number): void {
  for (let j = 0; j < length; j++) y[at + j] = y[at + j]! - a * x[j]!;
}

/** A Householder reflection I − u·uᵀ/half that turns a vector into a multiple of one unit vector. */
interface Reflection {
  /** The element of u at the unit vector's place. The others are those of the vector. */
  readonly own: number;
  /** What becomes of the vector at this place. */
  readonly after: number;
  readonly half: number;
}

/**
 * @param own The element of the vector at the unit vector's place.
 * @param rest The sum of squares of the others, at least `tiny`.
 */
function reflection(own: number, rest: number): Reflection {
  const square = rest + own * own;
  const norm = Math.sqrt(square);
  const after = own > 0 ? -norm : norm;
  return { own: own - after, after, half: square - own * after };
}

/**
 * Reduces the symmetric matrix `a` to a tridiagonal one, and replaces it by the orthogonal matrix Q of the reduction:
 * a = Q·T·Qᵀ. Element i of `off` stands beside elements i and i + 1 of the diagonal.
 */
function tridiagonalize(a: Float64Array, side: number, diagonal: Float64Array, off: Float64Array): void {
  const halves = new Float64Array(side);
  const product = new Float64Array(side);
  for (let i = side - 1; i > 0; i--) {
    const at = i * side;
    diagonal[i] = a[at + i]!;
    let rest = 0;
    for (let k = 0; k < i - 1; k++) rest += a[at + k]! * a[at + k]!;
    if (rest < tiny) {
      off[i - 1] = a[at + i - 1]!;
      continue;
    }
    const { own, after, half } = reflection(a[at + i - 1]!, rest);
    a[at + i - 1] = own;
    off[i - 1] = after;
    halves[i] = half;
    const u = a.subarray(at, at + i);
    product.fill(0, 0, i);
    addRows(a, 0, side, u, i, product, i);
    let sum = 0;
    for (let j = 0; j < i; j++) {
      product[j] = product[j]! / half;
      sum += u[j]! * product[j]!;
    }
    subtract(sum / (half + half), u, product, 0, i);
    for (let r = 0; r < i; r++) {
      const [ofProduct, ofU] = [u[r]!, product[r]!];
      for (let j = 0; j < i; j++) {
        const place = r * side + j;
        a[place] = a[place]! - (ofProduct * product[j]! + ofU * u[j]!);
      }
    }
  }
  diagonal[0] = a[0]!;
  // The rows and columns before i hold Q so far, and row i the next u.
  for (let i = 0; i < side; i++) {
    const at = i * side;
    const half = halves[i]!;
    if (half !== 0) {
      product.fill(0, 0, i);
      addRows(a, 0, side, a.subarray(at, at + i), i, product, i);
      for (let r = 0; r < i; r++) subtract(a[at + r]! / half, product, a, r * side, i);
    }
    for (let k = 0; k < i; k++) {
      a[at + k] = 0;
      a[k * side + i] = 0;
    }
    a[at + i] = 1;
  }
}

function transpose(a: Float64Array, side: number): void {
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < i; j++) {
      const other = a[i * side + j]!;
      a[i * side + j] = a[j * side + i]!;
      a[j * side + i] = other;
    }
  }
}

/** Implicit QL iteration: the diagonal becomes the eigenvalues. Applies all rotations to the rows of `a`. */
function iterate(a: Float64Array, side: number, diagonal: Float64Array, off: Float64Array): void {
  let largest = 0;
  for (let i = 0; i < side; i++) {
    const size = Math.abs(diagonal[i]!) + (i + 1 < side ? Math.abs(off[i]!) : 0);
    if (size > largest) largest = size;
  }
  const negligible = largest * 2 ** -53;
  const [cosines, sines] = [new Float64Array(side), new Float64Array(side)];
  for (let l = 0; l < side; l++) {
    for (let sweep = 0; sweep < maxSweeps; sweep++) {
      let m = l;
      while (m + 1 < side && Math.abs(off[m]!) > negligible) m++;
      if (m === l) break;
      let g = (diagonal[l + 1]! - diagonal[l]!) / (2 * off[l]!);
      const root = hypotenuse(g, 1);
      g = diagonal[m]! - diagonal[l]! + off[l]! / (g < 0 ? g - root : g + root);
      let [s, c, p] = [1, 1, 0];
      let first = m;
      let isSplit = false;
      for (let i = m - 1; i >= l; i--) {
        const f = s * off[i]!;
        const b = c * off[i]!;
        const r = hypotenuse(f, g);
        if (i + 1 < m) off[i + 1] = r;
        if (r === 0) {
          diagonal[i + 1] = diagonal[i + 1]! - p;
          isSplit = true;
          break;
        }
        first = i;
        s = f / r;
        c = g / r;
        g = diagonal[i + 1]! - p;
        const q = (diagonal[i]! - g) * s + 2 * c * b;
        p = s * q;
        diagonal[i + 1] = g + p;
        g = c * q - b;
        cosines[i] = c;
        sines[i] = s;
      }
      rotate(a, side, first, m, cosines, sines);
      if (isSplit) continue;
      diagonal[l] = diagonal[l]! - p;
      off[l] = g;
    }
  }
}

/** Turns rows i and i + 1 of `a` by angle i, for each i from `last` − 1 down to `first`. */
function rotate(
  a: Float64Array,
  side: number,
  first: number,
  last: number,
  cosines: Float64Array,
  sines: Float64Array,
): void {
  for (let i = last - 1; i >= first; i--) {
    const [c, s] = [cosines[i]!, sines[i]!];
    for (let j = 0; j < side; j++) {
      const [x, y] = [a[i * side + j]!, a[(i + 1) * side + j]!];
      a[(i + 1) * side + j] = s * x + c * y;
      a[i * side + j] = c * x - s * y;
    }
  }
}

/** The numbers from 0 on, so that the values in this order descend. */
function descending(values: Float64Array): number[] {
  return Array.from(values, (_, i) => i).sort((i, j) => values[j]! - values[i]!);
}

/** Eigenvalues, largest first. Row `order[k]` of `rows` is the eigenvector of eigenvalue k. */
function decompose(
  matrix: Float32Array,
  side: number,
): { readonly values: Float64Array; readonly rows: Float64Array; readonly order: readonly number[] } {
  const rows = Float64Array.from(matrix.subarray(0, side * side));
  const [diagonal, off] = [new Float64Array(side), new Float64Array(side)];
  tridiagonalize(rows, side, diagonal, off);
  transpose(rows, side);
  iterate(rows, side, diagonal, off);
  const order = descending(diagonal);
  return { values: Float64Array.from(order, (i) => diagonal[i]!), rows, order };
}

function areFinite(matrix: Float32Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (!Number.isFinite(matrix[i]!)) return false;
  return true;
}

function fillIdentity(out: Float32Array, side: number): void {
  for (let i = 0; i < side * side; i++) out[i] = i % (side + 1) === 0 ? 1 : 0;
}

function eigenvectors(matrix: Float32Array, side: number, vectors: Float32Array, values: Float64Array): void {
  if (!areFinite(matrix, side * side)) {
    fillIdentity(vectors, side);
    values.fill(Number.NaN, 0, side);
    return;
  }
  if (side === 0) return;
  const found = decompose(matrix, side);
  values.set(found.values);
  for (let i = 0; i < side; i++)
    for (let k = 0; k < side; k++) vectors[i * side + k] = found.rows[found.order[k]! * side + i]!;
}

function inverseRoot(
  matrix: Float32Array,
  side: number,
  { divisor, eps, isQuarter }: InverseRoot,
  out: Float32Array,
): void {
  if (!areFinite(matrix, side * side)) {
    out.fill(0, 0, side * side);
    return;
  }
  if (side === 0) return;
  const { values, rows, order } = decompose(matrix, side);
  for (let k = 0; k < side; k++) values[k] = values[k]! / divisor + eps;
  const smallest = values[side - 1]!;
  const powers = new Float64Array(side);
  for (let k = 0; k < side; k++) {
    // In this order the smallest becomes ε, and not 0, where ε is below the rounding errors.
    const root = Math.sqrt(smallest < eps ? values[k]! - smallest + eps : values[k]!);
    powers[order[k]!] = 1 / (isQuarter ? Math.sqrt(root) : root);
  }
  const [weights, sum] = [new Float64Array(side), new Float64Array(side)];
  for (let i = 0; i < side; i++) {
    for (let k = 0; k < side; k++) weights[k] = powers[k]! * rows[k * side + i]!;
    sum.fill(0, 0, i + 1);
    addRows(rows, 0, side, weights, side, sum, i + 1);
    for (let j = 0; j <= i; j++) out[i * side + j] = out[j * side + i] = sum[j]!;
  }
}

function orthonormalize(matrix: Float32Array, side: number, out: Float32Array): void {
  if (!areFinite(matrix, side * side)) {
    fillIdentity(out, side);
    return;
  }
  const a = Float64Array.from(matrix.subarray(0, side * side));
  const [u, sum, halves] = [new Float64Array(side), new Float64Array(side), new Float64Array(side)];
  /** Applies the reflection to the rows and columns of `a` from these on. The first element of u is that of the first row. */
  const reflect = (row: number, column: number, half: number): void => {
    const length = side - column;
    sum.fill(0, 0, length);
    addRows(a, row * side + column, side, u, side - row, sum, length);
    for (let i = row; i < side; i++) subtract(u[i - row]! / half, sum, a, i * side + column, length);
  };
  for (let k = 0; k < side; k++) {
    let rest = 0;
    for (let i = k + 1; i < side; i++) rest += a[i * side + k]! * a[i * side + k]!;
    if (rest < tiny) continue;
    const { own, half } = reflection(a[k * side + k]!, rest);
    a[k * side + k] = own;
    halves[k] = half;
    for (let i = k; i < side; i++) u[i - k] = a[i * side + k]!;
    reflect(k, k + 1, half);
  }
  // The rows and columns behind k hold Q so far, and column k the next u.
  for (let k = side - 1; k >= 0; k--) {
    for (let i = k; i < side; i++) {
      u[i - k] = a[i * side + k]!;
      a[i * side + k] = 0;
      a[k * side + i] = 0;
    }
    a[k * side + k] = 1;
    if (halves[k] !== 0) reflect(k, k, halves[k]!);
  }
  out.set(a);
}

export const referenceEigen: Eigen = { eigenvectors, inverseRoot, orthonormalize };
