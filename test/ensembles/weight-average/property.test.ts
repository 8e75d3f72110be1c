import { describe, expect, test } from 'vitest';
import { engine, withEngine } from '../../../lib/engine/backend.js';
import { referenceEngine } from '../../../lib/engine/reference.js';
import {
  averageLogits,
  averageWeights,
  type EmaOptions,
  type SwaOptions,
  WeightAverage,
} from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { array, bits, ensemble, largest, list, logit, near } from '../../support/ensembles.js';
import fc from '../../support/property.js';

const anyFloat = fc.integer().map((bits) => new Float32Array(Int32Array.of(bits).buffer)[0]!);

test('averageWeights averages each array as averageLogits would', () =>
  fc.assert(
    fc.property(ensemble, ({ members, weights }) => {
      const models = members.map((m) => [m.subarray(0, 1), m.subarray(1)]);
      const expected = averageLogits(members, { weights });
      const [head, tail] = averageWeights(models, { weights }) as [Float32Array, Float32Array];
      expect([...bits(head), ...bits(tail)]).toEqual(bits(expected));
    }),
  ));

describe('WeightAverage', () => {
  const options: fc.Arbitrary<EmaOptions | SwaOptions> = fc.oneof(
    fc.constant({ mode: 'swa' } as const),
    fc.record({ decay: fc.double({ min: 0, max: 0.9999, noNaN: true }), debias: fc.boolean() }),
  );
  /** The weights at each update, in two params. */
  const steps = (element: fc.Arbitrary<number>) =>
    fc
      .record({ length: fc.integer({ min: 1, max: 40 }), count: fc.integer({ min: 1, max: 6 }) })
      .chain(({ length, count }) => list(count, array(length, element)));

  function averaged(walk: Float32Array[], how: EmaOptions | SwaOptions) {
    const w = new Float32Array(walk[0]!.length);
    const average = new WeightAverage({ a: w.subarray(0, 1), b: w.subarray(1) }, how);
    for (const values of walk) {
      w.set(values);
      average.update();
    }
    return { w, average };
  }

  test('swap exchanges the contents, and twice restores the bits, of any float', () =>
    fc.assert(
      fc.property(steps(anyFloat), options, (walk, how) => {
        const { w, average } = averaged(walk, how);
        const before = bits(w);
        const mean = average.params.flatMap(bits);
        average.swap();
        expect(bits(w)).toEqual(mean);
        expect(average.params.flatMap(bits)).toEqual(before);
        average.swap();
        expect(bits(w)).toEqual(before);
        expect(average.params.flatMap(bits)).toEqual(mean);
      }),
    ));

  test('swap moves long arrays whole', () => {
    const length = 40_001; // more than two chunks
    const w = Float32Array.from({ length }, (_, i) => i);
    const average = new WeightAverage([f32(-1), w], { mode: 'swa' });
    average.update();
    w.forEach((_, i) => {
      w[i] = -i;
    });
    average.swap();
    expect(w.every((v, i) => v === i)).toBe(true);
    expect(average.params[1]!.every((v, i) => v === -i)).toBe(true);
  });

  test('swapping in between changes no later average', () =>
    fc.assert(
      fc.property(steps(logit), steps(logit), options, (first, later, how) => {
        const walk = [...first, ...later.map((w) => Float32Array.from(first[0]!, (_, i) => w[i % w.length]!))];
        const straight = averaged(walk, how);
        const w = new Float32Array(walk[0]!.length);
        const average = new WeightAverage(w, how);
        for (const values of walk) {
          w.set(values);
          average.update();
          average.swap();
          average.swap();
          expect(bits(w)).toEqual(bits(values));
        }
        expect(average.params.flatMap(bits)).toEqual(straight.average.params.flatMap(bits));
      }),
    ));

  test('weights that stay are their own average', () =>
    fc.assert(
      fc.property(array(5), fc.integer({ min: 1, max: 30 }), options, (w, count, how) => {
        const { average } = averaged(
          Array.from({ length: count }, () => w),
          how,
        );
        const result = Float32Array.from(average.params.flatMap((a) => [...a]));
        // Without debias w − avg is 0 throughout; with it each update rounds anew.
        if ('debias' in how && how.debias) expect(near(result, w, count * largest([w]))).toBe(true);
        else expect([...result].map((v) => v + 0)).toEqual([...w].map((v) => v + 0)); // -0 may become 0
      }),
    ));

  test('the addon and the reference give the same bits', () =>
    fc.assert(
      fc.property(steps(logit), options, (walk, how) => {
        const native = averaged(walk, how).average.params.flatMap(bits);
        const js = withEngine(referenceEngine, () => averaged(walk, how).average.params.flatMap(bits));
        expect(engine().name).toBe('native');
        expect(native).toEqual(js);
      }),
    ));

  test('a loaded state goes on to the bit, after structuredClone', () =>
    fc.assert(
      fc.property(steps(logit), options, fc.integer({ min: 0, max: 6 }), (walk, how, cut) => {
        const straight = averaged(walk, how).average;
        const w = new Float32Array(walk[0]!.length);
        const params = { a: w.subarray(0, 1), b: w.subarray(1) };
        const make = () => new WeightAverage(params, how);
        let average = make();
        walk.forEach((values, k) => {
          if (k === cut) {
            const state = structuredClone(average.stateDict());
            average = make();
            average.loadStateDict(state);
          }
          w.set(values);
          average.update();
        });
        expect(average.count).toBe(straight.count);
        expect(average.params.flatMap(bits)).toEqual(straight.params.flatMap(bits));
      }),
    ));
});
