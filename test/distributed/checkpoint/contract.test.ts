// Checkpoints of many ranks: loaded by any number of ranks and by a plain program, whole at any moment, one error on every rank.
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CheckpointManager, inspectCheckpoint, loadCheckpoint, saveCheckpoint } from '../../../lib/checkpoint/index.js';
import { tempPath } from '../../../lib/checkpoint/temp-files.js';
import { hashOf } from '../../../lib/distributed/differences.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { ReduceOnPlateau, SGD } from '../../../lib/index.js';
import { arraysOf, type Case, create, newParams, special, train } from '../../support/distributed/sharded.js';
import { errorsOn, onRanks, worldsOf } from '../../support/distributed/worlds.js';

const muon = special.find(({ name }) => name.startsWith('Muon')) as Case;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'schuss-set-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Trains two steps and saves. Returns the digests of params and state. */
const save = (size: number, isSharded: boolean, path = folder, steps = 2): Promise<string[]> =>
  onRanks(size, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, isSharded);
    await train(world, optimizer, params, muon, 0, steps);
    await saveCheckpoint(path, { params, optimizer, world, metadata: { run: 'a' } });
    return digest(params, await optimizer.stateDict());
  });

const digest = (params: ReturnType<typeof newParams>, dict: unknown): string =>
  hashOf([arraysOf(params), dict ?? null]);

const load = async (world: World, isSharded: boolean, path = folder): Promise<string> => {
  const params = newParams();
  const optimizer = await create(world, params, muon, isSharded);
  expect(await loadCheckpoint(path, { params, optimizer, world })).toEqual({ run: 'a' });
  return digest(params, await optimizer.stateDict());
};

test.each([
  [3, true],
  [2, false],
  [1, true],
] as const)('%i ranks save (sharded: %s); any number loads, and so does a plain program', async (size, isSharded) => {
  const [saved] = await save(size, isSharded);
  expect(readdirSync(folder).length).toBe(size + 2);
  for (const ranks of [1, 2, 4]) expect((await onRanks(ranks, (world) => load(world, true)))[0]).toBe(saved);
  expect(new Set(await onRanks(2, (world) => load(world, false)))).toEqual(new Set([saved]));

  const params = newParams();
  const plain = new muon.Class(params as never, muon.options);
  await loadCheckpoint(folder, { params, optimizer: plain });
  expect(digest(params, plain.stateDict())).toBe(saved);
  const file = join(folder, 'plain.safetensors');
  await saveCheckpoint(file, { params, optimizer: plain, metadata: { run: 'a' } });
  expect((await onRanks(3, (world) => load(world, true, file)))[0]).toBe(saved);
  expect(await inspectCheckpoint(folder)).toEqual(await inspectCheckpoint(file));
});

test('a crash before LATEST is switched leaves the set before', async () => {
  const [first] = await save(2, true);
  const kept = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
  await save(3, true, folder, 1);
  // As it is before the switch: the files of both sets, and the old LATEST.
  for (const [name, bytes] of kept) writeFileSync(join(folder, name), bytes);
  expect((await onRanks(2, (world) => load(world, true)))[0]).toBe(first);
  const [third] = await save(2, true, folder, 1);
  expect(readdirSync(folder).length).toBe(4);
  expect((await onRanks(3, (world) => load(world, true)))[0]).toBe(third);
});

test('a later save replaces the set; files of a save that did not end are passed over, and removed by the next', async () => {
  const [first] = await save(2, true);
  writeFileSync(join(folder, '0123456789abcdef.0.safetensors'), 'half');
  expect((await onRanks(3, (world) => load(world, true)))[0]).toBe(first);
  const [second] = await save(3, true, folder, 1);
  expect((await onRanks(2, (world) => load(world, true)))[0]).toBe(second);
  expect(readdirSync(folder).length).toBe(5);
});

test('a set whose save was killed is no checkpoint of a manager, and goes as it becomes old', async () => {
  const manager = new CheckpointManager(folder, { keep: 1 });
  const run = <T>(action: (parts: { params: object; optimizer: never; world: World }) => Promise<T>): Promise<T[]> =>
    onRanks(2, async (world) => {
      const params = newParams();
      return action({ params, optimizer: (await create(world, params, muon, true)) as never, world });
    });
  await run((parts) => manager.save(1, parts as never));
  const killed = join(folder, 'step-0000000002');
  mkdirSync(killed);
  writeFileSync(join(killed, '0123456789abcdef.0.safetensors'), 'half');
  writeFileSync(tempPath(killed).replace(/-\d+-\d+-/, '-999999999-1-'), 'half'); // of a process that has ended
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    expect(await manager.latest()).toBe(1);
    expect((await run((parts) => manager.load(parts as never))).map(({ step }) => step)).toEqual([1, 1]);
    expect(warn).not.toHaveBeenCalled();
  } finally {
    warn.mockRestore();
  }
  await run((parts) => manager.save(3, parts as never));
  expect(readdirSync(folder)).toEqual(['step-0000000003']);
});

test('a part that is missing, foreign or damaged is one error on every rank, and nothing has changed', async () => {
  await save(3, true);
  const other = mkdtempSync(join(tmpdir(), 'schuss-set-'));
  await save(3, true, other);
  const part = (path: string): string =>
    join(path, readdirSync(path).find((name) => name.endsWith('.1.safetensors')) as string);
  const own = part(folder);
  const kept = readFileSync(own);
  const failures: [change: () => void, message: RegExp][] = [
    [() => copyFileSync(part(other), own), /part 1 of 3 of set .*, expected part 1 of 3 of set/],
    [
      () =>
        writeFileSync(
          own,
          kept.map((byte, i) => (i === kept.length - 5 ? byte ^ 1 : byte)),
        ),
      /SHA-256/,
    ],
    [() => writeFileSync(own, kept.subarray(0, 900)), /the file is damaged/],
    [() => unlinkSync(own), /no such file/],
  ];
  for (const [change, message] of failures) {
    change();
    const errors = await errorsOn(2, async (world) => {
      const params = newParams();
      const optimizer = await create(world, params, muon, true);
      const before = digest(params, await optimizer.stateDict());
      try {
        await loadCheckpoint(folder, { params, optimizer, world });
      } finally {
        expect(digest(params, await optimizer.stateDict())).toBe(before);
      }
    });
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]).toMatch(message);
    expect(errors[0]).toMatch(/^CheckpointError/);
    writeFileSync(own, kept);
  }
  rmSync(other, { recursive: true });
});

test('where one rank does not match, every rank has the error and its old state', async () => {
  await save(2, true);
  const errors = await errorsOn(3, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, true);
    const before = digest(params, await optimizer.stateDict());
    const objects = world.rank === 2 ? { plateau: new ReduceOnPlateau(optimizer as never) } : {};
    try {
      await loadCheckpoint(folder, { params, optimizer, objects, world });
    } finally {
      expect(digest(params, await optimizer.stateDict())).toBe(before);
    }
  });
  expect(errors).toEqual(Array(3).fill(expect.stringContaining('no object "plateau"')));
});

test('a rank that cannot save leaves the last set, and is the error of every rank', async () => {
  const [saved] = await save(2, true);
  const errors = await errorsOn(2, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, true);
    const objects = world.rank === 1 ? { bad: { stateDict: () => () => 1, loadStateDict: () => {} } } : {};
    await saveCheckpoint(folder, { params, optimizer, world, objects });
  });
  expect(errors).toEqual(Array(2).fill(expect.stringContaining('objects["bad"]')));
  const aborted = await errorsOn(2, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, true);
    const signal = world.rank === 1 ? AbortSignal.abort(new RangeError('enough')) : new AbortController().signal;
    await saveCheckpoint(folder, { params, optimizer, world, signal });
  });
  expect(aborted).toEqual(['RangeError: enough', 'RangeError: enough']);
  expect((await onRanks(2, (world) => load(world, true)))[0]).toBe(saved);
  expect(readdirSync(folder).length).toBe(4);
});

test('a step while the checkpoint is saved is refused; the values are those at the call', async () => {
  const said = await onRanks(2, async (world) => {
    const params = newParams();
    const optimizer = await create(world, params, muon, true);
    const before = digest(params, await optimizer.stateDict());
    const saving = saveCheckpoint(folder, { params, optimizer, world, metadata: { run: 'a' } });
    params.alone[0] = 7;
    const error = await train(world, optimizer, params, muon, 0, 1).catch(String);
    await saving;
    return [before, error];
  });
  for (const [, error] of said)
    expect(error).toMatch('an optimizer whose checkpoint is being saved or loaded, expected to await saveCheckpoint()');
  expect((await onRanks(2, (world) => load(world, true)))[0]).toBe(said[0]![0]);
});

test('an optimizer of many ranks needs the world', async () => {
  const errors = await errorsOn(2, async (world) => {
    const params = newParams();
    await saveCheckpoint(join(folder, 'x'), { params, optimizer: await create(world, params, muon, true) });
  });
  expect(errors).toEqual(
    Array(2).fill(expect.stringContaining('saveCheckpoint: world: undefined, expected the world')),
  );
  const params = newParams();
  await expect(loadCheckpoint(folder, { params, world: 3 as never })).rejects.toThrow(
    'loadCheckpoint: world: 3, expected a World',
  );
});

test('a manager keeps the latest sets, passes over a damaged one, and continues bit for bit', async () => {
  const run = async (size: number, to: number): Promise<string[]> =>
    onRanks(size, async (world) => {
      const params = newParams();
      const optimizer = await create(world, params, muon, true);
      const checkpoints = new CheckpointManager(folder, { keep: 2 });
      let step = 0;
      if ((await checkpoints.latest()) !== undefined) ({ step } = await checkpoints.load({ params, optimizer, world }));
      await world.barrier();
      for (; step < to; step++) {
        await train(world, optimizer, params, muon, step, step + 1);
        expect(await checkpoints.save(step + 1, { params, optimizer, world })).toBe(true);
      }
      return digest(params, await optimizer.stateDict());
    });
  const [whole] = await run(2, 4);
  expect(readdirSync(folder).sort()).toEqual(['step-0000000003', 'step-0000000004']);
  unlinkSync(join(folder, 'step-0000000004', 'LATEST'));
  expect((await run(2, 4))[0]).toBe(whole);
  expect(await new CheckpointManager(folder).latest()).toBe(4);
});

test('a manager has one checkpoint of a step, the last one, whether of many ranks or of one program', async () => {
  const [world] = worldsOf(1) as [World];
  const params = new Float32Array(4);
  const optimizer = await ShardedOptimizer.create(SGD, params, { lr: 1 }, world);
  const plain = new SGD(params.slice(), { lr: 1 });
  const checkpoints = new CheckpointManager(folder);
  const loaded = async (): Promise<number> => {
    const w = new Float32Array(4);
    await checkpoints.load({ params: w, only: 'params' });
    return w[0]!;
  };
  for (const [value, isSet] of [
    [1, true],
    [2, false],
    [3, true],
  ] as const) {
    params.fill(value);
    if (isSet) await checkpoints.save(7, { params, optimizer, world });
    else await checkpoints.save(7, { params, optimizer: plain });
    expect(readdirSync(folder)).toEqual([`step-0000000007${isSet ? '' : '.safetensors'}`]);
    expect(await loaded()).toBe(value);
  }
});
