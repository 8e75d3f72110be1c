// The estimates of Sophia's hessian: the same bits on 1, 2, 4 and 8 ranks, in one process, and in ShardedOptimizer.
import { expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import type { DistributionOptions } from '../../../lib/distributed/optimizers/distribution.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import { shardBatches } from '../../../lib/distributed/shard-batches.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Lookahead, Sophia } from '../../../lib/index.js';
import { GradAccumulator } from '../../../lib/training/index.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { numbers, random } from '../../support/random.js';

const newParams = () => ({ long: numbers(300, 1), short: numbers(7, 2), alone: numbers(1, 3) });
type Params = ReturnType<typeof newParams>;
const options = { lr: 0.1, betas: [0.9, 0.8] as [number, number], clipNorm: 1 };

const noise = (seed: number, length: number): Float32Array => {
  const next = random(seed);
  return Float32Array.from({ length }, () => (next() - 0.5) * 10 ** Math.floor(6 * next() - 3));
};
const seedOf = (rows: Int32Array): number => rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7);
const gradients = ({ long, short }: Params, rows: Int32Array): never => {
  const like = (w: Float32Array, seed: number) => noise(seed, w.length).map((g, i) => g + 0.1 * w[i]!);
  return { long: like(long, seedOf(rows)), short: like(short, 5 + seedOf(rows)), alone: null } as never;
};
/** Some micro-batches have an estimate, of which some lack a param. */
const estimate = ({ long }: Params, rows: Int32Array): never | undefined => {
  if ((rows[0] ?? 0) % 3 === 0) return undefined;
  const h = noise(3 + seedOf(rows), long.length).map((x, i) => Math.abs(x * long[i]!));
  return { long: h, short: null, alone: (rows[0] ?? 0) % 2 === 0 ? null : Float32Array.of(0.7) } as never;
};

const microBatches = 8;
const batches = (world: Pick<World, 'rank' | 'size'>) =>
  [0, 1].flatMap((epoch) => [...shardBatches(25, world, { batch: 12, microBatches, seed: 4, epoch })]);

async function train(world: World, kind: 'whole' | 'sharded' | 'lookahead', more: DistributionOptions = {}) {
  const params = newParams();
  const all = { microBatches, bucketBytes: 256, ...more };
  const optimizer =
    kind === 'sharded'
      ? await ShardedOptimizer.create(Sophia, params, options, world, all)
      : kind === 'whole'
        ? await DataParallel.create(new Sophia(params, options), world, all)
        : await DataParallel.create(new Lookahead(new Sophia(params, options), { k: 2 }), world, all);
  for (const parts of batches(world)) {
    for (const rows of parts)
      optimizer.accumulate(gradients(params, rows), { weight: rows.length, hessian: estimate(params, rows) });
    await optimizer.step(null);
  }
  return { params, dict: await optimizer.stateDict() };
}

function trainAlone() {
  const params = newParams();
  const sophia = new Sophia(params, options);
  const sum = new GradAccumulator(params, { order: 'tree' });
  const estimates = new GradAccumulator(params, { order: 'tree' });
  const none = { long: null, short: null, alone: null } as never;
  for (const parts of batches({ rank: 0, size: 1 })) {
    for (const rows of parts) {
      sum.add(gradients(params, rows), { weight: rows.length });
      const hessian = estimate(params, rows);
      estimates.add(hessian ?? none, { weight: hessian === undefined ? 0 : rows.length });
    }
    const hessian = { hessian: estimates.grads as never, hessianScale: 1 / estimates.weight };
    sophia.step(sum.grads as never, { gradScale: 1 / sum.weight, ...(estimates.weight > 0 ? hessian : {}) });
    sum.reset();
    estimates.reset();
  }
  return { params, dict: sophia.stateDict() };
}

const truth = trainAlone();

test('the estimates change the steps', () => {
  expect(
    (truth.dict.state as never as Record<string, { hessian: Float32Array }>)['long']!.hessian.some((h) => h > 0),
  ).toBe(true);
});

test.each([1, 2, 4, 8])('%i ranks have the bits of one process', async (size) => {
  for (const { params, dict } of await onRanks(size, (world) => train(world, 'whole')))
    expect({ params, dict }).toEqual(truth);
  for (const [rank, { params, dict }] of (await onRanks(size, (world) => train(world, 'sharded'))).entries())
    expect({ params, dict }).toEqual({ params: truth.params, dict: rank === 0 ? truth.dict : undefined });
});

test('through Lookahead, the same on any number of ranks', async () => {
  const [one] = await onRanks(1, (world) => train(world, 'lookahead'));
  for (const found of await onRanks(4, (world) => train(world, 'lookahead'))) expect(found).toEqual(one);
});

test('with compression both wrappers agree, and the estimates are not rounded', async () => {
  const compressed = { compression: 'bf16', microBatches: undefined } as const;
  const [whole] = await onRanks(2, (world) => train(world, 'whole', compressed));
  const [sharded] = await onRanks(2, (world) => train(world, 'sharded', compressed));
  expect(sharded).toEqual(whole);
});
