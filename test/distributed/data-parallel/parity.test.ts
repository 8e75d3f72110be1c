// DataParallel: the same bits on 1, 2, 4 and 8 ranks, and in one process with a tree of micro-batches.
import { describe, expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { shardBatches } from '../../../lib/distributed/shard-batches.js';
import type { World } from '../../../lib/distributed/world/world.js';
import {
  Adafactor,
  Adagrad,
  Adam,
  AdamW,
  LAMB,
  Lookahead,
  type Optimizer,
  ScheduleFreeAdamW,
  SGD,
} from '../../../lib/index.js';
import { GradAccumulator } from '../../../lib/training/index.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { numbers, random } from '../../support/random.js';

const rowLength = 3;
const shapes = { table: [7, rowLength], weight: [5, 11], bias: [20] } as const;
const lengths = { table: 21, weight: 55, bias: 20 } as const;

interface Params {
  readonly table: { readonly data: Float32Array; readonly shape: readonly number[] };
  readonly weight: { readonly data: Float32Array; readonly shape: readonly number[] };
  readonly bias: Float32Array;
}

const newParams = (): Params => ({
  table: { data: numbers(lengths.table, 1), shape: shapes.table },
  weight: { data: numbers(lengths.weight, 2), shape: shapes.weight },
  bias: numbers(lengths.bias, 3),
});

/** What a step over these examples gives: a function of examples and params alone. Some are null, some sparse. */
function gradients(params: Params, rows: Int32Array, isSparse: boolean): Record<string, unknown> {
  const next = random(rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7));
  const noise = (length: number): Float32Array =>
    Float32Array.from({ length }, () => (next() - 0.5) * 10 ** Math.floor(6 * next() - 3));
  const like = (w: Float32Array): Float32Array => noise(w.length).map((g, i) => g + 0.1 * (w[i] as number));
  const picked = Int32Array.from(rows.subarray(0, 4), (row) => row % shapes.table[0]);
  return {
    table: isSparse ? { rows: picked, values: noise(picked.length * rowLength) } : like(params.table.data),
    weight: (rows[0] ?? 0) % 5 === 0 ? null : like(params.weight.data),
    bias: like(params.bias),
  };
}

const bits = ({ table, weight, bias }: Params): string =>
  [table.data, weight.data, bias].map((x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex')).join();

type Make = (params: Params) => Optimizer<Params>;
const cases: readonly (readonly [name: string, make: Make, isSparse: boolean])[] = [
  ['SGD', (p: Params) => new SGD(p, { lr: 0.1, momentum: 0.9 }), false],
  ['Adam with clipping', (p: Params) => new Adam(p, { lr: 0.1, clipNorm: 0.5, ema: 0.9 }), false],
  ['Adagrad, sparse', (p: Params) => new Adagrad(p, { lr: 0.1 }), true],
  ['Adam with clipping, sparse', (p: Params) => new Adam(p, { lr: 0.1, clipNorm: 0.5 }), true],
  ['LAMB', (p: Params) => new LAMB(p, { lr: 0.1 }), false],
  ['Adafactor', (p: Params) => new Adafactor(p, { lr: 0.1 }), false],
  ['ScheduleFreeAdamW', (p: Params) => new ScheduleFreeAdamW(p, { lr: 0.1 }), false],
  ['Lookahead', (p: Params) => new Lookahead(new AdamW(p, { lr: (t: number) => 0.1 / t }), { k: 2 }), false],
] as unknown as typeof cases;

const [examples, batch, microBatches, epochs] = [25, 12, 8, 2];
const options = { batch, microBatches, seed: 4 };

/** Trains on one rank of a world. The last batch has one example, so most ranks have none then. */
async function train(
  world: World,
  make: Make,
  isSparse: boolean,
): Promise<{ params: string; state: string; norms: unknown }> {
  const params = newParams();
  if (world.rank > 0) params.bias.fill(9); // overwritten by those of rank 0
  const optimizer = await DataParallel.create(make(params), world, { microBatches, bucketBytes: 256 });
  const norms: unknown[] = [];
  for (let epoch = 0; epoch < epochs; epoch++)
    for (const parts of shardBatches(examples, world, { ...options, epoch })) {
      const last = parts.at(-1) as Int32Array;
      for (const rows of parts.slice(0, -1))
        optimizer.accumulate(gradients(params, rows, isSparse) as never, { weight: rows.length });
      norms.push(await optimizer.step(gradients(params, last, isSparse) as never, { weight: last.length }));
    }
  return { params: bits(params), state: JSON.stringify(await optimizer.stateDict()), norms };
}

function trainAlone(make: Make, isSparse: boolean): { params: string; state: string; norms: unknown } {
  const params = newParams();
  const optimizer = make(params);
  const sum = new GradAccumulator(params, { order: 'tree' });
  const norms: unknown[] = [];
  for (let epoch = 0; epoch < epochs; epoch++)
    for (const parts of shardBatches(examples, { rank: 0, size: 1 }, { ...options, epoch })) {
      for (const rows of parts) sum.add(gradients(params, rows, isSparse) as never, { weight: rows.length });
      norms.push(optimizer.step(sum.grads as never, { gradScale: 1 / sum.weight }));
      sum.reset();
    }
  return { params: bits(params), state: JSON.stringify(optimizer.stateDict()), norms };
}

describe.each(cases)('%s', (_, make, isSparse) => {
  const truth = trainAlone(make, isSparse);

  test.each([1, 2, 4, 8])('%i ranks have the bits of one process', async (size) => {
    const ranks = await onRanks(size, (world) => train(world, make, isSparse));
    for (const rank of ranks) expect(rank).toEqual(truth);
  });
});

test('the size of a bucket changes nothing, and more batches than one a rank need no microBatches', async () => {
  const run = (bucketBytes: number): Promise<string[]> =>
    onRanks(3, async (world) => {
      const params = newParams();
      const optimizer = await DataParallel.create(new SGD(params, { lr: 0.1 }), world, { bucketBytes });
      for (let step = 0; step < 3; step++) {
        const grads = (i: number): never => gradients(params, Int32Array.of(world.rank, step, i, 1), false) as never;
        for (let i = 0; i < step; i++) optimizer.accumulate(grads(i), { weight: 2 });
        await optimizer.step(grads(9));
      }
      return bits(params);
    });
  const [small, large] = [await run(128), await run(1e6)];
  expect(new Set([...small, ...large]).size).toBe(1);
});
