// L-BFGS against SciPy's L-BFGS-B on the standard problems, and against independent truths: a dense inverse Hessian,
// the textbook iteration, and the rounding of float32.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { LBFGS, minimize } from '../../../lib/index.js';
import { type Pair, twoLoop } from '../../../lib/second-order/lbfgs/two-loop.js';
import { random } from '../../support/random.js';
import { all } from '../../support/sample.js';
import { evaluations, recorded, rowOf } from '../../support/second-order/evaluations.js';
import { type Numbers, type Objective, problems, scattered } from '../../support/second-order/problems.js';

const names = Object.keys(problems);
/** Without the two slowest problems in `npm test`. */
const solved = names.filter((name) => all || !['softmax-digits', 'quadratic-1e6'].includes(name));
test('the problems are the same as in lbfgsb.py', () => {
  expect(Object.keys(recorded.problems)).toEqual(names);
  for (const [name, { f, start }] of Object.entries(problems)) {
    const grad = new Float64Array(start.length);
    const { startValue, startGradNorm } = rowOf(name);
    expect(f(start, grad) / startValue, name).toBeCloseTo(1, 13);
    expect(Math.hypot(...grad) / startGradNorm, name).toBeCloseTo(1, 13);
  }
});

describe('at most as many evaluations as SciPy to a relative gap of 1e-8', () => {
  const table: string[] = [];
  // To print the table: SCHUSS_TABLE=1 npx vitest run test/second-order/lbfgs
  afterAll(() => process.env['SCHUSS_TABLE'] && console.log(table.join('\n')));

  test.each(solved)('%s', (name) => {
    const { f, start } = problems[name]!;
    const { least, evaluations: scipy, scattered: others } = rowOf(name);
    const ours = evaluations(f, start, least);
    const seeds = others.map((_, i) => i + 1).slice(0, name === 'softmax-digits' ? 2 : undefined);
    const ratios = seeds.map((seed) => evaluations(f, scattered(start, seed), least) / (others[seed - 1] as number));
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    table.push(
      `${name.padEnd(26)} ${`${ours}`.padStart(5)} ${`${scipy}`.padStart(5)}   scattered: × ${mean.toFixed(3)}`,
    );
    expect(ours).toBeLessThanOrEqual(scipy);
    expect(mean).toBeLessThan(1);
  });

  // Counts may differ between versions of Node, because the last digits of Math.exp do. Only SciPy's counts are
  // compared.
  test('docs/guide/second-order.md lists all problems', () => {
    const page = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'guide', 'second-order.md'), 'utf8');
    const rows = [...page.matchAll(/^\| ([\w-]+) \| (\d+) \| (\d+) \| (\d+) \|$/gm)];
    expect(rows.map(([, name, variables, , scipy]) => [name, Number(variables), Number(scipy)])).toEqual(
      names.map((name) => [name, problems[name]!.start.length, rowOf(name).evaluations]),
    );
    for (const [, name, , ours, scipy] of rows) expect(Number(ours), name).toBeLessThanOrEqual(Number(scipy));
  });

  // A wrong algorithm converges too, only later. Each mistake must lose on some problem.
  describe('what a mistake costs', () => {
    const sample = ['rosenbrock-2', 'powell-singular', 'wood', 'quadratic-1e3', 'broyden-tridiagonal-10', 'box-3d'];
    const folder = '../../../lib/second-order';

    type Mutation = (module: Record<string, unknown>) => Record<string, unknown>;

    /** The evaluations that the sample needs with replaced exports of a module. */
    async function counts(file: string, mutate: Mutation): Promise<Readonly<Record<string, number>>> {
      vi.resetModules();
      vi.doMock(`${folder}/lbfgs/${file}.js`, async (original) => {
        const module = await original<Record<string, unknown>>();
        return { ...module, ...mutate(module) };
      });
      try {
        const { minimize: mutant } = await import(`${folder}/minimize/minimize.js`);
        return Object.fromEntries(
          sample.map((name) => [
            name,
            evaluations(problems[name]!.f, problems[name]!.start, rowOf(name).least, mutant),
          ]),
        );
      } finally {
        vi.doUnmock(`${folder}/lbfgs/${file}.js`);
        vi.resetModules();
      }
    }

    async function lost(file: string, mutate: Mutation): Promise<string[]> {
      return Object.entries(await counts(file, mutate))
        .filter(([name, count]) => count > rowOf(name).evaluations)
        .map(([name]) => name);
    }

    test('an unchanged algorithm loses nowhere', async () => {
      expect(await lost('two-loop', () => ({})), 'problems that need more evaluations than SciPy').toEqual([]);
    });

    type Loop = typeof twoLoop;
    const dot = (a: Numbers, b: Numbers): number => {
      let sum = 0;
      for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
      return sum;
    };
    /** The two loops, with a slip that changes something. */
    const slipped =
      (slip: { first?: number; second?: number; weight?: number; gamma?: boolean; order?: boolean }): Loop =>
      (pairs, gamma, grad, direction, weights) => {
        direction.set(grad.map((g) => -g));
        const order = slip.order ? pairs : [...pairs].reverse();
        for (const [i, { s, y, rho }] of order.entries()) {
          weights[i] = rho * dot(s, direction);
          for (let j = 0; j < y.length; j++) direction[j]! -= (slip.first ?? 1) * weights[i]! * y[j]!;
        }
        if (slip.gamma !== false) for (let j = 0; j < direction.length; j++) direction[j]! *= gamma;
        for (const [i, { s, y, rho }] of [...order.entries()].reverse()) {
          const c = (slip.weight ?? 1) * weights[i]! - rho * dot(y, direction);
          for (let j = 0; j < s.length; j++) direction[j]! += (slip.second ?? 1) * c * s[j]!;
        }
        return dot(grad, direction);
      };

    test.each([
      ['the first loop adds', 'two-loop', () => ({ twoLoop: slipped({ first: -1 }) })],
      ['the second loop subtracts', 'two-loop', () => ({ twoLoop: slipped({ second: -1 }) })],
      ['the weights of the first loop are left out', 'two-loop', () => ({ twoLoop: slipped({ weight: 0 }) })],
      ['the oldest pair first', 'two-loop', () => ({ twoLoop: slipped({ order: true }) })],
      ['no initial scaling', 'two-loop', () => ({ twoLoop: slipped({ gamma: false }) })],
      [
        'a line search that goes on bisecting',
        'trial-step',
        () => ({ nextStep: (best: { step: number }, trial: { step: number }) => (best.step + trial.step) / 2 }),
      ],
    ] as const)('%s', async (_, file, mutate) => {
      expect(
        await lost(file, mutate as Mutation),
        'problems that need more evaluations than SciPy with this mistake',
      ).not.toEqual([]);
    });

    test('corrected pairs need fewer evaluations than the plain pairs of SciPy', async () => {
      const ours = await counts('two-loop', () => ({}));
      const meanCurvature = await counts('curvature', () => ({ correctCurvature: () => {} }));
      expect(meanCurvature['wood']).toBeGreaterThan(1.05 * ours['wood']!);
      expect(meanCurvature['box-3d']).toBeGreaterThan(1.05 * ours['box-3d']!);
      const apart = await counts('history', (module) => {
        const { History } = module as unknown as typeof import('../../../lib/second-order/lbfgs/history.js');
        return {
          History: class extends History {
            override conjugate(): void {}
          },
        };
      });
      expect(apart['quadratic-1e3']).toBeGreaterThan(1.3 * ours['quadratic-1e3']!);
    });

    test('the two loops written in this test are correct without a slip', async () => {
      expect(
        await lost('two-loop', () => ({ twoLoop: slipped({}) })),
        'problems that need more evaluations than SciPy',
      ).toEqual([]);
    });
  });
});

test('every problem converges within the gap with the defaults of minimize', () => {
  for (const name of solved) {
    const { f, start } = problems[name]!;
    const { least, startValue } = rowOf(name);
    const { value, converged, reason } = minimize(f, start);
    expect(value - least, name).toBeLessThanOrEqual(1e-8 * (startValue - least));
    expect(converged, `${name}: ${reason}`).toBe(true);
  }
});

test('the gradient reaches its tolerance even if a constant hides the last digits of the value', () => {
  for (const name of ['rosenbrock-2', 'wood', 'beale', 'penalty-1-10', 'box-3d', 'helical-valley', 'biggs-exp6']) {
    const { f, start } = problems[name]!;
    const run = (constant: number) =>
      minimize((x, grad) => f(x, grad) + constant, start, { gradTol: 1e-9, funTol: 0, maxEvaluations: 1000 });
    const [plain, high] = [run(0), run(1e6)];
    expect([plain.reason, high.reason], name).toEqual(['gradient', 'gradient']);
    expect(high.evaluations, name).toBeLessThanOrEqual(1.1 * plain.evaluations);
  }
});

describe('the two loops', () => {
  test('apply the dense BFGS inverse Hessian', () => {
    const n = 7;
    const next = random(1);
    const vector = () => Float64Array.from({ length: n }, () => next() - 0.5);
    const pairs: Pair[] = [];
    const gamma = 0.7;
    const identity = (i: number, j: number) => (i === j ? 1 : 0);
    let dense = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => gamma * identity(i, j)));
    for (let k = 0; k < 5; k++) {
      const [s, noise] = [vector(), vector()];
      const y = s.map((v, i) => 2 * v + 0.3 * noise[i]!);
      const rho = 1 / s.reduce((sum, v, i) => sum + v * y[i]!, 0);
      pairs.push({ s, y, rho });
      // H ← (I − ρ·s·yᵀ)·H·(I − ρ·y·sᵀ) + ρ·s·sᵀ, Nocedal & Wright (6.17)
      const left = dense.map((_, i) => dense.map((_, j) => identity(i, j) - rho * s[i]! * y[j]!));
      const times = (a: number[][], b: number[][]) =>
        a.map((row) => b[0]!.map((_, j) => row.reduce((sum, v, k) => sum + v * b[k]![j]!, 0)));
      const right = left[0]!.map((_, j) => left.map((row) => row[j]!));
      dense = times(times(left, dense), right).map((row, i) => row.map((v, j) => v + rho * s[i]! * s[j]!));
    }
    const grad = vector();
    const direction = new Float64Array(n);
    const slope = twoLoop(pairs, gamma, grad, direction, []);
    expect(slope).toBeCloseTo(
      grad.reduce((sum, g, i) => sum + g * direction[i]!, 0),
      12,
    );
    for (let i = 0; i < n; i++) {
      expect(direction[i]!).toBeCloseTo(-dense[i]!.reduce((sum, v, j) => sum + v * grad[j]!, 0), 10);
    }
  });
});

describe('each iteration', () => {
  test.each(names.filter((name) => name !== 'softmax-digits'))('%s: satisfies the strong Wolfe conditions', (name) => {
    const { f, start } = problems[name]!;
    const grads = [new Float64Array(start.length), new Float64Array(start.length)] as const;
    let before: Float64Array = start.slice();
    minimize(f, start, {
      maxIterations: 200,
      gradTol: 1e-6,
      callback({ x, value, iteration }) {
        const old = f(before, grads[0]);
        expect(f(x, grads[1])).toBe(value);
        const [slope, slopeAfter] = grads.map((grad) =>
          grad.reduce((sum, g, i) => sum + g * (x[i]! - before[i]!), 0),
        ) as [number, number];
        expect(slope, `${iteration}`).toBeLessThan(0);
        // The slopes are along the rounded step, not along the direction.
        expect(value - old, `${iteration}`).toBeLessThanOrEqual(1e-4 * slope * (1 - 1e-6));
        expect(Math.abs(slopeAfter), `${iteration}`).toBeLessThanOrEqual(-0.9 * slope * (1 + 1e-6));
        before = x;
      },
    });
  });
});

/**
 * PyTorch's LBFGS without a line search, with its rules for the first step and for pairs, on dense vectors of float64.
 */
function textbook(
  f: Objective,
  start: Float64Array,
  iterations: number,
  lr: number,
  historySize: number,
): Float64Array[] {
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
  const points: Float64Array[] = [];
  let x = start.slice();
  let grad = new Float64Array(x.length);
  f(x, grad);
  const pairs: [Float64Array, Float64Array][] = [];
  for (let k = 0; k < iterations; k++) {
    let q = grad.map((g) => -g);
    const alphas: number[] = [];
    for (const [s, y] of [...pairs].reverse()) {
      const alpha = dot(s, q) / dot(s, y);
      alphas.unshift(alpha);
      q = q.map((v, i) => v - alpha * y[i]!);
    }
    const latest = pairs.at(-1);
    if (latest !== undefined) q = q.map((v) => (v * dot(...latest)) / dot(latest[1], latest[1]));
    for (const [k, [s, y]] of pairs.entries()) {
      const beta = dot(y, q) / dot(s, y);
      q = q.map((v, i) => v + s[i]! * (alphas[k]! - beta));
    }
    const t = k === 0 ? Math.min(1, 1 / grad.reduce((sum, g) => sum + Math.abs(g), 0)) * lr : lr;
    const next = x.map((v, i) => v + t * q[i]!);
    const nextGrad = new Float64Array(x.length);
    f(next, nextGrad);
    pairs.push([next.map((v, i) => v - x[i]!), nextGrad.map((g, i) => g - grad[i]!)]);
    if (pairs.length > historySize) pairs.shift();
    [x, grad] = [next, nextGrad];
    points.push(x.slice());
  }
  return points;
}

describe("lineSearch: 'none' is the textbook's iteration with PyTorch's first step", () => {
  const cases = [
    ['beale', { lr: 1, historySize: 10 }, 8],
    ['wood', { lr: 0.1, historySize: 10 }, 12],
    ['broyden-tridiagonal-10', { lr: 1, historySize: 3 }, 12],
    ['quadratic-1e3', { lr: 0.5, historySize: 5 }, 15],
  ] as const;

  test.each(cases)('%s %j', (name, options, iterations) => {
    const { f, start } = problems[name]!;
    const [x, grads] = [Float32Array.from(start), new Float32Array(start.length)];
    const lbfgs = new LBFGS(x, { grads, ...options, lineSearch: 'none', maxIterations: 1, gradTol: 0 });
    const truth = textbook(f, start, iterations, options.lr, options.historySize);
    for (const point of truth) {
      lbfgs.step(() => f(x, grads));
      const scale = Math.max(...point.map(Math.abs));
      const error = Math.max(...point.map((v, i) => Math.abs(v - x[i]!)));
      expect(error / scale).toBeLessThan(2e-3);
    }
    // A plain gradient step of the same size or an unused history would end elsewhere.
    const other = textbook(f, start, iterations, options.lr, 1).at(-1) as Float64Array;
    const end = truth.at(-1) as Float64Array;
    expect(Math.max(...end.map((v, i) => Math.abs(v - other[i]!)))).toBeGreaterThan(
      2e-3 * Math.max(...end.map(Math.abs)),
    );
  });
});

describe("float32 reaches float32's own floor", () => {
  /**
   * The gap of the minimum rounded to float32, relative to the gap at the start. It is 0 if the minimum is a whole
   * number. Then 1e-12 is the floor of float32 iterates, which have 24 bits.
   */
  function floorOf(name: string): { readonly floor: number; readonly gap: (value: number) => number } {
    const { f, start } = problems[name]!;
    const { least, startValue } = rowOf(name);
    const gap = (value: number) => (value - least) / (startValue - least);
    const { x } = minimize(f, start, { gradTol: 0, maxEvaluations: 5000 });
    const rounded = gap(f(Float32Array.from(x), new Float32Array(x.length)));
    return { floor: Math.max(1e-12, 10 * rounded), gap };
  }

  test.each(solved)('%s', (name) => {
    const { f, start } = problems[name]!;
    const { floor, gap } = floorOf(name);
    const found = minimize(f, Float32Array.from(start), { gradTol: 0, maxEvaluations: 5000 });
    expect(found.x).toBeInstanceOf(Float32Array);
    expect(gap(found.value)).toBeLessThanOrEqual(floor);

    const [x, grads] = [Float32Array.from(start), new Float32Array(start.length)];
    const lbfgs = new LBFGS(x, { grads, maxIterations: 5000, gradTol: 0, funTol: 0, stepTol: 0 });
    const { loss } = lbfgs.step(() => f(x, grads));
    expect(gap(loss)).toBeLessThanOrEqual(floor);
    expect(f(x, grads)).toBe(loss);
  });
});
