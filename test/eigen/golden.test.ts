// Eigenvectors, inverse roots and QR against what defines them: products in float64, known spectra.
import { describe, expect, test } from 'vitest';
import { nativeEngines, reference } from '../support/engines.js';
import { random } from '../support/random.js';

type Rows = number[][];

const rowsOf = (data: ArrayLike<number>, side: number): Rows =>
  Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => data[i * side + j]!));
const transpose = (x: Rows): Rows => x.map((_, j) => x.map((row) => row[j]!));
const times = (x: Rows, y: Rows): Rows => {
  const columns = transpose(y);
  return x.map((row) => columns.map((column) => row.reduce((sum, value, k) => sum + value * column[k]!, 0)));
};
const largest = (x: Rows): number => Math.max(0, ...x.flat().map(Math.abs));
const difference = (x: Rows, y: Rows): number => largest(x.map((row, i) => row.map((value, j) => value - y[i]![j]!)));
const diagonal = (values: ArrayLike<number>): Rows =>
  Array.from(values, (value, i) => Array.from(values, (_, j) => (i === j ? value : 0)));
const identity = (side: number): Rows => diagonal(new Array(side).fill(1));
const symmetric = (rows: Rows): Float32Array =>
  Float32Array.from(rows.flatMap((row, i) => row.map((_, j) => rows[Math.max(i, j)]![Math.min(i, j)]!)));

/** Numbers of float32 in [−½, ½). */
function numbers(length: number, seed: number): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length }, () => next() - 0.5);
}
const gram = (side: number, depth: number, seed: number): Float32Array => {
  const x = numbers(side * depth, seed);
  const row = (i: number) => x.subarray(i * depth, (i + 1) * depth);
  const rows = Array.from({ length: side }, (_, i) =>
    Array.from({ length: side }, (_, j) => row(i).reduce((sum, value, k) => sum + value * row(j)[k]!, 0)),
  );
  return symmetric(rows);
};

const engines = [reference, nativeEngines[0]!] as const;
/** A unit in the last place of float32, to which each result is rounded. */
const unit = 2 ** -24;

/** All matrices are symmetric. */
const matrices: Readonly<Record<string, Float32Array>> = {
  '1×1': Float32Array.of(-3),
  '1×1 of zero': Float32Array.of(0),
  '2×2': Float32Array.of(2, 1, 1, 2),
  'a diagonal, not sorted': Float32Array.from(diagonal([1, 5, -2, 3]).flat()),
  'all zeros': new Float32Array(25),
  'all ones: one eigenvalue of 6, five of 0': new Float32Array(36).fill(1),
  'the identity': Float32Array.from(identity(7).flat()),
  'random, negative eigenvalues too': symmetric(rowsOf(numbers(31 * 31, 1), 31)),
  'a full Gram matrix': gram(40, 60, 2),
  'a Gram matrix of rank 3': gram(33, 3, 3),
  'rows and columns of zeros': symmetric(
    rowsOf(numbers(81, 4), 9).map((row, i) => row.map((value, j) => (i % 3 === 1 || j % 3 === 1 ? 0 : value))),
  ),
  'rows of very different sizes': symmetric(
    rowsOf(numbers(144, 5), 12).map((row, i) => row.map((value, j) => value * 10 ** (-3 * i) * 10 ** (-3 * j + 36))),
  ),
  'the largest floats': gram(6, 8, 6).map((value) => value * 1e38),
  'the smallest floats': symmetric(rowsOf(numbers(100, 7), 10)).map((value) => value * 1e-40),
  'a tridiagonal matrix': Float32Array.from({ length: 400 }, (_, at) => {
    const distance = Math.abs((at % 20) - Math.floor(at / 20));
    return distance === 0 ? 2 : distance === 1 ? -1 : 0;
  }),
};

describe.each(Object.entries(matrices))('%s', (_, matrix) => {
  const side = Math.sqrt(matrix.length);
  const a = rowsOf(matrix, side);
  const scale = largest(a);

  test.each(engines)('$isa, $name: A·V = V·Λ, VᵀV = I, the values descend', (engine) => {
    const vectors = new Float32Array(side * side);
    const values = new Float64Array(side);
    engine.eigen.eigenvectors(matrix, side, vectors, values);
    const v = rowsOf(vectors, side);
    // Rounding to float32 is the only error of note: of half a unit in each number of a vector.
    expect(difference(times(transpose(v), v), identity(side))).toBeLessThanOrEqual(4 * unit);
    const residual = difference(times(a, v), times(v, diagonal(values)));
    expect(residual).toBeLessThanOrEqual(4 * Math.sqrt(side) * unit * scale);
    for (let k = 1; k < side; k++) expect(values[k]).toBeLessThanOrEqual(values[k - 1]!);
    const trace = a.reduce((sum, row, i) => sum + row[i]!, 0);
    expect(Math.abs(values.reduce((sum, value) => sum + value, 0) - trace)).toBeLessThanOrEqual(
      side * side * 2 ** -52 * scale,
    );
  });

  test.each(engines)('$isa, $name: the inverse root to the fourth power is the inverse', (engine) => {
    if (scale === 0 || scale > 1e30 || scale < 1e-30) return; // ε and the root would leave the range of float32
    const values = new Float64Array(side);
    engine.eigen.eigenvectors(matrix, side, new Float32Array(side * side), values);
    const eps = 0.01 * scale;
    const divisor = 0.5;
    const shift = Math.max(0, -values.at(-1)! / divisor);
    const shifted = a.map((row, i) => row.map((value, j) => value / divisor + (i === j ? eps + shift : 0)));
    for (const isQuarter of [true, false]) {
      const root = new Float32Array(side * side);
      engine.eigen.inverseRoot(matrix, side, { divisor, eps, isQuarter }, root);
      const p = rowsOf(root, side);
      const square = times(p, p);
      const inverse = isQuarter ? times(square, square) : square;
      // The largest power is eps to the exponent, and its error enters four times.
      expect(difference(times(inverse, shifted), identity(side))).toBeLessThanOrEqual(
        8 * side * unit * ((2 * scale * side) / eps),
      );
      expect(difference(p, transpose(p))).toBe(0);
    }
  });
});

test('known spectra', () => {
  for (const engine of engines) {
    const valuesOf = (matrix: Float32Array): number[] => {
      const side = Math.sqrt(matrix.length);
      const values = new Float64Array(side);
      engine.eigen.eigenvectors(matrix, side, new Float32Array(side * side), values);
      return [...values];
    };
    // The second difference has 2 − 2·cos(kπ/(n+1)).
    for (const [k, value] of valuesOf(matrices['a tridiagonal matrix']!).entries())
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((20 - k) * Math.PI) / 21), 13);
    for (const [k, value] of valuesOf(matrices['all ones: one eigenvalue of 6, five of 0']!).entries())
      expect(value).toBeCloseTo(k === 0 ? 6 : 0, 14);
    expect(valuesOf(matrices['a diagonal, not sorted']!)).toEqual([5, 3, 1, -2]);
    expect(valuesOf(matrices['the identity']!)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(valuesOf(Float32Array.of(2, 1, 1, 2)).map((v) => Math.round(v * 1e14) / 1e14)).toEqual([3, 1]);
  }
});

test('a smallest eigenvalue below ε is raised to ε, and all others with it', () => {
  for (const engine of engines) {
    const out = new Float32Array(4);
    engine.eigen.inverseRoot(Float32Array.of(3, 0, 0, -1), 2, { divisor: 1, eps: 0.25, isQuarter: false }, out);
    // 3.25 and −0.75 become 4.25 and 0.25.
    expect([...out]).toEqual([Math.fround(1 / Math.sqrt(4.25)), 0, 0, 2]);
  }
});

describe('QR', () => {
  const cases: Readonly<Record<string, Float32Array>> = {
    ...matrices,
    'not symmetric': numbers(29 * 29, 9),
    'a column of zeros': numbers(64, 10).map((value, at) => (at % 8 === 3 ? 0 : value)),
    'equal columns': numbers(49, 11).map((value, at, all) => (at % 7 === 5 ? all[at - 4]! : value)),
    'upper triangular': numbers(64, 12).map((value, at) => (at % 8 < Math.floor(at / 8) ? 0 : value)),
  };
  test.each(Object.entries(cases))('%s: QᵀQ = I, QᵀA is upper triangular', (_, matrix) => {
    const side = Math.sqrt(matrix.length);
    const a = rowsOf(matrix, side);
    for (const engine of engines) {
      const out = new Float32Array(side * side);
      engine.eigen.orthonormalize(matrix, side, out);
      const q = rowsOf(out, side);
      expect(difference(times(transpose(q), q), identity(side))).toBeLessThanOrEqual(4 * unit);
      const below = times(transpose(q), a).map((row, i) => row.map((value, j) => (j < i ? value : 0)));
      expect(largest(below)).toBeLessThanOrEqual(4 * Math.sqrt(side) * unit * largest(a));
    }
  });
});

test('the bounds reject a basis that is turned a little', () => {
  const matrix = matrices['a full Gram matrix']!;
  const [vectors, values] = [new Float32Array(1600), new Float64Array(40)];
  reference.eigen.eigenvectors(matrix, 40, vectors, values);
  const turned = rowsOf(vectors, 40).map((row) => [row[0]! + 1e-5 * row[39]!, ...row.slice(1)]);
  const residual = difference(times(rowsOf(matrix, 40), turned), times(turned, diagonal(values)));
  // Column 0 has the largest eigenvalue, column 39 the smallest.
  expect(residual).toBeGreaterThan(4 * Math.sqrt(40) * unit * largest(rowsOf(matrix, 40)));
});
