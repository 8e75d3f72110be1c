// The truths here are float64 and use none of the library's helpers: norms with a compensated sum, PyTorch's
// ReduceLROnPlateau written anew from its rules, the closed form of gradient descent on a parabola.
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../lib/optimizers/index.js';
import {
  clipGradNorm,
  clipGradValue,
  GradAccumulator,
  lrRangeTest,
  ReduceOnPlateau,
  type ReduceOnPlateauOptions,
} from '../../lib/training/index.js';

/** Numbers in [0, 1), the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('clipGradNorm', () => {
  /** In units of the largest element and with Neumaier's sum: its error is a few ulp whatever the length. */
  function norm(values: readonly number[], p: number): number {
    const largest = Math.max(...values.map(Math.abs), 0);
    if (p === inf || largest === 0) return largest;
    let sum = 0;
    let lost = 0;
    for (const value of values) {
      const term = (Math.abs(value) / largest) ** p;
      const next = sum + term;
      lost += sum >= term ? sum - next + term : term - next + sum;
      sum = next;
    }
    return largest * (sum + lost) ** (1 / p);
  }

  // The sum of n float64 terms errs by at most n·2⁻⁵³, 1e-11 at the lengths here, and the root by a part of it.
  const closeNorm = (actual: number, expected: number) =>
    expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-11 * expected);

  const orders = [2, 1, 0.5, 3, 10, 100, inf];
  const scales = { ordinary: 1, tiny: 1e-37, huge: 3e38 };

  test.each(orders)('p = %d: the norm, and each gradient times its factor', (p) => {
    const next = random(1);
    for (const scale of Object.values(scales)) {
      for (const lengths of [[1], [5, 0, 17], scale === 1 ? [16384, 16385, 3] : [100, 200]]) {
        const grads = lengths.map((n) => Float32Array.from({ length: n }, () => scale * (2 * next() - 1)));
        const before = grads.map((g) => [...g]);
        const expected = norm(before.flat(), p);
        const max = expected / 3;
        closeNorm(clipGradNorm(grads, max, { p }), expected);
        const factor = Math.min(1, max / (expected + 1e-6));
        for (const [i, grad] of grads.entries()) {
          for (const [j, g] of grad.entries()) {
            const truth = (before[i]?.[j] as number) * factor;
            // Two roundings to float32, of the factor and of the product; each also by half a subnormal step.
            const bound = 2 ** -23 * Math.abs(truth) + 2 ** -149 * (1 + Math.abs(before[i]?.[j] as number));
            if (!(Math.abs(g - truth) <= bound)) expect(g, `${i}, ${j} of ${lengths}, ${scale}`).toBe(truth);
          }
        }
      }
    }
  });

  test.each([
    [2, 5],
    [1, 7],
    [inf, 4],
    [3, Math.cbrt(91)],
    [0.5, (Math.sqrt(3) + 2) ** 2],
  ])('p = %d of 3 and −4 is %d', (p, expected) => {
    closeNorm(clipGradNorm([new Float32Array([3, 0]), null, new Float32Array([-4])], 100, { p }), expected);
  });

  test('sums of whole numbers are exact at p = 1', () => {
    expect(clipGradNorm(new Float32Array([1, 2, 3]), 100, { p: 1 })).toBe(6);
    expect(clipGradNorm(new Float32Array([7, -5, 100]), 1e9, { p: 1 })).toBe(112);
  });

  test.each(orders)('p = %d: zeros have norm 0 and stay', (p) => {
    const grad = new Float32Array([0, -0]);
    expect(clipGradNorm(grad, 1, { p })).toBe(0);
    expect([...grad]).toEqual([0, -0]);
  });

  test('powers that would overflow or vanish do not', () => {
    closeNorm(clipGradNorm(new Float32Array([3e38, -3e38]), 1, { p: 10 }), Math.fround(3e38) * 2 ** 0.1);
    closeNorm(clipGradNorm(new Float32Array([1e-40, -1e-40]), 1, { p: 10 }), Math.fround(1e-40) * 2 ** 0.1);
    closeNorm(clipGradNorm(new Float32Array([3e38, -3e38]), 1), Math.fround(3e38) * Math.SQRT2);
  });

  test.each([
    [[3, 4], 2, [1.2, 1.6]],
    [[3, 4], 10, [3, 4]],
    [[-3, 4], 5, [-3, 4]], // 5/(5 + 1e-6) is below 1 by less than the tolerance here
    [[0, 0], 2, [0, 0]],
    [[], 2, []],
  ])('%j to %d is %j', (grad, max, expected) => {
    const array = Float32Array.from(grad);
    clipGradNorm(array, max);
    expect(array).toHaveLength(expected.length);
    for (const [i, g] of array.entries()) expect(g).toBeCloseTo(expected[i] as number, 5);
  });

  test.each([
    [[nan, 4], nan, [nan, nan]],
    [[inf, 4, 0], inf, [nan, 0, 0]],
    [[-inf, -4], inf, [nan, -0]],
    [[inf, nan, 1], nan, [nan, nan, nan]],
  ])('%s has norm %d and becomes %s, as in PyTorch', (grad, norm, expected) => {
    for (const p of [2, inf, 3]) {
      const array = Float32Array.from(grad);
      expect(clipGradNorm(array, 2, { p })).toBe(norm);
      expect([...array]).toEqual(expected);
    }
  });

  test('one NaN makes all gradients NaN', () => {
    const grads = { a: new Float32Array([1, 2]), b: new Float32Array([nan]), c: null };
    expect(clipGradNorm(grads, 1)).toBeNaN();
    expect([...grads.a, ...grads.b].every(Number.isNaN)).toBe(true);
  });
});

describe('clipGradValue', () => {
  test('clamps to ±value; NaN passes', () => {
    const grads = [new Float32Array([3, -3, 0.5, -0.5, 0, -0]), null, new Float32Array([nan, inf, -inf])];
    clipGradValue(grads, 1);
    expect(grads.map((g) => g && [...g])).toEqual([[1, -1, 0.5, -0.5, 0, -0], null, [nan, 1, -1]]);
  });

  test('the bound is the float32 nearest to value', () => {
    const grad = new Float32Array([1, -1]);
    clipGradValue(grad, 0.1);
    expect([...grad]).toEqual([Math.fround(0.1), -Math.fround(0.1)]);
  });
});

describe('GradAccumulator', () => {
  test('the sum is float32 addition in the order of the calls, from the first gradient on', () => {
    const next = random(2);
    const params = [new Float32Array(7), new Float32Array(1)];
    const sum = new GradAccumulator(params);
    for (const rounds of [1, 2, 5]) {
      const all = Array.from({ length: rounds }, () =>
        params.map(({ length }) => Float32Array.from({ length }, () => (next() - 0.5) * 10 ** Math.floor(12 * next()))),
      );
      for (const grads of all) sum.add(grads);
      const truth = params.map(({ length }, i) =>
        Array.from({ length }, (_, j) =>
          all.map((grads) => grads[i]?.[j] as number).reduce((a, b) => Math.fround(a + b)),
        ),
      );
      expect((sum.grads as Float32Array[]).map((g) => [...g])).toEqual(truth);
      expect(sum.count).toBe(rounds);
      sum.reset();
    }
  });

  test('four small batches and a gradScale of 1 / count step as their mean', () => {
    const [one, other] = [new Float32Array([1, 2]), new Float32Array([1, 2])];
    const batches = [
      [1, -8],
      [2, -6],
      [3, -4],
      [6, -2],
    ].map((g) => new Float32Array(g));
    const sum = new GradAccumulator(one);
    for (const batch of batches) sum.add(batch);
    new SGD(one, { lr: 0.5 }).step(sum.grads, { gradScale: 1 / sum.count });
    new SGD(other, { lr: 0.5 }).step(new Float32Array([3, -5]));
    expect([...one]).toEqual([...other]);
    expect([...one]).toEqual([-0.5, 4.5]);
  });
});

describe('ReduceOnPlateau', () => {
  type Options = Required<{ [K in keyof ReduceOnPlateauOptions]: NonNullable<ReduceOnPlateauOptions[K]> }>;

  /** torch/optim/lr_scheduler.py, ReduceLROnPlateau: its state and its loop, the four comparisons spelled out. */
  class Torch {
    best: number;
    bad = 0;
    cooldown = 0;
    constructor(
      readonly lrs: number[],
      readonly o: Options,
    ) {
      this.best = o.mode === 'min' ? inf : -inf;
    }

    better(a: number): boolean {
      const { mode, thresholdMode, threshold } = this.o;
      switch (`${mode} ${thresholdMode}`) {
        case 'min rel':
          return a < this.best * (1 - threshold);
        case 'min abs':
          return a < this.best - threshold;
        case 'max rel':
          return a > this.best * (threshold + 1);
        default:
          return a > this.best + threshold;
      }
    }

    step(metric: number): void {
      if (this.better(metric)) {
        this.best = metric;
        this.bad = 0;
      } else {
        this.bad += 1;
      }
      if (this.cooldown > 0) {
        this.cooldown -= 1;
        this.bad = 0;
      }
      if (this.bad > this.o.patience) {
        for (let i = 0; i < this.lrs.length; i++) {
          const old = this.lrs[i] as number;
          const lowest = typeof this.o.min === 'number' ? this.o.min : (this.o.min[i] as number);
          const fresh = Math.max(old * this.o.factor, lowest);
          if (old - fresh > this.o.eps) this.lrs[i] = fresh;
        }
        this.cooldown = this.o.cooldown;
        this.bad = 0;
      }
    }
  }

  const choices = {
    mode: ['min', 'max'],
    factor: [0, 0.1, 0.7],
    patience: [0, 1, 3],
    threshold: [0, 1e-4, 0.2, 1],
    thresholdMode: ['rel', 'abs'],
    cooldown: [0, 1, 3],
    min: [0, 0.02, [0, 0.3]],
    eps: [0, 1e-8, 0.05],
  };
  const combinations = Object.entries(choices).reduce<Record<string, unknown>[]>(
    (all, [name, values]) => all.flatMap((one) => (values as unknown[]).map((value) => ({ ...one, [name]: value }))),
    [{}],
  ) as unknown as Options[];

  /** A walk on a coarse grid, so that ties are frequent, with what a failing run reports strewn in. */
  function metrics(next: () => number, length: number): number[] {
    let value = Math.round(6 * next() - 3);
    return Array.from({ length }, () => {
      const odd = next();
      if (odd < 0.03) return odd < 0.01 ? nan : odd < 0.02 ? inf : -inf;
      value += Math.round(4 * next() - 2) * 0.1;
      return value;
    });
  }

  test(`all ${combinations.length} combinations of its options give PyTorch's lrs`, () => {
    const next = random(3);
    let falls = 0;
    for (const options of combinations) {
      const optimizer = { paramGroups: [{ lr: 0.5 }, { lr: 1 }] };
      const torch = new Torch([0.5, 1], options);
      const plateau = new ReduceOnPlateau(optimizer, options);
      for (const [i, metric] of metrics(next, 40).entries()) {
        const before = optimizer.paramGroups.map(({ lr }) => lr);
        const changed = plateau.update(metric);
        torch.step(metric);
        const lrs = optimizer.paramGroups.map(({ lr }) => lr);
        if (lrs.some((lr, g) => lr !== torch.lrs[g]))
          expect(lrs, `update ${i}, ${JSON.stringify(options)}`).toEqual(torch.lrs);
        if (changed !== lrs.some((lr, g) => lr !== before[g])) expect(changed, JSON.stringify(options)).toBe(!changed);
        if (changed) falls++;
      }
    }
    expect(falls).toBeGreaterThan(combinations.length);
  });

  test('with the defaults: the eleventh update in a row that is not better by 1e-4 of the best', () => {
    const sgd = new SGD(new Float32Array(1), { lr: 0.5 });
    const plateau = new ReduceOnPlateau(sgd);
    plateau.update(1);
    for (let i = 1; i <= 10; i++) plateau.update(1 - 9e-5);
    expect(sgd.lr).toBe(0.5);
    plateau.update(1 - 9e-5);
    expect(sgd.lr).toBe(0.05);
  });

  test('by hand', () => {
    const adam = new Adam(new Float32Array(1), { lr: 1 });
    const plateau = new ReduceOnPlateau(adam, {
      mode: 'max',
      factor: 0.5,
      patience: 1,
      threshold: 0.1,
      thresholdMode: 'abs',
      cooldown: 1,
      min: 0.2,
    });
    const lrs = [0.5, 0.55, 0.6, 0.65, 0.65, nan, 0.65, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8].map((metric) => {
      plateau.update(metric);
      return adam.lr;
    });
    //                  best bad bad→ cool bad bad→   cool best .8 bad bad→    cool bad bad→ (at min)
    expect(lrs).toEqual([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]);
  });
});

describe('lrRangeTest', () => {
  const fake = () => new SGD(new Float32Array(1), { lr: 1 });

  test('lr grows from `from` to `to` by the same factor at each step', () => {
    for (const [from, to, steps] of [
      [1e-7, 10, 100],
      [1e-3, 1, 4],
      [1e-300, 1e300, 3],
      [0.1, 0.2, 500],
    ] as const) {
      const sgd = fake();
      const seen: number[] = [];
      const { lrs, losses } = lrRangeTest(sgd, () => 1 - seen.push(sgd.lr), { from, to, steps });
      expect(lrs).toEqual(seen);
      expect(lrs).toHaveLength(steps);
      expect(losses).toEqual(Array.from({ length: steps }, (_, i) => 0 - i));
      expect([lrs[0], lrs[steps - 1]]).toEqual([from, to]);
      for (const [i, lr] of lrs.entries()) {
        expect(lr / (from ** (1 - i / (steps - 1)) * to ** (i / (steps - 1)))).toBeCloseTo(1, 11);
      }
    }
  });

  test('with the defaults: 100 steps from 1e-7 to 10', () => {
    const { lrs } = lrRangeTest(fake(), () => 1);
    expect([lrs.length, lrs[0], lrs[99]]).toEqual([100, 1e-7, 10]);
  });

  test('the losses of gradient descent on a parabola, and a stop once they blow up', () => {
    const w = new Float32Array([2]);
    const sgd = new SGD(w, { lr: 1 });
    const step = () => {
      const loss = (w[0] as number) ** 2 / 2;
      sgd.step(new Float32Array(w));
      return loss;
    };
    const { lrs, losses, suggestion } = lrRangeTest(sgd, step, { from: 1e-4, to: 100, steps: 120 });
    let x = 2;
    // Each step rounds x by half an ulp of float32, and its error is carried along.
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / (x ** 2 / 2) - 1)).toBeLessThan(1e-4);
      x *= 1 - (lrs[i] as number);
    });
    expect(lrs.at(-1)).toBeGreaterThan(2); // where gradient descent ceases to converge
    expect(lrs.length).toBeLessThan(120);
    // Σ lr ≈ lr/ln(growth) has reached about 1/2 there: the loss falls by the factor e^(−2Σlr).
    expect(suggestion / Math.log(10 ** (6 / 119))).toBeGreaterThan(0.1);
    expect(suggestion).toBeLessThan(1);
  });

  test('the suggestion is the turning point of an S-shaped loss, its noise and an explosion notwithstanding', () => {
    const next = random(4);
    for (const turn of [-5, -4, -3, -2]) {
      for (const noise of [0, 0.02, 0.1]) {
        for (const base of [0.1, -3]) {
          const sgd = fake();
          const loss = () => {
            const x = Math.log10(sgd.lr);
            const fall = 1 / (1 + Math.exp(4 * (x - turn)));
            return base + fall + noise * (next() - 0.5) + 10 ** (10 * (x - turn - 1.8));
          };
          const { lrs, suggestion } = lrRangeTest(sgd, loss, { from: 1e-7, to: 10, steps: 200 });
          expect(Math.abs(Math.log10(suggestion) - turn), `turn ${turn}, noise ${noise}, base ${base}`).toBeLessThan(
            noise === 0 ? 0.05 : 0.3,
          );
          expect(lrs).toContain(suggestion);
          expect(Math.log10(lrs.at(-1) as number)).toBeLessThan(turn + 2.6);
        }
      }
    }
  });

  test('a steeper fall after the lowest point is a loss that blew up, and is not suggested', () => {
    const losses = [
      ...Array(20).fill(1),
      ...Array.from({ length: 10 }, (_, i) => 1 - (i + 1) / 20),
      ...Array(5).fill(0.5),
      ...[1.5, 1.8, 1.9, 0.6],
      ...Array(11).fill(0.6),
    ];
    const { suggestion, lrs } = lrRangeTest(fake(), (i) => losses[i] as number, {
      from: 1e-5,
      to: 1,
      steps: losses.length,
    });
    expect(lrs).toHaveLength(losses.length);
    expect(lrs.indexOf(suggestion)).toBeGreaterThanOrEqual(20);
    expect(lrs.indexOf(suggestion)).toBeLessThan(30);
  });

  test('it stops after the first loss whose smoothed value is more than 4 times the best one', () => {
    const next = random(5);
    for (const base of [1, 0.01, -2]) {
      const losses = Array.from(
        { length: 200 },
        (_, i) => base + 0.3 * Math.abs(base) * next() + (i > 100 ? Math.abs(base) * 1.1 ** (i - 100) : 0),
      );
      // Σ 0.9^(n−i)·lossᵢ / Σ 0.9^(n−i), each anew.
      const smoothed = losses.map((_, n) => {
        const weights = losses.slice(0, n + 1).map((_, i) => 0.9 ** (n - i));
        return (
          weights.reduce((sum, weight, i) => sum + weight * (losses[i] as number), 0) / weights.reduce((a, b) => a + b)
        );
      });
      const stop = smoothed.findIndex((value, n) => {
        const best = Math.min(...smoothed.slice(0, n + 1));
        return base > 0 ? value > 4 * best : value > best + 3 * Math.abs(best);
      });
      expect(stop).toBeGreaterThan(100);
      const result = lrRangeTest(fake(), (i) => losses[i] as number, { steps: 200 });
      expect(result.losses).toEqual(losses.slice(0, stop + 1));
      expect(result.lrs).toHaveLength(stop + 1);
    }
  });

  test.each([nan, inf, -inf])('%d ends it, and does not count', (last) => {
    const losses = [3, 3, 3, 2, 1, 1, 1, last, 0, 0];
    const result = lrRangeTest(fake(), (i) => losses[i] as number, { from: 1, to: 1000, steps: 10 });
    expect(result.losses).toEqual(losses.slice(0, 8));
    expect(result.suggestion).toBe(result.lrs[3]);
  });

  test('the suggestion is where the least-squares line through a tenth of the steps is steepest, up to its lowest mean', () => {
    const next = random(6);
    let found = 0;
    for (let run = 0; run < 300; run++) {
      const steps = 3 + Math.floor(80 * next());
      const half = Math.min(Math.max(1, Math.round(steps / 20)), Math.floor((steps - 1) / 2));
      const losses = Array.from({ length: steps }, () => 1 + next());
      const { lrs, suggestion } = lrRangeTest(fake(), (i) => losses[i] as number, {
        from: 1,
        to: 2 ** (steps - 1),
        steps,
      });
      expect(lrs).toHaveLength(steps);
      // From the normal equations of loss = a + b·log₂ lr.
      const fits = lrs.slice(half, steps - half).map((lr, at) => {
        const [xs, ys] = [lrs, losses].map((all) => all.slice(at, at + 2 * half + 1)) as [number[], number[]];
        const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
        const logs = xs.map(Math.log2);
        const covariance = mean(logs.map((x, i) => x * (ys[i] as number))) - mean(logs) * mean(ys);
        return { lr, mean: mean(ys), slope: covariance / (mean(logs.map((x) => x * x)) - mean(logs) ** 2) };
      });
      const lowest = Math.min(...fits.map((fit) => fit.mean));
      const before = fits.slice(0, fits.findIndex((fit) => fit.mean === lowest) + 1);
      const slope = Math.min(...before.map((fit) => fit.slope));
      const steepest = before.find((fit) => fit.slope === slope)?.lr;
      expect(suggestion, `run ${run}`).toBe(slope < 0 ? steepest : nan);
      if (slope < 0) found++;
    }
    expect(found).toBeGreaterThan(200);
  });

  test.each([
    ['not finite from the start', () => nan],
    ['level', () => 0.1],
    ['rising', (i: number) => 1 + i / 1000],
    ['over at once', (i: number) => (i === 2 ? nan : 2 - i)],
  ])('a loss that is %s gives no suggestion: NaN', (_, loss) => {
    expect(lrRangeTest(fake(), loss).suggestion).toBeNaN();
  });

  test('all groups get the lr', () => {
    const [a, b] = [new Float32Array(1), new Float32Array(1)];
    const adam = new Adam([
      { params: a, lr: 0.1 },
      { params: b, lr: () => 0.2 },
    ]);
    const check = () => {
      expect(adam.paramGroups.map(({ lr }) => lr)).toEqual([adam.lr, adam.lr]);
      return 1;
    };
    const { lrs } = lrRangeTest(adam, check, { steps: 5 });
    expect(lrs).toHaveLength(5);
    expect(adam.paramGroups[0]?.lr).toBe(0.1);
  });
});
