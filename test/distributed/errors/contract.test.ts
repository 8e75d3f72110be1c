// Errors where ranks make different calls: they name what the user has called, and where.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { CheckpointManager, SGD, saveCheckpoint } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-errors-'));
afterAll(() => rmSync(folder, { recursive: true }));

const wrap = (world: World) => DataParallel.create(new SGD(f32(0), { lr: 1 }), world);
type Wrapped = Awaited<ReturnType<typeof wrap>>;

describe('ranks that make different calls', () => {
  test.each<[string, (world: World, optimizer: Wrapped) => Promise<unknown>, string]>([
    [
      'a step, and a checkpoint on rank 0 only',
      (world, optimizer) =>
        world.rank === 0 ? saveCheckpoint(folder, { params: f32(0), optimizer, world }) : optimizer.step(f32(1)),
      'rank 0 saveCheckpoint (broadcastObject), rank 1 DataParallel.step (allGather); every rank must make the same calls',
    ],
    [
      'a step, and one by a manager',
      (world, optimizer) =>
        world.rank === 1
          ? new CheckpointManager(folder).save(1, { params: f32(0), optimizer, world })
          : optimizer.step(f32(1)),
      'rank 0 DataParallel.step (allGather), rank 1 CheckpointManager.save (broadcastObject); every rank must make',
    ],
    [
      'a step, and a collective',
      (world, optimizer) => (world.rank === 1 ? world.allGather(new Float64Array(32)) : optimizer.step(f32(1))),
      'World: allGather #5: rank 0 DataParallel.step (allGather), rank 1 allGather; every rank must make the same calls',
    ],
    [
      'stateDict, and create',
      (world, optimizer) =>
        world.rank === 1 ? optimizer.stateDict() : ShardedOptimizer.create(SGD, f32(0), { lr: 1 }, world),
      'rank 0 ShardedOptimizer.create (allGatherObject), rank 1 DataParallel (allGatherObject); every rank must make',
    ],
  ])('%s', async (_, script, message) => {
    const errors = await errorsOn(2, async (world) => script(world, await wrap(world)));
    expect(errors[1]).toBe(errors[0]);
    expect(errors[0]).toContain(message);
  });
});

test.each<[string, (world: World) => Promise<unknown>, string]>([
  [
    'a step',
    async (world) => {
      const optimizer = await wrap(world);
      if (world.rank === 0) await optimizer.step(f32(1));
    },
    'TimeoutError: DataParallel.step (allGather #5): rank 1 did not come within 200 ms; it is busy, and needs a longer timeout, or it is stopped or cut off',
  ],
  [
    'a checkpoint',
    async (world) => {
      const optimizer = await wrap(world);
      if (world.rank === 0) await saveCheckpoint(folder, { params: f32(0), optimizer, world });
    },
    'TimeoutError: saveCheckpoint (broadcastObject #5): rank 1 did not come within 200 ms; it is busy, and needs a longer timeout, or it is stopped or cut off',
  ],
  [
    'a collective',
    async (world) => {
      if (world.rank === 0) await world.barrier();
    },
    'TimeoutError: World: barrier #1: rank 1 did not come within 200 ms',
  ],
])('a rank that does not come to %s', async (_, script, message) => {
  const [first] = await Promise.all(
    worldsOf(2, 200).map(async (world) =>
      script(world).then(
        () => '',
        (error: unknown) => String(error),
      ),
    ),
  );
  expect(first).toBe(message);
});

test.each<[string, (world: World, optimizer: Wrapped) => Promise<unknown>]>([
  ['a collective', (world) => world.allReduce(new Float32Array(1 + world.rank))],
  ['a step', async (_, optimizer) => await optimizer.step(f32(1))],
  ['a step beside a collective', (world, optimizer) => (world.rank === 0 ? world.barrier() : optimizer.step(f32(1)))],
])('the stack of an error of %s shows who has called', async (name, script) => {
  await onRanks(2, async (world) => {
    const optimizer = await wrap(world);
    if (name === 'a step' && world.rank === 1) {
      await world.allGather(new Float64Array(16)).catch(() => {});
      return;
    }
    const theirCall = async (): Promise<unknown> => await script(world, optimizer);
    const error = await theirCall().then(
      () => undefined,
      (e: Error) => e,
    );
    expect(error).toBeInstanceOf(RangeError);
    expect(error?.stack).toContain('theirCall');
  });
});
