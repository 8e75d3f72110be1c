import { expect, test } from 'vitest';
import { AdamW, Lion, SGD } from '../../../lib/index.js';

test('elements whose step goes along the gradient stand still, and the others move further', () => {
  const w = new Float32Array(4);
  const lion = new Lion(w, { lr: 1, betas: [0.9, 0.9], cautious: true });
  lion.step(Float32Array.of(1, 1, 1, 1));
  expect(w).toEqual(Float32Array.of(-1, -1, -1, -1));
  lion.step(Float32Array.of(1, 1, -0.1, 0)); // the direction still is +1 for each
  expect(w).toEqual(Float32Array.of(-3, -3, -1, -1)); // half of them, twice as far
});

test('the factor is at most 1000', () => {
  const length = 10_000;
  const w = new Float32Array(length);
  const sgd = new SGD(w, { lr: 1, momentum: 0.5, momentumForm: 'buffer', cautious: true });
  const g = new Float32Array(length);
  g[0] = 1;
  sgd.step(g);
  expect(w[0]).toBe(-1000);
});

test('it can be switched, and the state stays', () => {
  const w = Float32Array.of(1, 2);
  const adam = new AdamW(w);
  adam.step(Float32Array.of(1, -1));
  const { expAvg } = adam.stateDict().state[0] as unknown as { expAvg: Float32Array };
  adam.paramGroups[0]!.cautious = true;
  expect(adam.stateDict().state[0]?.['expAvg']).toEqual(expAvg);
  expect(adam.stateDict().paramGroups[0]?.['cautious']).toBe(true);
});

test('it needs whole gradients, and SGD a momentum', () => {
  const sparse = { rows: Int32Array.of(0), values: Float32Array.of(1, 2) };
  const params = { data: new Float32Array(4), shape: [2, 2] as const };
  new AdamW(params).step(sparse);
  const adam = new AdamW(params, { cautious: true });
  expect(() => adam.step(sparse)).toThrow(
    new TypeError(
      'AdamW: grads: a sparse gradient, expected a Float32Array or null (adam-cautious needs the whole gradient)',
    ),
  );
  expect(() => new SGD(new Float32Array(2), { lr: 1, cautious: true })).toThrow(
    new RangeError('SGD: cautious: true, expected false while momentum is 0'),
  );
});
