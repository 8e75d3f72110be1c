// Trains with DataParallel and with ShardedOptimizer: both must have the same bits.

import { hashOf } from '../../../lib/distributed/differences.js';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import type { DistributionOptions } from '../../../lib/distributed/optimizers/distribution.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { classes, type OptimizerClass } from '../../../lib/optimizers/index.js';
import { numbers, random } from '../random.js';

const lengths = { long: 33_000, table: 36, matrix: 24 * 20, bias: 20, alone: 1 } as const;
const shapes = { table: [12, 3], matrix: [24, 20] } as const;

export type Params = ReturnType<typeof newParams>;

/** A param over three chunks of a sum, two with rows, and two that are shorter than the parts of all ranks. */
export function newParams() {
  // Params are often parts of one buffer.
  const heap = new Float32Array(lengths.bias + lengths.alone + 1);
  const at = (begin: number, length: number, seed: number): Float32Array => {
    const part = heap.subarray(begin, begin + length);
    part.set(numbers(length, seed));
    return part;
  };
  return {
    long: numbers(lengths.long, 1),
    table: { data: numbers(lengths.table, 2), shape: shapes.table },
    layer: { matrix: { data: numbers(lengths.matrix, 3), shape: shapes.matrix }, bias: at(1, lengths.bias, 4) },
    alone: at(1 + lengths.bias, lengths.alone, 5),
  };
}

export const arraysOf = ({ long, table, layer, alone }: Params): Float32Array[] => [
  long,
  table.data,
  layer.matrix.data,
  layer.bias,
  alone,
];

export interface Case {
  readonly name: string;
  readonly Class: OptimizerClass;
  readonly options: Readonly<Record<string, unknown>>;
  readonly isSparse: boolean;
  /** The param groups of some params. */
  readonly groups?: (params: Params) => object;
}

const required = (Class: OptimizerClass): Readonly<Record<string, unknown>> => ({
  ...('lr' in Class.defaults || Class.optimizerName === 'Adafactor' ? {} : { lr: 0.05 }),
  // To decompose the blocks of the long param takes minutes.
  ...('maxPreconditionerDim' in Class.defaults ? { maxPreconditionerDim: 20 } : {}),
});
const cased = (Class: OptimizerClass, name: string, options = {}, isSparse = false): Case => ({
  name: `${Class.optimizerName}${name}`,
  Class,
  options: { ...required(Class), ...options },
  isSparse,
});

/** Every class, with its defaults and with all that looks at the gradients first. */
export const perClass: readonly (readonly Case[])[] = classes.map(([Class, declaration]) => [
  cased(Class, ''),
  cased(Class, ', clipped', { clipNorm: 0.7, skipNonFinite: true, ema: 0.9, clipValue: 0.4 }),
  ...(declaration.denseOnly === undefined ? [cased(Class, ', sparse', { gradNorm: true, ema: 0.5 }, true)] : []),
]);

const classOf = (name: string): OptimizerClass =>
  (classes.find(([{ optimizerName }]) => optimizerName === name) as (typeof classes)[number])[0];

/** Options that select other kernels, and param groups. */
export const special: readonly Case[] = [
  cased(classOf('Adafactor'), ' with momentum', { beta1: 0.9 }),
  cased(classOf('Muon'), ' with AdamW', { adamLr: 0.01, weightDecay: 0.1 }),
  cased(classOf('Prodigy'), ' with correction', { biasCorrection: true, d0: 1e-2, weightDecay: 0.1 }),
  cased(classOf('Momo'), ' with a loss that is not finite', { clipNorm: 1, skipNonFinite: true }),
  cased(classOf('DoG'), ' layer by layer', { layerWise: true, repsRel: 0.1 }),
  cased(classOf('AdamMini'), ' by rows, sparse', { ema: 0.5 }, true),
  cased(classOf('SGD'), ' by a schedule', { momentum: 0.9, lr: (t: number) => 0.1 / t }),
  cased(classOf('Adam'), ' in bfloat16', { stateDtype: 'bfloat16', ema: 0.9 }),
  cased(classOf('Adagrad'), ' in bfloat16, sparse', { stateDtype: 'bfloat16' }, true),
  {
    ...cased(classOf('AdamW'), ' in groups', { clipNorm: 1 }),
    groups: ({ long, table, layer, alone }) => [
      { params: { long, alone }, lr: 0.01 },
      { params: { table, layer }, weightDecay: 0, maximize: true },
    ],
  },
];

/** Numbers of many sizes, of which gradients are made. */
const pool = numbers(34_000, 9).map((x, i) => x * 10 ** ((i % 5) - 3));

/** The gradients of one rank in a step. Some are null on one rank, or on all. */
function gradients(params: Params, rank: number, step: number, isSparse: boolean): object {
  const next = random(31 * rank + step + 7);
  const noise = (length: number): Float32Array => pool.slice(Math.floor(next() * 1000)).subarray(0, length);
  const like = (w: Float32Array): Float32Array => noise(w.length).map((g, i) => g + 0.1 * w[i]!);
  const rows = (count: number, of: number): Int32Array => Int32Array.from({ length: count }, () => of * next());
  const sparse = (count: number, [n, columns]: readonly [number, number]): object => ({
    rows: rows(count, n),
    values: noise(count * columns),
  });
  const long = like(params.long);
  if (step === 2 && rank === 0) long[20_000] = Number.POSITIVE_INFINITY;
  return {
    long,
    table: isSparse ? sparse(5, shapes.table) : like(params.table.data),
    layer: {
      matrix: isSparse
        ? sparse(3 + rank, shapes.matrix)
        : step === 1 && rank === 1
          ? null
          : like(params.layer.matrix.data),
      bias: step === 1 ? null : like(params.layer.bias),
    },
    alone: like(params.alone),
  };
}

const steps = 5;

export interface Outcome {
  /** Digests. */
  readonly params: readonly string[];
  readonly results: readonly unknown[];
  readonly dict: string | undefined;
  readonly stateBytes: number;
}

type Any = ShardedOptimizer | DataParallel;

/** Steps an optimizer. A step that is not finite is left out where the case does not skip it. */
export async function train(
  world: World,
  optimizer: Any,
  params: Params,
  { Class, options, isSparse }: Case,
  from = 0,
  to = steps,
): Promise<unknown[]> {
  const results: unknown[] = [];
  for (let step = from; step < to; step++) {
    if (step === 2 && options['skipNonFinite'] !== true) continue;
    const grads = (i: number): never => gradients(params, world.rank + 10 * i, step, isSparse) as never;
    // Step 2 is the one that is not finite.
    const lossOf = (i: number): number =>
      step === 2 && world.rank === 1 ? Number.NaN : 3 + i + world.rank - 0.1 * step;
    const given = (i: number, weight: number) => ({ weight, ...(Class.needsLoss ? { loss: lossOf(i) } : {}) });
    if (step === 3) optimizer.accumulate(grads(1), given(1, 2));
    results.push(await optimizer.step(grads(0), given(0, 1 + world.rank)));
  }
  return results;
}

export async function create(
  world: World,
  params: Params,
  { Class, options, groups }: Case,
  isSharded: boolean,
  distribution: DistributionOptions = {},
): Promise<Any> {
  const given = groups?.(params) ?? params;
  const all = { bucketBytes: 50_000, ...distribution };
  if (isSharded) return ShardedOptimizer.create(Class, given as never, options, world, all);
  return DataParallel.create(new Class(given as never, options), world, all);
}

/** What a rank has after some steps. */
export async function run(
  world: World,
  given: Case,
  isSharded: boolean,
  distribution: DistributionOptions = {},
): Promise<Outcome> {
  const params = newParams();
  if (world.rank > 0) params.alone[0] = 9; // overwritten by that of rank 0
  const optimizer = await create(world, params, given, isSharded, distribution);
  const results = await train(world, optimizer, params, given);
  const dict = await optimizer.stateDict();
  return {
    params: arraysOf(params).map(hashOf),
    results,
    dict: dict && hashOf(dict),
    stateBytes: optimizer.stateBytes,
  };
}
