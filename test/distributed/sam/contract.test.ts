// SAM through DataParallel: members, uneven data, saves between the two steps, and what is refused.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from '../../../lib/checkpoint/index.js';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adam, Momo, SAM, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { errorsOn, onRanks } from '../../support/distributed/worlds.js';

const alike = <T>(size: number, value: T): T[] => Array.from({ length: size }, () => value);
const make = async (world: World, options: object = {}) => {
  const w = f32(3, 4);
  const grads = new Float32Array(2);
  const sgd = new SGD(w, { lr: 1, ...options });
  const sam = await DataParallel.create(new SAM(sgd, { rho: 5, grads }), world);
  return { w, grads, sgd, sam };
};

test('both steps take the gradient of all ranks: the params climb alike, and are put back', async () => {
  const found = await onRanks(2, async (world) => {
    const { w, sam, sgd } = await make(world);
    // The mean is [3, 4] by weights 1 and 3.
    const first = await sam.firstStep(world.rank === 0 ? f32(0, 4) : f32(4, 4), { weight: world.rank === 0 ? 1 : 3 });
    const climbed = [...w];
    const second = await sam.secondStep(world.rank === 0 ? f32(2, 0) : null);
    return [first, climbed, second, [...w], sam.stepCount, sam.unwrap().optimizer === sgd];
  });
  expect(found).toEqual(alike(2, [{ gradNorm: 5 }, [6, 8], { applied: true }, [1, 4], 1, true] as never));
});

test('a closure is called twice on each rank that has data, and the loss is the mean over all', async () => {
  const found = await onRanks(3, async (world) => {
    const { w, grads, sam } = await make(world);
    let calls = 0;
    const closure = (): number => {
      calls++;
      grads.set(w);
      return world.rank + w[0]!;
    };
    const { loss, applied } = await sam.step(world.rank === 2 ? null : closure, { weight: 1 + world.rank });
    const last = await sam.step(null);
    return { loss, applied, last, calls, w: [...w] };
  });
  const loss = (1 * 3 + 2 * 4) / 3;
  const w = [3 - 6, 4 - 8];
  const last = { applied: false, finished: true };
  expect(found).toEqual([2, 2, 0].map((calls) => ({ loss, applied: true, last, calls, w })));
});

test('ranks that have all run out do not climb; a second step without weights puts the params back', async () => {
  const found = await onRanks(2, async (world) => {
    const { w, sam } = await make(world);
    const first = await sam.firstStep(null);
    const refused = await sam.secondStep(f32(1, 1)).catch(String);
    await sam.firstStep(f32(3, 4));
    const second = await sam.secondStep(null);
    return [first, refused, second, [...w], sam.stepCount];
  });
  const refused =
    'TypeError: DataParallel.secondStep: this: params that have not climbed, expected firstStep(grads) before';
  expect(found).toEqual(
    alike(2, [{ finished: true }, refused, { applied: false, finished: true }, [3, 4], 0] as never),
  );
});

test('gradients that are not finite: the result names the ranks, and the params are as before', async () => {
  const found = await onRanks(2, async (world) => {
    const { w, sam } = await make(world, { skipNonFinite: true });
    const bad = world.rank === 1 ? f32(Number.NaN, 1) : f32(1, 1);
    const first = await sam.firstStep(bad);
    const second = await sam.secondStep(bad);
    return [first, second.applied, second.nonFiniteRanks, [...w], sam.skippedSteps];
  });
  expect(found).toEqual(alike(2, [{ gradNorm: Number.NaN, nonFiniteRanks: [1] }, false, [1], [3, 4], 1] as never));
});

test('without skipNonFinite a first step names no ranks', async () => {
  const found = await onRanks(2, async (world) => {
    const { sam } = await make(world);
    return sam.firstStep(world.rank === 1 ? f32(Number.NaN, 1) : f32(1, 1));
  });
  expect(found).toStrictEqual(alike(2, { gradNorm: Number.NaN }));
});

test('the SAM inside does not step alone: the closure is not run, and nothing changes', async () => {
  await onRanks(1, async (world) => {
    const { w, sam } = await make(world);
    const inner = sam.unwrap();
    await sam.firstStep(f32(3, 4)); // holds it again
    expect(() => inner.secondStep(f32(1, 1))).toThrow('an optimizer inside a DataParallel');
    expect([...w]).toEqual([6, 8]);
    await sam.secondStep(f32(1, 1));
    const before = [...w];
    let calls = 0;
    const closure = () => ++calls;
    expect(() => inner.firstStep(f32(3, 4))).toThrow('an optimizer inside a DataParallel');
    expect(() => inner.step(closure)).toThrow('an optimizer inside a DataParallel');
    expect([calls, [...w]]).toEqual([0, before]);
  });
});

test('every result of an interrupted job says so, that of a first step, too', async () => {
  const found = await onRanks(2, async (world) => {
    const { sam } = await make(world);
    const transport = OwnWorld.transportOf(world) as object;
    if (world.rank === 1) Object.defineProperty(transport, 'interrupted', { value: AbortSignal.abort() });
    const first = await sam.firstStep(f32(3, 4));
    const second = await sam.secondStep(f32(1, 1));
    return [first.interrupted, second.interrupted, await sam.firstStep(null)];
  });
  expect(found).toEqual(alike(2, [true, true, { finished: true, interrupted: true }] as never));
});

test('an optimizer that needs the loss gets that of the second step', async () => {
  const found = await onRanks(2, async (world) => {
    const momo = new Momo(f32(1));
    const sam = await DataParallel.create(new SAM(momo), world);
    const unknown = await sam.firstStep(f32(1), { loss: 1 } as never).catch(String);
    await sam.firstStep(f32(1));
    const missing = await sam.secondStep(f32(1)).catch(String);
    await sam.secondStep(f32(1), { loss: 2 + world.rank });
    return [String(unknown).split(',')[0], String(missing).split(',')[0], momo.lossAvg];
  });
  const errors = [
    'TypeError: DataParallel.firstStep: loss: unknown option',
    'TypeError: DataParallel: loss: undefined',
  ];
  expect(found).toEqual(alike(2, [...errors, 2.5] as never));
});

describe('what is refused', () => {
  test('between the two steps: nothing changes, and the second step goes on', async () => {
    const found = await onRanks(2, async (world) => {
      const { w, sgd, sam } = await make(world);
      await sam.firstStep(f32(3, 4));
      const errors = [
        await sam.firstStep(f32(1, 1)).catch(String),
        await sam.step(() => 1).catch(String),
        await sam.secondStep(f32(1)).catch(String),
        await sam.secondStep(f32(1, 1), { weight: -1 }).catch(String),
      ];
      expect(() => sam.addParamGroup({ params: f32(1) } as never)).toThrow('SAM: this: params that have climbed');
      expect(() => sgd.step(f32(1, 1))).toThrow('an optimizer inside a DataParallel');
      const climbed = [...w];
      await sam.secondStep(f32(1, 1));
      return [errors, climbed, [...w]];
    });
    const climbed = 'TypeError: DataParallel: this: params that have climbed, expected secondStep(grads) first';
    const errors = [
      climbed,
      climbed,
      'RangeError: DataParallel: grads: length 1, expected 2',
      'RangeError: DataParallel: weight: -1, expected [0, inf)',
    ];
    expect(found).toEqual(alike(2, [errors, [6, 8], [2, 3]] as never));
  });

  test('what differs between ranks in a second step is the same error, and puts the params back', async () => {
    const found = await onRanks(2, async (world) => {
      const { w, sam } = await make(world);
      await sam.firstStep(f32(3, 4));
      const error = await sam.secondStep(f32(1, 1), { gradScale: 1 + world.rank }).catch(String);
      const after = [...w];
      await sam.firstStep(f32(3, 4));
      await sam.secondStep(f32(1, 1));
      return [error, after, [...w]];
    });
    const error = 'RangeError: DataParallel: gradScale: rank 0 1, rank 1 2';
    expect(found).toEqual(alike(2, [error, [3, 4], [2, 3]] as never));
  });

  test('sparse gradients in the first step, on every rank', async () => {
    const rows = { rows: Int32Array.of(0), values: f32(1) };
    const found = await onRanks(2, async (world) => {
      const { w, sam } = await make(world);
      const error = await sam.firstStep((world.rank === 0 ? rows : null) as never).catch(String);
      await sam.firstStep(f32(3, 4));
      return [error, [...w]];
    });
    const error = expect.stringContaining('SAM needs the norm of the whole gradient');
    expect(found).toEqual(alike(2, [error, [6, 8]] as never));
  });

  test('options of SAM that differ, and a closure without grads', async () => {
    const errors = await errorsOn(2, (world) =>
      DataParallel.create(new SAM(new SGD(f32(1), { lr: 1 }), { rho: 1 + world.rank }), world),
    );
    expect(errors).toEqual(alike(2, 'RangeError: DataParallel: rho: rank 0 1, rank 1 2'));
    const [error] = await errorsOn(1, async (world) => {
      const sam = await DataParallel.create(new SAM(new SGD(f32(1), { lr: 1 })), world);
      await sam.step(() => 1);
    });
    expect(error).toContain('DataParallel.step: grads: undefined, expected the option grads of SAM');
  });
});

test('a closure that throws at the climbed params leaves them there, until the second step', async () => {
  const [found] = await onRanks(1, async (world) => {
    const { w, grads, sam } = await make(world);
    let calls = 0;
    const fails = (): number => {
      grads.set([3, 4]);
      if (++calls === 2) throw new Error('no');
      return 1;
    };
    const error = await sam.step(fails).catch(String);
    const climbed = [...w];
    return [error, climbed, await sam.secondStep(null), [...w]];
  });
  expect(found).toEqual(['Error: no', [6, 8], { applied: false, finished: true }, [3, 4]]);
});

test('hooks, lr, groups and print are those of the SAM', async () => {
  await onRanks(1, async (world) => {
    const { w, sam, sgd } = await make(world, { ema: 0.9 });
    const seen: unknown[] = [];
    sam.registerStepPreHook((optimizer, grads) => seen.push(optimizer === sam.unwrap(), grads, w[0]));
    sam.registerStepPostHook((_, { applied }) => seen.push(applied));
    await sam.firstStep(f32(3, 4));
    await sam.secondStep(f32(1, 1), { weight: 2 });
    expect(seen).toEqual([true, f32(2, 2), 3, true]);
    sam.lr = 0.5;
    expect([sgd.lr, sam.paramGroups === sgd.paramGroups, sam.emaParams === sgd.emaParams]).toEqual([0.5, true, true]);
    expect(String(sam)).toContain('DataParallel (\n  rank: 0\n  size: 1\n  optimizer: SAM (');
    await sam.firstStep(f32(3, 4));
    const climbed = w[0];
    sam.dispose();
    expect(w[0]).not.toBe(climbed);
    expect(() => sgd.stepCount).toThrow('disposed');
  });
});

describe('a run that was saved between the two steps goes on with the second', () => {
  const start = async (world: World, compression: 'none' | 'bf16') => {
    const params = { a: f32(3, 4, 0.1), b: f32(1) };
    const sam = await DataParallel.create(new SAM(new Adam(params, { lr: 0.1 }), { rho: 0.5 }), world, { compression });
    const grads = () => ({ a: params.a.map((x) => x * (1 + world.rank)), b: f32(1 / 3) });
    return { params, sam, grads };
  };

  test.each(['none', 'bf16'] as const)('by stateDict, compression %s', async (compression) => {
    await onRanks(2, async (world) => {
      const { params, sam, grads } = await start(world, compression);
      for (let step = 0; step < 2; step++) {
        await sam.firstStep(grads());
        if (step === 0) await sam.secondStep(grads());
      }
      const dict = structuredClone(await sam.stateDict());
      const resumed = await start(world, compression);
      await resumed.sam.loadStateDict(dict);
      resumed.params.a.set(params.a);
      resumed.params.b.set(params.b);
      for (const run of [{ sam, grads }, resumed]) await run.sam.secondStep(run.grads());
      expect(resumed.params).toEqual(params);
      expect(await resumed.sam.stateDict()).toEqual(await sam.stateDict());
    });
  });

  test('by checkpoints, on any number of ranks and in a plain program', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'schuss-sam-'));
    try {
      const [expected] = await onRanks(2, async (world) => {
        const { params, sam, grads } = await start(world, 'none');
        await sam.firstStep(grads());
        await sam.secondStep(grads());
        await sam.firstStep(grads());
        await saveCheckpoint(folder, { params, optimizer: sam as never, world });
        await sam.secondStep({ a: f32(1, 2, 3), b: f32(4) } as never);
        return { params, dict: await sam.stateDict() };
      });
      for (const size of [1, 3]) {
        const all = await onRanks(size, async (world) => {
          const { params, sam } = await start(world, 'none');
          await loadCheckpoint(folder, { params, optimizer: sam as never, world });
          await sam.secondStep((world.rank === 0 ? { a: f32(1, 2, 3), b: f32(4) } : null) as never);
          return { params, dict: await sam.stateDict() };
        });
        expect(all).toEqual(alike(size, expected));
      }
      const params = { a: new Float32Array(3), b: new Float32Array(1) };
      const sam = new SAM(new Adam(params, { lr: 0.1 }), { rho: 0.5 });
      await loadCheckpoint(folder, { params, optimizer: sam as never });
      sam.secondStep({ a: f32(1, 2, 3), b: f32(4) });
      expect({ params, dict: sam.stateDict() }).toEqual(expected);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
