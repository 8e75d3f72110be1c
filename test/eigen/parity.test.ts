// Eigenvectors, inverse roots and QR: the same bits from every instruction set, number of threads and in JavaScript.
import { afterAll, describe, expect, test } from 'vitest';
import { backend, setThreads } from '../../lib/index.js';
import { firstDifference, floats, nativeEngines, reference } from '../support/engines.js';
import { random } from '../support/random.js';
import { sample } from '../support/sample.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

/** A symmetric matrix. Without a rank its numbers are of all sizes. */
function matrixOf(side: number, rank: number | undefined, wild = false): Float32Array {
  const next = random(side * 31 + (rank ?? 0));
  const matrix = new Float32Array(side * side);
  if (rank === undefined) {
    const values = floats(side * side, next, wild);
    return matrix.map((_, at) => {
      const [i, j] = [Math.floor(at / side), at % side];
      return values[Math.max(i, j) * side + Math.min(i, j)]!;
    });
  }
  const x = Float32Array.from({ length: side * rank }, () => next() - 0.5);
  const [a, b] = [
    { data: x, rowStride: rank, columnStride: 1 },
    { data: x, rowStride: 1, columnStride: rank },
  ];
  reference.multiply({ a, b, out: matrix, rows: side, columns: side, depth: rank, isSymmetric: true });
  return matrix;
}

type Given = (typeof nativeEngines)[number];

function results({ eigen }: Given, matrix: Float32Array, side: number): (Float32Array | Float64Array)[] {
  const out = () => new Float32Array(side * side + 2).fill(7);
  const [vectors, quarter, half, q] = [out(), out(), out(), out()];
  const values = new Float64Array(side + 1).fill(7);
  const inside = (array: Float32Array): Float32Array => array.subarray(1, side * side + 1);
  eigen.eigenvectors(matrix, side, inside(vectors), values);
  eigen.inverseRoot(matrix, side, { divisor: 0.3, eps: 1e-6, isQuarter: true }, inside(quarter));
  eigen.inverseRoot(matrix, side, { divisor: 1, eps: 1e-12, isQuarter: false }, inside(half));
  eigen.orthonormalize(matrix, side, inside(q));
  return [vectors, values, quarter, half, q];
}

function expectSame(engine: Given, matrix: Float32Array, side: number, what: string): void {
  const expected = results(reference, matrix, side);
  for (const [i, array] of results(engine, matrix, side).entries()) {
    const at = firstDifference(array as Float32Array, expected[i] as Float32Array);
    if (at >= 0) expect.fail(`${engine.isa} ${what}: array ${i}[${at}] is ${array[at]}, expected ${expected[i]![at]}`);
  }
}

const sides = sample([0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 70], 10);

describe.each(nativeEngines)('$isa', (engine) => {
  test('random matrices, and those of low rank', () => {
    for (const side of sides)
      for (const rank of [undefined, 0, 1, 3, side]) {
        const matrix = rank === 0 ? new Float32Array(side * side) : matrixOf(side, rank);
        expectSame(engine, matrix, side, `side ${side}, rank ${rank}`);
      }
  });

  test('NaN and infinities give the identity, and the root 0', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const matrix = matrixOf(9, 9);
      matrix[40] = value;
      expectSame(engine, matrix, 9, String(value));
      const found = results(engine, matrix, 9);
      const [vectors, values, quarter, half, q] = found.map((array) => [...array]);
      const identity = Array.from({ length: 81 }, (_, i) => (i % 10 === 0 ? 1 : 0));
      for (const array of [vectors, q]) expect(array).toEqual([7, ...identity, 7]);
      for (const array of [quarter, half]) expect(array).toEqual([7, ...new Array(81).fill(0), 7]);
      expect(values).toEqual([...new Array(9).fill(Number.NaN), 7]);
    }
  });
});

test('on 1, 2 and 3 threads', () => {
  const side = 150;
  const matrix = matrixOf(side, side);
  for (const threads of [1, 2, 3]) {
    nativeEngines[0]!.setThreads(threads, true);
    expectSame(nativeEngines[0]!, matrix, side, `${threads} threads`);
  }
});
