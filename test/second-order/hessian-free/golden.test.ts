// Hessian-free optimization against an independent float64 implementation with dense matrices, and on problems whose
// solution is known.
import { describe, expect, test } from 'vitest';
import { type HessianFreeProgress, minimize } from '../../../lib/index.js';
import {
  type leastSquares,
  neurons,
  type Residuals,
  rosenbrockSquares,
  softmaxDigits,
} from '../../support/second-order/gauss-newton.js';

/** A mistake in the implementation of this test. */
type Slip =
  | 'none'
  | 'start from p'
  | 'no decay of the start'
  | 'start from 0'
  | 'root as preconditioner'
  | 'no damping in the preconditioner'
  | 'rho with damping'
  | 'damping before rho is known'
  | 'no backtracking'
  | 'backtracking to the first iterate'
  | 'iterates kept at powers of 2'
  | 'no window of 10'
  | 'phi without the gradient'
  | 'borders of rho swapped'
  | 'line search without slope';

interface Options {
  readonly damping?: number;
  readonly cgTol?: number;
  readonly cgDecay?: number;
  readonly maxCgIterations?: number;
  readonly squares?: boolean;
}

type Row = Omit<HessianFreeProgress<Float64Array>, 'gradNorm' | 'evaluations'>;

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

/** The method as FORMULAS says it, with dense matrices and plain lists. */
function truth(
  residuals: Residuals,
  start: readonly number[],
  iterations: number,
  options: Options,
  slip: Slip = 'none',
) {
  const { cgTol = 5e-4, cgDecay = 0.95, maxCgIterations = 250, squares = false } = options;
  let lambda = options.damping ?? 1;
  let x = [...start];
  let last = x.map(() => 0);
  const valueAt = (point: readonly number[]) => {
    const { r } = residuals(Float64Array.from(point));
    return dot(r, r) / 2;
  };
  const rows: Row[] = [];
  let [backtracked, shortened] = [0, 0];
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const { r: e, J } = residuals(Float64Array.from(x));
    const f0 = dot(e, e) / 2;
    const g = x.map((_, k) =>
      dot(
        e,
        J.map((row) => row[k]!),
      ),
    );
    const G = x.map((_, k) => x.map((_, l) => J.reduce((sum, row) => sum + row[k]! * row[l]!, 0)));
    const A = (v: readonly number[]) => v.map((each, k) => dot(G[k]!, v) + lambda * each);
    const M = x.map((_, k) => {
      if (!squares) return 1;
      const sum = e.reduce((s, ei, i) => s + (ei * J[i]![k]!) ** 2, 0);
      const damped = slip === 'no damping in the preconditioner' ? sum : sum + lambda;
      return damped ** (slip === 'root as preconditioner' ? 0.5 : 0.75);
    });

    const factor = slip === 'start from 0' ? 0 : slip === 'no decay of the start' ? 1 : cgDecay;
    let p = last.map((v) => factor * v);
    let r = A(p).map((v, k) => v + g[k]!);
    let y = r.map((v, k) => v / M[k]!);
    let d = y.map((v) => -v);
    const phi = (): number => dot(slip === 'phi without the gradient' ? r : r.map((v, k) => v + g[k]!), p) / 2;
    const phis = [phi()];
    const kept: { p: number[]; phi: number }[] = [];
    const places = new Set(
      Array.from({ length: 40 }, (_, j) => Math.ceil((slip === 'iterates kept at powers of 2' ? 2 : 1.3) ** j)),
    );
    let i = 0;
    while (i < maxCgIterations && dot(r, y) > 1e-30 * dot(g, g)) {
      const Ad = A(d);
      if (dot(d, Ad) <= 0) break;
      const a = dot(r, y) / dot(d, Ad);
      const before = dot(r, y);
      p = p.map((v, k) => v + a * d[k]!);
      r = r.map((v, k) => v + a * Ad[k]!);
      y = r.map((v, k) => v / M[k]!);
      d = d.map((v, k) => -y[k]! + (dot(r, y) / before) * v);
      i++;
      phis.push(phi());
      if (places.has(i)) kept.push({ p, phi: phis[i]! });
      const k = Math.max(slip === 'no window of 10' ? 1 : 10, Math.ceil(0.1 * i));
      if (i > k && phis[i]! < 0 && (phis[i]! - phis[i - k]!) / phis[i]! < k * cgTol) break;
    }
    last = p;
    if (kept.at(-1)?.p !== p) kept.push({ p, phi: phis[i]! });

    let chosen = kept.length - 1;
    const value = (j: number) => valueAt(x.map((v, k) => v + kept[j]!.p[k]!));
    while (slip !== 'no backtracking' && chosen > 0 && value(chosen - 1) <= value(chosen)) chosen--;
    if (slip === 'backtracking to the first iterate') chosen = 0;
    if (chosen < kept.length - 1) backtracked++;
    p = kept[chosen]!.p;
    const change = value(chosen) - f0;
    const model = dot(g, p) + dot(p, A(p)) / 2 - (slip === 'rho with damping' ? 0 : (lambda * dot(p, p)) / 2);
    const rho = change > 0 ? Number.NEGATIVE_INFINITY : change / model;
    const used = lambda;
    const [low, high] = slip === 'borders of rho swapped' ? [0.75, 0.25] : [0.25, 0.75];
    if (rho < low) lambda *= 1.5;
    else if (rho > high) lambda /= 1.5;
    if (slip === 'start from p') last = p;

    let rate = 1;
    const along = () => valueAt(x.map((v, k) => v + rate * p[k]!));
    const promised = slip === 'line search without slope' ? 1 : 0.01 * dot(g, p);
    for (let n = 0; along() > f0 + rate * promised; n++) {
      if (n === 60) {
        rate = 0;
        break;
      }
      rate *= 0.8;
    }
    if (rate < 1) shortened++;
    x = x.map((v, k) => v + rate * p[k]!);
    const damping = slip === 'damping before rho is known' ? lambda : used;
    rows.push({ iteration, value: valueAt(x), damping, cgIterations: i, rho, x: Float64Array.from(x) });
  }
  return { rows, backtracked, shortened };
}

function ours(
  problem: ReturnType<typeof leastSquares>,
  start: readonly number[],
  iterations: number,
  options: Options,
): Row[] {
  const rows: Row[] = [];
  const { squares = false, ...others } = options;
  minimize(problem.f, Float64Array.from(start), {
    method: 'hessian-free',
    gaussNewton: problem.gaussNewton,
    ...(squares && { squaredGradients: problem.squaredGradients }),
    ...others,
    maxIterations: iterations,
    gradTol: 0,
    funTol: 0,
    callback: ({ iteration, value, damping, cgIterations, rho, x }) => {
      rows.push({ iteration, value, damping, cgIterations, rho, x });
    },
  });
  return rows;
}

/** Where two runs differ first, or undefined. */
function difference(a: readonly Row[], b: readonly Row[]): string | undefined {
  if (a.length !== b.length) return `${a.length} and ${b.length} iterations`;
  const near = (u: number, v: number) => u === v || Math.abs(u - v) <= 1e-7 * Math.max(Math.abs(u), Math.abs(v), 1e-3);
  for (const [i, row] of a.entries()) {
    const other = b[i]!;
    for (const name of ['value', 'damping', 'cgIterations', 'rho'] as const)
      if (!near(row[name], other[name])) return `iteration ${i + 1}: ${name} ${row[name]} and ${other[name]}`;
    if (!row.x.every((v, k) => near(v, other.x[k]!))) return `iteration ${i + 1}: x`;
  }
  return undefined;
}

const net = neurons(120, 60, 3);
const waves = Array.from({ length: 60 }, (_, k) => Math.sin(k + 1));
type Case = readonly [string, ReturnType<typeof leastSquares>, readonly number[], Options];
const cases: readonly Case[] = [
  ['defaults', net, waves, {}],
  ['squares', net, waves, { squares: true, damping: 0.1 }],
  ['long runs', net, waves, { cgTol: 1e-5, damping: 0.01 }],
  ['short runs', net, waves, { maxCgIterations: 4, damping: 0.03, cgDecay: 0.5 }],
  ['a curved valley', rosenbrockSquares, [-1.2, 1], { maxCgIterations: 2 }],
];
const iterations = 8;

describe('an independent implementation', () => {
  test.each(cases)('%s', (_, problem, start, options) => {
    const { rows } = truth(problem.residuals, start, iterations, options);
    expect(difference(ours(problem, start, iterations, options), rows)).toBeUndefined();
    expect(rows.at(-1)!.value).toBeLessThan(rows[0]!.value);
  });

  test('the cases take every path', () => {
    const all = cases.map(([, problem, start, options]) => truth(problem.residuals, start, iterations, options));
    expect(
      all.some(({ backtracked }) => backtracked > 0),
      'an earlier iterate is better',
    ).toBe(true);
    expect(
      all.some(({ shortened }) => shortened > 0),
      'the line search shortens a step',
    ).toBe(true);
    const rows = all.flatMap((each) => each.rows);
    expect(
      rows.some(({ rho }) => rho === Number.NEGATIVE_INFINITY),
      'the function rises',
    ).toBe(true);
    expect(
      rows.some(({ rho }) => rho > 0.75),
      'the model predicts well',
    ).toBe(true);
    expect(new Set(rows.map(({ cgIterations }) => cgIterations)).size, 'lengths of runs').toBeGreaterThan(5);
  });

  const slips: readonly Slip[] = [
    'start from p',
    'no decay of the start',
    'start from 0',
    'root as preconditioner',
    'no damping in the preconditioner',
    'rho with damping',
    'damping before rho is known',
    'no backtracking',
    'backtracking to the first iterate',
    'iterates kept at powers of 2',
    'no window of 10',
    'phi without the gradient',
    'borders of rho swapped',
    'line search without slope',
  ];
  test.each(slips)('a wrong formula fails: %s', (slip) => {
    const found = cases.map(([, problem, start, options]) =>
      difference(
        ours(problem, start, iterations, options),
        truth(problem.residuals, start, iterations, options, slip).rows,
      ),
    );
    expect(found.filter((each) => each !== undefined)).not.toEqual([]);
  });
});

describe('a quadratic', () => {
  // ½·xᵀAx − bᵀx with eight different eigenvalues.
  const n = 8;
  const A = Array.from({ length: n }, (_, i) =>
    Array.from(
      { length: n },
      (_, j) => Math.cos((i + 1) * (j + 2)) / 4 + Math.cos((j + 1) * (i + 2)) / 4 + (i === j ? i + 4 : 0),
    ),
  );
  const b = Array.from({ length: n }, (_, i) => 1 + Math.sin(i));
  const multiply = (v: ArrayLike<number>) => A.map((row) => row.reduce((sum, a, j) => sum + a * v[j]!, 0));
  const run = (maxCgIterations: number) =>
    minimize(
      (x, grad) => {
        const Ax = multiply(x);
        grad.set(Ax.map((v, i) => v - b[i]!));
        return Ax.reduce((sum, v, i) => sum + (v / 2 - b[i]!) * x[i]!, 0);
      },
      new Float64Array(n),
      {
        method: 'hessian-free',
        gaussNewton: (_, v, out) => out.set(multiply(v)),
        damping: 0,
        maxCgIterations,
        maxIterations: 1,
      },
    );

  test('is solved in n iterations of conjugate gradients', () => {
    const error = (x: Float64Array) => Math.max(...multiply(x).map((v, i) => Math.abs(v - b[i]!)));
    expect(error(run(n).x)).toBeLessThan(1e-12);
    expect(error(run(n - 1).x)).toBeGreaterThan(1e-8);
  });
});

test("Rosenbrock's valley, in float64 and float32", () => {
  const { f, gaussNewton } = rosenbrockSquares;
  for (const x0 of [Float64Array.of(-1.2, 1), Float32Array.of(-1.2, 1)]) {
    const { x, reason, converged, iterations } = minimize<Float32Array | Float64Array>(f, x0, {
      method: 'hessian-free',
      gaussNewton,
    });
    expect(x.constructor).toBe(x0.constructor);
    expect({ reason, converged }).toEqual({ reason: 'gradient', converged: true });
    for (const each of x) expect(Math.abs(each - 1)).toBeLessThan(1e-7);
    expect(iterations).toBeLessThan(40);
  }
});

test('softmax regression of digits reaches the minimum that L-BFGS finds', () => {
  const { length, f, gaussNewton } = softmaxDigits(10);
  const least = minimize(f, new Float64Array(length), { gradTol: 1e-9 }).value;
  const { value, converged } = minimize(f, new Float64Array(length), {
    method: 'hessian-free',
    gaussNewton,
    gradTol: 1e-8,
    maxIterations: 100,
  });
  expect(converged).toBe(true);
  expect(Math.abs(value - least)).toBeLessThan(1e-9);
});
