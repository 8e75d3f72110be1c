// clipGradNorm and clipGradValue: every wrong argument is refused, in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { detached, notNumbers, thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { clipGradNorm, clipGradValue } = training as any;

const schedule = () => 0.1;

const noNumbers = [[undefined, 'undefined'], [schedule, 'function schedule'], ...notNumbers] as const;

const detachedText = 'a detached Float32Array';

const gone = ' (its buffer was transferred, resized or grown)';

const sparse = { rows: new Int32Array([0]), values: f32(1) };

describe('clipGradNorm and clipGradValue', () => {
  const both = [
    ['clipGradNorm', (grads: unknown, bound: unknown) => clipGradNorm(grads, bound), 'max', '(0, inf]'],
    ['clipGradValue', (grads: unknown, bound: unknown) => clipGradValue(grads, bound), 'value', '(0, inf)'],
  ] as const;

  test.each(both)('%s: the bound must be a positive number', (name, clip, argument, range) => {
    const grad = f32(3, 4);
    for (const [value, shown] of noNumbers) {
      expect(thrown(() => clip(grad, value))).toBe(
        `TypeError: ${name}: ${argument}: ${shown}, expected a number in ${range}`,
      );
    }
    const infinite = range.endsWith(']') ? [] : [Number.POSITIVE_INFINITY];
    for (const value of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY, ...infinite]) {
      expect(thrown(() => clip(grad, value))).toBe(`RangeError: ${name}: ${argument}: ${value}, expected ${range}`);
    }
    expect([...grad]).toEqual([3, 4]);
  });

  test.each(both)(
    '%s: gradients are dense float32 arrays or null, and none is touched before all are checked',
    (name, clip) => {
      const one = 'a Float32Array or null';
      const hint = ' (convert it with Float32Array.from(…))';
      for (const [bad, shown] of [
        [undefined, 'undefined, expected '],
        [5, '5, expected '],
        [new Float64Array(2), 'Float64Array(2), expected '],
        [new Int32Array(2), 'Int32Array(2), expected '],
        [[1, 2], '[1, 2], expected '],
        [{ data: f32(1), shape: [1, 1] }, 'an object, expected '],
        [detached(), `${detachedText}, expected `],
        [sparse, 'a sparse gradient, expected '],
        [{ ...sparse, rows: new Uint32Array([0]) }, 'a sparse gradient, expected '],
      ] as const) {
        const after =
          bad instanceof Float64Array || Array.isArray(bad)
            ? hint
            : bad instanceof Float32Array
              ? gone
              : shown.startsWith('a sparse')
                ? ' (pass them to the optimizer and use its option clipNorm)'
                : '';
        const grad = f32(3, 4);
        expect(thrown(() => clip([grad, bad], 1))).toBe(`TypeError: ${name}: grads[1]: ${shown}${one}${after}`);
        expect(thrown(() => clip({ w: grad, 'fc.b': bad }, 1))).toBe(
          `TypeError: ${name}: grads["fc.b"]: ${shown}${one}${after}`,
        );
        expect([...grad]).toEqual([3, 4]);
      }
      expect(thrown(() => clip([, f32(1)], 1))).toBe(`TypeError: ${name}: grads[0]: undefined, expected ${one}`);
    },
  );

  test.each(both)('%s: grads must be a gradient, null, a list or a record', (name, clip) => {
    const all = 'a Float32Array, null, or a list or a record of them';
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [5, '5'],
      ['w', '"w"'],
      [new Float64Array(2), 'Float64Array(2)'],
      [new Map([['w', f32(1)]]), 'a Map'],
      [Promise.resolve(f32(1)), 'a Promise'],
      [() => f32(1), 'a function'],
      [sparse, 'a sparse gradient'],
      [detached(), detachedText],
    ] as const) {
      expect(thrown(() => clip(bad, 1))).toMatch(`TypeError: ${name}: grads: ${shown}, expected ${all}`);
    }
    for (const nothing of [null, [], {}, [null], { w: null }, new Float32Array(0)]) {
      expect(clip(nothing, 1)).toBe(name === 'clipGradNorm' ? 0 : undefined);
    }
  });

  test('clipGradNorm: p must be positive or Infinity', () => {
    const grad = f32(3, 4);
    for (const [value, shown] of noNumbers.slice(1)) {
      expect(thrown(() => clipGradNorm(grad, 1, { p: value }))).toBe(
        `TypeError: clipGradNorm: p: ${shown}, expected a number in (0, inf]`,
      );
    }
    for (const value of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      expect(thrown(() => clipGradNorm(grad, 1, { p: value }))).toBe(
        `RangeError: clipGradNorm: p: ${value}, expected (0, inf]`,
      );
    }
    expect(thrown(() => clipGradNorm(grad, 1, { P: 2 }))).toBe(
      'TypeError: clipGradNorm: P: unknown option, expected p (it has p)',
    );
    expect(thrown(() => clipGradNorm(grad, 1, { order: 2 }))).toMatch(
      /^TypeError: clipGradNorm: order: unknown option, expected /,
    );
    for (const bad of [null, 2, 'p', [2]]) {
      expect(thrown(() => clipGradNorm(grad, 1, bad))).toMatch(
        /^TypeError: clipGradNorm: options: .*, expected an object with p$/,
      );
    }
    expect([...grad]).toEqual([3, 4]);
    expect(clipGradNorm(grad, 10, { p: undefined })).toBe(5);
  });

  test('a factor of 1 changes no bit, not even of a subnormal or of −0', () => {
    const grad = new Float32Array(new Uint32Array([1, 0x80000000, 0x3f000000]).buffer);
    for (const p of [2, 1, Number.POSITIVE_INFINITY]) expect(clipGradNorm(grad, 1, { p })).toBeCloseTo(0.5, 10);
    expect([...new Uint32Array(grad.buffer)]).toEqual([1, 0x80000000, 0x3f000000]);
  });
});
