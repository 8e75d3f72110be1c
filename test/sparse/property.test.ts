// Properties of all sparse gradients, for every class in every form.

import { describe, expect, test } from 'vitest';
import fc from '../support/property.js';
import { type Any, bits, type Case, rowForms, sampledRowForms, snapshot, titled } from '../support/rig.js';
import { check, floats, optionsOf, withoutNorm } from '../support/step-property.js';

/** A table, and a sparse gradient for each step. A row may be named several times. */
const runOf = (c: Case) =>
  fc.record({ rows: fc.integer({ min: 1, max: 12 }), size: fc.integer({ min: 1, max: 20 }) }).chain(({ rows, size }) =>
    fc.record({
      rows: fc.constant(rows),
      size: fc.constant(size),
      w: floats(rows * size),
      steps: fc.array(
        fc
          .array(fc.nat(rows - 1), { maxLength: 8 })
          .chain((names) => fc.record({ names: fc.constant(names), values: floats(names.length * size) })),
        { minLength: 1, maxLength: 4 },
      ),
      options: optionsOf(c).map(withoutNorm),
    }),
  );
type Run = typeof runOf extends (c: Case) => fc.Arbitrary<infer R> ? R : never;
type Step = Run['steps'][number];

const part = (x: Float32Array, row: number, size: number) => x.slice(row * size, (row + 1) * size);
const concat = (parts: readonly Float32Array[]) => Float32Array.from(parts.flatMap((p) => Array.from(p)));

/** The same gradient with each row once, in the order of their first names. */
function merged({ names, values }: Step, size: number): Step {
  const sums = new Map<number, Float32Array>();
  for (const [i, row] of names.entries()) {
    const given = part(values, i, size);
    const sum = sums.get(row);
    sums.set(row, sum === undefined ? given : sum.map((x, k) => x + given[k]!));
  }
  return { names: [...sums.keys()], values: concat([...sums.values()]) };
}

/** The results of steps with these gradients, without the gradients themselves. */
function after(c: Case, { rows, size, w, options }: Run, steps: readonly (Step | Float32Array)[]): string {
  const data = w.slice();
  const optimizer = c.make([{ data, shape: [rows, size] }], options);
  for (const step of steps) {
    const grad =
      step instanceof Float32Array ? step.slice() : { rows: Int32Array.from(step.names), values: step.values.slice() };
    optimizer.step([grad as Any]);
  }
  return snapshot(optimizer, [data]);
}

describe.each(titled(sampledRowForms))('%s', (_, c) => {
  test('a row named several times counts once, with the sum of its gradients', () => {
    check(
      fc.property(runOf(c), (r) => {
        expect(after(c, r, r.steps)).toBe(
          after(
            c,
            r,
            r.steps.map((step) => merged(step, r.size)),
          ),
        );
      }),
    );
  });

  test('the order of distinct rows changes nothing but the last bits of the norm', () => {
    check(
      fc.property(runOf(c), fc.infiniteStream(fc.nat()), (r, keys) => {
        const options = { ...r.options, gradNorm: true };
        const norms = [r.w.slice(), r.w.slice()].map((data, n) => {
          const optimizer = c.make([{ data, shape: [r.rows, r.size] }], options);
          const of = r.steps.map((step) => {
            const { names, values } = merged(step, r.size);
            const order = names.map((_, i) => i);
            if (n > 0)
              for (let i = order.length - 1; i > 0; i--) {
                const k = keys.next().value % (i + 1);
                [order[i], order[k]] = [order[k]!, order[i]!];
              }
            const grad = {
              rows: Uint32Array.from(order, (i) => names[i]!),
              values: concat(order.map((i) => part(values, i, r.size))),
            };
            return optimizer.step([grad]).gradNorm!;
          });
          return { of, seen: snapshot(optimizer, [data]) };
        });
        expect(norms[1]!.seen).toBe(norms[0]!.seen);
        for (const [i, norm] of norms[0]!.of.entries())
          expect(Math.abs(norms[1]!.of[i]! - norm)).toBeLessThanOrEqual(1e-13 * norm);
      }),
    );
  });

  test('rows that no step names stay unchanged, except for state that starts with the first step', () => {
    check(
      fc.property(runOf(c), (r) => {
        const data = r.w.slice();
        const optimizer = c.make([{ data, shape: [r.rows, r.size] }], r.options);
        const named = new Set<number>();
        const arrays = () =>
          Object.entries<Any>({ ...optimizer.stateDict().state['0'], w: data.slice() }).filter(
            ([, value]) => value instanceof Float32Array,
          );
        optimizer.step([{ rows: new Int32Array(0), values: new Float32Array(0) }]);
        const before = new Map<string, Any>(arrays());
        for (const { names, values } of r.steps) {
          optimizer.step([{ rows: Int32Array.from(names), values: values.slice() }]);
          for (const row of names) named.add(row);
        }
        for (const [name, array] of arrays()) {
          const width = array.length / r.rows;
          for (let row = 0; row < r.rows; row++) {
            if (!named.has(row))
              expect(bits(part(array, row, width)), name).toBe(bits(part(before.get(name), row, width)));
          }
        }
      }),
    );
  });

  test('a step on rows equals a step on a param of these rows alone, with their state and t', () => {
    check(
      fc.property(runOf(c), (r) => {
        const data = r.w.slice();
        const optimizer = c.make([{ data, shape: [r.rows, r.size] }], r.options);
        for (const step of r.steps) {
          const { names, values } = merged(step, r.size);
          const dict = structuredClone(optimizer.stateDict()) as Any;
          const pick = (array: Float32Array) => concat(names.map((row) => part(array, row, array.length / r.rows)));
          const picked = pick(data);
          const alone = c.make([{ data: picked, shape: [names.length, r.size] }], r.options);
          const state = Object.entries(dict.state[0]).map(([k, v]) => [k, v instanceof Float32Array ? pick(v) : v]);
          alone.loadStateDict({ ...dict, state: { 0: Object.fromEntries(state) } });
          alone.step([values.slice()]);
          optimizer.step([{ rows: Int32Array.from(step.names), values: step.values.slice() }]);
          expect(bits(pick(data))).toBe(bits(picked));
          const now = optimizer.stateDict().state['0'] as Any;
          for (const [name, value] of Object.entries(alone.stateDict().state['0'] as Any)) {
            if (value instanceof Float32Array) expect(bits(pick(now[name])), name).toBe(bits(value));
            else expect(now[name], name).toBe(value);
          }
        }
      }),
    );
  });
});

// Forms without decay in which a gradient of 0 changes neither a weight nor its state. For others lazy and dense differ.
const inert = rowForms.filter(
  ({ declaration: { name }, options }) => name === 'Adagrad' || (name === 'SGD' && options['momentum'] === 0),
);

test.each(titled(inert))('%s: rows that are not named act as rows with a gradient of 0', (_, c) => {
  expect(inert.length).toBeGreaterThan(2);
  check(
    fc.property(runOf(c), (r) => {
      // The sign of zero does not count: w - lr * 0 turns -0 into 0.
      const run = {
        ...r,
        w: r.w.map((x) => x + 0),
        options: { ...r.options, weightDecay: 0, ema: undefined, maximize: false },
      };
      const dense = run.steps.map((step) => {
        const { names, values } = merged(step, r.size);
        const all = new Float32Array(r.rows * r.size);
        for (const [i, row] of names.entries()) all.set(part(values, i, r.size), row * r.size);
        return all;
      });
      expect(after(c, run, run.steps)).toBe(after(c, run, dense));
    }),
  );
});

test('a class whose state decays differs: a sparse step is lazy and not a dense one', () => {
  const adam = rowForms.find(({ declaration }) => declaration.name === 'Adam') as Case;
  const run = { rows: 2, size: 2, w: Float32Array.of(1, 2, 3, 4), options: {} } as Run;
  const first = Float32Array.of(1, 1, 1, 1);
  const sparse = after(adam, run, [first, { names: [0], values: Float32Array.of(1, 1) }]);
  expect(sparse).not.toBe(after(adam, run, [first, Float32Array.of(1, 1, 0, 0)]));
});
