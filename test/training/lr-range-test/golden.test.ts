// lrRangeTest against the closed form of gradient descent on a parabola.
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../../lib/optimizers/index.js';
import { lrRangeTest } from '../../../lib/training/index.js';
import { random } from '../../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('lrRangeTest', () => {
  const fake = () => new SGD(new Float32Array(1), { lr: 1 });

  test('lr grows from `from` to `to` by the same factor at each step', () => {
    for (const [from, to, steps] of [
      [1e-7, 10, 100],
      [1e-3, 1, 4],
      [1e-300, 1e38, 3],
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

  test('the defaults are 100 steps from 1e-7 to 10', () => {
    const { lrs } = lrRangeTest(fake(), () => 1);
    expect([lrs.length, lrs[0], lrs[99]]).toEqual([100, 1e-7, 10]);
  });

  test('it records the losses of gradient descent on a parabola, and stops when they diverge', () => {
    const w = new Float32Array([2]);
    const sgd = new SGD(w, { lr: 1 });
    const step = () => {
      const loss = (w[0] as number) ** 2 / 2;
      sgd.step(new Float32Array(w));
      return loss;
    };
    const { lrs, losses, suggestion } = lrRangeTest(sgd, step, { from: 1e-4, to: 100, steps: 120 });
    let x = 2;
    // Each step rounds x by half an ulp of float32, and the error propagates.
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / (x ** 2 / 2) - 1)).toBeLessThan(1e-4);
      x *= 1 - (lrs[i] as number);
    });
    expect(lrs.at(-1)).toBeGreaterThan(2); // where gradient descent stops converging
    expect(lrs.length).toBeLessThan(120);
    // Σ lr ≈ lr/ln(growth) has reached about 1/2 there: the loss falls by the factor e^(−2Σlr).
    expect(suggestion / Math.log(10 ** (6 / 119))).toBeGreaterThan(0.1);
    expect(suggestion).toBeLessThan(1);
  });

  test('the suggestion is the inflection point of an S-shaped loss, in spite of noise and a divergence', () => {
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

  test('a steeper fall after the lowest point belongs to a diverged loss, and is not suggested', () => {
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
      // Σ 0.9^(n−i)·lossᵢ / Σ 0.9^(n−i), computed from scratch for each n.
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

  test.each([nan, inf, -inf])('a loss of %d ends the test and is not recorded', (last) => {
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
