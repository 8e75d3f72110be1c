import { describe, expect, test } from 'vitest';
import { LBFGS, minimize } from '../../lib/index.js';
import { dot, maxAbs, norm, sumAbs } from '../../lib/second-order/linalg.js';
import { bytes } from '../support/arrays.js';
import fc from '../support/property.js';
import type { Numbers } from '../support/second-order/problems.js';

type Objective = (x: Numbers, grad: Numbers) => number;

/**
 * Functions with a minimum, most of them not convex: Σ cᵢ·(xᵢ − mᵢ)² + waves·cos(xᵢ + xᵢ₊₁). Some are not finite beyond
 * a wall.
 */
const problem = fc
  .record({
    curvatures: fc.array(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 12 }),
    waves: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3, noNaN: true })),
    wall: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.double({ min: 1.01, max: 5, noNaN: true })),
    bad: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    start: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 12, maxLength: 12 }),
  })
  .map(({ curvatures, waves, wall, bad, start }) => {
    const f: Objective = (x, grad) => {
      let value = 0;
      let isBeyond = false;
      for (const [i, c] of curvatures.entries()) {
        const away = x[i]! - Math.sin(i);
        value += c * away ** 2;
        grad[i]! += 2 * c * away;
        if (i + 1 < curvatures.length) {
          value += waves * Math.cos(x[i]! + x[i + 1]!);
          const slope = waves * Math.sin(x[i]! + x[i + 1]!);
          grad[i]! -= slope;
          grad[i + 1]! -= slope;
        }
        isBeyond ||= Math.abs(x[i]!) > wall;
      }
      return isBeyond ? bad : value;
    };
    return { f, start: Float64Array.from(start.slice(0, curvatures.length)) };
  });

const kind = fc.constantFrom(Float32Array, Float64Array);

describe('minimize', () => {
  test('it never goes uphill, keeps x0, ends, and reports the end correctly', () => {
    fc.assert(
      fc.property(problem, kind, fc.integer({ min: 1, max: 12 }), ({ f, start }, Kind, historySize) => {
        const x0 = Kind.from(start);
        const before = bytes(x0);
        const grad = new Float64Array(start.length);
        let last = f(x0, grad);
        const result = minimize<Numbers>(f, x0, {
          historySize,
          maxIterations: 300,
          callback({ value }) {
            expect(value).toBeLessThanOrEqual(last);
            last = value;
          },
        });
        expect(bytes(x0)).toEqual(before);
        expect(result.value).toBe(last);
        expect(f(result.x, grad.fill(0))).toBe(last);
        expect(['gradient', 'function', 'iterations', 'line-search', 'non-finite']).toContain(result.reason);
        if (result.reason === 'gradient') expect(maxAbs(Kind.from(grad))).toBeLessThanOrEqual(1e-8);
      }),
    );
  });

  test('it gives the same bits again, with and without a callback', () => {
    fc.assert(
      fc.property(problem, kind, ({ f, start }, Kind) => {
        const run = (options: object) => minimize<Numbers>(f, Kind.from(start), { maxIterations: 50, ...options });
        const [one, other] = [run({}), run({ callback: ({ x }: { x: Numbers }) => void x.fill(3) })];
        expect(other).toEqual(one);
        expect(bytes(other.x)).toEqual(bytes(one.x));
      }),
    );
  });

  test('a run with more evaluations never ends higher', () => {
    fc.assert(
      fc.property(problem, kind, fc.integer({ min: 1, max: 40 }), ({ f, start }, Kind, most) => {
        const run = (maxEvaluations: number) => minimize<Numbers>(f, Kind.from(start), { maxEvaluations });
        const [less, more] = [run(most), run(most + 1)];
        expect(less.evaluations).toBeLessThanOrEqual(most);
        expect(more.value).toBeLessThanOrEqual(less.value);
      }),
    );
  });

  test('a sum of terms gives the same run as its function', () => {
    fc.assert(
      fc.property(problem, fc.integer({ min: 1, max: 5 }), fc.nat(), ({ f, start }, N, at) => {
        // All terms but one are 0, so their sum is exact.
        const zero = (grad: Numbers) => {
          grad.fill(0);
          return 0;
        };
        const term = (i: number, x: Numbers, grad: Numbers) => (i === at % N ? f(x, grad) : zero(grad));
        const [whole, sum] = [minimize(f, start), minimize({ N, f: term }, start)];
        expect(bytes(sum.x)).toEqual(bytes(whole.x));
        expect(sum.evaluations).toBe(N * whole.evaluations);
      }),
    );
  });
});

describe('LBFGS', () => {
  const setup = (f: Objective, start: Numbers, options: object = {}) => {
    const [x, grads] = [Float32Array.from(start), new Float32Array(start.length)];
    const lbfgs = new LBFGS(x, { grads, maxIterations: 4, ...options });
    const step = () => lbfgs.step(() => f(x, grads.fill(0)));
    return { x, lbfgs, step };
  };

  test('a step never ends higher than it started', () => {
    fc.assert(
      fc.property(problem, fc.integer({ min: 1, max: 5 }), ({ f, start }, historySize) => {
        const { x, step } = setup(f, start, { historySize });
        let last = f(x, new Float32Array(start.length));
        for (let i = 0; i < 10; i++) {
          const { loss, applied } = step();
          expect(loss).toBeLessThanOrEqual(last);
          if (!applied) expect(loss).toBe(last);
          expect(f(x, new Float32Array(start.length))).toBe(loss);
          last = loss;
        }
      }),
    );
  });

  test('a run that is saved and resumed continues bit for bit', () => {
    fc.assert(
      fc.property(problem, fc.integer({ min: 0, max: 8 }), ({ f, start }, cut) => {
        const one = setup(f, start);
        for (let i = 0; i < cut; i++) one.step();
        const other = setup(f, one.x);
        other.lbfgs.loadStateDict(structuredClone(one.lbfgs.stateDict()));
        for (let i = 0; i < 4; i++) expect(other.step()).toEqual(one.step());
        expect(bytes(other.x)).toEqual(bytes(one.x));
      }),
    );
  });

  test('the structure of the params does not matter', () => {
    fc.assert(
      fc.property(problem, fc.integer({ min: 0, max: 12 }), ({ f, start }, at) => {
        const one = setup(f, start);
        const cut = Math.min(at, start.length);
        const params = { a: Float32Array.from(start.subarray(0, cut)), b: Float32Array.from(start.subarray(cut)) };
        const grads = { a: new Float32Array(cut), b: new Float32Array(start.length - cut) };
        const [x, grad] = [new Float32Array(start.length), new Float32Array(start.length)];
        const lbfgs = new LBFGS(params, { grads, maxIterations: 4 });
        const closure = () => {
          x.set(params.a);
          x.set(params.b, cut);
          const loss = f(x, grad.fill(0));
          grads.a.set(grad.subarray(0, cut));
          grads.b.set(grad.subarray(cut));
          return loss;
        };
        for (let i = 0; i < 3; i++) expect(lbfgs.step(closure)).toEqual(one.step());
        expect([...params.a, ...params.b]).toEqual([...one.x]);
      }),
    );
  });
});

describe('vectors', () => {
  const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 70 });

  test('dot products and sums agree with float64', () => {
    fc.assert(
      fc.property(numbers, kind, ([...list], Kind) => {
        const x = Kind.from(list);
        const squares = [...x].reduce((sum, v) => sum + v * v, 0);
        const absolute = [...x].reduce((sum, v) => sum + Math.abs(v), 0);
        expect(Math.abs(dot(x, x) - squares)).toBeLessThanOrEqual(1e-14 * squares + 1e-320);
        expect(Math.abs(norm(x) - Math.hypot(...x))).toBeLessThanOrEqual(1e-14 * Math.hypot(...x));
        expect(sumAbs(x)).toBe(absolute);
        expect(maxAbs(x)).toBe(Math.max(0, ...[...x].map(Math.abs)));
      }),
    );
  });

  test('norms neither overflow nor underflow, and pass on NaN and infinities', () => {
    expect(norm(Float64Array.of(3e200, 4e200))).toBeCloseTo(5e200, -190);
    expect(norm(Float64Array.of(3e-200, 4e-200)) / 5e-200).toBeCloseTo(1, 14);
    expect(norm(new Float64Array(3))).toBe(0);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const at of [0, 1, 5]) {
        const x = new Float64Array(6).fill(1);
        x[at] = bad;
        expect(norm(x)).toBe(bad);
        expect(maxAbs(x)).toBe(bad);
      }
    }
  });
});
