// The addon's products of matrices refuse what would read or write outside an array.
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../lib/engine/native.js';

const addon = loadAddon();
const native = addon.engine(addon.isas[0]!)!;

/** Strides of a, strides of b, rows, columns, depth, and whether the product is symmetric. */
const layout = (...numbers: number[]): Uint32Array => Uint32Array.from(numbers);
const six = () => new Float32Array(6).fill(1);

describe('matmul', () => {
  test('computes what fits exactly', () => {
    const out = new Float32Array(4);
    native.matmul(six(), six(), out, layout(3, 1, 2, 1, 2, 2, 3, 0));
    expect([...out]).toEqual([3, 3, 3, 3]);
  });

  test.each([
    ['a too short', layout(3, 1, 2, 1, 3, 2, 3, 0)],
    ['a of wider strides', layout(4, 1, 2, 1, 2, 2, 3, 0)],
    ['b too short', layout(3, 1, 2, 1, 2, 3, 3, 0)],
    ['out too short', layout(3, 0, 0, 0, 2, 7, 1, 0)],
    ['strides that overflow', layout(2 ** 32 - 1, 2 ** 32 - 1, 0, 0, 2, 2, 2 ** 32 - 1, 0)],
    ['a symmetric product that is not square', layout(3, 1, 1, 1, 2, 1, 3, 1)],
  ])('refuses %s', (_, shape) => {
    const out = new Float32Array(12).fill(7);
    expect(() => native.matmul(six(), six(), out, shape)).toThrow(RangeError);
    expect(out).toEqual(new Float32Array(12).fill(7));
  });

  test('refuses another type, and a layout of another length', () => {
    expect(() => native.matmul(six(), new Float64Array(6) as never, six(), layout(3, 1, 2, 1, 2, 2, 3, 0))).toThrow(
      TypeError,
    );
    expect(() => native.matmul(six(), six(), six(), layout(3, 1, 2, 1, 2, 2, 3))).toThrow(TypeError);
  });

  test('a detached array is refused', () => {
    const a = six();
    structuredClone(a.buffer, { transfer: [a.buffer] });
    expect(() => native.matmul(a, six(), new Float32Array(4), layout(3, 1, 2, 1, 2, 2, 3, 0))).toThrow(RangeError);
  });
});
