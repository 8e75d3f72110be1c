// Float64 truth: dot products and means by plain loops, and gradients by central differences.
import { expect, test } from 'vitest';
import { SGD } from '../../lib/index.js';
import { dots, meanRows, scaled } from '../../lib/rows/index.js';
import { random } from '../support/random.js';

const next = random(5);
const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => next() - 0.5);
const pick = (length: number, below: number): Int32Array =>
  Int32Array.from({ length }, () => Math.floor(next() * below));

test.each([1, 8, 33, 500])('dots is the float64 dot product, rounded once: width %d', (width) => {
  const [a, b] = [10, 7].map((rows) => ({ data: numbers(rows * width), shape: [rows, width] })) as [never, never];
  const [x, y] = [a, b] as { data: Float32Array }[];
  const [rowsA, rowsB] = [pick(50, 10), pick(50, 7)];
  for (const [i, found] of dots(a, rowsA, b, rowsB, new Float32Array(50)).entries()) {
    let sum = 0;
    let size = 0;
    for (let k = 0; k < width; k++) {
      const product = x!.data[rowsA[i]! * width + k]! * y!.data[rowsB[i]! * width + k]!;
      sum += product;
      size += Math.abs(product);
    }
    // One rounding to float32, and float64 sums in another order.
    expect(Math.abs(found - sum)).toBeLessThanOrEqual(2 ** -24 * Math.abs(sum) + width * 2 ** -52 * size);
  }
});

test('meanRows is the mean', () => {
  const width = 19;
  const table = { data: numbers(30 * width), shape: [30, width] };
  const rows = pick(40, 30);
  const offsets = Int32Array.of(0, 1, 1, 13);
  const out = meanRows(table, rows, offsets, new Float32Array(4 * width));
  for (const [bag, [begin, end]] of [
    [0, 1],
    [1, 1],
    [1, 13],
    [13, 40],
  ].entries() as ArrayIterator<[number, [number, number]]>) {
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (let i = begin; i < end; i++) sum += table.data[rows[i]! * width + k]!;
      const mean = begin === end ? 0 : sum / (end - begin);
      expect(Math.abs(out[bag * width + k]! - mean)).toBeLessThanOrEqual((end - begin + 1) * 2 ** -24);
    }
  }
});

test('scaled is the gradient of a loss of dots', () => {
  const width = 6;
  const users = { data: numbers(5 * width), shape: [5, width] };
  const items = { data: numbers(4 * width), shape: [4, width] };
  const [rowsA, rowsB] = [pick(12, 5), pick(12, 4)];
  const wanted = numbers(12);
  const loss = (): number =>
    dots(users, rowsA, items, rowsB, new Float32Array(12)).reduce((sum, dot, i) => sum + (dot - wanted[i]!) ** 2, 0);
  const factors = dots(users, rowsA, items, rowsB, new Float32Array(12)).map((dot, i) => 2 * (dot - wanted[i]!));
  const values = scaled(items, rowsB, factors, new Float32Array(12 * width));
  // A step of SGD with lr 1 on zeros leaves minus the summed gradient.
  const gradient = { data: new Float32Array(5 * width), shape: [5, width] };
  new SGD(gradient, { lr: 1 }).step({ rows: rowsA, values });
  for (let i = 0; i < users.data.length; i++) {
    const kept = users.data[i]!;
    const h = 2 ** -7;
    users.data[i] = kept + h;
    const above = loss();
    users.data[i] = kept - h;
    const below = loss();
    users.data[i] = kept;
    expect(-gradient.data[i]!).toBeCloseTo((above - below) / (2 * h), 3);
  }
});
