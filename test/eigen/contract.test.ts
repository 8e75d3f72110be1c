// The addon's decompositions refuse what would read or write outside an array.
import { expect, test } from 'vitest';
import { loadAddon } from '../../lib/engine/native.js';

const addon = loadAddon();
const { eigenvectors, inverseRoot, orthonormalize } = addon.engine(addon.isas[0]!)!;
const four = () => new Float32Array(4).fill(1);

test('arrays that are too short are refused', () => {
  const out = four();
  const two = new Float64Array(2);
  expect(() => eigenvectors(new Float32Array(3), 2, out, two)).toThrow(RangeError);
  expect(() => eigenvectors(four(), 2, new Float32Array(3), two)).toThrow(RangeError);
  expect(() => eigenvectors(four(), 2, out, new Float64Array(1))).toThrow(RangeError);
  expect(() => eigenvectors(four(), 2, out, new Float32Array(2) as never)).toThrow(RangeError);
  expect(() => eigenvectors(four(), 2 ** 33, out, two)).toThrow(RangeError);
  expect(() => inverseRoot(new Float32Array(3), 2, 1, 1, 1, out)).toThrow(RangeError);
  expect(() => inverseRoot(four(), 2, 1, 1, 1, new Float32Array(3))).toThrow(RangeError);
  expect(() => orthonormalize(new Float32Array(3), 2, out)).toThrow(RangeError);
  expect(() => orthonormalize(four(), 2, new Float32Array(3))).toThrow(RangeError);
  expect([...out]).toEqual([1, 1, 1, 1]);
});

test('other types, and detached arrays, are refused', () => {
  expect(() => orthonormalize(new Float64Array(4) as never, 2, four())).toThrow(TypeError);
  expect(() => inverseRoot(four(), 2, '1' as never, 1, 1, four())).toThrow(TypeError);
  expect(() => eigenvectors(four(), 1.5, four(), new Float64Array(2))).toThrow();
  const gone = four();
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  expect(() => orthonormalize(gone, 2, four())).toThrow(RangeError);
});

test('a side of 0 writes nothing', () => {
  const out = four();
  orthonormalize(out, 0, out);
  expect([...out]).toEqual([1, 1, 1, 1]);
});
