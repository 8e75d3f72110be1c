// A user's own tests, under Jest (in whose sandbox Float32Array is not the runtime's) and under Vitest.
const { deepStrictEqual } = require('node:assert');
const { Adam, allocate, averagePredictions, backend, GradAccumulator, minimize, ScheduleFreeAdamW } = require('schuss');

test('trains', () => {
  const w = new Float32Array(3);
  const adam = new Adam(w, { lr: 0.1 });
  for (let step = 0; step < 300; step++) adam.step(w.map((v, i) => v - i));
  for (const [i, v] of w.entries()) expect(v).toBeCloseTo(i, 3);
  expect(backend().name).toBe('native');
});

test('steps on other threads, on memory of the library and on shared memory', async () => {
  const w = allocate(100);
  const shared = new Float32Array(new SharedArrayBuffer(400));
  const adam = new Adam([w, shared]);
  const { applied } = await adam.stepAsync([
    allocate(100).fill(1),
    new Float32Array(new SharedArrayBuffer(400)).fill(1),
  ]);
  expect(applied).toBe(true);
  expect(w[0]).toBeCloseTo(-0.001, 6);
  expect(shared).toEqual(new Float32Array(new SharedArrayBuffer(400)).fill(w[0]));
});

test('arrays of the library are of the realm that loaded it', () => {
  const w = allocate(3);
  const adam = new ScheduleFreeAdamW({ w }, { lr: 0.1, ema: 0.9 });
  adam.step({ w: allocate(3) });
  const sum = new GradAccumulator({ w });
  sum.add({ w: allocate(3) });
  const { expAvgSq } = adam.stateDict().state.w;
  for (const array of [w, adam.emaParams.w, adam.averagedParams.w, expAvgSq, sum.grads.w]) {
    expect(array).toBeInstanceOf(Float32Array);
    deepStrictEqual(array.constructor, Float32Array);
  }
});

test('sparse', () => {
  const data = new Float32Array(20);
  const adam = new Adam({ data, shape: [10, 2] });
  adam.step({ rows: Int32Array.of(1, 3), values: new Float32Array(4).fill(1) });
  expect([...data].filter((v) => v !== 0)).toHaveLength(4);
});

test('errors are of the classes that a test names', () => {
  const adam = new Adam(new Float32Array(3));
  expect(() => adam.step(new Float32Array(2))).toThrow(RangeError);
  expect(() => adam.step(new Float64Array(3))).toThrow(TypeError);
  expect(() => new Adam(new Float32Array(3), { beta: 1 })).toThrow(/betas/);
});

test('a state dict survives structuredClone', () => {
  const adam = new Adam({ w: new Float32Array(3) });
  adam.step({ w: new Float32Array(3).fill(1) });
  const other = new Adam({ w: new Float32Array(3) });
  other.loadStateDict(structuredClone(adam.stateDict()));
  expect(other.stateDict()).toEqual(adam.stateDict());
});

test('minimize and ensembles', () => {
  const { x, reason } = minimize((x, grad) => {
    grad[0] = 2 * (x[0] - 3);
    return (x[0] - 3) ** 2;
  }, new Float64Array(1));
  expect(x[0]).toBeCloseTo(3);
  expect(reason).toBe('gradient');
  expect([...averagePredictions([Float32Array.of(0, 1), Float32Array.of(1, 0)])]).toEqual([0.5, 0.5]);
});
