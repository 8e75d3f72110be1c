// GradAccumulator against sums written out in float32.
import { describe, expect, test } from 'vitest';
import { SGD } from '../../../lib/optimizers/index.js';
import { GradAccumulator } from '../../../lib/training/index.js';
import { random } from '../../support/random.js';

describe('GradAccumulator', () => {
  test('the sum is float32 addition in the order of the calls, from the first gradient on', () => {
    const next = random(2);
    const params = [new Float32Array(7), new Float32Array(1)];
    const sum = new GradAccumulator(params);
    for (const rounds of [1, 2, 5]) {
      const all = Array.from({ length: rounds }, () =>
        params.map(({ length }) => Float32Array.from({ length }, () => (next() - 0.5) * 10 ** Math.floor(12 * next()))),
      );
      for (const grads of all) sum.add(grads);
      const truth = params.map(({ length }, i) =>
        Array.from({ length }, (_, j) =>
          all.map((grads) => grads[i]?.[j] as number).reduce((a, b) => Math.fround(a + b)),
        ),
      );
      expect((sum.grads as Float32Array[]).map((g) => [...g])).toEqual(truth);
      expect(sum.count).toBe(rounds);
      sum.reset();
    }
  });

  test('four small batches and a gradScale of 1 / count step as their mean', () => {
    const [one, other] = [new Float32Array([1, 2]), new Float32Array([1, 2])];
    const batches = [
      [1, -8],
      [2, -6],
      [3, -4],
      [6, -2],
    ].map((g) => new Float32Array(g));
    const sum = new GradAccumulator(one);
    for (const batch of batches) sum.add(batch);
    new SGD(one, { lr: 0.5 }).step(sum.grads, { gradScale: 1 / sum.count });
    new SGD(other, { lr: 0.5 }).step(new Float32Array([3, -5]));
    expect([...one]).toEqual([...other]);
    expect([...one]).toEqual([-0.5, 4.5]);
  });
});
