// Products of matrices in float32: their definition, written out here, and the same bits from every engine, shape and number of threads.
import { afterAll, describe, expect, test } from 'vitest';
import type { Factor, Product } from '../../lib/engine/matmul.js';
import { plain, transposed } from '../../lib/engine/matmul.js';
import { backend, setThreads } from '../../lib/index.js';
import { firstDifference, floats, nativeEngines, reference } from '../support/engines.js';
import { random } from '../support/random.js';
import { all, sample } from '../support/sample.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

const f = Math.fround;
const engines = [reference, ...nativeEngines];

/** Each product is rounded, then each sum, k ascending, from +0. */
function asDefined({ a, b, rows, columns, depth }: Product): Float32Array {
  const at = ({ data, rowStride, columnStride }: Factor, i: number, k: number) =>
    data[i * rowStride + k * columnStride]!;
  return Float32Array.from({ length: rows * columns }, (_, place) => {
    const [i, j] = [Math.floor(place / columns), place % columns];
    let sum = 0;
    for (let k = 0; k < depth; k++) sum = f(sum + f(at(a, i, k) * at(b, k, j)));
    return sum;
  });
}

function expectBits(product: Omit<Product, 'out'>, what: string): void {
  const length = product.rows * product.columns;
  const expected = asDefined({ ...product, out: new Float32Array(0) });
  for (const engine of engines) {
    // The product stands between other numbers, which must stay.
    const memory = new Float32Array(length + 2).fill(7);
    engine.multiply({ ...product, out: memory.subarray(1, length + 1) });
    const at = firstDifference(memory.subarray(1, length + 1), expected);
    if (at >= 0) expect.fail(`${engine.isa} ${what}: [${at}] is ${memory[at + 1]}, expected ${expected[at]}`);
    expect([memory[0], memory[length + 1]], `${engine.isa} ${what}: the numbers around it`).toEqual([7, 7]);
  }
}

/** The factors of a product, each as a matrix or as the transpose of one. */
function factors(rows: number, columns: number, depth: number, turned: number, wild: boolean): [Factor, Factor] {
  const next = random(rows * 10_007 + columns * 101 + depth);
  const [a, b] = [floats(rows * depth, next, wild), floats(depth * columns, next, wild)];
  return [turned & 1 ? transposed(a, rows) : plain(a, depth), turned & 2 ? transposed(b, depth) : plain(b, columns)];
}

// No rows, columns or products; one of each; primes; the edges of tiles (6, 14, 16, 32), of blocks of k (256) and of tasks.
const shapes = [
  [0, 3, 2],
  [3, 0, 2],
  [3, 2, 0],
  [1, 1, 1],
  [1, 67, 13],
  [67, 1, 13],
  [13, 17, 1],
  [5, 7, 11],
  [6, 16, 3],
  [14, 32, 5],
  [15, 33, 8],
  [29, 31, 37],
  [7, 3, 255],
  [17, 5, 256],
  [3, 19, 257],
  [2, 3, 521],
  [101, 97, 53],
  [229, 263, 7],
] as const;

describe('a product has the bits of its definition', () => {
  for (const wild of [false, true])
    test(wild ? 'with NaN and infinities' : 'of finite numbers', () => {
      for (const [rows, columns, depth] of sample(shapes, 12))
        for (let turned = 0; turned < 4; turned++) {
          const [a, b] = factors(rows, columns, depth, turned, wild);
          const what = `${rows}×${columns}, depth ${depth}, form ${turned}`;
          expectBits({ a, b, rows, columns, depth, isSymmetric: false }, what);
        }
    });

  test('of random shapes', () => {
    const next = random(5);
    const upTo = (most: number): number => Math.floor(next() * (most + 1));
    for (let n = 0; n < (all ? 100 : 20); n++) {
      const [rows, columns, depth, turned] = [upTo(70), upTo(70), upTo(70), upTo(3)] as const;
      const [a, b] = factors(rows, columns, depth, turned, false);
      expectBits(
        { a, b, rows, columns, depth, isSymmetric: false },
        `${rows}×${columns}, depth ${depth}, form ${turned}`,
      );
    }
  });

  test('if it is symmetric: XXᵀ, XᵀX, and the square of a symmetric matrix', () => {
    for (const [side, depth] of sample(
      [
        [1, 1],
        [5, 3],
        [31, 37],
        [33, 2],
        [14, 257],
        [89, 300],
        [241, 3],
      ] as const,
      5,
    )) {
      const x = floats(side * depth, random(side));
      const what = `side ${side}, depth ${depth}`;
      const ofX = { rows: side, columns: side, depth, isSymmetric: true };
      expectBits({ a: plain(x, depth), b: transposed(x, depth), ...ofX }, `XXᵀ ${what}`);
      expectBits({ a: transposed(x, side), b: plain(x, side), ...ofX }, `XᵀX ${what}`);
      const gram = new Float32Array(side * side);
      reference.multiply({ a: plain(x, depth), b: transposed(x, depth), out: gram, ...ofX });
      expectBits({ a: plain(gram, side), b: plain(gram, side), ...ofX, depth: side }, `A² ${what}`);
    }
  });

  test('on 1, 2 and 3 threads', () => {
    const [a, b] = factors(180, 300, 260, 0, false);
    for (const threads of [1, 2, 3]) {
      nativeEngines[0]!.setThreads(threads, true);
      expectBits({ a, b, rows: 180, columns: 300, depth: 260, isSymmetric: false }, `${threads} threads`);
    }
  });
});

test('the product on the side with more rows has the bits of the other one, transposed', () => {
  const [rows, side] = [23, 9];
  const x = floats(rows * side, random(3));
  const square = new Float32Array(side * side);
  const gram = { rows: side, columns: side, depth: rows, isSymmetric: true };
  reference.multiply({ a: transposed(x, side), b: plain(x, side), out: square, ...gram });
  for (const engine of engines) {
    const [tall, wide] = [new Float32Array(rows * side), new Float32Array(rows * side)];
    const common = { depth: side, isSymmetric: false };
    engine.multiply({ a: plain(x, side), b: plain(square, side), out: tall, rows, columns: side, ...common });
    engine.multiply({
      a: plain(square, side),
      b: transposed(x, side),
      out: wide,
      rows: side,
      columns: rows,
      ...common,
    });
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < side; j++) expect(tall[i * side + j], engine.isa).toBe(wide[j * rows + i]);
  }
});
