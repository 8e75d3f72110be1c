// SFO and method 'sfo' of minimize: every option, every way to end, every error in the library's error shape, and the
// params afterwards.
import { describe, expect, test } from 'vitest';
import { minimize, SFO, type SFOOptions } from '../../../lib/index.js';
import { bytes, f32, f64 } from '../../support/arrays.js';
import { type Any, thrown } from '../../support/bad-input.js';
import type { Numbers } from '../../support/second-order/problems.js';

const anyMinimize = minimize as Any;
const AnySFO = SFO as Any;

/** ½·Σ(k + 1)·(x_k − sin(i + k))². */
function bowl(i: number, x: Numbers, grad: Numbers): number {
  let value = 0;
  for (let k = 0; k < x.length; k++) {
    const away = x[k]! - Math.sin(i + k);
    grad[k] = (k + 1) * away;
    value += ((k + 1) * away ** 2) / 2;
  }
  return value;
}
const bowls = (N: number) => ({ N, f: bowl });
/** The mean of sin(i + k), which is the minimum of the sum of N bowls. */
const lowest = (N: number, k: number) =>
  Array.from({ length: N }, (_, i) => Math.sin(i + k) / N).reduce((a, b) => a + b);

function run(sfo: { step(): unknown }, steps: number): void {
  for (let k = 0; k < steps; k++) sfo.step();
}

describe('SFO', () => {
  test('it finds the minimum of the sum, in place', () => {
    const x = f32(3, -3, 1);
    const sfo = new SFO(x, bowls(10));
    run(sfo, 200);
    for (let k = 0; k < 3; k++) expect(x[k]).toBeCloseTo(lowest(10, k), 5);
    expect(SFO.optimizerName).toBe('SFO');
  });

  test('it works with one term and one element', () => {
    const x = f32(3);
    run(new SFO(x, bowls(1)), 50);
    expect(x[0]).toBeCloseTo(0, 5);
  });

  test('f gets the params in the structure given, and gradients of the same structure, NaN in the first pass and 0 later', () => {
    const flat = f32(1, 2, 3, 4);
    run(new SFO(flat, bowls(5)), 40);
    const [a, b] = [f32(1, 2), f32(3, 4)];
    const whole = [f64(0, 0, 0, 0), f64(0, 0, 0, 0)] as const;
    let calls = 0;
    const f = (i: number, parts: readonly Numbers[], grads: readonly Numbers[]): number => {
      const found = calls++ < 5 ? Number.NaN : 0;
      for (const grad of grads) expect([...grad]).toEqual([found, found]);
      whole[0].set([...parts[0]!, ...parts[1]!]);
      const value = bowl(i, ...whole);
      for (const [p, grad] of grads.entries()) grad.set(whole[1].subarray(2 * p, 2 * p + 2));
      return value;
    };
    const list = [a, { data: b, shape: [1, 2] as const }];
    const byList = new SFO(list, {
      N: 5,
      f(i, params, grads) {
        expect(params).toBe(list);
        return f(i, [params[0] as Float32Array, b], grads as unknown as Float32Array[]);
      },
    });
    run(byList, 40);
    calls = 0;
    expect([...bytes(a), ...bytes(b)]).toEqual(bytes(flat));
    const record = { v: f32(1, 2), w: f32(3, 4) };
    const byName = new SFO(record, {
      N: 5,
      f: (i, { v, w }, grads) => f(i, [v, w], [grads.v, grads.w]),
    });
    run(byName, 40);
    expect([...bytes(record.v), ...bytes(record.w)]).toEqual(bytes(flat));
  });

  test('a step reports its term, value, gradient and evaluations', () => {
    const x = f32(1, 2);
    const calls: { i: number; value: number; norm: number }[] = [];
    const f: SFOOptions<Float32Array>['f'] = (i, at, grads) => {
      const value = bowl(i, at, grads);
      calls.push({ i, value, norm: Math.hypot(...grads) });
      return value;
    };
    const sfo = new SFO(x, { N: 4, f });
    for (let k = 0; k < 20; k++) {
      calls.length = 0;
      const before = bytes(x);
      const { term, value, gradNorm, evaluations, failed, nonFinite, applied, active } = sfo.step();
      expect(evaluations).toBe(calls.length);
      expect(new Set(calls.map(({ i }) => i))).toEqual(new Set([term]));
      expect(
        calls.some((call) => call.value === value && Math.abs(call.norm - gradNorm) < 1e-6),
        'the reported value and gradNorm must be those of an evaluation',
      ).toBe(true);
      expect([failed ? calls.length > 1 : calls.length === 1, nonFinite]).toEqual([true, 0]);
      expect(applied).toBe(bytes(x).join() !== before.join());
      expect(active).toBeGreaterThanOrEqual(2);
      expect(active).toBeLessThanOrEqual(4);
    }
    expect(sfo.stepCount).toBeGreaterThan(5);
  });

  test('the same seed gives the same bits, and another seed another path', () => {
    const end = (seed?: number) => {
      const x = f32(3, -3, 1);
      run(new SFO(x, { ...bowls(10), ...(seed === undefined ? {} : { seed }) }), 15);
      return bytes(x);
    };
    expect(end()).toEqual(end(0));
    expect(end(7)).toEqual(end(7));
    expect(end(7)).not.toEqual(end(8));
  });

  test('the params may be changed between steps', () => {
    const x = new Float32Array(24).fill(1);
    const sfo = new SFO(x, bowls(6));
    run(sfo, 50);
    x.fill(-2);
    run(sfo, 200);
    for (let k = 0; k < 24; k++) expect(x[k]).toBeCloseTo(lowest(6, k), 3);
  });

  test('a number of terms beyond 2^53 is refused', () => {
    const f = (_: number, _x: Numbers, grad: Numbers): number => {
      grad.fill(0);
      return 0;
    };
    expect(thrown(() => new SFO(f32(1), { N: 1e300, f }))).toBe(
      'RangeError: SFO: N: 1e+300, expected an integer in [1, inf), at most 9007199254740991',
    );
    expect(new SFO(f32(1), { N: 2 ** 53 - 1, f }).step().term).toBeLessThan(2 ** 53);
  });

  test('replace tells SFO that a term has changed', () => {
    const x = f32(3, -3);
    let shift = 0;
    const f = (i: number, at: Numbers, grads: Numbers) => bowl(i === 2 ? i + shift : i, at, grads);
    const sfo = new SFO(x, { N: 4, f });
    run(sfo, 100);
    shift = 1;
    sfo.replace(2);
    expect(sfo.step().term).toBe(2);
    run(sfo, 100);
    expect(x[0]).toBeCloseTo((0 + Math.sin(1) + Math.sin(3) + Math.sin(3)) / 4, 5);
    expect(thrown(() => sfo.replace(4))).toBe('RangeError: SFO: i: 4, expected an integer in [0, 4)');
    expect(thrown(() => sfo.replace('1' as Any))).toBe('TypeError: SFO: i: "1", expected an integer in [0, 4)');
  });

  describe('options', () => {
    /** The points of the first steps. */
    const way = (options: object, N = 6, steps = 30) => {
      const x = f64(3, -3, 1, 2);
      const points: string[] = [];
      const terms: number[] = [];
      minimize(
        {
          N,
          f(i, at, grad) {
            terms.push(i);
            return bowl(i, at, grad);
          },
        },
        x,
        {
          method: 'sfo',
          passes: Number.POSITIVE_INFINITY,
          maxIterations: steps,
          callback: (p) => void points.push(p.x.join()),
          ...options,
        },
      );
      return { points, terms: terms.slice(0, steps) };
    };

    test('hessianInit: the first step has the length ‖gradients‖ / (2·hessianInit) / 2', () => {
      const x = f64(3, -3);
      const first = (hessianInit: number) => {
        let at: Numbers = x;
        minimize(bowls(2), x, { method: 'sfo', hessianInit, maxIterations: 1, callback: (p) => void (at = p.x) });
        return Math.hypot(at[0]! - 3, at[1]! + 3);
      };
      expect(first(1e3) / first(1e4)).toBeCloseTo(10, 6);
    });

    test('initialActive: all terms may be active from the start', () => {
      const sfo = new SFO(f32(1, 2), { ...bowls(6), initialActive: 5 });
      expect(sfo.step().active).toBe(5);
      expect(new SFO(f32(1, 2), { ...bowls(6), initialActive: 100 }).step().active).toBe(6);
      expect(new SFO(f32(1, 2), bowls(6)).step().active).toBe(2);
    });

    test("selection 'cyclic' takes the active ones in order", () => {
      const { terms } = way({ selection: 'cyclic', initialActive: 6 }, 6, 30);
      expect(terms.slice(-6).map((i, k, all) => (i - all[0]! + 6 - k + 6) % 6)).toEqual([0, 0, 0, 0, 0, 0]);
    });

    test.each([
      ['selection', 'random'],
      ['historySize', 1],
      ['maxDeviation', 2],
      ['hessianUpdate', 'rank1'],
      ['minStep', 0.5],
      ['maxStepRatio', 0.1],
      ['maxGradientNoise', 0],
    ])('%s: %s changes the way', (option, value) => {
      expect(way({ [option]: value }).points).not.toEqual(way({}).points);
    });

    test('no step is shorter than minStep or much longer than maxStepRatio times the mean', () => {
      const lengths = (options: object) => {
        const points = way(options).points.map((p) => p.split(',').map(Number));
        return points.slice(1).map((p, k) => Math.hypot(...p.map((v, j) => v - points[k]![j]!)));
      };
      // A failed step is undone first.
      expect(lengths({ minStep: 0.01 }).filter((length) => length < 0.01 * (1 - 1e-9)).length).toBeLessThan(4);
      expect(lengths({}).filter((length) => length < 0.01).length).toBeGreaterThan(4);
    });

    test('maxGradientNoise decides whether terms join early or late', () => {
      const active = (maxGradientNoise: number) => {
        const sfo = new SFO(f32(3, -3), { ...bowls(20), maxGradientNoise });
        run(sfo, 15);
        return sfo.step().active;
      };
      expect(active(0)).toBeGreaterThan(active(Number.POSITIVE_INFINITY));
    });
  });

  describe('an evaluation that fails leaves the params at the last good point', () => {
    const failing = (from: number, fail: (grad: Numbers, value: number) => unknown) => {
      const x = f32(3, -3);
      const points: number[][] = [];
      let calls = 0;
      let isHealed = false;
      const f = (i: number, at: Numbers, grads: Numbers): number => {
        const value = bowl(i, at, grads);
        if (++calls >= from && !isHealed) return fail(grads, value) as number;
        points.push(bytes(at));
        return value;
      };
      const sfo = new SFO(x, { N: 4, f });
      return { x, sfo, points, heal: () => (isHealed = true) };
    };

    test.each([1, 2, 5, 9])('it throws at call %i: the error passes through, and the run can continue', (from) => {
      const oops = new Error('oops');
      const { x, sfo, points, heal } = failing(from, () => {
        throw oops;
      });
      expect(() => run(sfo, 30)).toThrow(oops);
      expect(bytes(x)).toEqual(points.at(-1) ?? bytes(f32(3, -3)));
      heal();
      run(sfo, 200);
      expect(x[0]).toBeCloseTo(lowest(4, 0), 4);
    });

    test.each([
      ['NaN', Number.NaN],
      ['Infinity', Number.POSITIVE_INFINITY],
      ['-Infinity', Number.NEGATIVE_INFINITY],
    ])('it is %s from some call on', (shown, bad) => {
      const { x, sfo, points, heal } = failing(7, () => bad);
      expect(thrown(() => run(sfo, 30))).toMatch(
        new RegExp(
          `^RangeError: SFO: f\\(\\d\\): ${shown}, expected a finite value \\(the params are at the last good point\\)$`,
        ),
      );
      expect(bytes(x)).toEqual(points.at(-1));
      heal();
      run(sfo, 200);
      expect(x[0]).toBeCloseTo(lowest(4, 0), 4);
    });

    test.each([1e150, 1e300])('values of the size of %d end in finite params', (size) => {
      const x = f64(3, -3);
      const f = (i: number, at: Numbers, g: Numbers) => {
        const value = bowl(i, at, g) * size;
        for (const [k, v] of g.entries()) g[k] = v * size;
        return value;
      };
      const result = minimize({ N: 4, f }, x, { method: 'sfo', passes: 20 });
      expect([...result.x].every(Number.isFinite), 'the params must be finite').toBe(true);
      expect(Number.isFinite(result.value), 'the value must be finite').toBe(true);
    });

    test('its gradient is NaN: the step fails', () => {
      const { x, sfo } = failing(1, (grad, value) => {
        grad[1] = Number.NaN;
        return value;
      });
      expect(thrown(() => sfo.step())).toMatch('a gradient that is not finite, expected a finite value');
      expect([...x]).toEqual([3, -3]);
    });

    test('one value is not finite: the step is undone and counted', () => {
      let calls = 0;
      const x = f32(3, -3);
      const sfo = new SFO(x, { N: 4, f: (i, at, g) => (++calls === 6 ? Number.NaN : bowl(i, at, g)) });
      run(sfo, 5);
      expect(sfo.step()).toMatchObject({ failed: true, nonFinite: 1 });
      run(sfo, 200);
      expect(x[0]).toBeCloseTo(lowest(4, 0), 4);
    });

    test('a region that is not finite is never entered for good', () => {
      const x = f32(3, -3);
      const f = (i: number, at: Numbers, g: Numbers) => (at[0]! < 1 ? Number.NaN : bowl(i, at, g));
      const sfo = new SFO(x, { N: 4, f });
      try {
        run(sfo, 60);
      } catch {
        expect(x[0]).toBeGreaterThanOrEqual(1);
      }
    });

    test('it returns something other than a number: the step fails', () => {
      for (const [value, shown] of [
        [undefined, 'undefined, expected the value, a number'],
        ['1', '"1", expected the value, a number'],
        [Promise.resolve(1), 'a Promise, expected the value, a number (it must not be async)'],
      ] as const) {
        const { x, sfo } = failing(1, () => value);
        expect(thrown(() => sfo.step())).toMatch(
          new RegExp(`^TypeError: SFO: f\\(\\d\\): ${shown.replace(/[()]/g, '\\$&')}`),
        );
        expect([...x]).toEqual([3, -3]);
      }
    });

    test('it calls the optimizer or detaches its gradient: the step fails', () => {
      const x = f32(3, -3);
      const inner: string[] = [];
      const sfo: { step(): unknown; replace(i: number): void } = new SFO(x, {
        N: 4,
        f(i, at, grads) {
          inner.push(
            thrown(() => sfo.step()),
            thrown(() => sfo.replace(0)),
          );
          return bowl(i, at, grads);
        },
      });
      sfo.step();
      const busy =
        'TypeError: SFO: this: an optimizer in the middle of a call, expected to wait until that call has returned';
      expect(inner.slice(0, 2)).toEqual([busy, busy]);
      const taken = new SFO(f32(3, -3), {
        N: 4,
        f(_i, _at, grads) {
          structuredClone(grads, { transfer: [grads.buffer as ArrayBuffer] });
          return 1;
        },
      });
      expect(thrown(() => taken.step())).toMatch('TypeError: SFO: grads: a detached Float32Array');
    });
  });

  describe('invalid arguments are refused', () => {
    const make = (options: object) => thrown(() => new AnySFO(f32(1, 2), { ...bowls(3), ...options }));

    test('N must be an integer and f a function', () => {
      expect(make({ N: 0 })).toBe('RangeError: SFO: N: 0, expected an integer in [1, inf)');
      expect(make({ N: -1 })).toBe('RangeError: SFO: N: -1, expected an integer in [1, inf)');
      expect(make({ N: 1.5 })).toBe('RangeError: SFO: N: 1.5, expected an integer in [1, inf)');
      expect(make({ N: undefined })).toBe('TypeError: SFO: N: undefined, expected an integer in [1, inf)');
      expect(make({ f: 1 })).toBe('TypeError: SFO: f: 1, expected a function, (i, params, grads) => value');
      expect(thrown(() => new AnySFO(f32(1)))).toMatch('TypeError: SFO: options: undefined, expected an object');
    });

    test.each([
      ['historySize', '[1, inf)', [0, -1, 1.5, Number.POSITIVE_INFINITY]],
      ['hessianInit', '(0, 1e100]', [0, -1, Number.NaN, Number.POSITIVE_INFINITY]],
      ['initialActive', '[1, inf)', [0, 1.5]],
      ['maxDeviation', '[1, inf)', [0.5, Number.NaN]],
      ['maxGradientNoise', '[0, inf]', [-1, Number.NaN]],
      ['maxStepRatio', '(0, inf]', [0, -1, Number.NaN]],
      ['minStep', '[0, inf)', [-1, Number.POSITIVE_INFINITY]],
      ['seed', '[0, 4294967296)', [-1, 0.5, 2 ** 32]],
    ])('%s', (option, range, bad) => {
      for (const value of bad) {
        const message = make({ [option]: value });
        expect(message).toMatch(`RangeError: SFO: ${option}: ${value}, expected `);
        expect(message).toContain(range);
      }
      for (const [value, shown] of [
        [null, 'null'],
        ['1', '"1"'],
        [[1], '[1]'],
      ] as const)
        expect(make({ [option]: value })).toMatch(`TypeError: SFO: ${option}: ${shown}, expected `);
      expect(make({ [option]: undefined })).toBe('nothing was thrown');
    });

    test('selection and hessianUpdate must be one of their choices', () => {
      expect(make({ selection: 'far' })).toBe(
        'RangeError: SFO: selection: "far", expected "distance" or "random" or "cyclic"',
      );
      expect(make({ hessianUpdate: 1 })).toBe('TypeError: SFO: hessianUpdate: 1, expected "bfgs" or "rank1"');
    });

    test('unknown options are refused', () => {
      expect(make({ histroySize: 1 })).toMatch('TypeError: SFO: histroySize: unknown option, expected historySize');
      expect(make({ lr: 1 })).toMatch('TypeError: SFO: lr: unknown option');
    });

    test('params must be valid', () => {
      const of = (params: unknown) => thrown(() => new AnySFO(params, bowls(3)));
      expect(of([1, 2])).toMatch(/^TypeError: SFO: params/);
      expect(of(f64(1))).toMatch('TypeError: SFO: params: Float64Array(1), expected a Float32Array');
      expect(of([{ params: f32(1) }])).toMatch('TypeError: SFO: params: param groups');
      expect(of([])).toMatch('RangeError: SFO: params: nothing');
      expect(of(f32())).toBe('RangeError: SFO: params: no elements, expected at least one element');
      expect(of(f32(1, Number.NaN))).toBe('RangeError: SFO: params: NaN at element 1 of all, expected finite numbers');
      const x = f32(1, 2);
      const sfo = new SFO(x, bowls(3));
      x[0] = Number.POSITIVE_INFINITY;
      expect(thrown(() => sfo.step())).toMatch('RangeError: SFO: params: Infinity at element 0 of all');
      structuredClone(x, { transfer: [x.buffer] });
      expect(thrown(() => sfo.step())).toMatch('TypeError: SFO: params: a detached Float32Array');
    });
  });
});

describe("minimize, method 'sfo'", () => {
  test('it finds the minimum in the type of x0, and does not change x0', () => {
    for (const x0 of [f64(3, -3, 1), f32(3, -3, 1)]) {
      const before = bytes(x0);
      const result = minimize<Numbers>(bowls(10), x0, { method: 'sfo', passes: 20 });
      expect(bytes(x0)).toEqual(before);
      expect(result.x.constructor).toBe(x0.constructor);
      for (let k = 0; k < 3; k++) expect(result.x[k]).toBeCloseTo(lowest(10, k), x0 instanceof Float64Array ? 7 : 5);
      expect(result).toMatchObject({ converged: false, reason: 'evaluations', nonFinite: 0, evaluations: 210 });
    }
  });

  test('passes (ten by default), maxEvaluations and maxIterations limit a run, and the value is evaluated at the end', () => {
    expect(minimize(bowls(5), f64(1, 2), { method: 'sfo' })).toMatchObject({ evaluations: 55, reason: 'evaluations' });
    let calls = 0;
    const counted = {
      N: 5,
      f(i: number, x: Numbers, g: Numbers) {
        calls++;
        return bowl(i, x, g);
      },
    };
    const limited = minimize(counted, f64(1, 2), { method: 'sfo', maxEvaluations: 13 });
    expect([calls, limited.evaluations]).toEqual([18, 18]);
    expect(minimize(bowls(5), f64(1, 2), { method: 'sfo', maxIterations: 3 })).toMatchObject({
      iterations: 3,
      reason: 'iterations',
    });
  });

  test('onPass gets a copy of the point after every N evaluations', () => {
    const passes: number[][] = [];
    const { x } = minimize(bowls(5), f64(1, 2), {
      method: 'sfo',
      passes: 4,
      onPass: (at) => {
        passes.push([...at]);
        at.fill(0);
      },
    });
    expect(passes.length).toBe(4);
    expect(x[0]).not.toBe(0);
  });

  test('callback and signal end a run', () => {
    const ended = minimize(bowls(5), f64(1, 2), { method: 'sfo', callback: ({ iteration }) => iteration === 4 });
    expect(ended).toMatchObject({ iterations: 4, reason: 'aborted' });
    const aborted = minimize(bowls(5), f64(1, 2), { method: 'sfo', signal: AbortSignal.abort() });
    expect(aborted).toMatchObject({
      iterations: 0,
      evaluations: 0,
      reason: 'aborted',
      value: Number.NaN,
      x: f64(1, 2),
    });
  });

  test('a value that is not finite at x0 ends the run', () => {
    const never = { N: 3, f: () => Number.NaN };
    expect(minimize(never, f64(1, 2), { method: 'sfo' })).toMatchObject({ reason: 'non-finite', x: f64(1, 2) });
    const start = { N: 3, f: (i: number, x: Numbers, g: Numbers) => (x[0] === 1 ? bowl(i, x, g) : Number.NaN) };
    const result = minimize(start, f64(1, 2), { method: 'sfo', passes: 20 });
    expect(result.x[0]).toBe(1);
    expect(result.value).toBeGreaterThan(0);
    expect(result.nonFinite).toBeGreaterThan(3);
  });

  test('an error of f passes through', () => {
    const oops = new Error('oops');
    const throwing = () => {
      throw oops;
    };
    expect(() => minimize({ N: 2, f: throwing }, f64(1), { method: 'sfo' })).toThrow(oops);
  });

  test('invalid arguments are refused', () => {
    const of = (options: object, fn: unknown = bowls(3), x0: Numbers = f64(1, 2)) =>
      thrown(() => anyMinimize(fn, x0, { method: 'sfo', ...options }));
    const needs = 'expected { N, f } (method "sfo" works on a sum of terms)';
    expect(of({}, (x: Numbers) => x[0])).toMatch(
      new RegExp(`^TypeError: minimize: fn: .*${needs.replace(/[(){}]/g, '\\$&')}$`),
    );
    expect(of({}, { N: 0, f: bowl })).toBe('RangeError: minimize: fn.N: 0, expected an integer in [1, inf)');
    expect(of({}, { N: 3, f: 1 })).toMatch('TypeError: minimize: fn.f: 1, expected a function');
    expect(of({ passes: 0 })).toMatch('RangeError: minimize: passes: 0');
    expect(of({ seed: -1 })).toMatch('RangeError: minimize: seed: -1');
    expect(of({ historySize: 0 })).toMatch('RangeError: minimize: historySize: 0');
    expect(of({ gradTol: 0 })).toMatch('TypeError: minimize: gradTol: unknown option');
    expect(of({}, bowls(3), f64())).toBe('RangeError: minimize: x0: length 0, expected at least one element');
    expect(of({}, { N: 2, f: () => '1' })).toMatch('TypeError: minimize: fn.f(');
  });
});
