// LossScale against PyTorch's documented rule, over random sequences of finite and overflowing steps of every class.
import { describe, expect, test } from 'vitest';
import { Lookahead } from '../../../lib/optimizers/index.js';
import { LossScale } from '../../../lib/training/index.js';
import { afterUpdate, inverse, rounded, type Scaler } from '../../support/grad-scaler.js';
import fc from '../../support/property.js';
import { type Any, bits, classes, numbers } from '../../support/rig.js';

const scales = fc.oneof(
  fc.constantFrom(65536, 1, 3, 1e-44, 1e-38, 3e38, 0.1),
  fc.double({ min: 1e-40, max: 3e38, noNaN: true }),
);
const settings = fc.record({
  initScale: scales,
  growthFactor: fc.oneof(fc.constantFrom(2, 1.001, 1e30), fc.double({ min: 1.01, max: 8, noNaN: true })),
  backoffFactor: fc.oneof(fc.constantFrom(0.5, 1e-30), fc.double({ min: 0.01, max: 0.99, noNaN: true })),
  growthInterval: fc.integer({ min: 1, max: 4 }),
});
/** What a step meets: gradients that are finite, or hold one of these. */
const bad = fc.constantFrom(undefined, undefined, undefined, Number.NaN, Number.POSITIVE_INFINITY);
/** One iteration: the steps of one, two or three optimizers. */
const iteration = fc.array(bad, { minLength: 1, maxLength: 3 });

function start({ initScale, ...rest }: { initScale: number } & Omit<Scaler, 'scale' | 'growthTracker'>): Scaler {
  return { scale: rounded(initScale), ...rest, growthTracker: 0 };
}

describe('LossScale', () => {
  test('value and tracker follow the rule of PyTorch, and a step is skipped exactly if a product is not finite', () => {
    fc.assert(
      fc.property(settings, fc.array(iteration, { maxLength: 40 }), (options, iterations) => {
        const lossScale = new LossScale(options);
        let model = start(options);
        const optimizers = [0, 1, 2].map(() => {
          const w = new Float32Array([1, 2]);
          return { w, sgd: (classes.find(({ title }) => title === 'SGD') as Any).make(w) };
        });
        for (const steps of iterations) {
          let foundInf = false;
          for (const [i, value] of steps.entries()) {
            const grad = new Float32Array([0.5, value ?? -0.25]);
            const allFinite = grad.every((g) => Number.isFinite(rounded(g * inverse(model))));
            const { applied, gradNorm } = lossScale.step(optimizers[i]!.sgd, grad);
            expect(applied).toBe(allFinite);
            expect(Number.isFinite(gradNorm)).toBe(allFinite);
            foundInf ||= !allFinite;
          }
          lossScale.update();
          model = afterUpdate(model, foundInf);
          expect(lossScale.stateDict()).toEqual(model);
          expect(lossScale.value).toBe(model.scale);
          expect(lossScale.scale(0.1)).toBe(0.1 * model.scale);
        }
        for (const { w } of optimizers) expect(w.every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('a state that was saved anywhere resumes the same run, through JSON too', () => {
    fc.assert(
      fc.property(settings, fc.array(bad), fc.array(bad), (options, before, after) => {
        const make = () => {
          const lossScale = new LossScale(options);
          const sgd = (classes.find(({ title }) => title === 'SGD') as Any).make(new Float32Array(1));
          const run = (steps: typeof before) =>
            steps.map((value) => {
              lossScale.step(sgd, new Float32Array([value ?? 0]));
              lossScale.update();
              return lossScale.stateDict();
            });
          return { lossScale, run };
        };
        const straight = make();
        straight.run(before);
        const dict = straight.lossScale.stateDict();
        const rest = straight.run(after);
        for (const state of [structuredClone(dict), JSON.parse(JSON.stringify(dict))]) {
          const resumed = make();
          resumed.lossScale.loadStateDict(state);
          expect(resumed.run(after)).toEqual(rest);
        }
      }),
    );
  });
});

describe('every class', () => {
  const wrappers = [
    ['alone', (optimizer: Any) => optimizer],
    ['in a Lookahead', (optimizer: Any) => new Lookahead(optimizer, { k: 2 })],
  ] as const;

  for (const [title, wrap] of wrappers) {
    const those = classes.filter((c) => title === 'alone' || !c.title.startsWith('ScheduleFree'));
    test.each(those.map((c) => [c.title, c] as const))(
      `%s ${title}: a finite step is that of gradScale, and a skipped one changes nothing`,
      (_, { make, declaration }) => {
        const next = numbers(8, 3);
        const build = (more = {}) => {
          const params = { a: next.slice(0, 4), b: { data: next.slice(4), shape: [2, 2] as const } };
          const arrays = [params.a, params.b.data];
          const inner = make(params, more);
          return {
            inner,
            arrays,
            optimizer: wrap(inner),
            seen: () => [{ ...inner.stateDict(), skippedSteps: 0 }, arrays.map(bits)],
          };
        };
        const [ours, theirs] = [build(), build()];
        const lossScale = new LossScale({ initScale: 1000, growthInterval: 3 });
        for (let s = 0; s < 12; s++) {
          const bad = s % 4 === 0 || s === 9;
          const a = numbers(4, 10 + s, 1000);
          if (bad) a[s % 4] = [Number.NaN, Number.NEGATIVE_INFINITY][s % 2]!;
          const sparse = { rows: Int32Array.of(1, 1), values: bad ? numbers(4, s) : numbers(4, s, 1000) };
          if (bad && s > 4) {
            a.fill(0);
            sparse.values[3] = Number.POSITIVE_INFINITY;
          }
          const b = declaration.denseOnly === undefined ? sparse : bad ? null : numbers(4, 30 + s, 1000);
          if (bad && b === null) a[0] = Number.NaN;
          const before = ours.seen();
          const gradScale = rounded(1 / lossScale.value);
          const { applied } = lossScale.step(ours.optimizer, { a, b });
          lossScale.update();
          expect(applied).toBe(!bad);
          if (bad) {
            expect(ours.inner.skippedSteps).toBeGreaterThan(0);
            expect(ours.seen()).toEqual(before);
          } else {
            theirs.optimizer.step({ a, b }, { gradScale });
            expect(ours.arrays.map(bits)).toEqual(theirs.arrays.map(bits));
          }
        }
        expect(ours.inner.stepCount).toBe(theirs.inner.stepCount);
        expect(ours.inner.stateDict().state).toEqual(theirs.inner.stateDict().state);
      },
    );
  }
});
