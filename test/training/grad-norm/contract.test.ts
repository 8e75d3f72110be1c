// gradNorm, and clipGradNorm without a bound: they measure and change nothing. Wrong arguments are refused.
import { describe, expect, test } from 'vitest';
import { SGD } from '../../../lib/optimizers/index.js';
import { clipGradNorm, gradNorm } from '../../../lib/training/index.js';
import { bytes, f32 } from '../../support/arrays.js';
import { type Any, detached, notNumbers, thrown } from '../../support/bad-input.js';
import fc from '../../support/property.js';
import { numbers } from '../../support/random.js';

const measures = [
  ['gradNorm', (grads: Any, p?: number) => gradNorm(grads, { p })],
  ['clipGradNorm to Infinity', (grads: Any, p?: number) => clipGradNorm(grads, Number.POSITIVE_INFINITY, { p })],
] as const;

describe.each(measures)('%s', (_, measure) => {
  test.each([
    [undefined, 5],
    [2, 5],
    [1, 7],
    [Number.POSITIVE_INFINITY, 4],
    [3, Math.cbrt(91)],
    [0.5, (Math.sqrt(3) + 2) ** 2],
  ])('p = %s of 3 and −4 is %d', (p, expected) => {
    const grads = { a: f32(3, 0), none: null, b: [f32(-4), { c: f32() }] };
    expect(Math.abs(measure(grads, p) - expected)).toBeLessThanOrEqual(1e-14 * expected);
  });

  test('no bit changes, and the norm is that of a bound that is never reached', () => {
    const special = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-45, 3e38);
    const element = fc.oneof({ weight: 9, arbitrary: fc.float() }, special);
    const order = fc.constantFrom(2, 1, 0.5, 3, Number.POSITIVE_INFINITY);
    fc.assert(
      fc.property(fc.array(fc.array(element, { maxLength: 20 })), order, (values, p) => {
        const grads = values.map((g) => Float32Array.from(g));
        const before = grads.map(bytes);
        const norm = measure(grads, p);
        expect(grads.map(bytes)).toEqual(before);
        expect(clipGradNorm(grads, Number.MAX_VALUE, { p })).toBe(norm);
      }),
    );
  });

  test('p = 2 is bit-identical to the gradNorm of a step', () => {
    const grads = [numbers(20_000, 1), numbers(7, 2)];
    const sgd = new SGD([new Float32Array(20_000), new Float32Array(7)], { lr: 1, gradNorm: true });
    expect(measure(grads)).toBe(sgd.step(grads).gradNorm);
  });

  test('nothing has norm 0', () => {
    for (const nothing of [null, [], {}, [null], { w: null }, [[]], f32()]) expect(measure(nothing)).toBe(0);
  });
});

test('wrong arguments of gradNorm are refused', () => {
  for (const [value, shown] of notNumbers)
    expect(thrown(() => gradNorm(f32(1), { p: value as Any }))).toBe(
      `TypeError: gradNorm: p: ${shown}, expected a number in (0, inf]`,
    );
  for (const value of [0, -1, Number.NaN])
    expect(thrown(() => gradNorm(f32(1), { p: value }))).toBe(`RangeError: gradNorm: p: ${value}, expected (0, inf]`);
  expect(thrown(() => gradNorm(f32(1), { order: 2 } as Any))).toMatch(/^TypeError: gradNorm: order: unknown option/);
  const one = 'a Float32Array or null';
  for (const [grads, message] of [
    [5, 'grads: 5, expected a Float32Array, null, or a list or a record of them'],
    [[f32(1), 5], `grads[1]: 5, expected ${one}`],
    [{ fc: { bias: [f32(1), 'x'] } }, `grads["fc.bias.1"]: "x", expected ${one}`],
    [[[1, 2]], `grads[0]: [1, 2], expected ${one} (convert it with Float32Array.from(…))`],
    [[[f32(1), undefined]], `grads["0.1"]: undefined, expected ${one}`],
    [
      { a: { rows: Int32Array.of(0), values: f32(1) } },
      `grads["a"]: a sparse gradient, expected ${one} (pass them to the optimizer and use its option clipNorm)`,
    ],
  ] as const)
    expect(thrown(() => gradNorm(grads as Any))).toBe(`TypeError: gradNorm: ${message}`);
  expect(thrown(() => gradNorm(detached()))).toMatch(/^TypeError: gradNorm: grads: a detached Float32Array/);
});
