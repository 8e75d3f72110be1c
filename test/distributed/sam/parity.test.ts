// SAM through DataParallel: the same bits on 1, 2, 4 and 8 ranks, and in one process with a tree of micro-batches.
import { describe, expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { shardBatches } from '../../../lib/distributed/shard-batches.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adagrad, Adam, SAM, SGD, Sophia } from '../../../lib/index.js';
import { GradAccumulator } from '../../../lib/training/index.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { numbers, random } from '../../support/random.js';

const newParams = () => ({ table: { data: numbers(21, 1), shape: [7, 3] as const }, weight: numbers(55, 2) });
type Params = ReturnType<typeof newParams>;
type Step = 'first' | 'second';

/** A function of the examples and the params alone: so it shows where the params have climbed to. */
function gradients(params: Params, rows: Int32Array, isSparse: boolean, isBad: boolean): never {
  const next = random(rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7));
  const noise = (length: number): Float32Array =>
    Float32Array.from({ length }, () => (next() - 0.5) * 10 ** Math.floor(6 * next() - 3));
  const like = (w: Float32Array): Float32Array => noise(w.length).map((g, i) => g + 0.1 * (w[i] as number));
  const picked = Int32Array.from(rows.subarray(0, 4), (row) => row % 7);
  const weight = (rows[0] ?? 0) % 5 === 0 ? null : like(params.weight);
  if (isBad && weight !== null) weight[3] = Number.NaN;
  const table = isSparse ? { rows: picked, values: noise(picked.length * 3) } : like(params.table.data);
  return { table, weight } as never;
}

const estimate = (params: Params, rows: Int32Array): never =>
  ({ table: null, weight: params.weight.map((w, i) => Math.abs(w) + ((rows[0] ?? 0) % (i + 2))) }) as never;

interface Case {
  readonly make: (params: Params) => SAM;
  /** Sparse gradients in the second step. */
  readonly isSparse?: boolean;
  readonly hasHessian?: boolean;
}
const cases: readonly (readonly [name: string, given: Case])[] = (
  [
    ['SGD', { make: (p: Params) => new SAM(new SGD(p, { lr: 0.1, momentum: 0.9, clipNorm: 0.5 }), { rho: 0.5 }) }],
    [
      'Adam, adaptive',
      { make: (p: Params) => new SAM(new Adam(p, { lr: 0.1, ema: 0.9 }), { rho: 2, adaptive: true }) },
    ],
    ['skipNonFinite', { make: (p: Params) => new SAM(new Adam(p, { lr: 0.1, skipNonFinite: true })) }],
    ['Adagrad, sparse', { make: (p: Params) => new SAM(new Adagrad(p, { lr: 0.1 })), isSparse: true }],
    ['Sophia', { make: (p: Params) => new SAM(new Sophia(p, { lr: 0.1 }), { rho: 0.5 }), hasHessian: true }],
  ] as const
).map(([name, given]) => [name, given as unknown as Case]);

const [examples, batch, microBatches] = [25, 12, 8];
const batches = (world: Pick<World, 'rank' | 'size'>) =>
  [0, 1].flatMap((epoch) => [...shardBatches(examples, world, { batch, microBatches, seed: 4, epoch })]);
const isBad = (name: string, b: number, step: Step): boolean =>
  name === 'skipNonFinite' && (b === 1 || (b === 3 && step === 'second'));

async function train(world: World, name: string, { make, isSparse = false, hasHessian = false }: Case) {
  const params = newParams();
  if (world.rank > 0) params.weight.fill(9); // overwritten by those of rank 0
  const sam = await DataParallel.create(make(params), world, { microBatches, bucketBytes: 256 });
  const results: unknown[] = [];
  for (const [b, parts] of batches(world).entries())
    for (const step of ['first', 'second'] as const) {
      for (const rows of parts) {
        const grads = gradients(params, rows, isSparse && step === 'second', isBad(name, b, step));
        const hessian = hasHessian && step === 'second' && (rows[0] ?? 0) % 2 === 0;
        sam.accumulate(grads, { weight: rows.length, ...(hessian ? { hessian: estimate(params, rows) } : {}) });
      }
      const result = step === 'first' ? await sam.firstStep(null) : await sam.secondStep(null);
      const { nonFiniteRanks: _, ...shown } = result as { nonFiniteRanks?: unknown };
      results.push(shown, params.weight.slice(), params.table.data.slice());
    }
  return { results, dict: await sam.stateDict() };
}

function trainAlone(name: string, { make, isSparse = false, hasHessian = false }: Case) {
  const params = newParams();
  const sam = make(params);
  const [sum, estimates] = [0, 1].map(() => new GradAccumulator(params, { order: 'tree' })) as [never, never];
  const results: unknown[] = [];
  for (const [b, parts] of batches({ rank: 0, size: 1 }).entries())
    for (const step of ['first', 'second'] as const) {
      const [grads, hessian] = [sum, estimates] as unknown as [GradAccumulator<Params>, GradAccumulator<Params>];
      for (const rows of parts) {
        grads.add(gradients(params, rows, isSparse && step === 'second', isBad(name, b, step)), {
          weight: rows.length,
        });
        const has = hasHessian && step === 'second' && (rows[0] ?? 0) % 2 === 0;
        hessian.add(estimate(params, rows), { weight: has ? rows.length : 0 });
      }
      const options = { gradScale: 1 / grads.weight };
      const more = { hessian: hessian.grads, hessianScale: 1 / hessian.weight };
      if (step === 'first') results.push(sam.firstStep(grads.grads as never, options));
      else
        results.push(
          sam.secondStep(grads.grads as never, { ...options, ...(hessian.weight > 0 ? more : {}) } as never),
        );
      grads.reset();
      hessian.reset();
      results.push(params.weight.slice(), params.table.data.slice());
    }
  return { results, dict: sam.stateDict() };
}

describe.each(cases)('%s', (name, given) => {
  const truth = trainAlone(name, given);

  test.each([1, 2, 4, 8])('%i ranks have the bits of one process', async (size) => {
    const ranks = await onRanks(size, (world) => train(world, name, given));
    for (const rank of ranks) expect(rank).toEqual(truth);
  });

  test('and the climb matters', () => {
    const { results } = truth;
    expect(results[1]).not.toEqual(newParams().weight);
    expect(results[4]).not.toEqual(results[1]);
  });
});
