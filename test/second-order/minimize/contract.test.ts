// LBFGS and minimize: every option, every way to end, every error in the library's one shape, and that nothing has
// changed by then.
import { describe, expect, test, vi } from 'vitest';
import * as library from '../../../lib/index.js';
import { Adam, LBFGS, type MinimizeProgress, minimize } from '../../../lib/index.js';

// What TypeScript would refuse is half of what is tested here.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Any = any;
const anyMinimize = minimize as Any;
const AnyLBFGS = LBFGS as Any;

type Numbers = Float32Array | Float64Array;
const f32 = (...values: number[]) => Float32Array.from(values);
const f64 = (...values: number[]) => Float64Array.from(values);

function rosenbrock(x: Numbers, grad: Numbers): number {
  const t = x[1]! - x[0]! ** 2;
  grad[0] = -400 * x[0]! * t - 2 * (1 - x[0]!);
  grad[1] = 200 * t;
  return 100 * t ** 2 + (1 - x[0]!) ** 2;
}

/** ½·Σ(i + 1)·(xᵢ − 1)². */
function bowl(x: Numbers, grad: Numbers): number {
  let value = 0;
  for (let i = 0; i < x.length; i++) {
    grad[i] = (i + 1) * (x[i]! - 1);
    value += ((i + 1) * (x[i]! - 1) ** 2) / 2;
  }
  return value;
}

function thrown(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return String(error);
  }
  return 'nothing was thrown';
}

function detached(length = 2): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

const bits = (array: Numbers) => [...new Uint8Array(array.slice().buffer)];

/** Values of a wrong type for a number, and how errors show them. */
const notNumbers = [
  [null, 'null'],
  ['1', '"1"'],
  [true, 'true'],
  [1n, '1n'],
  [[1], '[1]'],
] as const;

test('the public names', () => {
  for (const name of ['LBFGS', 'minimize']) expect(library).toHaveProperty(name);
  expect(library.optimizers).not.toHaveProperty('lbfgs');
  expect(LBFGS.optimizerName).toBe('LBFGS');
});

describe('minimize', () => {
  test('finds the minimum, in the type of x0, which stays as it is', () => {
    for (const x0 of [f64(-1.2, 1), f32(-1.2, 1)]) {
      const before = bits(x0);
      const result = minimize<Numbers>(rosenbrock, x0);
      expect(bits(x0)).toEqual(before);
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

  test('fn gets arrays of the type of x0, a gradient of zeros, and is called as often as evaluations says', () => {
    for (const x0 of [f64(3, 4, 5), f32(3, 4, 5)]) {
      let calls = 0;
      const { evaluations } = minimize<Numbers>((x, grad) => {
        calls++;
        expect([x.constructor, grad.constructor]).toEqual([x0.constructor, x0.constructor]);
        expect([...grad]).toEqual([0, 0, 0]);
        return bowl(x, grad);
      }, x0);
      expect(evaluations).toBe(calls);
    }
  });

  test('at a minimum already, and with nothing to minimise', () => {
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

    test('function, too: where rounding hides whether there is a lower point', () => {
      const high = (x: Numbers, grad: Numbers) => {
        grad[0] = Math.exp(x[0]!) - 3;
        return 1e9 + Math.exp(x[0]!) - 3 * x[0]!;
      };
      const result = minimize<Numbers>(high, f32(0), { gradTol: 0, funTol: 0 });
      expect(result).toMatchObject({ reason: 'function', converged: true });
      expect(result.x[0]).toBeCloseTo(Math.log(3), 6);
    });

    test('funTol 0 lets a run go on where the value stays the same', () => {
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

    test('iterations', () => {
      expect(minimize(rosenbrock, f64(-1.2, 1), { maxIterations: 3 })).toMatchObject({
        reason: 'iterations',
        iterations: 3,
        converged: false,
      });
      expect(minimize(rosenbrock, f64(-1.2, 1), { maxIterations: Number.POSITIVE_INFINITY }).reason).toBe('gradient');
    });

    test('evaluations: never one more; the lowest point counts, in the middle of a line search too', () => {
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

    test('aborted: before the first evaluation', () => {
      const fn = vi.fn(rosenbrock);
      const result = minimize(fn, f64(-1.2, 1), { signal: AbortSignal.abort() });
      expect(fn).not.toHaveBeenCalled();
      expect(result).toMatchObject({ reason: 'aborted', converged: false, evaluations: 0, value: Number.NaN });
      expect([...result.x]).toEqual([-1.2, 1]);
    });

    test('aborted: at the next evaluation, wherever that is, with the best so far', () => {
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

    test('aborted: the callback returns true; nothing else ends the run', () => {
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

  test('backs off from values and gradients that are not finite, and counts them', () => {
    // −log has an end at 0 that the first steps go beyond.
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

  test('a function that overflows far away', () => {
    const steep = (x: Numbers, grad: Numbers) => {
      grad[0] = Math.exp(x[0]!) - 1;
      return Math.exp(x[0]!) - x[0]!;
    };
    const { x, reason } = minimize(steep, f64(-500));
    expect(reason).toBe('gradient');
    expect(x[0]).toBeCloseTo(0, 6);
  });

  test('a function without a minimum ends by a limit, or where it is no longer finite', () => {
    const line = (x: Numbers, grad: Numbers) => {
      grad[0] = 1;
      return x[0]!;
    };
    const { reason, value } = minimize(line, f64(0), { maxEvaluations: 2000 });
    expect(['evaluations', 'non-finite', 'line-search']).toContain(reason);
    expect(value).toBeLessThan(-1e12);
  });

  test('historySize: one pair is less than ten', () => {
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

  test('callback: after each iteration, with a copy of the point', () => {
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

  test('what fn or callback throws comes out as it is', () => {
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

  describe('terms', () => {
    const data = [1, 2, 3, 6];
    const squares = (bias = 0) => ({
      N: data.length,
      f(i: number, x: Numbers, grad: Numbers): number {
        grad[0] = x[0]! - data[i]! + bias;
        return (x[0]! - data[i]! + bias) ** 2 / 2;
      },
    });

    test("'lbfgs' works on their sum; each term is an evaluation", () => {
      let calls = 0;
      const { f, N } = squares();
      const counted = {
        N,
        f: (i: number, x: Numbers, grad: Numbers) => {
          calls++;
          expect([...grad]).toEqual([0]);
          return f(i, x, grad);
        },
      };
      for (const x0 of [f64(0), f32(0)]) {
        calls = 0;
        const result = minimize<Numbers>(counted, x0, { method: 'lbfgs' });
        expect([...result.x]).toEqual([3]);
        expect(result).toMatchObject({ value: 7, reason: 'gradient', evaluations: calls });
      }
    });

    test('f is called as a method', () => {
      class Problem {
        readonly N = 4;
        readonly #data = data;
        f(i: number, x: Float64Array, grad: Float64Array): number {
          grad[0] = x[0]! - this.#data[i]!;
          return grad[0] ** 2 / 2;
        }
      }
      expect([...minimize(new Problem(), f64(0)).x]).toEqual([3]);
    });

    test("onPass and passes, with 'lbfgs': after each evaluation of the sum, the lowest point so far", () => {
      const seen: number[] = [];
      const onPass = (x: Numbers) => {
        seen.push(x[0]!);
      };
      const result = minimize(squares(), f64(0), { onPass, passes: 2 });
      expect(result).toMatchObject({ evaluations: 8, reason: 'evaluations' });
      expect(seen).toHaveLength(2);
      expect(seen[0]).toBe(0);
      expect(seen.at(-1)).toBe(result.x[0]);
    });

    test("onPass, with 'lbfgs', never shows a higher point than before", () => {
      const values: number[] = [];
      const { evaluations, value } = minimize({ N: 1, f: (_, x, grad) => rosenbrock(x, grad) }, f64(-1.2, 1), {
        onPass: (x) => void values.push(rosenbrock(x, f64(0, 0))),
      });
      expect(values).toHaveLength(evaluations);
      for (const [i, v] of values.entries()) expect(v).toBeLessThanOrEqual(values[i - 1] ?? v);
      expect(values.at(-1)).toBe(value);
    });

    test('a first-order class takes one term a step', () => {
      const order: number[] = [];
      const { f, N } = squares();
      const points: number[] = [];
      const result = minimize(
        {
          N,
          f(i: number, x: Float32Array, grad: Float32Array) {
            order.push(i);
            return f(i, x, grad);
          },
        },
        f32(0),
        { method: 'adam', lr: 0.1, betas: [0.5, 0.9], passes: 3, onPass: (x) => void points.push(x[0]!) },
      );
      // Three passes, and a last look at all terms.
      expect(result).toMatchObject({ iterations: 12, evaluations: 16, reason: 'evaluations', converged: false });
      for (let pass = 0; pass < 3; pass++) expect(order.slice(4 * pass, 4 * pass + 4).sort()).toEqual([0, 1, 2, 3]);
      expect(order.slice(12)).toEqual([0, 1, 2, 3]);

      const [x, grad] = [f32(0), f32(0)];
      const adam = new Adam(x, { lr: 0.1, betas: [0.5, 0.9] });
      const truth: number[] = [];
      for (const [step, i] of order.slice(0, 12).entries()) {
        f(i, x, grad);
        adam.step(grad);
        if (step % 4 === 3) truth.push(x[0]!);
      }
      expect(points).toEqual(truth);
      expect([...result.x]).toEqual([...x]);
      expect(result.value).toBe(data.reduce((sum, v) => sum + (x[0]! - v) ** 2 / 2, 0));
    });

    test('seed chooses the order; the same seed gives the same bits', () => {
      const run = (seed?: number) => minimize(squares(), f32(0), { method: 'sgd', lr: 0.1, seed }).x[0];
      expect(run()).toBe(run(0));
      expect(run(1)).toBe(run(1));
      expect(run(1)).not.toBe(run(0));
    });

    test('ten passes by default, and its other limits', () => {
      const run = (options: object) => anyMinimize(squares(), f32(0), { method: 'sgd', lr: 0.1, ...options });
      expect(run({})).toMatchObject({ iterations: 40, reason: 'evaluations' });
      expect(run({ maxIterations: 5 })).toMatchObject({ iterations: 5, reason: 'iterations' });
      expect(run({ maxEvaluations: 6 })).toMatchObject({ iterations: 6, evaluations: 10, reason: 'evaluations' });
      expect(run({ callback: ({ iteration }: MinimizeProgress) => iteration === 7 })).toMatchObject({
        iterations: 7,
        reason: 'aborted',
      });
      const controller = new AbortController();
      const callback = ({ iteration }: MinimizeProgress) => void (iteration === 3 && controller.abort());
      // Nothing is evaluated after an abort.
      expect(run({ callback, signal: controller.signal })).toMatchObject({
        iterations: 3,
        evaluations: 3,
        reason: 'aborted',
        value: Number.NaN,
      });
    });

    test('a first-order class on one function', () => {
      const result = minimize(bowl, f32(3, 4), { method: 'sgd', lr: 0.5, gradTol: 1e-3 });
      expect(result).toMatchObject({ reason: 'gradient', converged: true });
      expect(minimize(bowl, f32(3, 4), { method: 'sgd', lr: 1e-5 })).toMatchObject({
        iterations: 1000,
        reason: 'iterations',
      });
    });

    test('a term that is not finite ends a first-order run at the last point where one was', () => {
      let calls = 0;
      let last: number[] = [];
      const result = minimize(
        {
          N: 2,
          f(_: number, x: Float32Array, grad: Float32Array) {
            if (++calls === 4) return Number.NaN;
            if (calls < 4) last = [...x];
            return bowl(x, grad);
          },
        },
        f32(3, 4),
        { method: 'sgd', lr: 0.1 },
      );
      expect(result).toMatchObject({ reason: 'non-finite', nonFinite: 1, converged: false });
      expect([...result.x]).toEqual(last);
    });
  });

  describe('bad input', () => {
    const at = f64(1, 2);

    test('fn', () => {
      for (const [bad, shown] of [
        [undefined, 'undefined'],
        [null, 'null'],
        [5, '5'],
        ['f', '"f"'],
      ] as const) {
        expect(thrown(() => anyMinimize(bad, at))).toBe(
          `TypeError: minimize: fn: ${shown}, expected a function, (x, grad) => value, or { N, f }`,
        );
      }
      for (const bad of [{}, { N: 3 }, { N: 3, f: 3 }, []]) {
        expect(thrown(() => anyMinimize(bad, at))).toMatch(
          /^TypeError: minimize: fn\.f: .*, expected a function, \(i, x, grad\) => value$/,
        );
      }
      for (const N of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(thrown(() => minimize({ N, f: () => 0 }, at))).toBe(
          `RangeError: minimize: fn.N: ${N}, expected an integer in [1, inf)`,
        );
      }
      expect(thrown(() => anyMinimize({ f: () => 0 }, at))).toBe(
        'TypeError: minimize: fn.N: undefined, expected an integer in [1, inf)',
      );
    });

    test('what fn returns', () => {
      const returns = (value: unknown) => thrown(() => anyMinimize(() => value, at));
      for (const [bad, shown] of [[undefined, 'undefined'], ...notNumbers] as const) {
        expect(returns(bad)).toBe(`TypeError: minimize: fn: ${shown}, expected the value, a number`);
      }
      expect(returns(Promise.resolve(1))).toBe(
        'TypeError: minimize: fn: a Promise, expected the value, a number (it must not be async)',
      );
      const term = thrown(() => anyMinimize({ N: 3, f: (i: number) => (i < 2 ? 0 : 'x') }, at));
      expect(term).toBe('TypeError: minimize: fn.f(2): "x", expected the value, a number');
    });

    test('a gradient that fn has taken away', () => {
      const taken = (_: Numbers, grad: Numbers) => {
        structuredClone(grad, { transfer: [grad.buffer as ArrayBuffer] });
        return 1;
      };
      expect(thrown(() => minimize(taken, at))).toBe(
        'RangeError: minimize: grad of fn: length 0, expected 2, as it was given',
      );
      expect(thrown(() => minimize({ N: 2, f: (_, x, grad) => taken(x, grad) }, at))).toBe(
        'RangeError: minimize: grad of fn.f(0): length 0, expected 2, as it was given',
      );
    });

    test('x0', () => {
      const expected = 'expected a Float32Array or a Float64Array';
      for (const [bad, shown] of [
        [undefined, 'undefined'],
        [3, '3'],
        [{}, 'an object'],
        [new Int32Array(2), 'Int32Array(2)'],
        [new DataView(new ArrayBuffer(8)), 'DataView(8)'],
      ] as const) {
        expect(thrown(() => anyMinimize(bowl, bad))).toBe(`TypeError: minimize: x0: ${shown}, ${expected}`);
      }
      expect(thrown(() => anyMinimize(bowl, [1, 2]))).toBe(
        `TypeError: minimize: x0: [1, 2], ${expected} (convert it with Float64Array.from(…))`,
      );
      expect(thrown(() => minimize(bowl, detached()))).toBe(`TypeError: minimize: x0: a detached array, ${expected}`);
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(thrown(() => minimize(bowl, f64(0, bad)))).toBe(
          `RangeError: minimize: x0[1]: ${bad}, expected a finite number`,
        );
      }
    });

    test('options as a whole', () => {
      for (const bad of [null, 5, 'lbfgs', []]) {
        expect(thrown(() => anyMinimize(bowl, at, bad))).toMatch(
          /^TypeError: minimize: options: .*, expected an object/,
        );
      }
      expect(thrown(() => anyMinimize(bowl, at, { gradtol: 1 }))).toMatch(
        /^TypeError: minimize: gradtol: unknown option, expected gradTol \(it has /,
      );
      // Options of terms and of first-order methods, where they mean nothing.
      for (const option of ['passes', 'onPass', 'seed', 'lr']) {
        expect(thrown(() => anyMinimize(bowl, at, { [option]: 1 }))).toMatch(
          `TypeError: minimize: ${option}: unknown option`,
        );
      }
      expect(thrown(() => anyMinimize({ N: 1, f: () => 0 }, at, { seed: 1 }))).toMatch(
        'minimize: seed: unknown option',
      );
      expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'adam', passes: 1 }))).toMatch(
        'TypeError: Adam: passes: unknown option',
      );
      expect(minimize(bowl, at, { maxIterations: undefined, callback: undefined, signal: undefined }).converged).toBe(
        true,
      );
    });

    test('method', () => {
      expect(thrown(() => anyMinimize(bowl, at, { method: 'lbgfs' }))).toBe(
        'RangeError: minimize: method: "lbgfs", expected "lbfgs"',
      );
      expect(thrown(() => anyMinimize(bowl, at, { method: 'zzzzzzzzzzzz' }))).toMatch(
        /^RangeError: minimize: method: "zzzzzzzzzzzz", expected one of lbfgs, /,
      );
      expect(thrown(() => anyMinimize(bowl, at, { method: 5 }))).toMatch(
        'TypeError: minimize: method: 5, expected one of',
      );
      expect(thrown(() => anyMinimize(bowl, at, { method: 'constructor' }))).toMatch('RangeError: minimize: method');
      expect(thrown(() => anyMinimize(bowl, at, { method: 'adam' }))).toBe(
        'TypeError: minimize: x0: Float64Array(2), expected a Float32Array (method "adam" computes in float32)',
      );
      // The class speaks for its own options.
      expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'sgd' }))).toMatch(/^TypeError: SGD: lr: undefined/);
      expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'adam', lrr: 1 }))).toMatch(
        'TypeError: Adam: lrr: unknown option, expected lr',
      );
    });

    test.each(['gradTol', 'funTol', 'stepTol'])('%s is not negative', (option) => {
      for (const [value, shown] of notNumbers) {
        expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
          `TypeError: minimize: ${option}: ${shown}, expected a number in [0, inf)`,
        );
      }
      for (const value of [-1e-9, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
          `RangeError: minimize: ${option}: ${value}, expected [0, inf)`,
        );
      }
    });

    test.each(['maxIterations', 'maxEvaluations', 'historySize'])('%s is a whole number from 1 on', (option) => {
      for (const [value, shown] of notNumbers) {
        expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
          `TypeError: minimize: ${option}: ${shown}, expected an integer in [1, inf)`,
        );
      }
      for (const value of [0, -1, 2.5, Number.NaN]) {
        expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
          `RangeError: minimize: ${option}: ${value}, expected an integer in [1, inf)`,
        );
      }
    });

    test('callback, onPass, signal, passes, seed', () => {
      const terms = { N: 1, f: (_: number, x: Numbers, grad: Numbers) => bowl(x, grad) };
      expect(thrown(() => anyMinimize(terms, at, { callback: 5 }))).toBe(
        'TypeError: minimize: callback: 5, expected a function',
      );
      expect(thrown(() => anyMinimize(terms, at, { onPass: 'x' }))).toBe(
        'TypeError: minimize: onPass: "x", expected a function',
      );
      expect(thrown(() => anyMinimize(terms, at, { signal: { aborted: false } }))).toBe(
        'TypeError: minimize: signal: an object, expected an AbortSignal',
      );
      expect(thrown(() => minimize(terms, at, { passes: 0 }))).toBe(
        'RangeError: minimize: passes: 0, expected an integer in [1, inf)',
      );
      expect(thrown(() => minimize(terms, f32(1), { method: 'sgd', lr: 1, seed: -1 }))).toBe(
        'RangeError: minimize: seed: -1, expected an integer in [0, 4294967296)',
      );
    });
  });
});

describe('LBFGS', () => {
  function setup(options: object = {}, start = [-1.2, 1]) {
    const [x, grads] = [f32(...start), new Float32Array(start.length)];
    const lbfgs = new AnyLBFGS(x, { grads, ...options }) as LBFGS;
    const closure = vi.fn(() => rosenbrock(x, grads));
    return { x, grads, lbfgs, closure };
  }

  test('takes params as one, with a shape, in a list, in a record; the same bits in all of them', () => {
    const one = setup();
    one.lbfgs.step(one.closure);
    const pieces = [f32(-1.2), f32(1)] as const;
    const grads = [f32(0), f32(0)] as const;
    const [x, grad] = [f32(0, 0), f32(0, 0)];
    const closure = () => {
      x.set(pieces[0]);
      x.set(pieces[1], 1);
      const loss = rosenbrock(x, grad);
      grads[0].set(grad.subarray(0, 1));
      grads[1].set(grad.subarray(1));
      return loss;
    };
    for (const [params, given] of [
      [[...pieces], [...grads]],
      [
        { a: pieces[0], 'b.c': { data: pieces[1], shape: [1, 1] } },
        { a: grads[0], 'b.c': grads[1] },
      ],
    ] as const) {
      pieces[0].set([-1.2]);
      pieces[1].set([1]);
      new AnyLBFGS(params, { grads: given }).step(closure);
      expect(bits(f32(pieces[0][0]!, pieces[1][0]!))).toEqual(bits(one.x));
    }
    const shaped = f32(-1.2, 1);
    const g = f32(0, 0);
    new LBFGS({ data: shaped, shape: [1, 2] }, { grads: g }).step(() => rosenbrock(shaped, g));
    expect(bits(shaped)).toEqual(bits(one.x));
  });

  test('a step: params and gradients in place, and what is reported of them', () => {
    const { x, grads, lbfgs, closure } = setup();
    const result = lbfgs.step(closure);
    expect(Object.keys(result).sort()).toEqual(
      ['applied', 'evaluations', 'gradNorm', 'iterations', 'loss', 'nonFinite', 'reason'].sort(),
    );
    expect(result).toMatchObject({ applied: true, evaluations: closure.mock.calls.length, nonFinite: 0 });
    const grad = f32(0, 0);
    expect(rosenbrock(x, grad)).toBe(result.loss);
    expect(bits(grads)).toEqual(bits(grad));
    expect(result.gradNorm).toBeCloseTo(Math.hypot(...grad), 10);
    expect(result.loss).toBeLessThan(24.2);
    expect(lbfgs.stepCount).toBe(1);
  });

  test('the gradients are those at the params, wherever the last call was', () => {
    for (let maxEvaluations = 1; maxEvaluations < 30; maxEvaluations++) {
      const { x, grads, lbfgs, closure } = setup({ maxEvaluations, maxIterations: 100 });
      let lowest = Number.POSITIVE_INFINITY;
      const { loss, applied } = lbfgs.step(() => {
        const here = closure();
        lowest = Math.min(lowest, here);
        return here;
      });
      expect(loss).toBe(lowest);
      expect(applied).toBe(loss < rosenbrock(f32(-1.2, 1), f32(0, 0)));
      const grad = f32(0, 0);
      expect(rosenbrock(x, grad)).toBe(loss);
      expect(bits(grads)).toEqual(bits(grad));
    }
  });

  test('a pair is the step as it was taken, wherever the last call was', () => {
    // No point of a kink satisfies the curvature condition: the step that is taken is the best, not the last one tried.
    let others = 0;
    for (let start = 0.5; start < 6; start += 0.25) {
      const [x, grads] = [f32(start), f32(0)];
      const lbfgs = new LBFGS(x, { grads, maxIterations: 1 });
      let last = 0;
      lbfgs.step(() => {
        last = x[0]!;
        grads[0] = x[0]! < 0.3 ? -1 : 1;
        return Math.abs(x[0]! - 0.3);
      });
      if (last !== x[0]) others++;
      const { oldStps } = (lbfgs.stateDict() as Any).state[0];
      if (oldStps.length > 0) expect(oldStps[0]).toBe(Math.fround(x[0]! - Math.fround(start)));
    }
    expect(others).toBeGreaterThan(0);
  });

  test('not while a step is in flight on the same params', async () => {
    const [x, grads] = [library.allocate(2), library.allocate(2)];
    const adam = new Adam(x);
    const lbfgs = new LBFGS(x, { grads });
    const queue = adam.stepAsync(grads);
    expect(thrown(() => lbfgs.step(() => 1))).toBe(
      'TypeError: LBFGS: params: the memory of a step in flight, expected that its promise is awaited first',
    );
    await queue;
    expect(lbfgs.step(() => rosenbrock(x, grads)).applied).toBe(true);
  });

  test('steps go on where the last one ended, with its pairs', () => {
    const { x, lbfgs, closure } = setup();
    let reason = '';
    for (let i = 0; i < 10 && reason !== 'gradient'; i++) reason = lbfgs.step(closure).reason;
    expect([...x]).toEqual([1, 1]);
    const { applied, iterations, evaluations } = lbfgs.step(closure);
    expect({ applied, iterations, evaluations }).toEqual({ applied: false, iterations: 0, evaluations: 1 });
    expect(lbfgs.stepCount).toBeLessThan(10);
  });

  test('the params may be changed between steps', () => {
    const { x, lbfgs, closure } = setup({ maxIterations: 3 });
    lbfgs.step(closure);
    x.set([2, 2]);
    const start = rosenbrock(x, f32(0, 0));
    expect(lbfgs.step(closure).loss).toBeLessThan(start);
  });

  describe('options', () => {
    test('maxIterations and maxEvaluations', () => {
      expect(setup({ maxIterations: 2 }).lbfgs.step).toBeTypeOf('function');
      const two = setup({ maxIterations: 2 });
      expect(two.lbfgs.step(two.closure)).toMatchObject({ iterations: 2, reason: 'iterations' });
      const five = setup({ maxEvaluations: 5, maxIterations: 100 });
      expect(five.lbfgs.step(five.closure)).toMatchObject({ evaluations: 5, reason: 'evaluations' });
      expect(five.closure).toHaveBeenCalledTimes(5);
      const usual = setup();
      expect(usual.lbfgs.step(usual.closure)).toMatchObject({ evaluations: 25, reason: 'evaluations' });
      const all = setup({ maxIterations: 1000, maxEvaluations: Number.POSITIVE_INFINITY });
      expect(['gradient', 'function', 'step']).toContain(all.lbfgs.step(all.closure).reason);
      expect(all.x[0]).toBeCloseTo(1, 6);
    });

    test('toleranceGrad', () => {
      const { x, lbfgs, closure } = setup({ toleranceGrad: 1, maxIterations: 100 });
      expect(lbfgs.step(closure).reason).toBe('gradient');
      const grad = f32(0, 0);
      rosenbrock(x, grad);
      expect(Math.max(...grad.map(Math.abs))).toBeLessThanOrEqual(1);
    });

    test('toleranceChange: of the params and of the loss', () => {
      const wide = setup({ toleranceChange: 0.5, maxIterations: 100 });
      expect(['step', 'function']).toContain(wide.lbfgs.step(wide.closure).reason);
      const exact = setup({ toleranceChange: 0, toleranceGrad: 0, maxIterations: 200 });
      expect(exact.lbfgs.step(exact.closure).loss).toBe(0);
    });

    test('lr: the first step to try, and its schedule', () => {
      const first = (lr: unknown) => {
        const { x, lbfgs, closure } = setup({ lr, maxEvaluations: 2 });
        const seen: number[] = [];
        lbfgs.step(() => {
          seen.push(x[0]!);
          return closure();
        });
        return seen[1]! + 1.2;
      };
      expect(first(0.5) / first(1)).toBeCloseTo(0.5, 5);
      const steps: number[] = [];
      const schedule = (step: number) => {
        steps.push(step);
        return step === 1 ? 1 : 0.25;
      };
      expect(first(schedule)).toBe(first(1));
      const { lbfgs, closure } = setup({ lr: schedule, maxIterations: 1 });
      lbfgs.step(closure);
      expect(lbfgs.lr).toBe(0.25);
      expect(steps.slice(-2)).toEqual([1, 2]);
      lbfgs.lr = 0.125;
      expect(lbfgs.lr).toBe(0.125);
    });

    test("lineSearch 'none': lr is the step, whatever the loss", () => {
      const { x, lbfgs, closure } = setup({ lineSearch: 'none', lr: 10, maxIterations: 1 });
      const grad = f32(0, 0);
      const before = rosenbrock(x, grad);
      const size = Math.abs(grad[0]!) + Math.abs(grad[1]!);
      const result = lbfgs.step(closure);
      expect(result.loss).toBeGreaterThan(before);
      expect(result).toMatchObject({ evaluations: 2, iterations: 1, applied: true });
      expect(x[0]).toBeCloseTo(-1.2 - (10 * grad[0]!) / size, 4);
    });

    test('historySize', () => {
      for (const historySize of [1, 3]) {
        const { lbfgs, closure } = setup({ historySize, maxIterations: 5 });
        lbfgs.step(closure);
        expect((lbfgs.stateDict().state['0'] as Any).oldDirs).toHaveLength(2 * historySize);
      }
    });
  });

  describe('a closure that fails leaves the params at the last good point', () => {
    /** A closure that does `what` in place of its `at`-th call, and knows the lowest loss so far. */
    function failing(at: number, what: () => unknown) {
      const { x, grads, lbfgs } = setup({ maxIterations: 100, maxEvaluations: 100 });
      const state = { calls: 0, lowest: Number.POSITIVE_INFINITY };
      const closure = (): number => {
        if (++state.calls >= at) return what() as number;
        const loss = rosenbrock(x, grads);
        state.lowest = Math.min(state.lowest, loss);
        return loss;
      };
      return { x, grads, lbfgs, closure, state };
    }
    const lossAt = (x: Float32Array) => rosenbrock(x, f32(0, 0));

    test('it throws: the error itself comes out', () => {
      const error = new Error('mine');
      for (const at of [1, 2, 3, 10, 30]) {
        const { x, lbfgs, closure, state } = failing(at, () => {
          x.fill(99);
          throw error;
        });
        let caught: unknown;
        try {
          lbfgs.step(closure);
        } catch (e) {
          caught = e;
        }
        expect(caught).toBe(error);
        if (at === 1) expect([...x]).toEqual([...f32(-1.2, 1)]);
        else expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
        expect(state.calls).toBe(at);
        // It can go on.
        expect(lbfgs.step(() => rosenbrock(x, setup().grads)).evaluations).toBeGreaterThan(0);
      }
    });

    test('it returns NaN or an infinity from some call on', () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const first = failing(1, () => bad);
        expect(thrown(() => first.lbfgs.step(first.closure))).toBe(
          `RangeError: LBFGS: closure: ${bad}, expected a finite loss`,
        );
        expect([...first.x]).toEqual([...f32(-1.2, 1)]);
        expect(first.lbfgs.stepCount).toBe(0);
        for (const at of [2, 10, 30]) {
          const { x, lbfgs, closure } = failing(at, () => bad);
          const text = thrown(() => lbfgs.step(closure));
          expect(text).toBe(
            'RangeError: LBFGS: closure: a loss or gradient that is not finite all along the line, expected finite ones ' +
              `(the params are at the last good point, where the loss is ${lossAt(x)})`,
          );
          expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
        }
      }
    });

    test('it fills the gradient with NaN', () => {
      const { x, lbfgs, closure, grads } = failing(1, () => {
        grads.fill(Number.NaN);
        return 1;
      });
      expect(thrown(() => lbfgs.step(closure))).toBe(
        'RangeError: LBFGS: grads: NaN or an infinity, expected finite gradients',
      );
      expect([...x]).toEqual([...f32(-1.2, 1)]);
    });

    test('one value that is not finite is backed off from, and counted', () => {
      const [x, grads] = [f32(1.5), f32(0)];
      const lbfgs = new LBFGS(x, { grads, maxIterations: 100 });
      const result = lbfgs.step(() => {
        grads[0] = 1 - 0.01 / x[0]!;
        return x[0]! - 0.01 * Math.log(x[0]!);
      });
      expect(result.nonFinite).toBeGreaterThan(0);
      expect(x[0]).toBeCloseTo(0.01, 4);
    });

    test('it puts a gradient of another length, or what is none, in place of its own', () => {
      for (const [bad, text] of [
        [f32(1), 'RangeError: LBFGS: grads["w"]: length 1, expected 2 ("w")'],
        [detached(), 'TypeError: LBFGS: grads["w"]: a detached Float32Array, expected a Float32Array'],
        [null, 'TypeError: LBFGS: grads["w"]: null, expected a Float32Array (leave out a param that stays)'],
        [undefined, 'TypeError: LBFGS: grads["w"]: undefined, expected'],
        [[1, 2], 'TypeError: LBFGS: grads["w"]: [1, 2], expected a Float32Array'],
      ] as const) {
        for (const at of [1, 4]) {
          const w = f32(-1.2, 1);
          const grads: Record<string, unknown> = { w: f32(0, 0) };
          const lbfgs = new AnyLBFGS({ w }, { grads }) as LBFGS;
          let calls = 0;
          const good = grads['w'] as Float32Array;
          const closure = () => {
            const loss = rosenbrock(w, good);
            if (++calls === at) grads['w'] = bad;
            return loss;
          };
          expect(thrown(() => lbfgs.step(closure))).toMatch(text);
          if (at === 1) expect([...w]).toEqual([...f32(-1.2, 1)]);
          else expect(lossAt(w)).toBeLessThan(lossAt(f32(-1.2, 1)));
          grads['w'] = good;
          expect(lbfgs.step(closure).applied).toBe(true);
        }
      }
    });

    test('another array of the right length is taken', () => {
      const w = f32(-1.2, 1);
      const grads = { w: f32(0, 0) };
      const lbfgs = new LBFGS({ w }, { grads, maxIterations: 100 });
      lbfgs.step(() => {
        grads.w = f32(0, 0);
        return rosenbrock(w, grads.w);
      });
      expect(w[0]).toBeCloseTo(1, 6);
    });

    test('it returns what is no number', () => {
      for (const [bad, shown] of [[undefined, 'undefined'], ...notNumbers] as const) {
        const { x, lbfgs, closure } = failing(3, () => bad);
        expect(thrown(() => lbfgs.step(closure))).toBe(
          `TypeError: LBFGS: closure: ${shown}, expected the loss, a number`,
        );
        expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
      }
      const { lbfgs } = setup();
      expect(thrown(() => lbfgs.step((async () => 1) as Any))).toBe(
        'TypeError: LBFGS: closure: a Promise, expected the loss, a number (it must not be async)',
      );
    });

    test('it calls the optimizer', () => {
      const { lbfgs, closure, x } = setup();
      for (const call of [
        () => lbfgs.step(closure),
        () => lbfgs.stateDict(),
        () => lbfgs.dispose(),
        () => void (lbfgs.lr = 1),
        () => lbfgs.loadStateDict({} as Any),
      ]) {
        const inside = () => {
          call();
          return 0;
        };
        expect(thrown(() => lbfgs.step(inside))).toBe(
          'TypeError: LBFGS: this: an optimizer in the middle of a call, expected a call after that one',
        );
        expect([...x]).toEqual([...f32(-1.2, 1)]);
      }
    });

    test('it takes the memory of a param away', () => {
      const { lbfgs, x, grads } = setup();
      const closure = () => {
        const loss = rosenbrock(x, grads);
        structuredClone(x, { transfer: [x.buffer as ArrayBuffer] });
        return loss;
      };
      expect(thrown(() => lbfgs.step(closure))).toMatch(
        'TypeError: LBFGS: params: a detached Float32Array, expected length 2',
      );
      expect(thrown(() => lbfgs.step(closure))).toMatch('TypeError: LBFGS: params: a detached Float32Array');
    });
  });

  describe('state', () => {
    test('a resumed run goes on bit for bit, through structuredClone', () => {
      for (const options of [
        { maxIterations: 3 },
        { maxIterations: 2, historySize: 2 },
        { maxIterations: 1, lineSearch: 'none', lr: 0.1 },
      ]) {
        const { x, lbfgs, closure } = setup(options);
        for (let i = 0; i < 6; i++) lbfgs.step(closure);
        const other = setup(options, [...x]);
        other.lbfgs.loadStateDict(structuredClone(lbfgs.stateDict()));
        expect(other.lbfgs.stepCount).toBe(lbfgs.stepCount);
        for (let i = 0; i < 6; i++) {
          expect(other.lbfgs.step(other.closure)).toEqual(lbfgs.step(closure));
          expect(bits(other.x)).toEqual(bits(x));
        }
        expect(other.lbfgs.stateDict()).toEqual(lbfgs.stateDict());
      }
    });

    test('its form', () => {
      const { lbfgs, closure } = setup({ maxIterations: 4, lr: () => 1 });
      expect(lbfgs.stateDict()).toEqual({
        version: 1,
        optimizer: 'LBFGS',
        stepCount: 0,
        skippedSteps: 0,
        paramGroups: [
          {
            lr: { schedule: true },
            historySize: 10,
            lineSearch: 'strong-wolfe',
            maxIterations: 4,
            maxEvaluations: 21,
            toleranceGrad: 1e-7,
            toleranceChange: 1e-9,
            params: [0],
          },
        ],
        state: { 0: { step: 0, oldDirs: f32(), oldStps: f32() } },
      });
      lbfgs.step(closure);
      const dict = lbfgs.stateDict() as Any;
      expect(dict).toMatchObject({ stepCount: 1, state: { 0: { step: 4 } } });
      expect(dict.state[0].oldStps).toHaveLength(8);
      // A copy.
      dict.state[0].oldStps.fill(0);
      expect((lbfgs.stateDict() as Any).state[0].oldStps).not.toEqual(dict.state[0].oldStps);
    });

    test('the pairs of several params are kept apart', () => {
      const [a, b, empty] = [f32(2), f32(3, 4), f32()];
      const grads = { a: f32(0), empty: f32(), b: f32(0, 0) };
      const lbfgs = new LBFGS({ a, empty, b }, { grads, maxIterations: 3, toleranceGrad: 0 });
      const closure = () => bowl(a, grads.a) + bowl(b, grads.b) + (a[0]! * b[0]!) / 4;
      lbfgs.step(() => {
        const loss = closure();
        grads.a[0]! += b[0]! / 4;
        grads.b[0]! += a[0]! / 4;
        return loss;
      });
      const { state, paramGroups } = lbfgs.stateDict() as Any;
      expect(paramGroups[0].params).toEqual(['a', 'empty', 'b']);
      expect([state.a.oldDirs.length, state.empty.oldDirs.length, state.b.oldDirs.length]).toEqual([3, 0, 6]);
    });

    test('options are taken over, a live Schedule is kept', () => {
      const { lbfgs, closure } = setup({ maxIterations: 4, lr: 0.5, historySize: 3 });
      lbfgs.step(closure);
      const dict = lbfgs.stateDict();
      const plain = setup();
      plain.lbfgs.loadStateDict(dict);
      expect(plain.lbfgs.lr).toBe(0.5);
      expect(plain.lbfgs.stateDict()).toEqual(dict);
      const live = setup({ lr: () => 0.75 });
      live.lbfgs.loadStateDict(dict);
      expect(live.lbfgs.lr).toBe(0.75);
      const marked = setup({ lr: 0.25 });
      marked.lbfgs.loadStateDict(live.lbfgs.stateDict());
      expect(marked.lbfgs.lr).toBe(0.25);
    });

    test('a dict that does not fit changes nothing', () => {
      const { lbfgs, closure } = setup({ maxIterations: 4 });
      lbfgs.step(closure);
      const dict = lbfgs.stateDict() as Any;
      const target = setup({ maxIterations: 4 });
      target.lbfgs.step(target.closure);
      const before = target.lbfgs.stateDict();
      const group = dict.paramGroups[0];
      const state = dict.state[0];
      const withState = (change: object) => ({ ...dict, state: { 0: { ...state, ...change } } });
      for (const [bad, text] of [
        [null, /^TypeError: LBFGS\.loadStateDict: options: null/],
        [{ ...dict, version: 2 }, /^RangeError: LBFGS\.loadStateDict: version: 2, expected 1$/],
        [{ ...dict, optimizer: 'Adam' }, /^TypeError: LBFGS\.loadStateDict: optimizer: "Adam", expected "LBFGS"$/],
        [{ ...dict, stepCount: -1 }, /^RangeError: LBFGS\.loadStateDict: stepCount: -1/],
        [{ ...dict, paramGroups: [] }, /^RangeError: LBFGS\.loadStateDict: paramGroups: 0 group/],
        [
          { ...dict, paramGroups: [{ ...group, params: ['w'] }] },
          /^TypeError: LBFGS\.loadStateDict: paramGroups\[0\]\.params/,
        ],
        [{ ...dict, paramGroups: [{ ...group, historySize: 0 }] }, /^RangeError: LBFGS\.loadStateDict: historySize: 0/],
        [
          { ...dict, paramGroups: [{ ...group, size: 0 }] },
          /^TypeError: LBFGS\.loadStateDict: paramGroups\[0\]: size: unknown/,
        ],
        [
          { ...dict, paramGroups: [{ ...group, historySize: 3 }] },
          /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldStps: 4 pairs/,
        ],
        [{ ...dict, state: {} }, /^TypeError: LBFGS\.loadStateDict: state\[0\]: undefined/],
        [
          { ...dict, state: { ...dict.state, w: state } },
          /^TypeError: LBFGS\.loadStateDict: state\["w"\]: no such param/,
        ],
        [withState({ step: 0.5 }), /^RangeError: LBFGS\.loadStateDict: state\[0\]\.step: 0\.5/],
        [withState({ extra: 1 }), /^TypeError: LBFGS\.loadStateDict: state\[0\]: extra: unknown option/],
        [withState({ oldStps: [] }), /^TypeError: LBFGS\.loadStateDict: state\[0\]\.oldStps/],
        [withState({ oldStps: f32(1) }), /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldStps: 0\.5 pairs/],
        [
          withState({ oldDirs: f32(1, 2) }),
          /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldDirs: length 2, expected 8/,
        ],
        [withState({ oldDirs: new Float32Array(8) }), /^RangeError: LBFGS\.loadStateDict: state: .* of pair 0/],
      ] as const) {
        expect(thrown(() => target.lbfgs.loadStateDict(bad))).toMatch(text);
        expect(target.lbfgs.stateDict()).toEqual(before);
      }
    });

    test('dispose: twice is fine, anything else is an error', () => {
      const { lbfgs, closure } = setup();
      lbfgs.dispose();
      lbfgs[Symbol.dispose]();
      for (const use of [
        () => lbfgs.step(closure),
        () => lbfgs.lr,
        () => lbfgs.stepCount,
        () => lbfgs.stateDict(),
        () => lbfgs.loadStateDict({} as Any),
        () => String(lbfgs),
      ]) {
        expect(thrown(use)).toBe('TypeError: LBFGS: this: a disposed optimizer, expected one in use');
      }
    });

    test('toString', () => {
      expect(String(setup({ lr: () => 1 }).lbfgs)).toBe(
        'LBFGS (\n  1 param(s), 2 elements\n    lr: schedule\n    historySize: 10\n    lineSearch: strong-wolfe\n' +
          '    maxIterations: 20\n    maxEvaluations: 25\n    toleranceGrad: 1e-7\n    toleranceChange: 1e-9\n)',
      );
    });
  });

  describe('bad input', () => {
    const make = (options: object) => () => new AnyLBFGS(f32(1, 2), { grads: f32(0, 0), ...options });

    test('params', () => {
      const allowed = 'a Float32Array, { data, shape }, a list or a record of them';
      expect(thrown(() => new AnyLBFGS(undefined, { grads: f32(1) }))).toBe(
        `TypeError: LBFGS: params: undefined, expected ${allowed}`,
      );
      expect(thrown(() => new AnyLBFGS(f64(1), { grads: f64(1) }))).toMatch(
        /^TypeError: LBFGS: params: Float64Array\(1\)/,
      );
      for (const groups of [
        [{ params: f32(1) }],
        { params: f32(1), lr: 1 },
        [{ params: f32(1) }, { params: f32(1) }],
      ]) {
        expect(thrown(() => new AnyLBFGS(groups, { grads: f32(1) }))).toBe(
          `TypeError: LBFGS: params: param groups, expected ${allowed}`,
        );
      }
      const both = f32(1, 2, 3);
      expect(
        thrown(() => new AnyLBFGS([both.subarray(0, 2), both.subarray(1)], { grads: [f32(0, 0), f32(0, 0)] })),
      ).toBe('RangeError: LBFGS: params[1]: memory shared with params[0], expected memory of its own');
    });

    test('grads', () => {
      expect(thrown(() => new AnyLBFGS(f32(1)))).toMatch(/^TypeError: LBFGS: options: undefined, expected an object/);
      expect(thrown(() => new AnyLBFGS(f32(1), {}))).toBe(
        'TypeError: LBFGS: grads: undefined, expected the gradients that the closure fills',
      );
      expect(thrown(() => new AnyLBFGS(f32(1), { grads: f32(1, 2) }))).toBe(
        'RangeError: LBFGS: grads: length 2, expected 1',
      );
      expect(thrown(() => new AnyLBFGS([f32(1), f32(2)], { grads: [f32(1)] }))).toBe(
        'RangeError: LBFGS: grads: 1 gradient(s), expected 2',
      );
      expect(thrown(() => new AnyLBFGS({ w: f32(1) }, { grads: { v: f32(1) } }))).toMatch(
        /^TypeError: LBFGS: grads\["w"\]: undefined/,
      );
      expect(thrown(() => new AnyLBFGS(f32(1), { grads: f64(1) }))).toMatch(
        /^TypeError: LBFGS: grads: Float64Array\(1\)/,
      );
      expect(thrown(() => new AnyLBFGS(f32(1), { grads: { rows: new Int32Array(1), values: f32(1) } }))).toMatch(
        /^TypeError: LBFGS: grads: an object, expected a Float32Array/,
      );
      const w = f32(1, 2);
      expect(thrown(() => new LBFGS(w, { grads: w }))).toBe(
        'RangeError: LBFGS: grads: memory shared with params, expected memory of its own',
      );
    });

    test('unknown options', () => {
      expect(thrown(make({ histroySize: 3 }))).toMatch(
        'TypeError: LBFGS: histroySize: unknown option, expected historySize',
      );
      expect(thrown(make({ weightDecay: 3 }))).toMatch('TypeError: LBFGS: weightDecay: unknown option');
    });

    test.each(['historySize', 'maxIterations', 'maxEvaluations'])('%s is a whole number from 1 on', (option) => {
      for (const [value, shown] of notNumbers)
        expect(thrown(make({ [option]: value }))).toBe(
          `TypeError: LBFGS: ${option}: ${shown}, expected an integer in [1, inf)`,
        );
      for (const value of [0, -1, 2.5, Number.NaN])
        expect(thrown(make({ [option]: value }))).toBe(
          `RangeError: LBFGS: ${option}: ${value}, expected an integer in [1, inf)`,
        );
    });

    test.each(['toleranceGrad', 'toleranceChange'])('%s is not negative', (option) => {
      for (const [value, shown] of notNumbers)
        expect(thrown(make({ [option]: value }))).toBe(
          `TypeError: LBFGS: ${option}: ${shown}, expected a number in [0, inf)`,
        );
      for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY])
        expect(thrown(make({ [option]: value }))).toBe(`RangeError: LBFGS: ${option}: ${value}, expected [0, inf)`);
    });

    test('lr', () => {
      for (const [value, shown] of notNumbers)
        expect(thrown(make({ lr: value }))).toBe(`TypeError: LBFGS: lr: ${shown}, expected a number in (0, inf)`);
      for (const value of [0, -1, Number.NaN])
        expect(thrown(make({ lr: value }))).toBe(`RangeError: LBFGS: lr: ${value}, expected (0, inf)`);
      const { lbfgs, closure, x } = setup();
      expect(thrown(() => void (lbfgs.lr = 0))).toBe('RangeError: LBFGS: lr: 0, expected (0, inf)');
      expect(lbfgs.lr).toBe(1);
      lbfgs.lr = () => Number.NaN;
      expect(thrown(() => lbfgs.step(closure))).toBe(
        'RangeError: LBFGS: lr: NaN, expected (0, inf) (from its schedule at step 1)',
      );
      lbfgs.lr = (() => '1') as Any;
      expect(thrown(() => lbfgs.step(closure))).toBe(
        'TypeError: LBFGS: lr: "1", expected (0, inf) (from its schedule at step 1)',
      );
      lbfgs.lr = (() => lbfgs.step(closure)) as Any;
      expect(thrown(() => lbfgs.step(closure))).toMatch('in the middle of a call');
      expect([...x]).toEqual([...f32(-1.2, 1)]);
    });

    test('lineSearch', () => {
      expect(thrown(make({ lineSearch: 'wolfe' }))).toBe(
        'RangeError: LBFGS: lineSearch: "wolfe", expected "strong-wolfe" or "none"',
      );
      expect(thrown(make({ lineSearch: true }))).toBe(
        'TypeError: LBFGS: lineSearch: true, expected "strong-wolfe" or "none"',
      );
    });

    test('closure', () => {
      const { lbfgs } = setup();
      for (const [bad, shown] of [
        [undefined, 'undefined'],
        [f32(1), 'Float32Array(1)'],
        [5, '5'],
      ] as const)
        expect(thrown(() => lbfgs.step(bad as Any))).toBe(
          `TypeError: LBFGS: closure: ${shown}, expected a function, () => loss`,
        );
    });
  });
});
