import { describe, expect, test } from 'vitest';
import { averageWeights, WeightAverage } from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { agrees, half, mean, sum, weighted, weights } from '../../support/ensembles.js';
import { numbers } from '../../support/random.js';

describe('averageWeights', () => {
  const models = [1, 2, 3].map((seed) => [numbers(11, seed, 3), numbers(4, seed + 10, 0.01), f32()]);
  const truth = (a: number[]) =>
    models[0]!.map((_, i) =>
      weighted(
        models.map((model) => model[i]!),
        a,
      ),
    );

  test('within half an ulp', () => {
    averageWeights(models).forEach((array, i) => void expect(agrees(array, truth([1, 1, 1])[i]!, 1e-15)).toBe(true));
    averageWeights(models, { weights }).forEach(
      (array, i) => void expect(agrees(array, truth(weights)[i]!, 1e-15)).toBe(true),
    );
    expect(agrees(averageWeights(models, { weights })[0]!, truth([1, 1, 1])[0]!, 1e-15)).toBe(false);
  });

  test('by hand, in new arrays', () => {
    const [a, b] = [
      [f32(1, 2), f32(3)],
      [f32(3, 6), f32(5)],
    ];
    const average = averageWeights([a, b], { weights: f32(0.25, 0.75) });
    expect(average).toEqual([f32(2.5, 5), f32(4.5)]);
    expect(average[0]).not.toBe(a[0]);
    expect([a, b]).toEqual([
      [f32(1, 2), f32(3)],
      [f32(3, 6), f32(5)],
    ]);
    const [alone] = averageWeights([a]);
    expect(alone).toEqual(a[0]);
    expect(alone).not.toBe(a[0]);
  });
});

describe('WeightAverage', () => {
  const n = 20;
  const walk = Array.from({ length: n }, (_, k) => numbers(9, 100 + k, 2));
  const at = (i: number) => walk.map((w) => w[i]!);

  function run(options: ConstructorParameters<typeof WeightAverage>[1], steps = n): Float32Array {
    const w = numbers(9, 99, 2);
    const average = new WeightAverage([w], options);
    for (let k = 0; k < steps; k++) {
      w.set(walk[k]!);
      average.update();
    }
    expect(average.count).toBe(steps);
    return average.params[0]!;
  }

  /**
   * An update is three float32 operations on numbers up to 2·2, and its rate is rounded: at most 4 roundings of 4, and
   * the average forgets earlier errors at least as fast as it forgets weights, so n updates add up to n of them at most.
   * The wrong formulas below are more than 1000 times farther away.
   */
  const bound = 4 * 4 * half * n;
  const truths = {
    // Unrolled: what stays of w₁ and then of each later one.
    ema: (i: number, d: number, m = n) =>
      sum(
        at(i)
          .slice(0, m)
          .map((w, k) => w * d ** (m - 1 - k) * (k === 0 ? 1 : 1 - d)),
      ),
    debiased: (i: number, d: number, m = n) =>
      sum(
        at(i)
          .slice(0, m)
          .map((w, k) => w * d ** (m - 1 - k)),
      ) /
      sum(
        at(i)
          .slice(0, m)
          .map((_, k) => d ** (m - 1 - k)),
      ),
    swa: (i: number, m = n) => mean(at(i).slice(0, m)),
  };
  const values = (truth: (i: number) => number) => Array.from(walk[0]!, (_, i) => truth(i));

  test.each([0, 0.5, 0.9, 0.999])('EMA with decay %d', (decay) => {
    expect(
      agrees(
        run({ decay }),
        values((i) => truths.ema(i, decay)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ decay }, 3),
        values((i) => truths.ema(i, decay, 3)),
        bound,
      ),
    ).toBe(true);
  });

  test.each([0, 0.5, 0.9, 0.999, 0.999999])('debiased EMA with decay %d', (decay) => {
    expect(
      agrees(
        run({ decay, debias: true }),
        values((i) => truths.debiased(i, decay)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ decay, debias: true }, 3),
        values((i) => truths.debiased(i, decay, 3)),
        bound,
      ),
    ).toBe(true);
  });

  test('SWA', () => {
    expect(
      agrees(
        run({ mode: 'swa' }),
        values((i) => truths.swa(i)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ mode: 'swa' }, 1),
        values((i) => truths.swa(i, 1)),
      ),
    ).toBe(true);
  });

  test('another formula is told apart', () => {
    const decay = 0.9;
    const zeroed = (i: number) => truths.debiased(i, decay) * (1 - decay ** n);
    const emas = {
      'decay for its complement': values((i) => truths.ema(i, 1 - decay)),
      'start at 0': values(zeroed),
      'the initial weights count': values(
        (i) => truths.ema(i, decay) + decay ** n * (numbers(9, 99, 2)[i]! - walk[0]![i]!),
      ),
      debiased: values((i) => truths.debiased(i, decay)),
      'one update fewer': values((i) => truths.ema(i, decay, n - 1)),
    };
    for (const [name, wrong] of Object.entries(emas)) expect(agrees(run({ decay }), wrong, bound), name).toBe(false);
    const debiaseds = {
      'no division': values(zeroed),
      'd^(n-1)': values((i) => zeroed(i) / (1 - decay ** (n - 1))),
      'started at the first weights': values((i) => truths.ema(i, decay)),
    };
    for (const [name, wrong] of Object.entries(debiaseds))
      expect(agrees(run({ decay, debias: true }), wrong, bound), name).toBe(false);
    const swas = {
      '1/(n+2)': values((i) => (truths.swa(i) * n) / (n + 1)),
      'all but the first': values((i) => mean(at(i).slice(1))),
      'the last weights': [...walk[n - 1]!],
    };
    for (const [name, wrong] of Object.entries(swas))
      expect(agrees(run({ mode: 'swa' }), wrong, bound), name).toBe(false);
  });

  test('the first update copies to the bit, as do all with decay 0', () => {
    const w = f32(1e8);
    const ema = new WeightAverage(w, { decay: 0.25 });
    w[0] = 1;
    ema.update();
    expect(ema.params[0]![0]).toBe(1); // 1e8 + 1·(1 − 1e8) would be 0
    const none = new WeightAverage(w, { decay: 0, debias: true });
    none.update();
    w[0] = 1e8;
    none.update();
    w[0] = 1;
    none.update();
    expect(none.params[0]![0]).toBe(1);
  });

  test('by hand', () => {
    const w = f32(8);
    const all = {
      ema: new WeightAverage(w, { decay: 0.75 }),
      debiased: new WeightAverage(w, { decay: 0.5, debias: true }),
      swa: new WeightAverage(w, { mode: 'swa' }),
    };
    const read = () => Object.values(all).map(({ params }) => params[0]![0]);
    const update = (value: number) => {
      w[0] = value;
      for (const average of Object.values(all)) average.update();
    };
    expect(read()).toEqual([8, 8, 8]);
    update(4);
    expect(read()).toEqual([4, 4, 4]);
    update(7);
    expect(read()).toEqual([4.75, 6, 5.5]); // debiased: (4/4 + 7/2) / (3/4)
  });
});
