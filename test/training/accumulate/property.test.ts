import { describe, expect, test } from 'vitest';
import { SGD } from '../../../lib/optimizers/index.js';
import { GradAccumulator } from '../../../lib/training/index.js';
import fc from '../../support/property.js';

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });

describe('GradAccumulator', () => {
  const rounds = fc.array(fc.array(fc.option(fc.tuple(float, float)), { minLength: 3, maxLength: 3 }), {
    maxLength: 5,
  });
  const names = ['a', 'b', 'c'];

  test('each param gets the sum of its gradients, or null without any, in every structure', () => {
    fc.assert(
      fc.property(rounds, rounds, (first, second) => {
        const params = names.map(() => new Float32Array(2));
        const [list, record] = [
          new GradAccumulator(params),
          new GradAccumulator([
            { params: { a: params[0] as Float32Array }, lr: 1 },
            { params: { b: params[1] as Float32Array, c: { data: params[2] as Float32Array, shape: [1, 2] } } },
          ]),
        ];
        const single = new GradAccumulator(params[0] as Float32Array);
        // In the second round, after a reset, nothing remains of the first.
        for (const round of [first, second]) {
          for (const given of round) {
            const grads = given.map((g) => g && Float32Array.from(g));
            list.add(grads);
            record.add(Object.fromEntries(names.map((name, i) => [name, grads[i] as Float32Array | null])) as never);
            single.add(grads[0] as Float32Array | null);
          }
          const truth = names.map((_, i) => {
            const own = round.map((given) => given[i]).filter((g) => g !== null && g !== undefined);
            return own.length === 0 ? null : own.reduce((a, b) => [Math.fround(a[0] + b[0]), Math.fround(a[1] + b[1])]);
          });
          const plain = (grads: unknown) => (grads === null ? null : [...(grads as Float32Array)]);
          expect((list.grads as unknown[]).map(plain)).toEqual(truth);
          expect(Object.entries(record.grads as object).map(([name, g]) => [name, plain(g)])).toEqual(
            names.map((name, i) => [name, truth[i]]),
          );
          expect(plain(single.grads)).toEqual(truth[0]);
          for (const sum of [list, record, single]) {
            expect(sum.count).toBe(round.length);
            sum.reset();
            expect(sum.count).toBe(0);
          }
          expect(list.grads).toEqual([null, null, null]);
        }
      }),
    );
  });

  test('its arrays are its own and stay the same', () => {
    const params = [new Float32Array([1, 2]), new Float32Array([3])];
    const sum = new GradAccumulator(params);
    const grads = [new Float32Array([4, 5]), new Float32Array([6])];
    sum.add(grads);
    const [a, b] = sum.grads as Float32Array[];
    sum.add(grads);
    sum.reset();
    sum.add(grads);
    sum.add(grads);
    expect((sum.grads as Float32Array[])[0]).toBe(a);
    expect((sum.grads as Float32Array[])[1]).toBe(b);
    expect([...(a as Float32Array), ...(b as Float32Array)]).toEqual([8, 10, 12]);
    expect([...params, ...grads].map((x) => [...x])).toEqual([[1, 2], [3], [4, 5], [6]]);
  });

  test("it accepts the paramGroups of an optimizer, and its sums fit that optimizer's step", () => {
    const [w, b] = [new Float32Array([1]), new Float32Array([1])];
    for (const params of [w, [w, b], { w, b }, [{ params: { w } }, { params: { b }, lr: 2 }]]) {
      w.fill(1);
      const sgd = new SGD(params, { lr: 1 });
      const sum = new GradAccumulator(sgd.paramGroups);
      const grad = new Float32Array([0.25]);
      sum.add(params === w ? grad : Array.isArray(params) && params[0] === w ? [grad, null] : { w: grad, b: null });
      sgd.step(sum.grads as never);
      expect([w[0], b[0]]).toEqual([0.75, 1]);
    }
  });
});
