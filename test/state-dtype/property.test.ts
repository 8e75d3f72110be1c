// The rounding to bfloat16: without bias, and exact where bfloat16 has the number.
import { describe, expect, test } from 'vitest';
import { roundStochastic, roundToNearest, widen } from '../../lib/engine/bfloat16-state.js';

const round = (x: Float32Array, update: number, place: number, element = 0): Float32Array => {
  const halves = new Uint16Array(x.length);
  roundStochastic(x, halves, element, update, place);
  return widen(halves);
};

/** Each number lies between two of bfloat16; `share` is how far it is from the lower magnitude to the upper. */
const shares = [1, 100, 0x2000, 0x8000, 0xd555, 0xffff].map((low) => [low / 65536, 0x3f800000 + low] as const);

describe.each([0, 1, 2, 5])('the state array %i', (place) => {
  test.each(shares)('rounds up with the chance %f', (share, bits) => {
    const count = 1 << 16;
    const x = new Float32Array(new Uint32Array(count).fill(bits).buffer);
    const [lower, upper] = [1, 1 + 2 ** -7];
    for (const sign of [1, -1]) {
      const rounded = round(
        x.map((v) => sign * v),
        17,
        place,
      );
      expect(rounded.every((v) => v === sign * lower || v === sign * upper)).toBe(true);
      const ups = rounded.filter((v) => v === sign * upper).length;
      // Five standard deviations of a fair count; the hash is fixed, so the result is the same in each run.
      expect(Math.abs(ups - share * count)).toBeLessThanOrEqual(5 * Math.sqrt(count * share * (1 - share)) + 1);
    }
  });

  test('the updates of one element are as fair as the elements of one update', () => {
    const count = 4096;
    let ups = 0;
    const x = new Float32Array([1 + 2 ** -9]); // a quarter of a unit
    for (let update = 1; update <= count; update++) if (round(x, update, place, 12345)[0] !== 1) ups++;
    expect(Math.abs(ups - count / 4)).toBeLessThan(5 * Math.sqrt((count * 3) / 16));
  });
});

test('two arrays, two updates and two neighbours round independently', () => {
  const count = 1 << 16;
  const x = new Float32Array(count).fill(1 + 2 ** -8); // half a unit
  const ups = (update: number, place: number, element = 0): boolean[] =>
    Array.from(round(x, update, place, element), (v) => v !== 1);
  const base = ups(3, 0);
  for (const [name, other] of [
    ['the paired array', ups(3, 1)],
    ['an array of another pair', ups(3, 2)],
    ['the next update', ups(4, 0)],
    ['the next element', ups(3, 0, 1)],
  ] as const) {
    const equal = base.filter((up, i) => up === other[i]).length;
    expect(Math.abs(equal - count / 2), name).toBeLessThan(5 * Math.sqrt(count / 4));
  }
});

test('a number that bfloat16 has stays, under both roundings, and NaN becomes one NaN', () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const all = widen(halves);
  const isNotANumber = (half: number): boolean => (half & 0x7fff) > 0x7f80;
  const expected = halves.map((half) => (isNotANumber(half) ? 0x7fc0 : half));
  const nearest = new Uint16Array(65536);
  roundToNearest(all, nearest);
  expect(nearest).toEqual(expected);
  for (const place of [0, 1]) {
    const stochastic = new Uint16Array(65536);
    roundStochastic(all, stochastic, 0, 1, place);
    expect(stochastic).toEqual(expected);
  }
});

test('a finite number stays finite, and small ones are rounded in their own units', () => {
  const x = new Float32Array(1000).fill(3.4028235e38);
  expect(round(x, 1, 0).every((v) => v === 3.3895313892515355e38)).toBe(true);
  const tiny = round(new Float32Array(65536).fill(1e-45), 1, 0); // 1/65536 of the smallest denormal of bfloat16
  expect(tiny.every((v) => v === 0 || v === Math.fround(2 ** -133))).toBe(true);
  const nearest = new Uint16Array(2);
  roundToNearest(new Float32Array([1 + 2 ** -8, 1 + 3 * 2 ** -8]), nearest); // ties to even
  expect([...widen(nearest)]).toEqual([1, 1 + 2 ** -6]);
});
