import { describe, expect, test } from 'vitest';
import { ReduceOnPlateau } from '../../../lib/training/index.js';
import fc from '../../support/property.js';

describe('ReduceOnPlateau', () => {
  const metric = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double());
  const options = fc.record({
    mode: fc.constantFrom('min' as const, 'max' as const),
    factor: fc.double({ min: 0, max: 0.99, noNaN: true }),
    patience: fc.nat(3),
    threshold: fc.double({ min: 0, max: 0.5, noNaN: true }),
    thresholdMode: fc.constantFrom('rel' as const, 'abs' as const),
    cooldown: fc.nat(3),
    min: fc.oneof(fc.constant(0), fc.constant(0.2), fc.constant([0.1, 0.3])),
    eps: fc.constantFrom(0, 1e-8, 0.1),
  });
  const groups = () => ({ paramGroups: [{ lr: 1 }, { lr: 0.5 }] });

  test('one that resumes from a state, through JSON or a structured clone, goes on as if nothing had been', () => {
    fc.assert(
      fc.property(options, fc.array(metric), fc.array(metric), (settings, before, after) => {
        const straight = groups();
        const plateau = new ReduceOnPlateau(straight, settings);
        for (const m of before) plateau.update(m);
        const dict = plateau.stateDict();
        const lrs = straight.paramGroups.map(({ lr }) => lr);
        for (const state of [structuredClone(dict), JSON.parse(JSON.stringify(dict))]) {
          // JSON knows no infinity: a metric that was one is the best, of 'max', for good.
          if (Math.abs(dict.best as number) === Number.POSITIVE_INFINITY && state.best === null) continue;
          const fresh = { paramGroups: lrs.map((lr) => ({ lr })) };
          const resumed = new ReduceOnPlateau(fresh);
          resumed.loadStateDict(state);
          expect(resumed.stateDict()).toEqual(dict);
          const again = { paramGroups: lrs.map((lr) => ({ lr })) };
          const reference = new ReduceOnPlateau(again, settings);
          reference.loadStateDict(dict);
          for (const m of after) expect(resumed.update(m)).toBe(reference.update(m));
          expect(fresh).toEqual(again);
        }
        const rest = { paramGroups: lrs.map((lr) => ({ lr })) };
        const resumed = new ReduceOnPlateau(rest, settings);
        resumed.loadStateDict(dict);
        for (const m of after) {
          expect(resumed.update(m)).toBe(plateau.update(m));
          expect(rest).toEqual(straight);
        }
      }),
    );
  });

  test('lr never rises, nor falls below min', () => {
    fc.assert(
      fc.property(options, fc.array(metric, { maxLength: 50 }), (settings, metrics) => {
        const optimizer = groups();
        const plateau = new ReduceOnPlateau(optimizer, settings);
        for (const m of metrics) {
          const before = optimizer.paramGroups.map(({ lr }) => lr);
          plateau.update(m);
          for (const [i, { lr }] of optimizer.paramGroups.entries()) {
            expect(lr).toBeLessThanOrEqual(before[i] as number);
            expect(lr).toBeGreaterThanOrEqual(
              typeof settings.min === 'number' ? settings.min : (settings.min[i] as number),
            );
          }
        }
      }),
    );
  });
});
