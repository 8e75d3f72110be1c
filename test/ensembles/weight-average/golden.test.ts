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

  test('it agrees with float64 within half an ulp', () => {
    averageWeights(models).forEach(
      (array, i) =>
        void expect(agrees(array, truth([1, 1, 1])[i]!, 1e-15), 'each array must agree with float64').toBe(true),
    );
    averageWeights(models, { weights }).forEach(
      (array, i) =>
        void expect(agrees(array, truth(weights)[i]!, 1e-15), 'each array must agree with float64').toBe(true),
    );
    expect(
      agrees(averageWeights(models, { weights })[0]!, truth([1, 1, 1])[0]!, 1e-15),
      'a weighted mean must differ from the plain one',
    ).toBe(false);
  });

  test('examples worked by hand, in new arrays', () => {
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

  test('a model may be a tree, whose names are in any order', () => {
    const one = { layers: [{ w: f32(1, 2), b: f32(3) }], scale: { data: f32(1, 2), shape: [1, 2] } };
    const two = { scale: { data: f32(5, 6), shape: [1, 2] }, layers: [{ b: f32(5), w: f32(3, 6) }] };
    const mean = averageWeights([one, two]);
    expect(mean).toEqual({ layers: [{ w: f32(2, 4), b: f32(4) }], scale: f32(3, 4) });
    expect(mean.layers[0]!.w).not.toBe(one.layers[0]!.w);
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
   * An update is three float32 operations on numbers up to 2·2, and its rate is rounded: at most 4 roundings of 4. The
   * average forgets earlier errors at least as fast as weights, so n updates add up to at most n times that. The wrong
   * formulas below are more than 1000 times farther away.
   */
  const bound = 4 * 4 * half * n;
  const truths = {
    // Unrolled: the share that remains of w₁ and of each later weight.
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
  const expectTruth = (average: Float32Array, truth: (i: number) => number, slack = bound) =>
    expect(agrees(average, values(truth), slack), 'the average must agree with float64').toBe(true);

  test.each([0, 0.5, 0.9, 0.999])('an EMA with decay %d agrees with float64', (decay) => {
    expectTruth(run({ decay }), (i) => truths.ema(i, decay));
    expectTruth(run({ decay }, 3), (i) => truths.ema(i, decay, 3));
  });

  test.each([0, 0.5, 0.9, 0.999, 0.999999])('a debiased EMA with decay %d agrees with float64', (decay) => {
    expectTruth(run({ decay, debias: true }), (i) => truths.debiased(i, decay));
    expectTruth(run({ decay, debias: true }, 3), (i) => truths.debiased(i, decay, 3));
  });

  test('SWA agrees with float64', () => {
    expectTruth(run({ mode: 'swa' }), (i) => truths.swa(i));
    expectTruth(run({ mode: 'swa' }, 1), (i) => truths.swa(i, 1), 0);
  });

  test('a wrong formula is detected', () => {
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
    for (const [name, wrong] of Object.entries(emas))
      expect(agrees(run({ decay }), wrong, bound), `the library must differ from a wrong formula: ${name}`).toBe(false);
    const debiaseds = {
      'no division': values(zeroed),
      'd^(n-1)': values((i) => zeroed(i) / (1 - decay ** (n - 1))),
      'started at the first weights': values((i) => truths.ema(i, decay)),
    };
    for (const [name, wrong] of Object.entries(debiaseds))
      expect(
        agrees(run({ decay, debias: true }), wrong, bound),
        `the library must differ from a wrong formula: ${name}`,
      ).toBe(false);
    const swas = {
      '1/(n+2)': values((i) => (truths.swa(i) * n) / (n + 1)),
      'all but the first': values((i) => mean(at(i).slice(1))),
      'the last weights': [...walk[n - 1]!],
    };
    for (const [name, wrong] of Object.entries(swas))
      expect(agrees(run({ mode: 'swa' }), wrong, bound), `the library must differ from a wrong formula: ${name}`).toBe(
        false,
      );
  });

  test('the first update copies the bits, and so does every update with decay 0', () => {
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

  test('examples worked by hand', () => {
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
