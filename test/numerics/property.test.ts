// Finite gradients of any size make no NaN, and a formula recovers from a single huge one.
import { describe, expect, test } from 'vitest';
import { random } from '../support/random.js';
import { titled, variants } from '../support/rig.js';
import { onEach } from '../support/sparse.js';

// TensorFlow.js's own formulas: √(s − a² − ε) and √(u + ε)/√(s + ε)·g are NaN in TensorFlow.js too.
const ours = variants.filter(
  ({ declaration: { name }, options }) =>
    !(name === 'AdadeltaOptimizer' || (name === 'RMSPropOptimizer' && options['centered'])),
);

test.each(titled(ours))('%s: finite gradients of any size make no NaN', (_, c) => {
  for (const decades of [18, 19.5, 25, 38.5]) {
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
