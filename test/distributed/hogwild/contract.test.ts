// hogwild: the params are one memory, the state is each rank's own, and what it refuses.
import { describe, expect, test } from 'vitest';
import { hogwild } from '../../../lib/distributed/hogwild.js';
import { engine } from '../../../lib/engine/backend.js';
import { Adam, Lookahead, SAM, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const hogwildOf = hogwild as any;

test.each([1, 2, 4])('the params of %i ranks are rank 0’s, in one memory', async (size) => {
  const worlds = worldsOf(size);
  const all = await Promise.all(
    worlds.map(async (world) => {
      const params = {
        table: { data: f32(1, 2, 3, 4).map((x) => x + world.rank), shape: [2, 2] as const },
        b: [f32(5)] as const,
      };
      return hogwild(world, params, (shared) => new SGD(shared, { lr: 1 }));
    }),
  );
  for (const { params } of all) {
    expect([...params.table.data, ...params.b[0]]).toEqual([1, 2, 3, 4, 5]);
    expect(params.table.shape).toEqual([2, 2]);
    for (const array of [params.table.data, params.b[0]])
      expect(Object.prototype.toString.call(array.buffer)).toBe('[object SharedArrayBuffer]');
    expect(engine().address(params.table.data)).toBe(engine().address(all[0]!.params.table.data));
    expect(engine().address(params.b[0])).toBe(engine().address(all[0]!.params.b[0]));
  }
  // Each rank takes a step, and sees those of all.
  for (const { optimizer } of all)
    optimizer.step({ table: { rows: Int32Array.of(1), values: f32(1, 1) }, b: [f32(1)] });
  for (const { params } of all)
    expect([...params.table.data, ...params.b[0]]).toEqual([1, 2, 3 - size, 4 - size, 5 - size]);
});

test('params of rank 0 that are in shared memory stay in place; others are copied', async () => {
  const given = [0, 1].map(() => ({ a: new Float32Array(new SharedArrayBuffer(16), 4, 2), b: f32(7) }));
  const all = await Promise.all(
    worldsOf(2).map((world) => hogwild(world, given[world.rank]!, (shared) => new SGD(shared, { lr: 1 }))),
  );
  for (const { optimizer } of all) optimizer.step({ a: f32(1, 2), b: f32(1) });
  for (const { params } of all) {
    expect(engine().address(params.a)).toBe(engine().address(given[0]!.a));
    expect([...params.a, ...params.b]).toEqual([-2, -4, 5]);
  }
  expect([...given[0]!.a, ...given[0]!.b, ...given[1]!.a]).toEqual([-2, -4, 7, 0, 0]);
});

test('each rank has a state of its own, and may have its own class and options', async () => {
  const counts = await onRanks(2, async (world) => {
    const { params, optimizer } = await hogwild(world, f32(1, 1), (w) =>
      world.rank === 0 ? new Adam(w, { lr: 0.1 }) : new Lookahead(new SGD(w, { lr: 1 })),
    );
    for (let step = 0; step <= world.rank; step++) optimizer.step(f32(1, 0));
    await world.barrier();
    return [optimizer.stepCount, params[1]];
  });
  expect(counts).toEqual([
    [1, 1],
    [2, 1],
  ]);
});

describe('it refuses', () => {
  const [one] = worldsOf(1);
  const make = (shared: object): unknown => new SGD(shared as Float32Array, { lr: 1 });

  test.each<[string, readonly unknown[], string]>([
    [
      'MPI',
      [{ transport: 'mpi', allGatherObject() {} }, f32(1), make],
      'TypeError: hogwild: world: a world over MPI, whose ranks have no memory in common, expected worker threads (run npx schuss launch -n 4 script.mjs)',
    ],
    [
      'the promise of a world',
      [Promise.resolve(one), f32(1), make],
      'TypeError: hogwild: world: a Promise, expected a World (await init())',
    ],
    [
      'no params',
      [one, 3, make],
      'TypeError: hogwild: params: 3, expected a Float32Array, { data, shape }, a list or a record of them',
    ],
    [
      'param groups',
      [one, [{ params: f32(1), lr: 2 }], make],
      'TypeError: hogwild: params: param groups, expected a tree of params (make the groups in makeOptimizer)',
    ],
    [
      'no function',
      [one, f32(1), new SGD(f32(1), { lr: 1 })],
      'TypeError: hogwild: makeOptimizer: a SGD, expected a function, (shared) => new SGD(shared, { lr })',
    ],
    [
      'no optimizer',
      [one, f32(1), () => ({})],
      'TypeError: hogwild: makeOptimizer: an object, expected an optimizer of the shared params',
    ],
    [
      'an optimizer of other params',
      [one, { w: f32(1) }, () => new SGD({ w: f32(1) }, { lr: 1 })],
      'TypeError: hogwild: makeOptimizer: a SGD of other params, expected an optimizer of the shared params (params["w"] is not one of them)',
    ],
    [
      'one in a wrapper',
      [one, { w: f32(1) }, () => new SAM(new SGD({ w: f32(1) }, { lr: 1 }))],
      'TypeError: hogwild: makeOptimizer: a SAM of other params, expected an optimizer of the shared params (params["w"] is not one of them)',
    ],
  ])('%s', async (_, args, message) => {
    await expect(hogwildOf(...args).catch((error: unknown) => String(error))).resolves.toBe(message);
  });

  test('params that share memory', async () => {
    const w = f32(1, 2);
    await expect(hogwildOf(one, [w, w.subarray(1)], make)).rejects.toThrow(
      'hogwild: params[1]: memory shared with params[0]',
    );
  });

  test('ranks that differ: the same RangeError on each', async () => {
    const errors = await errorsOn(3, (world) =>
      hogwildOf(world, { w: new Float32Array(world.rank === 2 ? 3 : 4) }, make),
    );
    expect(new Set(errors)).toEqual(
      new Set(["RangeError: hogwild: params[0]: rank 0 'w' of length 4, rank 2 'w' of length 3"]),
    );
  });

  test('ranks whose shapes differ', async () => {
    const errors = await errorsOn(2, (world) =>
      hogwildOf(world, { w: { data: new Float32Array(8), shape: world.rank === 1 ? [4, 2] : [2, 4] } }, make),
    );
    expect(new Set(errors)).toEqual(new Set(['RangeError: hogwild: params["w"].shape: rank 0 [2, 4], rank 1 [4, 2]']));
  });
});
