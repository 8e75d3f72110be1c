// The option `hessian` of a step of many ranks: whose mean it is, and what is refused.
import { expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adam, Sophia } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { onRanks, worldsOf } from '../../support/distributed/worlds.js';

const make = async (world: World, isSharded: boolean, options: object = {}) => {
  const params = { a: f32(1, 2), b: f32(3) };
  const all = { betas: [0.5, 0.5] as [number, number], ...options };
  const optimizer = isSharded
    ? await ShardedOptimizer.create(Sophia, params, all, world)
    : await DataParallel.create(new Sophia(params, all), world);
  // biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
  return { params, optimizer: optimizer as any };
};
const grads = () => ({ a: f32(1, 1), b: f32(1) });

test.each([false, true])(
  'H takes up the mean over the micro-batches that have one (sharded: %s)',
  async (isSharded) => {
    const [first] = await onRanks(3, async (world) => {
      const { optimizer } = await make(world, isSharded);
      if (world.rank === 0) optimizer.accumulate(grads(), { weight: 9 });
      const hessian = world.rank === 0 ? { a: f32(4, 8), b: null } : { a: null, b: f32(6) };
      await optimizer.step(world.rank === 2 ? null : grads(), {
        weight: 1 + world.rank,
        ...(world.rank === 2 ? {} : { hessian }),
      });
      await optimizer.step(grads()); // leaves H
      const { state } = (await optimizer.stateDict()) ?? {};
      return state && [...state.a.hessian, ...state.b.hessian];
    });
    // Weights 1 and 2: a has (4, 8)·1/3, and b 6·2/3; H is half of that.
    expect(first![0]).toBeCloseTo(2 / 3, 6);
    expect(first![1]).toBeCloseTo(4 / 3, 6);
    expect(first![2]).toBeCloseTo(2, 6);
  },
);

test.each([false, true])('a skipped step leaves H (sharded: %s)', async (isSharded) => {
  const [first] = await onRanks(2, async (world) => {
    const { params, optimizer } = await make(world, isSharded, { skipNonFinite: true });
    const bad = { ...grads(), b: f32(world.rank === 1 ? Number.NaN : 1) };
    const { applied, nonFiniteRanks } = await optimizer.step(bad, { hessian: { a: f32(1, 1), b: f32(1) } });
    const { state } = (await optimizer.stateDict()) ?? {};
    return [applied, nonFiniteRanks, state && [...state.a.hessian, ...state.b.hessian], [...params.a]];
  });
  expect(first).toEqual([false, [1], [0, 0, 0], [1, 2]]);
});

test.each([false, true])(
  'with skipNonFinite, an estimate that is not finite skips the step on all ranks, and names its rank (sharded: %s)',
  async (isSharded) => {
    const found = await onRanks(2, async (world) => {
      const { params, optimizer } = await make(world, isSharded, { skipNonFinite: true });
      const bad = { a: f32(1, 1), b: f32(world.rank === 1 ? Number.POSITIVE_INFINITY : 1) };
      const own = await optimizer.step(grads(), { hessian: bad });
      const sum = await optimizer.step(grads(), { hessian: { a: f32(3e38, 1), b: f32(1) } });
      const dict = await optimizer.stateDict();
      const { applied } = await optimizer.step(grads(), { hessian: { a: f32(1e38, 1), b: f32(1) } });
      const hessians = dict && [...dict.state.a.hessian, ...dict.state.b.hessian];
      return [own.applied, own.nonFiniteRanks, sum.applied, sum.nonFiniteRanks, hessians, applied, params.a[0] !== 1];
    });
    const all: unknown[] = [false, [1], false, [], [0, 0, 0], true, true];
    const other = isSharded ? all.with(4, undefined) : all;
    expect(found).toEqual([all, other]);
  },
);

test.each([false, true])('its gradNorm is NaN then, as in one process (sharded: %s)', async (isSharded) => {
  const given = [{ a: f32(3, 4), b: f32(0) }, { hessian: { a: f32(Number.NaN, 1), b: f32(1) } }] as const;
  const found = await onRanks(2, async (world) =>
    (await make(world, isSharded, { skipNonFinite: true })).optimizer.step(...given),
  );
  const { params } = await make(worldsOf(1)[0]!, false);
  const alone = new Sophia(params, { skipNonFinite: true }).step(...given);
  expect(alone).toEqual({ applied: false, gradNorm: Number.NaN });
  for (const { applied, gradNorm } of found) expect({ applied, gradNorm }).toEqual(alone);
});

test.each([false, true])(
  'a param whose gradient is null on every rank keeps its H (sharded: %s)',
  async (isSharded) => {
    const [first] = await onRanks(2, async (world) => {
      const { optimizer } = await make(world, isSharded);
      await optimizer.step({ a: null, b: f32(1) }, { hessian: { a: f32(4, 8), b: f32(6) } });
      const dict = await optimizer.stateDict();
      return dict && [...dict.state.a.hessian, ...dict.state.b.hessian];
    });
    expect(first).toEqual([0, 0, 3]);
  },
);

test.each([false, true])('what does not fit is refused, and nothing is added (sharded: %s)', async (isSharded) => {
  await onRanks(1, async (world) => {
    const { params, optimizer } = await make(world, isSharded);
    const rows = { rows: Int32Array.of(0), values: f32(1) };
    for (const [hessian, message] of [
      [{ a: f32(1), b: null }, 'hessian["a"]: length 1, expected 2'],
      [{ a: rows, b: null }, 'hessian["a"]: an object, expected a Float32Array or null'],
      [f32(1), 'hessian: Float32Array(1), expected a record of gradients by name'],
    ] as const) {
      expect(() => optimizer.accumulate(grads(), { hessian })).toThrow(message);
      await expect(optimizer.step(grads(), { hessian })).rejects.toThrow(message);
    }
    await expect(optimizer.step(null, { hessian: grads() })).rejects.toThrow('hessian: an estimate without gradients');
    expect(await optimizer.step(null)).toEqual({ applied: false, finished: true });
    expect([...params.a]).toEqual([1, 2]);
    const adam = await DataParallel.create(new Adam(f32(1)), world);
    await expect(adam.step(f32(1), { hessian: f32(1) })).rejects.toThrow('DataParallel: hessian: unknown option');
  });
});
