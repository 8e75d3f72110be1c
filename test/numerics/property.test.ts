// Finite gradients of any size make no NaN, a formula recovers from a single huge one, and weights do not drift.
import { describe, expect, test } from 'vitest';
import { createOptimizer, FTRL, ScheduleFreeSGD, SGD } from '../../lib/index.js';
import { random } from '../support/random.js';
import { type Case, decay, titled, variants } from '../support/rig.js';
import { sample } from '../support/sample.js';
import { onEach } from '../support/sparse.js';

// TensorFlow.js's own formulas: √(s − a² − ε) and √(u + ε)/√(s + ε)·g are NaN in TensorFlow.js too.
const ours = variants.filter(
  ({ declaration: { name }, options }) =>
    !(name === 'AdadeltaOptimizer' || (name === 'RMSPropOptimizer' && options['centered'])),
);

test.each(titled(sample(ours, 20)))('%s: finite gradients of any size make no NaN', (_, c) => {
  for (const decades of [-45, -30, 18, 19.5, 25, 38.5]) {
    onEach(() => {
      const next = random(decades);
      const w = Float32Array.from({ length: 64 }, () => next() - 0.5);
      const optimizer = c.make([w]);
      for (let step = 0; step < 60; step++) {
        const huge = () => (next() < 0.5 ? -1 : 1) * 10 ** (decades * next());
        // Some elements have no gradient, some always a huge one, and the others one in the fourth step.
        const g = Float32Array.from({ length: 64 }, (_, i) =>
          i % 8 === 0 ? 0 : step === 3 || i % 5 === 0 ? huge() : next() - 0.5,
        );
        optimizer.step([g]);
        expect(w.findIndex(Number.isNaN), `10^${decades}, step ${step + 1}`).toBe(-1);
      }
    });
  }
});

describe('RMSprop, centered: after one huge gradient the averages are soon the same as without it', () => {
  const c = variants.filter(({ declaration: { name }, options }) => name === 'RMSprop' && options['centered']);
  test.each(titled(c))('%s', (_, { make }) => {
    for (const huge of [1e20, -1e25, 3.4028235e38]) {
      onEach(() => {
        const [shocked, calm] = [0, 1].map(() => make(new Float32Array(1), { alpha: 0.9 }));
        const step = (a: number, b: number): void => {
          shocked!.step(Float32Array.of(a));
          calm!.step(Float32Array.of(b));
        };
        step(huge, 1);
        for (let k = 0; k < 1100; k++) step(k % 3, k % 3);
        const [a, b] = [shocked, calm].map((optimizer) => optimizer!.stateDict().state['0'] as Record<string, unknown>);
        for (const name of ['squareAvg', 'gradAvg'])
          expect((a![name] as Float32Array)[0]! / (b![name] as Float32Array)[0]!, name).toBeCloseTo(1, 5);
      });
    }
  });
});

describe('weights do not drift', () => {
  // ASGD decays by lambd. FTRL computes its weights anew from z in each step: they round once. AdagradDA forgets them.
  const cases = ours.filter(({ declaration: { name } }) => name !== 'FTRL' && name !== 'AdagradDA');
  const more = (c: Case) => ({ ...decay(c, 0), ...(c.declaration.name === 'ASGD' ? { lambd: 0 } : {}) });
  const weights = () => Float32Array.of(3, 1 / 3, 0.7, 123.456, -1e-30, 1e30, 0, 5);

  // Fromage divides them by √(1 + lr²) in each step, whatever the gradient.
  const still = cases.filter(({ declaration: { name } }) => name !== 'Fromage');
  test.each(titled(still))('%s: with gradients of 0 they keep their bits', (_, c) => {
    onEach(() => {
      const w = weights();
      const optimizer = c.make(w, { lr: 0.1, ...more(c) });
      for (let step = 0; step < 200; step++) optimizer.step(new Float32Array(8));
      expect(w).toEqual(weights());
      if (!('eval' in optimizer)) return;
      for (const mode of ['eval', 'train'] as const) {
        (optimizer as unknown as Record<typeof mode, () => void>)[mode]();
        expect(w, mode).toEqual(weights());
      }
    });
  });

  // Rprop's step sizes have a lower bound above 0.
  test.each(titled(cases.filter(({ declaration: { name } }) => name !== 'Rprop')))(
    '%s: with lr 0 they keep their bits',
    (_, c) => {
      onEach(() => {
        const next = random(4);
        const w = weights();
        const optimizer = c.make(w, { lr: 0, ...more(c) });
        for (let step = 0; step < 50; step++) optimizer.step(Float32Array.from({ length: 8 }, () => next() - 0.5));
        expect(w).toEqual(weights());
      });
    },
  );

  test('a weight of FTRL without a gradient rounds once, and then stays', () => {
    const w = weights();
    const optimizer = new FTRL(w);
    optimizer.step(new Float32Array(8));
    const rounded = w.slice();
    for (const [i, x] of weights().entries())
      expect(Math.abs(rounded[i]! - x)).toBeLessThanOrEqual(2 ** -22 * Math.abs(x));
    for (let step = 0; step < 200; step++) optimizer.step(new Float32Array(8));
    expect(w).toEqual(rounded);
  });

  test.each([['ScheduleFreeSGD'], ['ScheduleFreeAdamW']] as const)(
    '%s: they keep their bits wherever z and x meet, at any β and weight of the average',
    (name) => {
      for (const beta of [0, 0.25, 0.5, 0.9, 0.999]) {
        const w = weights();
        const options = name === 'ScheduleFreeSGD' ? { momentum: beta } : { betas: [beta, 0.999] as const };
        const optimizer = createOptimizer(name, w, { lr: (t: number) => 1 / t, r: 0.5, ...options } as never);
        for (let step = 0; step < 300; step++) optimizer.step(new Float32Array(8));
        expect(w).toEqual(weights());
      }
    },
  );
});

test('ScheduleFreeSGD with momentum 0: the params are z, which takes the steps of SGD', () => {
  const next = random(6);
  const [w, v] = [0, 1].map(() => Float32Array.of(1e8, 1, -0.3)) as [Float32Array, Float32Array];
  const [free, plain] = [new ScheduleFreeSGD(w, { lr: 0.5, momentum: 0 }), new SGD(v, { lr: 0.5 })];
  for (let step = 0; step < 20; step++) {
    const g = Float32Array.from({ length: 3 }, () => (next() - 0.5) * 100);
    free.step(g);
    plain.step(g);
    expect(w).toEqual(v);
  }
});
