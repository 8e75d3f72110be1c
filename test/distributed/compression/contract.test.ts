// Compressed gradients: residuals are state, stay where a step is skipped, and move to another number of ranks; bad input.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inspectCheckpoint, loadCheckpoint, saveCheckpoint } from '../../../lib/checkpoint/index.js';
import { rankPartOf } from '../../../lib/checkpoint/world.js';
import { hashOf } from '../../../lib/distributed/differences.js';
import type { ResidualStates } from '../../../lib/distributed/gradients/residuals.js';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { AdamW, Lookahead, SGD } from '../../../lib/index.js';
import { errorsOn, onRanks } from '../../support/distributed/worlds.js';
import { numbers } from '../../support/random.js';

const compression = 'bf16';
const lengths = { w: 100, b: 7 };
const newParams = () => ({ w: numbers(lengths.w, 1), b: numbers(lengths.b, 2) });
const gradsOf = (rank: number, step: number) => ({
  w: numbers(lengths.w, 10 * step + rank + 3),
  b: numbers(lengths.b, 10 * step + rank + 4),
});

type Any = DataParallel<SGD> | ShardedOptimizer<SGD>;
const wrappers = [
  [
    'DataParallel',
    (world: World, params = newParams()): Promise<Any> =>
      DataParallel.create(new SGD(params, { lr: 0.1, skipNonFinite: true }), world, { compression }) as never,
  ],
  [
    'ShardedOptimizer',
    (world: World, params = newParams()): Promise<Any> =>
      ShardedOptimizer.create(SGD, params, { lr: 0.1, skipNonFinite: true }, world, { compression }) as never,
  ],
] as const;

const residualsOf = (dict: unknown): ResidualStates => (dict as { residuals: ResidualStates }).residuals;

describe.each(wrappers)('%s', (_, make) => {
  test('a step that is skipped, rejects or has no examples leaves the residuals', async () => {
    const ranks = await onRanks(3, async (world) => {
      const params = newParams();
      const optimizer = await make(world, params);
      const state = async (): Promise<string> => hashOf([(await optimizer.stateDict()) ?? null, params]);
      const residuals = async (): Promise<string> => hashOf(residualsOf((await optimizer.stateDict()) ?? {}) ?? null);
      await optimizer.step(gradsOf(world.rank, 0));
      const [before, kept] = [await state(), await residuals()];

      expect(await optimizer.step(null)).toEqual({ applied: false, finished: true });
      expect(await state()).toBe(before);
      const remove = optimizer.registerStepPreHook(() => {
        throw new Error('of a hook');
      });
      await expect(optimizer.step(gradsOf(world.rank, 1))).rejects.toThrow('of a hook');
      remove();
      expect(await state()).toBe(before);

      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const grads = gradsOf(world.rank, 1);
        if (world.rank === 1) grads.w[50] = bad;
        const result = await optimizer.step(grads);
        expect([result.applied, result.nonFiniteRanks]).toEqual([false, [1]]);
      }
      // Finite on each rank, but bfloat16 ends before float32.
      const grads = gradsOf(world.rank, 1);
      grads.w[3] = world.rank === 2 ? 3.4e38 : 0;
      expect(await optimizer.step(grads)).toMatchObject({ applied: false, nonFiniteRanks: [] });
      expect(await residuals()).toBe(kept);
      expect(optimizer.skippedSteps).toBe(3);

      await optimizer.step(gradsOf(world.rank, 1));
      const after = await optimizer.stateDict();
      return { changed: (await residuals()) !== kept, params: hashOf(params), after };
    });
    expect(ranks[0]!.changed).toBe(true);

    // The skipped steps might as well not have been.
    const plain = await onRanks(3, async (world) => {
      const params = newParams();
      const optimizer = await make(world, params);
      for (const step of [0, 1]) await optimizer.step(gradsOf(world.rank, step));
      return { params: hashOf(params), residuals: residualsOf((await optimizer.stateDict()) ?? {}) };
    });
    expect(ranks.map(({ params }) => params)).toEqual(plain.map(({ params }) => params));
    expect(residualsOf(ranks[0]!.after)).toEqual(plain[0]!.residuals);
  });

  test('a param without a gradient keeps its residuals, and zeros of one rank let them out', async () => {
    const [dicts] = await onRanks(2, async (world) => {
      const optimizer = await make(world);
      await optimizer.step(gradsOf(world.rank, 0));
      const first = await optimizer.stateDict();
      await optimizer.step({ w: null, b: gradsOf(world.rank, 1).b } as never);
      const second = await optimizer.stateDict();
      await optimizer.step({ w: world.rank === 0 ? new Float32Array(lengths.w) : null, b: null } as never);
      return [first, second, await optimizer.stateDict()];
    });
    const [first, second, third] = dicts!.map((dict) => residualsOf(dict).params);
    expect(second!['w']).toEqual(first!['w']);
    expect(second!['b']).not.toEqual(first!['b']);
    expect(third!['b']).toEqual(second!['b']);
    const size = (x: Float32Array): number => x.reduce((sum, value) => sum + Math.abs(value), 0);
    expect(size(third!['w']!.contributions)).toBeLessThan(size(second!['w']!.contributions) / 50);
  });

  test('stateBytes counts them, of dense gradients only', async () => {
    const bytes = await onRanks(2, async (world) => {
      const optimizer = await make(world);
      const before = optimizer.stateBytes;
      await optimizer.step({ w: gradsOf(world.rank, 0).w, b: null } as never);
      const own = world.partition(lengths.w)[world.rank]!;
      return optimizer.stateBytes - before - 4 * (lengths.w + own[1] - own[0]);
    });
    expect(bytes).toEqual([0, 0]);
  });

  test('another number of ranks takes over what was lost, and a plain optimizer leaves it out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'schuss-bf16-'));
    try {
      const [saved] = await onRanks(3, async (world) => {
        const params = newParams();
        const optimizer = await make(world, params);
        for (const step of [0, 1]) await optimizer.step(gradsOf(world.rank, step));
        await saveCheckpoint(folder, { params, optimizer, world });
        return optimizer.stateDict();
      });
      const w = residualsOf(saved).params['w']!;
      expect([w.contributions.length, w.sums.length]).toEqual([3 * lengths.w, lengths.w]);
      const total = w.sums.map((sum, i) => {
        const lost = [0, 1, 2].reduce((all, rank) => Math.fround(all + w.contributions[rank * lengths.w + i]!), 0);
        return sum + lost;
      });
      for (const isFile of [false, true]) {
        const [loaded] = await onRanks(2, async (world) => {
          const params = newParams();
          const optimizer = await make(world, params);
          if (isFile) await loadCheckpoint(folder, { params, optimizer, world });
          else await optimizer.loadStateDict(saved as never);
          return optimizer.stateDict();
        });
        const two = residualsOf(loaded).params['w']!;
        expect(two.sums).toEqual(total);
        expect(two.contributions).toEqual(new Float32Array(2 * lengths.w));
      }
      const params = newParams();
      const plain = new SGD(params, { lr: 0.1, skipNonFinite: true });
      await loadCheckpoint(folder, { params, optimizer: plain });
      const { residuals, ...rest } = saved as unknown as Record<string, unknown>;
      expect(residuals).toBeDefined();
      expect(plain.stateDict()).toEqual(rest);
      // And a plain state has lost nothing.
      const [again] = await onRanks(2, async (world) => {
        const optimizer = await make(world);
        await optimizer.step(gradsOf(world.rank, 0));
        await optimizer.loadStateDict(plain.stateDict() as never);
        return optimizer.stateDict();
      });
      expect(residualsOf(again)).toEqual({ size: 2, params: {} });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a rank keeps no contributions of others from a checkpoint: it sums them up where they were not as many', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'schuss-bf16-'));
    try {
      const skipped = await onRanks(3, async (world) => {
        const params = newParams();
        const optimizer = await make(world, params);
        await optimizer.step(gradsOf(world.rank, 0));
        await saveCheckpoint(folder, { params, optimizer, world });
        const { tensors } = await inspectCheckpoint(folder);
        const part = rankPartOf(optimizer)!;
        const plain = rankPartOf(await DataParallel.create(new SGD(newParams(), { lr: 0.1 }), world))!;
        const of = (rank: number, size: number, { reads } = part): string[] =>
          Object.keys(tensors).filter((name) => reads(name, rank, size) !== 'whole');
        expect(Object.keys(tensors).filter((name) => typeof part.reads(name, 0, 2) === 'function')).toEqual(of(0, 2));
        return [of(0, 3), of(1, 3), of(2, 3), of(0, 2), of(0, 1, plain)];
      });
      const all = ['w', 'b'].map((name) => `optimizer.residuals.params.${name}.contributions`);
      const sorted = skipped.map((lists) => lists.map((names) => names.toSorted().toReversed()));
      for (const rank of [0, 1, 2])
        expect(sorted[rank]).toEqual([...[0, 1, 2].map((other) => (other === rank ? [] : all)), all, all]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('residuals that do not fit change nothing, and are the same error on every rank', async () => {
    const errors = await onRanks(2, async (world) => {
      const optimizer = await make(world);
      await optimizer.step(gradsOf(world.rank, 0));
      const before = await optimizer.stateDict();
      const good = (await world.broadcastObject(before)) as { residuals: ResidualStates };
      const w = good.residuals.params['w']!;
      const bad: unknown[] = [
        null,
        { size: 0, params: {} },
        { size: 2, params: { v: w } },
        { size: 2, params: { w: { ...w, sums: new Float32Array(3) } } },
        { size: 3, params: { w } },
        { size: 2, params: { w: { ...w, factor: Number.NaN } } },
        { size: 2, params: { w: { ...w, sums: new Float32Array(100).fill(Number.NaN) } } },
      ];
      const messages: string[] = [];
      for (const residuals of bad) {
        const dict = { ...good, stepCount: 9, residuals } as never;
        messages.push(
          await optimizer.loadStateDict(dict).then(
            () => 'no error',
            (error) => String(error).replace(/^(\w+): \w+/, '$1'),
          ),
        );
      }
      expect(hashOf((await optimizer.stateDict()) ?? null)).toBe(hashOf(before ?? null));
      return messages;
    });
    expect(errors[1]).toEqual(errors[0]);
    expect(errors[0]).toEqual([
      'TypeError.loadStateDict: residuals: null, expected what stateDict() returned',
      'RangeError.loadStateDict: residuals.size: 0, expected an integer in [1, inf)',
      'TypeError.loadStateDict: residuals.params: v: unknown option, expected one of w, b',
      'RangeError.loadStateDict: residuals.params["w"].sums: length 3, expected 100',
      'RangeError.loadStateDict: residuals.params["w"].contributions: length 200, expected 300',
      'RangeError.loadStateDict: residuals.params["w"].factor: NaN, expected a finite number',
      'RangeError.loadStateDict: residuals.params["w"].sums: a number that is not finite, expected finite numbers',
    ]);
  });
});

test('a Lookahead, and what it has saved', async () => {
  const states = await onRanks(2, async (world) => {
    const make = () => new Lookahead(new AdamW(newParams(), { lr: 0.1 }), { k: 2 });
    const optimizer = await DataParallel.create(make(), world, { compression });
    for (const step of [0, 1, 2]) await optimizer.step(gradsOf(world.rank, step));
    const state = await optimizer.stateDict();
    const other = await DataParallel.create(make(), world, { compression });
    await other.loadStateDict(state);
    make().loadStateDict(state);
    return [hashOf(state), hashOf(await other.stateDict())];
  });
  expect(states[0]![1]).toBe(states[0]![0]);
});

test('with microBatches at one number of ranks, the bits are those without', async () => {
  const trainWith = (options: object) =>
    onRanks(2, async (world) => {
      const w = Float32Array.of(1, 2, 3);
      const optimizer = await DataParallel.create(new SGD(w, { lr: 0.1 }), world, { compression, ...options });
      for (let step = 0; step < 3; step++) {
        for (const part of [0, 1]) {
          const grads = w.map((x) => x * (1.1 + world.rank + part) + step);
          if (part === 0) await optimizer.accumulate(grads);
          else await optimizer.step(grads);
        }
      }
      return [...w];
    });
  expect(await trainWith({ microBatches: 4 })).toEqual(await trainWith({}));
});

test('bad input, and ranks that differ', async () => {
  const create = (world: World, options: object) =>
    DataParallel.create(new SGD(newParams(), { lr: 1 }), world, options);
  expect(await errorsOn(1, (world) => create(world, { compression: 'fp16' }))).toEqual([
    'RangeError: DataParallel: compression: "fp16", expected "none" or "bf16"',
  ]);
  expect(await errorsOn(1, (world) => create(world, { compression: true }))).toEqual([
    'TypeError: DataParallel: compression: true, expected "none" or "bf16"',
  ]);
  expect(await errorsOn(2, (world) => create(world, { compression: world.rank === 0 ? 'none' : 'bf16' }))).toEqual(
    Array(2).fill('RangeError: DataParallel: compression: rank 0 none, rank 1 bf16'),
  );
  const foreign = { rank: 0, size: 1, allGatherObject: async (x: unknown) => [x] } as never;
  await expect(create(foreign, { compression })).rejects.toThrow(
    /world: .*, expected the World that init\(\) returned/,
  );
});
