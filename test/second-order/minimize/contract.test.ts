// minimize: every option and every way to end.
import { describe, expect, test, vi } from 'vitest';
import { type MinimizeProgress, minimize } from '../../../lib/index.js';
import { bytes, f32, f64 } from '../../support/arrays.js';
import type { Any } from '../../support/bad-input.js';
import { bowl, rosenbrock } from '../../support/second-order/functions.js';
import type { Numbers } from '../../support/second-order/problems.js';

const anyMinimize = minimize as Any;

describe('minimize', () => {
  test('it finds the minimum in the type of x0, and does not change x0', () => {
    for (const x0 of [f64(-1.2, 1), f32(-1.2, 1)]) {
      const before = bytes(x0);
      const result = minimize<Numbers>(rosenbrock, x0);
      expect(bytes(x0)).toEqual(before);
      expect(result.x).not.toBe(x0);
      expect(result.x.constructor).toBe(x0.constructor);
      expect(result.x[0]).toBeCloseTo(1, 6);
      expect(result.x[1]).toBeCloseTo(1, 6);
      expect(result).toMatchObject({ converged: true, reason: 'gradient', nonFinite: 0 });
      expect(Object.keys(result).sort()).toEqual(
        ['converged', 'evaluations', 'gradNorm', 'iterations', 'nonFinite', 'reason', 'value', 'x'].sort(),
      );
      const grad = new Float64Array(2);
      expect(rosenbrock(result.x, grad)).toBe(result.value);
      expect(result.gradNorm).toBeCloseTo(Math.hypot(...grad), 6);
    }
  });

  test('fn gets arrays of the type of x0, first NaN and then zeros as gradient, and is called `evaluations` times', () => {
    for (const x0 of [f64(3, 4, 5), f32(3, 4, 5)]) {
      let calls = 0;
      const { evaluations } = minimize<Numbers>((x, grad) => {
        calls++;
        expect([x.constructor, grad.constructor]).toEqual([x0.constructor, x0.constructor]);
        expect([...grad]).toEqual(new Array(3).fill(calls === 1 ? Number.NaN : 0));
        return bowl(x, grad);
      }, x0);
      expect(evaluations).toBe(calls);
    }
  });

  test('a start at the minimum and an empty x0 end at once', () => {
    expect(minimize(bowl, f64(1, 1))).toMatchObject({ iterations: 0, evaluations: 1, reason: 'gradient', value: 0 });
    expect(minimize(bowl, f64())).toMatchObject({ iterations: 0, evaluations: 1, reason: 'gradient', x: f64() });
  });

  describe('reasons to end', () => {
    test('gradient: max |gᵢ| is at most gradTol', () => {
      const result = minimize(rosenbrock, f64(-1.2, 1), { gradTol: 0.5 });
      const grad = f64(0, 0);
      rosenbrock(result.x, grad);
      expect(Math.max(...grad.map(Math.abs))).toBeLessThanOrEqual(0.5);
      expect(result).toMatchObject({ reason: 'gradient', converged: true });
      expect(result.iterations).toBeLessThan(minimize(rosenbrock, f64(-1.2, 1)).iterations);
    });

    test('function: the value has fallen by at most funTol of its size', () => {
      const values: number[] = [];
      const shifted = (x: Numbers, grad: Numbers) => rosenbrock(x, grad) + 10;
      const result = minimize(shifted, f64(-1.2, 1), {
        funTol: 1e-4,
        callback: ({ value }) => {
          values.push(value);
        },
      });
      expect(result).toMatchObject({ reason: 'function', converged: true });
      const falls = values.slice(1).map((value, i) => (values[i]! - value) / values[i]!);
      expect(falls.at(-1)).toBeLessThanOrEqual(1e-4);
      for (const fall of falls.slice(0, -1)) expect(fall).toBeGreaterThan(1e-4);
    });

    test('function: rounding hides whether there is a lower point', () => {
      const high = (x: Numbers, grad: Numbers) => {
        grad[0] = Math.exp(x[0]!) - 3;
        return 1e9 + Math.exp(x[0]!) - 3 * x[0]!;
      };
      const result = minimize<Numbers>(high, f32(0), { gradTol: 0, funTol: 0 });
      expect(result).toMatchObject({ reason: 'function', converged: true });
      expect(result.x[0]).toBeCloseTo(Math.log(3), 6);
    });

    test('funTol 0 lets a run continue while the value stays the same', () => {
      const high = (x: Numbers, grad: Numbers) => {
        grad[0] = Math.exp(x[0]!) - 3;
        return 1e9 + Math.exp(x[0]!) - 3 * x[0]!;
      };
      expect(minimize(high, f64(0), { gradTol: 1e-12, funTol: 0 }).reason).toBe('gradient');
      expect(minimize(high, f64(0), { gradTol: 1e-12 }).reason).toBe('function');
    });

    test('step: no element has moved by more than stepTol of the largest', () => {
      const points: Float64Array[] = [f64(-1.2, 1)];
      const result = minimize(rosenbrock, f64(-1.2, 1), {
        stepTol: 0.05,
        callback: ({ x }) => {
          points.push(x);
        },
      });
      expect(result).toMatchObject({ reason: 'step', converged: true });
      const moves = points.slice(1).map((x, k) => Math.max(...x.map((v, i) => Math.abs(v - points[k]![i]!))));
      expect(moves.at(-1)).toBeLessThanOrEqual(0.05 * Math.max(1, ...result.x.map(Math.abs)));
    });

    test('iterations: the limit is reached', () => {
      expect(minimize(rosenbrock, f64(-1.2, 1), { maxIterations: 3 })).toMatchObject({
        reason: 'iterations',
        iterations: 3,
        converged: false,
      });
      expect(minimize(rosenbrock, f64(-1.2, 1), { maxIterations: Number.POSITIVE_INFINITY }).reason).toBe('gradient');
    });

    test('evaluations: the limit is never exceeded, and the lowest point is returned, also during a line search', () => {
      for (let most = 1; most < 45; most++) {
        let lowest = Number.POSITIVE_INFINITY;
        let calls = 0;
        const result = minimize(
          (x, grad) => {
            calls++;
            const value = rosenbrock(x, grad);
            lowest = Math.min(lowest, value);
            return value;
          },
          f64(-1.2, 1),
          { maxEvaluations: most },
        );
        expect(result).toMatchObject({ reason: 'evaluations', converged: false, evaluations: most });
        expect(calls).toBe(most);
        expect(result.value).toBe(lowest);
        expect(rosenbrock(result.x, f64(0, 0))).toBe(result.value);
      }
    });

    test('line-search: a gradient that points the wrong way', () => {
      const result = minimize((x, grad) => {
        grad[0] = -2 * x[0]!;
        return x[0]! ** 2;
      }, f64(1));
      expect(result).toMatchObject({ reason: 'line-search', converged: false, iterations: 0, value: 1 });
      expect([...result.x]).toEqual([1]);
    });

    test('non-finite: the square of the gradient overflows', () => {
      const steep = (x: Float64Array, grad: Float64Array): number => {
        grad[0] = 1e200;
        return x[0]! * 1e200;
      };
      const result = minimize(steep, f64(1));
      expect(result).toMatchObject({
        reason: 'non-finite',
        converged: false,
        iterations: 0,
        value: 1e200,
        nonFinite: 0,
      });
      expect([...result.x]).toEqual([1]);
    });

    test('function: the square of the gradient underflows', () => {
      const flat = (x: Float64Array, grad: Float64Array): number => {
        grad[0] = 1e-200;
        return x[0]! * 1e-200;
      };
      const result = minimize(flat, f64(1), { gradTol: 0 });
      expect(result).toMatchObject({ reason: 'function', converged: true, iterations: 0, value: 1e-200 });
    });

    test('aborted: before the first evaluation', () => {
      const fn = vi.fn(rosenbrock);
      const result = minimize(fn, f64(-1.2, 1), { signal: AbortSignal.abort() });
      expect(fn).not.toHaveBeenCalled();
      expect(result).toMatchObject({ reason: 'aborted', converged: false, evaluations: 0, value: Number.NaN });
      expect([...result.x]).toEqual([-1.2, 1]);
    });

    test('aborted: the run ends at the next evaluation, with the best point so far', () => {
      for (let at = 1; at < 40; at++) {
        const controller = new AbortController();
        let [calls, lowest] = [0, Number.POSITIVE_INFINITY];
        const fn = (x: Numbers, grad: Numbers) => {
          if (++calls === at) controller.abort();
          const value = rosenbrock(x, grad);
          lowest = Math.min(lowest, value);
          return value;
        };
        const result = minimize(fn, f64(-1.2, 1), { signal: controller.signal });
        expect(result).toMatchObject({ reason: 'aborted', evaluations: at, value: lowest });
        expect(calls).toBe(at);
      }
    });

    test('aborted: only a callback that returns true ends the run', () => {
      const run = (answer: unknown) =>
        anyMinimize(rosenbrock, f64(-1.2, 1), {
          callback: ({ iteration }: MinimizeProgress) => iteration === 4 && answer,
        });
      expect(run(true)).toMatchObject({ reason: 'aborted', iterations: 4, converged: false });
      for (const answer of [1, 'stop', {}, Promise.resolve(true)]) expect(run(answer).reason).toBe('gradient');
    });

    test('non-finite: at x0', () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const result = minimize(() => bad, f64(2, 3));
        expect(result).toMatchObject({
          reason: 'non-finite',
          evaluations: 1,
          nonFinite: 1,
          converged: false,
          value: bad,
        });
        expect([...result.x]).toEqual([2, 3]);
        const inGrad = minimize(
          (_, grad) => {
            grad[0] = 0;
            grad[1] = bad;
            return 1;
          },
          f64(2, 3),
        );
        expect(inGrad).toMatchObject({ reason: 'non-finite', evaluations: 1, nonFinite: 1, value: 1 });
      }
    });

    test('non-finite: everywhere but at x0', () => {
      let first = true;
      const result = minimize(
        (x, grad) => {
          const value = first ? bowl(x, grad) : Number.NaN;
          first = false;
          return value;
        },
        f64(2, 3),
      );
      expect(result).toMatchObject({ reason: 'non-finite', iterations: 0, value: 4.5 });
      expect(result.nonFinite).toBe(result.evaluations - 1);
      expect([...result.x]).toEqual([2, 3]);
    });
  });

  test('it backs off from values and gradients that are not finite, and counts them', () => {
    // −log ends at 0, and the first steps overshoot it.
    const barrier = (inGrad: boolean, bad: number) => (x: Numbers, grad: Numbers) => {
      if (x[0]! <= 0) {
        if (!inGrad) return bad;
        grad[0] = bad;
        return 0;
      }
      grad[0] = 1 - 0.01 / x[0]!;
      return x[0]! - 0.01 * Math.log(x[0]!);
    };
    for (const inGrad of [false, true]) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const result = minimize(barrier(inGrad, bad), f64(1.5));
        expect(result).toMatchObject({ reason: 'gradient', converged: true });
        expect(result.nonFinite).toBeGreaterThan(0);
        expect(result.x[0]).toBeCloseTo(0.01, 8);
      }
    }
  });

  test('a function that overflows far from its minimum is minimized', () => {
    const steep = (x: Numbers, grad: Numbers) => {
      grad[0] = Math.exp(x[0]!) - 1;
      return Math.exp(x[0]!) - x[0]!;
    };
    const { x, reason } = minimize(steep, f64(-500));
    expect(reason).toBe('gradient');
    expect(x[0]).toBeCloseTo(0, 6);
  });

  test('a function without a minimum ends at a limit or where it is no longer finite', () => {
    const line = (x: Numbers, grad: Numbers) => {
      grad[0] = 1;
      return x[0]!;
    };
    const { reason, value } = minimize(line, f64(0), { maxEvaluations: 2000 });
    expect(['evaluations', 'non-finite', 'line-search']).toContain(reason);
    expect(value).toBeLessThan(-1e12);
  });

  test('historySize: one pair needs more evaluations than ten', () => {
    const chain = (x: Numbers, grad: Numbers) => {
      let value = 0;
      for (let i = 0; i + 1 < x.length; i++) {
        const t = x[i + 1]! - x[i]! ** 2;
        grad[i]! += -400 * x[i]! * t - 2 * (1 - x[i]!);
        grad[i + 1]! += 200 * t;
        value += 100 * t ** 2 + (1 - x[i]!) ** 2;
      }
      return value;
    };
    const run = (historySize?: number) => minimize(chain, new Float64Array(20), { historySize }).evaluations;
    expect(run(10)).toBe(run(undefined));
    expect(run(1)).toBeGreaterThan(run(10));
  });

  test('callback gets a copy of the point after each iteration', () => {
    const seen: MinimizeProgress<Float64Array>[] = [];
    const { iterations, x, value, gradNorm, evaluations } = minimize(rosenbrock, f64(-1.2, 1), {
      callback(progress) {
        seen.push(progress);
        progress.x.fill(7);
      },
    });
    expect(seen.map(({ iteration }) => iteration)).toEqual(Array.from({ length: iterations }, (_, i) => i + 1));
    expect(seen.at(-1)).toMatchObject({ value, gradNorm, evaluations });
    expect(x[0]).toBeCloseTo(1, 6);
  });

  test('an error of fn or of a callback passes through', () => {
    const error = new Error('mine');
    const throwing = () => {
      throw error;
    };
    const x0 = f64(-1.2, 1);
    for (const run of [
      () => minimize(throwing, x0),
      () => minimize(rosenbrock, x0, { callback: throwing }),
      () => minimize({ N: 1, f: throwing }, x0, { method: 'lbfgs' }),
      () => minimize({ N: 1, f: throwing }, f32(1), { method: 'sgd', lr: 1 }),
      () => minimize({ N: 1, f: (_, x, grad) => bowl(x, grad) }, x0, { onPass: throwing }),
    ]) {
      let caught: unknown;
      try {
        run();
      } catch (e) {
        caught = e;
      }
      expect(caught).toBe(error);
    }
    expect([...x0]).toEqual([-1.2, 1]);
  });
});
