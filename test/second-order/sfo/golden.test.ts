// SFO against independent truths: known minima, the curves of other methods, dense matrices built directly, and
// conditions that must hold after every step.
import { Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { minimize, SFO } from '../../../lib/index.js';
import { cholesky, solveLower, solveUpper } from '../../../lib/second-order/sfo/cholesky.js';
import { addLowRank, addProduct, estimateHessian, type Hessian } from '../../../lib/second-order/sfo/hessian.js';
import { SumOfModels } from '../../../lib/second-order/sfo/model.js';
import { Random } from '../../../lib/second-order/sfo/random.js';
import { checkSettings } from '../../../lib/second-order/sfo/settings.js';
import * as tall from '../../../lib/second-order/sfo/tall-matrix.js';
import { finish } from '../../../lib/second-order/task.js';
import { random } from '../../support/random.js';
import { all, sample } from '../../support/sample.js';
import type { Numbers } from '../../support/second-order/problems.js';
import recorded from '../../support/second-order/sfo-curves.json';
import { quadratics, type Sum, softmax, total } from '../../support/second-order/sums.js';

type Curve = readonly (number | null)[];

const vector = (length: number, u: () => number) => Float64Array.from({ length }, () => 2 * u() - 1);
const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, v, k) => sum + v * y[k]!, 0);
const away = (x: Float64Array, y: Float64Array) => Math.hypot(...x.map((v, k) => v - y[k]!));

/** Runs one step of a model on functions that return at once. */
const stepOf = (model: SumOfModels, f: (i: number, x: Numbers, grad: Numbers) => number) =>
  finish(model.step((i) => (theta, grad) => f(i, theta, grad)));

describe('sums of quadratics reach the known minimum', () => {
  const sizes = [
    [30, 1],
    [30, 5],
    [30, 40],
    [10, 60],
    [5, 3],
    [1, 4],
  ] as const;
  test.each(sample(sizes, 3, 2))('N = %i, %i elements', (N, length) => {
    const sum = quadratics(N, length);
    const { x } = minimize(sum, sum.start, { method: 'sfo', passes: N < 30 ? 30 : 10 });
    for (let k = 0; k < length; k++) expect(x[k]).toBeCloseTo(sum.solution[k]!, 7);
  });

  test('in float32, up to its rounding', () => {
    const sum = quadratics(10, 40);
    const x = Float32Array.from(sum.start);
    const sfo = new SFO(x, { N: 10, f: (i, at, grads) => sum.f(i, at, grads) });
    for (let step = 0; step < 300; step++) sfo.step();
    for (let k = 0; k < 40; k++) expect(x[k]).toBeCloseTo(sum.solution[k]!, 5);
  });
});

describe('effective passes', () => {
  const firstOrder = ['sgd', 'momentum', 'adagrad', 'adam'] as const;
  /** The lowest of the curves after a pass. The best step size differs from pass to pass. */
  const best = (curves: readonly Curve[], pass: number) =>
    Math.min(...curves.map((curve) => curve[pass - 1] ?? Number.POSITIVE_INFINITY));
  const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, k) => first + k);

  test.each(['softmax', 'autoencoder'] as const)(
    '%s, as recorded: ahead of L-BFGS, and from 15 passes on of all',
    (name) => {
      const { sfo, lbfgs, ...others } = recorded[name];
      for (const pass of from(1, recorded.passes)) expect(sfo[pass - 1]).toBeLessThan(best([lbfgs], pass));
      for (const method of firstOrder) {
        const curves = Object.values(others[method]);
        expect(curves.length).toBe(8);
        for (const pass of from(15, recorded.passes)) expect(sfo[pass - 1], method).toBeLessThan(best(curves, pass));
      }
    },
  );

  test.runIf(all)('the recorded curves of softmax are reproduced', () => {
    const passes = 15;
    const sum = softmax();
    const curve = (x0: Numbers, options: object): number[] => {
      const values: number[] = [];
      const onPass = (x: Numbers) => void values.push(total(sum, x) / sum.N);
      minimize<Numbers>(sum, x0, { ...options, passes, onPass } as unknown as { method: 'sfo' });
      return values;
    };
    const sfo = curve(sum.start, { method: 'sfo' });
    const { softmax: row } = recorded;
    // Rounding lets two runs diverge in the end. Both reach the minimum.
    for (const pass of from(1, 3)) expect(sfo[pass - 1]! / row.sfo[pass - 1]!).toBeCloseTo(1, 2);
    expect(sfo.at(-1)! - row.least).toBeLessThan(1e-3);
    const lbfgs = curve(sum.start, { method: 'lbfgs' });
    for (const pass of from(1, passes)) {
      expect(lbfgs[pass - 1]! / row.lbfgs[pass - 1]!).toBeCloseTo(1, 4);
      expect(sfo[pass - 1]).toBeLessThan(lbfgs[pass - 1]!);
    }
    const options = {
      sgd: { method: 'sgd' },
      momentum: { method: 'sgd', momentum: 0.9 },
      adagrad: { method: 'adagrad' },
      adam: { method: 'adam' },
    };
    for (const method of firstOrder) {
      const [lr, curveThen] = Object.entries(row[method] as Record<string, Curve>).reduce((a, b) =>
        best([a[1]], 15) <= best([b[1]], 15) ? a : b,
      );
      const now = curve(Float32Array.from(sum.start), { ...options[method], lr: Number(lr) });
      expect(now[14]! / curveThen[14]!, method).toBeCloseTo(1, 2);
      expect(sfo[14], method).toBeLessThan(now[14]!);
    }
  });
});

describe('after every step', () => {
  /** Runs steps on a sum, and calls `look` after each. */
  function steps(
    sum: Sum,
    count: number,
    look: (
      model: SumOfModels,
      step: { readonly last: ReadonlyMap<number, { at: Float64Array; grad: Float64Array }>; readonly failed: boolean },
    ) => void,
    options = {},
  ): void {
    const { seed, ...settings } = checkSettings('SFO', options);
    const model = new SumOfModels(sum.start.slice(), sum.N, settings, new Random(seed, 'sfo'), false);
    const last = new Map<number, { at: Float64Array; grad: Float64Array }>();
    for (let step = 1; step <= count; step++) {
      const { failed, term } = stepOf(model, (i, theta, grad) => {
        const value = sum.f(i, theta, grad);
        last.set(i, { at: Float64Array.from(theta), grad: Float64Array.from(grad) });
        return value;
      });
      // After a failed step the last evaluation need not be at the params.
      if (failed) last.delete(term);
      look(model, { last, failed });
    }
  }
  const inFull = (model: SumOfModels, z: Float64Array) => {
    const x = new Float64Array(model.theta.length);
    model.subspace.addTo(x, z);
    return x;
  };

  test('the subspace is orthonormal, within its size limit, and contains the last point of each term', () => {
    const sum = quadratics(6, 60);
    const counts = new Set<number>();
    steps(sum, 120, (model, { last }) => {
      const { subspace } = model;
      expect([subspace.least, subspace.size]).toEqual([14, 21]);
      expect(subspace.count).toBeLessThan(21);
      counts.add(subspace.count);
      for (const [i, row] of tall.gram(subspace.columns).entries())
        for (const [j, v] of row.entries()) expect(v).toBeCloseTo(i === j && i < subspace.count ? 1 : 0, 11);
      const term = (i: number) => model.active.find(({ index }) => index === i)!;
      for (const [i, { at, grad }] of last) {
        expect(away(inFull(model, term(i).z), at)).toBeLessThan(1e-9);
        expect(away(inFull(model, term(i).grad), grad)).toBeLessThan(1e-9);
      }
    });
    // The subspace was full and collapsed.
    expect(counts).toContain(20);
  });

  test('each Hessian satisfies the secant equation of its newest change, and is positive definite', () => {
    let looked = 0;
    steps(quadratics(6, 60), 100, ({ active }) => {
      for (const { changes, hessian } of active) {
        if (changes.length === 0) continue;
        const { step, grad } = changes[0]!;
        const product = new Float64Array(step.length);
        addProduct(hessian, step, product);
        // A collapse drops the part of an old change that is in no term's point or gradient. The newest change of a
        // term stays.
        if (away(product, grad) / Math.hypot(...grad) < 1e-6) looked++;
        for (const { b, sign } of hessian.columns) expect(hessian.diagonal + sign * dot(b, b)).toBeGreaterThan(0);
      }
    });
    expect(looked).toBeGreaterThan(200);
  });

  test('a step leads to the minimizer of the sum of the models, unless it is shortened', () => {
    let looked = 0;
    const check = (sum: Sum, count: number, seed: number) => {
      let isShortened = false;
      steps(
        sum,
        count,
        (model, { failed }) => {
          /** The gradient of the sum of the models, and the lengths of its summands. */
          const slope = (theta: Float64Array) => {
            const z = model.subspace.project(theta);
            const gradient = new Float64Array(z.length);
            let size = 0;
            for (const term of model.active) {
              const product = new Float64Array(z.length);
              const difference = z.map((v, k) => v - term.z[k]!);
              addProduct(term.hessian, difference, product);
              for (const [k, v] of term.grad.entries()) gradient[k]! += v + product[k]!;
              size += Math.hypot(...term.grad) + Math.hypot(...product);
            }
            return { gradient, size };
          };
          const before = slope(model.before);
          const after = slope(model.theta);
          const left = dot(after.gradient, before.gradient) / dot(before.gradient, before.gradient);
          const aside = after.gradient.map((v, k) => v - left * before.gradient[k]!);
          expect(Math.hypot(...aside)).toBeLessThan(1e-9 * before.size);
          isShortened ||= failed;
          if (isShortened) return;
          looked++;
          expect(Math.hypot(...after.gradient)).toBeLessThan(1e-9 * before.size);
        },
        { seed },
      );
    };
    for (let seed = 0; seed < 8; seed++) check(quadratics(8, 12), 8, seed);
    expect(looked).toBeGreaterThan(16);
    // This holds through collapses of the subspace.
    check(quadratics(6, 60), 60, 0);
  });

  test('the model of a term matches its values and gradients from its first change on', () => {
    const sum = quadratics(8, 12);
    let looked = 0;
    steps(sum, 60, ({ active }) => {
      for (const { index: i, changes } of active)
        for (const { step, grad } of changes) {
          looked++;
          const truth = step.map((v, k) => v * sum.curvatures[i]![k]!);
          expect(away(grad, truth)).toBeLessThan(1e-9 * (1 + Math.hypot(...truth)));
        }
    });
    expect(looked).toBeGreaterThan(200);
  });

  test('a failed step ends at the lower of its start and the last point tried', () => {
    const sum = quadratics(6, 5);
    const waves: Sum = {
      ...sum,
      f(i, x, grad) {
        let value = sum.f(i, x, grad);
        for (let k = 0; k < 5; k++) {
          grad[k]! -= 5 * Math.sin(5 * x[k]! + i);
          value += Math.cos(5 * x[k]! + i);
        }
        return value;
      },
    };
    const { seed, ...settings } = checkSettings('SFO', {});
    const model = new SumOfModels(waves.start.slice(), 6, settings, new Random(seed, 'sfo'), false);
    const seen = { kept: 0, back: 0 };
    for (let step = 0; step < 200; step++) {
      const calls: { value: number; at: Float64Array }[] = [];
      const { failed, value } = stepOf(model, (i, theta, grad) => {
        calls.push({ value: waves.f(i, theta, grad), at: Float64Array.from(theta) });
        return calls.at(-1)!.value;
      });
      const [first, old] = calls;
      expect(calls.length).toBeLessThanOrEqual(12);
      if (!failed) {
        expect(calls.length).toBe(1);
        expect(model.before).toEqual(first!.at);
        continue;
      }
      const last = calls.length > 2 ? calls.at(-1)! : first!;
      const end = last.value < old!.value ? last : old!;
      seen[end === old ? 'back' : 'kept']++;
      expect(value).toBe(end.value);
      expect(model.before).toEqual(end.at);
    }
    expect(seen.back).toBeGreaterThan(3);
    expect(seen.kept).toBeGreaterThan(3);
  });
});

describe('the Hessian of one term', () => {
  /** Column after column, H·eₖ. */
  const dense = (hessian: Hessian, length: number) => {
    const columns = Array.from({ length }, (_, k) => {
      const out = new Float64Array(length);
      addProduct(
        hessian,
        Float64Array.from({ length }, (_, j) => (j === k ? 1 : 0)),
        out,
      );
      return [...out];
    });
    return new Matrix(columns).transpose();
  };
  /** Changes of a convex quadratic: its Hessian, and `count` steps. */
  function changes(length: number, count: number, seed: number) {
    const u = random(seed);
    const root = new Matrix(Array.from({ length }, () => [...vector(length, u)]));
    const A = root.mmul(root.transpose()).add(Matrix.eye(length).mul(0.5));
    const pairs = Array.from({ length: count }, () => {
      const step = vector(length, u);
      return { step, grad: Float64Array.from(A.mmul(Matrix.columnVector(step)).to1DArray()) };
    });
    return { A, pairs };
  }

  test.each([
    [12, 3],
    [12, 5],
    [6, 3],
    [4, 10],
  ])('BFGS in %i dimensions with %i changes is the textbook formula', (length, count) => {
    const { pairs } = changes(length, count, length + count);
    const hessian = estimateHessian(pairs, 'bfgs', 1e8, 1);
    let H = Matrix.eye(length).mul(hessian.diagonal);
    for (const { step, grad } of [...pairs].reverse()) {
      const [s, y] = [Matrix.columnVector(step), Matrix.columnVector(grad)];
      const Hs = H.mmul(s);
      H = Matrix.add(H, y.mmul(y.transpose()).div(dot(step, grad))).sub(
        Hs.mmul(Hs.transpose()).div(s.transpose().mmul(Hs).get(0, 0)),
      );
    }
    const difference = Matrix.sub(dense(hessian, length), H);
    expect(difference.norm() / H.norm()).toBeLessThan(1e-9);
    const found = dense(hessian, length);
    expect(Matrix.sub(found, found.transpose()).norm() / H.norm()).toBeLessThan(1e-14);
    const lower = new Float64Array(length ** 2);
    addLowRank(hessian, 1, lower);
    for (let i = 0; i < length; i++)
      for (let j = 0; j <= i; j++)
        expect(lower[i * length + j]! + (i === j ? hessian.diagonal : 0)).toBeCloseTo(found.get(i, j), 9);
  });

  test('rank one is the Hessian itself where the steps span the space', () => {
    const { A, pairs } = changes(5, 5, 3);
    const found = dense(estimateHessian(pairs, 'rank1', 1e8, 1), 5);
    expect(Matrix.sub(found, A).norm() / A.norm()).toBeLessThan(1e-6);
  });

  test('the diagonal is the least curvature that the changes show', () => {
    const e = (k: number) => Float64Array.from({ length: 9 }, (_, j) => (j === k ? 1 : 0));
    const pairs = [2, 30, 7].map((curvature, k) => ({ step: e(k), grad: e(k).map((v) => v * curvature) }));
    const hessian = estimateHessian(pairs, 'bfgs', 1e8, 1);
    expect(hessian.diagonal).toBeCloseTo(2, 9);
    expect(estimateHessian(pairs, 'bfgs', 5, 1).diagonal).toBeCloseTo(6, 9);
    for (const { step, grad } of pairs) {
      const product = new Float64Array(9);
      addProduct(hessian, step, product);
      expect(away(product, grad)).toBeLessThan(1e-9);
    }
  });

  test('negative and vanishing curvature is replaced by the median of the positive', () => {
    const e = (k: number) => Float64Array.from({ length: 9 }, (_, j) => (j === k ? 1 : 0));
    const of = (...curvatures: number[]) =>
      estimateHessian(
        curvatures.map((curvature, k) => ({ step: e(k), grad: e(k).map((v) => v * curvature) })),
        'bfgs',
        1e8,
        1,
      );
    const product = new Float64Array(9);
    // Its basis has the directions 0, 1, 2 and three more, where it is the diagonal, 3.
    addProduct(of(-3, 5, 4), e(0), product);
    expect(product[0]).toBeCloseTo(3, 6);
    const none = of(-3);
    expect(none.diagonal).toBeCloseTo(3, 9);
    for (const hessian of [none, of(-3, -5)])
      for (const { b, sign } of hessian.columns) expect(hessian.diagonal + sign * dot(b, b)).toBeGreaterThan(0);
  });
});

describe('the matrix products', () => {
  const u = random(5);
  const columns = () => Array.from({ length: 7 }, () => vector(600, u));

  test.each([1, 2, 3, 4, 5, 7])('project and addCombination, %i columns', (count) => {
    const P = columns();
    const [x, z] = [vector(600, u), vector(7, u)];
    const out = new Float64Array(7).fill(9);
    tall.project(P, count, x, out);
    const y = x.slice();
    tall.addCombination(P, count, -2, z, y);
    for (let k = 0; k < 7; k++) expect(out[k]).toBeCloseTo(k < count ? dot(P[k]!, x) : 0, 11);
    for (const r of [0, 1, 300, 599]) {
      const sum = P.slice(0, count).reduce((s, column, k) => s + column[r]! * z[k]!, 0);
      expect(y[r]).toBeCloseTo(x[r]! - 2 * sum, 11);
    }
  });

  test('gemmInPlace', () => {
    const P = columns();
    const before = P.map((column) => column.slice());
    const q = Array.from({ length: 4 }, () => vector(7, u));
    tall.gemmInPlace(P, q);
    for (const r of [0, 255, 256, 511, 512, 599])
      for (let k = 0; k < 7; k++) {
        const sum = k < 4 ? before.reduce((s, column, j) => s + column[r]! * q[k]![j]!, 0) : 0;
        expect(P[k]![r]).toBeCloseTo(sum, 11);
      }
  });

  test('orthonormalise: P = Q·R', () => {
    const P = columns();
    const before = P.map((column) => column.slice());
    const R = tall.orthonormalise(P);
    for (const [i, row] of tall.gram(P).entries())
      for (const [j, v] of row.entries()) expect(v).toBeCloseTo(i === j ? 1 : 0, 12);
    for (let j = 0; j < 7; j++)
      expect(P.reduce((s, column, k) => s + column[300]! * R[k]![j]!, 0)).toBeCloseTo(before[j]![300]!, 11);
  });

  test('cholesky', () => {
    const root = columns().map((column) => column.subarray(0, 7));
    const A = Float64Array.from({ length: 49 }, (_, k) => dot(root[Math.floor(k / 7)]!, root[k % 7]!));
    const L = cholesky(A, 7, 7, 0.5) as Float64Array;
    const b = vector(7, u);
    const x = solveUpper(L, solveLower(L, b));
    for (let i = 0; i < 7; i++) expect(dot(A.subarray(7 * i, 7 * i + 7), x) + 0.5 * x[i]!).toBeCloseTo(b[i]!, 9);
    expect(cholesky(A, 7, 7, -100)).toBe(undefined);
  });
});
