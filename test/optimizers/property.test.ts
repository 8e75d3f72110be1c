// Properties of all params, gradients and options, for every class in every form.

import { describe, expect, test } from 'vitest';
import fc from '../support/property.js';
import {
  type Any,
  bits,
  type Case,
  hasClockOfItsOwn,
  type Options,
  sampledVariants,
  snapshot,
  titled,
} from '../support/rig.js';
import { check, floats, optionsOf, withoutNorm } from '../support/step-property.js';

/** One run: a weight vector, its gradients for each step, and the cuts that make params of it. */
const runOf = (c: Case) =>
  fc.integer({ min: 1, max: 40 }).chain((length) =>
    fc.record({
      w: floats(length),
      gs: fc.array(floats(length), { minLength: 1, maxLength: 4 }),
      cuts: fc
        .array(fc.integer({ min: 0, max: length }), { maxLength: 4 })
        .map((c) => [0, ...c.sort((a, b) => a - b), length]),
      options: optionsOf(c),
    }),
  );
const parts = (x: Float32Array, cuts: readonly number[]) => cuts.slice(1).map((end, i) => x.slice(cuts[i], end));
const joined = (arrays: readonly Float32Array[]) => arrays.map(bits).join('');

/** The bits of a flat run. */
function flat(c: Case, { w, gs, options }: { w: Float32Array; gs: readonly Float32Array[]; options: Options }): string {
  const param = w.slice();
  const optimizer = c.make(param, options);
  for (const g of gs) optimizer.step(g.slice());
  return snapshot(optimizer, [param]);
}

describe.each(titled(sampledVariants))('%s', (_, c) => {
  const run = runOf(c);

  test('a step is deterministic', () => {
    check(
      fc.property(run, (r) => {
        expect(flat(c, r)).toBe(flat(c, r));
      }),
    );
  });

  // Norms and shares of a whole param differ from those of its pieces.
  test.skipIf(c.declaration.denseOnly !== undefined || c.title.includes('"cautious":true'))(
    'cutting params into lists, records and groups gives the bits of one flat array',
    () => {
      check(
        fc.property(run, ({ w, gs, cuts, options }) => {
          const rest = withoutNorm(options);
          const param = w.slice();
          const whole = c.make(param, rest);
          for (const g of gs) whole.step(g.slice());
          for (const form of [
            (p: Float32Array[]) => p,
            (p: Float32Array[]) => p.map((params) => ({ params })),
            (p: Float32Array[]) => Object.fromEntries(p.map((x, i) => [`p${i}`, x])),
          ]) {
            const pieces = parts(w, cuts);
            const params = form(pieces);
            const optimizer = c.make(params, rest);
            for (const g of gs) {
              const grads = parts(g, cuts);
              optimizer.step(
                (Array.isArray(params) ? grads : Object.fromEntries(grads.map((x, i) => [`p${i}`, x]))) as Any,
              );
            }
            expect(joined(pieces)).toBe(bits(param));
            if (rest['ema'] !== undefined)
              expect(joined(Object.values(optimizer.emaParams as Float32Array[]))).toBe(
                bits(whole.emaParams as Float32Array),
              );
          }
        }),
      );
    },
  );

  test('the order of params and of names does not matter', () => {
    check(
      fc.property(run, ({ w, gs, cuts, options }) => {
        const bitsOf = (reverse: boolean) => {
          const order = <T>(list: T[]) => (reverse ? list.reverse() : list);
          const pieces = parts(w, cuts);
          const named = (arrays: Float32Array[]) =>
            Object.fromEntries(order(arrays.map((x, i) => [`p${i}`, x] as const)));
          const optimizer = c.make(named(pieces), withoutNorm(options));
          for (const g of gs) optimizer.step(named(parts(g, cuts)));
          return joined(pieces);
        };
        expect(bitsOf(true)).toBe(bitsOf(false));
      }),
    );
  });

  test('gradScale s with gradients g equals gradients fround(s · g)', () => {
    check(
      fc.property(run, fc.float({ noNaN: true, min: -8, max: 8 }), ({ w, gs, options }, scale) => {
        const [x, y] = [w.slice(), w.slice()];
        const [scaled, plain] = [c.make(x, withoutNorm(options)), c.make(y, withoutNorm(options))];
        for (const g of gs) {
          scaled.step(g.slice(), { gradScale: scale });
          plain.step(g.map((v) => Math.fround(scale * v)));
        }
        expect(snapshot(scaled, [x])).toBe(snapshot(plain, [y]));
      }),
    );
  });

  test.skipIf(hasClockOfItsOwn(c))('null for all params changes nothing but stepCount', () => {
    check(
      fc.property(run, ({ w, gs, options: { lr: _, ...options } }) => {
        const [x, y] = [w.slice(), w.slice()];
        const [slept, awake] = [c.make(x, options), c.make(y, options)];
        for (const g of gs) {
          slept.step(null);
          slept.step(g.slice());
          awake.step(g.slice());
        }
        expect([slept.stepCount, awake.stepCount]).toEqual([2 * gs.length, gs.length]);
        expect([bits(x), slept.stateDict().state]).toEqual([bits(y), awake.stateDict().state]);
      }),
    );
  });

  test('saving and loading at a random step changes nothing', () => {
    check(
      fc.property(run, fc.nat(4), ({ w, gs, cuts, options }, at) => {
        const pieces = parts(w, cuts);
        let optimizer = c.make(pieces, options);
        const whole = w.slice();
        const never = parts(whole, cuts);
        const straight = c.make(never, options);
        for (const [i, g] of gs.entries()) {
          if (i === at) {
            const dict = structuredClone(optimizer.stateDict());
            optimizer.dispose();
            optimizer = c.make(pieces, options);
            optimizer.loadStateDict(dict);
          }
          // One param in three has no gradient.
          const grads = () => parts(g, cuts).map((x, p) => ((p + i) % 3 === 0 ? null : x));
          optimizer.step(grads());
          straight.step(grads());
        }
        expect(snapshot(optimizer, pieces)).toBe(snapshot(straight, never));
      }),
    );
  });
});
