import { describe, expect, test } from 'vitest';
import { Adagrad, Adam, AdamW, RMSprop, SGD } from '../../../lib/optimizers/index.js';
import { cosine } from '../../../lib/schedules/index.js';
import { lrRangeTest } from '../../../lib/training/index.js';
import fc from '../../support/property.js';
import { all } from '../../support/sample.js';

/** The bits of arrays: tells −0 from 0 and one NaN from another. */
const bits = (arrays: readonly Float32Array[]) => arrays.map((a) => [...new Uint32Array(a.slice().buffer)]);

describe('lrRangeTest', () => {
  const half = (t: number) => 0.1 / t;
  const optimizers: Record<
    string,
    (p: { a: Float32Array; b: Float32Array }) => SGD | Adam | AdamW | RMSprop | Adagrad
  > = {
    sgd: (p) => new SGD(p, { lr: 0.1, momentum: (t) => 1 - 1 / (t + 1), ema: 0.9 }),
    buffer: (p) => new SGD(p, { lr: half, momentum: 0.9, momentumForm: 'buffer' }),
    nesterov: (p) => new SGD(p, { lr: cosine(0.1, { steps: 9 }), momentum: (t) => 0.5 + 0.1 / t, nesterov: true }),
    adagrad: (p) => new Adagrad(p, { initialAccumulatorValue: 0.5, lrDecay: 0.1, skipNonFinite: true }),
    rmsprop: (p) => new RMSprop(p, { centered: true, momentum: 0.5, clipNorm: 1 }),
    adam: (p) => new Adam([{ params: { a: p.a }, lr: half, amsgrad: true }, { params: { b: p.b } }], { ema: 0.5 }),
    adamw: (p) => new AdamW(p, { betas: [half, 0.99], weightDecay: half, zeroGrads: true }),
  };

  test.each(Object.entries(optimizers))('%s: training goes on as if there had been no test', async (_, make) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3),
        fc.integer({ min: 3, max: 12 }),
        fc.option(fc.nat(11)),
        fc.boolean(),
        async (steps, length, fails, async) => {
          const train = async (tested: boolean) => {
            const params = { a: Float32Array.of(1, -2, Number.NaN), b: Float32Array.of(-0) };
            const optimizer = make(params);
            let data = 0;
            const step = (a: number, b: number) =>
              optimizer.step({ a: Float32Array.of(a, -1, 3), b: data % 4 ? Float32Array.of(b) : null });
            const next = () => {
              data++;
              step(Math.sin(data), Math.cos(data));
            };
            for (let i = 0; i < steps; i++) next();
            const before = data;
            const settings = optimizer.paramGroups.map(({ lr }) => lr);
            const state = [bits(Object.values(params)), optimizer.stateDict(), optimizer.toString()];
            if (tested) {
              const fault = new Error('out of data');
              const trainStep = (i: number) => {
                next();
                if (i === 2) step(Number.NaN, Number.POSITIVE_INFINITY);
                if (i === fails) throw fault;
                return 1 + i / 100;
              };
              const options = { from: 1e-3, to: 10, steps: length };
              const run = async () => {
                if (!async) return lrRangeTest(optimizer, trainStep, options);
                const result = lrRangeTest(optimizer, (i) => Promise.resolve(i).then(trainStep), options);
                expect(result).toBeInstanceOf(Promise);
                return result;
              };
              if (fails !== null && fails < length) await expect(run()).rejects.toBe(fault);
              else expect((await run()).losses).toHaveLength(length);
              expect(data).toBeGreaterThan(before);
              expect([bits(Object.values(params)), optimizer.stateDict(), optimizer.toString()]).toEqual(state);
              expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual(settings);
              data = before;
            }
            for (let i = 0; i < 3; i++) next();
            return [bits(Object.values(params)), optimizer.stateDict()];
          };
          expect(await train(true)).toEqual(await train(false));
        },
      ),
      { numRuns: all ? 20 : 5 },
    );
  });

  test('emaParams come back too', () => {
    const w = new Float32Array([1, 2]);
    const sgd = new SGD(w, { lr: 0.1, ema: 0.5 });
    sgd.step(new Float32Array([1, 1]));
    const before = bits([sgd.emaParams as Float32Array]);
    lrRangeTest(sgd, () => {
      sgd.step(new Float32Array([1, 1]));
      return 1;
    });
    expect(bits([sgd.emaParams as Float32Array])).toEqual(before);
  });

  test('losses that come at once and losses that come later give the same', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double(), { minLength: 3, maxLength: 60 }), async (losses) => {
        const sgd = new SGD(new Float32Array(1), { lr: 1 });
        const options = { steps: losses.length };
        const atOnce = lrRangeTest(sgd, (i) => losses[i] as number, options);
        expect(await lrRangeTest(sgd, async (i) => losses[i] as number, options)).toEqual(atOnce);
        // Now and then a Promise.
        const mixed = lrRangeTest(
          sgd,
          (i) => (i % 3 ? (losses[i] as number) : Promise.resolve(losses[i] as number)),
          options,
        );
        expect(await mixed).toEqual(atOnce);
      }),
    );
  });

  test('the suggestion is an lr of the test, or NaN; a scaled loss has the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 3, maxLength: 120 }),
        fc.integer({ min: -8, max: 8 }),
        (losses, power) => {
          const sgd = new SGD(new Float32Array(1), { lr: 1 });
          const { lrs, suggestion } = lrRangeTest(sgd, (i) => losses[i] as number, { steps: losses.length });
          if (!Number.isNaN(suggestion)) expect(lrs).toContain(suggestion);
          const scaled = lrRangeTest(sgd, (i) => (losses[i] as number) * 2 ** power, { steps: losses.length });
          expect(scaled.suggestion).toBe(suggestion);
        },
      ),
    );
  });
});
