import { describe, expect, test } from 'vitest';
import { Adam, RMSprop, SGD } from '../../../lib/optimizers/index.js';
import { clipGradNorm, clipGradValue } from '../../../lib/training/index.js';
import fc from '../../support/property.js';

/** The bits of arrays: tells −0 from 0 and one NaN from another. */
const bits = (arrays: readonly Float32Array[]) => arrays.map((a) => [...new Uint32Array(a.slice().buffer)]);

const copy = (arrays: readonly Float32Array[]) => arrays.map((a) => a.slice());

const zeros = (arrays: readonly Float32Array[]) => arrays.map(({ length }) => new Float32Array(length));

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });

const anyFloat = fc.float();

const arraysOf = (element: fc.Arbitrary<number>) =>
  fc.array(fc.array(element, { maxLength: 40 }).map(Float32Array.from.bind(Float32Array)), {
    minLength: 1,
    maxLength: 4,
  }) as fc.Arbitrary<Float32Array[]>;

const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true });

const order = fc.oneof(
  fc.constant(2),
  fc.constant(Number.POSITIVE_INFINITY),
  fc.double({ min: 0.5, max: 20, noNaN: true }),
);

describe('clipGradNorm', () => {
  test("clipping before a step gives the bits and the norm of the optimizer's clipNorm", () => {
    fc.assert(
      fc.property(
        arraysOf(anyFloat),
        positive,
        fc.constantFrom(SGD, Adam as unknown as typeof SGD, RMSprop as unknown as typeof SGD),
        (grads, max, Class) => {
          const [one, other] = [zeros(grads), zeros(grads)];
          const { gradNorm } = new Class(one, { lr: 0.1, clipNorm: max }).step(copy(grads));
          const norm = clipGradNorm(grads, max);
          new Class(other, { lr: 0.1 }).step(grads);
          expect(norm).toBe(gradNorm);
          // A NaN may have other bits.
          expect(other.map((a) => [...a])).toEqual(one.map((a) => [...a]));
        },
      ),
    );
  });

  test('the norm is at most max afterwards, and gradients within it keep their bits', () => {
    fc.assert(
      fc.property(arraysOf(float), positive, order, (grads, max, p) => {
        const before = copy(grads);
        const norm = clipGradNorm(grads, max, { p });
        const after = clipGradNorm(copy(grads), max, { p });
        // Each element is rounded by at most 2⁻²³ of itself, or by half of the least float32, 40 · 4 of them at most.
        expect(after).toBeLessThanOrEqual(max * (1 + 2 ** -22) + 2 ** -149 * 160 ** Math.max(1, 1 / p));
        if (norm + 1e-6 <= max) expect(bits(grads)).toEqual(bits(before));
      }),
    );
  });

  test('norms of a higher order are not larger', () => {
    fc.assert(
      fc.property(arraysOf(float), order, order, (grads, p, q) => {
        const [low, high] = p < q ? [p, q] : [q, p];
        const norm = (of: number) => clipGradNorm(grads, Number.MAX_VALUE, { p: of });
        expect(norm(high)).toBeLessThanOrEqual(norm(low) * (1 + 1e-10));
      }),
    );
  });

  test('neither the structure of the gradients nor nulls matter', () => {
    fc.assert(
      fc.property(arraysOf(float), positive, order, (grads, max, p) => {
        const [list, record] = [copy(grads), copy(grads)];
        const named = Object.fromEntries([...record.entries(), ['none', null]]);
        expect(clipGradNorm([null, ...list], max, { p })).toBe(clipGradNorm(named, max, { p }));
        expect(bits(record)).toEqual(bits(list));
        const [first] = grads as [Float32Array];
        const alone = first.slice();
        expect(clipGradNorm(first, max, { p })).toBe(clipGradNorm([alone], max, { p }));
        expect(bits([first])).toEqual(bits([alone]));
      }),
    );
  });

  test('memory shared by several gradients counts for each of them and is scaled once', () => {
    const memory = fc.array(float, { minLength: 1, maxLength: 30 });
    const span = fc.tuple(fc.nat(29), fc.nat(29));
    fc.assert(
      fc.property(memory, fc.array(span, { minLength: 1, maxLength: 5 }), positive, (values, spans, max) => {
        const shared = Float32Array.from(values);
        const before = shared.slice();
        const views = spans.map(([a, b]) => shared.subarray(Math.min(a, b), Math.max(a, b)));
        const apart = copy(views);
        expect(clipGradNorm(views, max)).toBe(clipGradNorm(apart, max));
        expect(bits(views)).toEqual(bits(apart));
        const covered = (i: number) => spans.some(([a, b]) => Math.min(a, b) <= i && i < Math.max(a, b));
        const outside = before.map((value, i) => (covered(i) ? 0 : value));
        expect(shared.map((value, i) => (covered(i) ? 0 : value))).toEqual(outside);
      }),
    );
  });
});

describe('clipGradValue', () => {
  test("clipping before a step gives the bits of the optimizer's clipValue", () => {
    fc.assert(
      fc.property(arraysOf(anyFloat), positive, (grads, value) => {
        const [one, other] = [zeros(grads), zeros(grads)];
        new SGD(one, { lr: 1, clipValue: value }).step(copy(grads));
        clipGradValue(Object.fromEntries(grads.entries()), value);
        new SGD(other, { lr: 1 }).step(grads);
        expect(other.map((a) => [...a])).toEqual(one.map((a) => [...a]));
        const once = bits(grads);
        clipGradValue([grads[0] as Float32Array, ...grads, null], value);
        expect(bits(grads)).toEqual(once);
      }),
    );
  });
});
