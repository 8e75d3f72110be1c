// CheckpointManager: which steps it saves, which it keeps, and what it loads when files are damaged.
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Adam, CheckpointManager, inspectCheckpoint, saveCheckpoint } from '../../../lib/index.js';
import { type Any, refused, scratch } from '../../support/checkpoint.js';

const root = scratch();
let folders = 0;

function setUp(options?: Any) {
  const folder = join(root, String(folders++), 'nested');
  const params = { w: Float32Array.of(0) };
  const optimizer = new Adam(params);
  const manager = new CheckpointManager(folder, options);
  const run = { params, optimizer };
  const save = (step: number, more: Any = {}) => {
    params.w[0] = step;
    return manager.save(step, { ...run, ...more });
  };
  const steps = (): number[] => readdirSync(folder).map((name) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1]));
  const pathOf = (step: number): string => join(folder, `step-${String(step).padStart(10, '0')}.safetensors`);
  return { folder, params, manager, run, save, steps, pathOf };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  writeFileSync(path, bytes);
}

async function warnings(action: () => Promise<unknown>): Promise<[string, Any][]> {
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    await action();
    return spy.mock.calls as unknown as [string, Any][];
  } finally {
    spy.mockRestore();
  }
}

test('saves, keeps the latest, loads', async () => {
  const { params, manager, run, save, steps } = setUp();
  expect(await manager.latest()).toBeUndefined();
  await refused(manager.load(run), 'ENOENT', 'no checkpoint, expected a file step-….safetensors');
  for (let step = 1; step <= 5; step++) expect(await save(step, { metadata: { note: `at ${step}` } })).toBe(true);
  expect(steps()).toEqual([3, 4, 5]);
  expect(await manager.latest()).toBe(5);
  params.w[0] = -1;
  const metadata = await manager.load(run);
  expect(metadata).toEqual({ note: 'at 5', step: 5 });
  expect(metadata['note']?.length).toBe(4);
  expect(metadata.step + 1).toBe(6);
  expect(params.w[0]).toBe(5);
  expect((await manager.load(run, { step: 3 })).step).toBe(3);
  expect(params.w[0]).toBe(3);
  await refused(manager.load(run, { step: 1 }), 'ENOENT', 'step-0000000001.safetensors": no such file');
});

test('every and keep', async () => {
  const { save, steps, pathOf } = setUp({ every: 10, keep: 1 });
  expect(await Promise.all([0, 1, 9, 10, 15, 20].map((step) => save(step)))).toEqual([
    true,
    false,
    false,
    true,
    false,
    true,
  ]);
  expect(steps()).toEqual([20]);
  expect(await inspectCheckpoint(pathOf(20))).toMatchObject({ step: 20, optimizer: 'Adam' });
  const all = setUp({ keep: Number.POSITIVE_INFINITY });
  for (let step = 0; step < 6; step++) await all.save(step);
  expect(all.steps()).toEqual([0, 1, 2, 3, 4, 5]);
  await all.save(Number.MAX_SAFE_INTEGER);
  expect(await all.manager.latest()).toBe(Number.MAX_SAFE_INTEGER);
});

test('the values of each save are those at its call, whichever ends first', async () => {
  const { params, manager, run, save } = setUp({ keep: 9 });
  await Promise.all([1, 2, 3, 4].map((step) => save(step)));
  for (const step of [1, 2, 3, 4]) {
    await manager.load(run, { step });
    expect(params.w[0]).toBe(step);
  }
});

describe('damage', () => {
  test.each<[string, (path: string) => void]>([
    ['a flipped bit of data', (path) => flip(path, -1)],
    ['a flipped bit of the header', (path) => flip(path, 20)],
    ['a truncated file', (path) => truncateSync(path, 100)],
    ['an empty file', (path) => truncateSync(path, 0)],
    ['another file', (path) => writeFileSync(path, 'hello, this is text and no checkpoint')],
  ])('%s: the one before is loaded, with a warning', async (_, damage) => {
    const { params, manager, run, save, pathOf } = setUp();
    for (const step of [1, 2, 3]) await save(step);
    damage(pathOf(3));
    const calls = await warnings(async () => expect((await manager.load(run)).step).toBe(2));
    expect(params.w[0]).toBe(2);
    expect(calls.length).toBe(1);
    expect(calls[0]![0]).toMatch(
      /^CheckpointManager.load: ".+step-0000000003.safetensors": .+; loading step 2 instead$/s,
    );
    expect(calls[0]![1]).toEqual({ type: 'SchussWarning', code: 'SCHUSS_CHECKPOINT_DAMAGED' });
    await expect(manager.load(run, { step: 3 })).rejects.toThrow('step-0000000003');
    // A new save of that step repairs it.
    await save(3);
    expect(await warnings(async () => expect((await manager.load(run)).step).toBe(3))).toEqual([]);
  });

  test('all are damaged', async () => {
    const { params, manager, run, save, pathOf } = setUp();
    for (const step of [1, 2]) await save(step);
    for (const step of [1, 2]) flip(pathOf(step), -1);
    params.w[0] = 7;
    await warnings(async () => {
      const error = await refused(
        manager.load(run),
        'SCHUSS_DAMAGED',
        '2 checkpoint(s), all damaged, expected one that is not',
      );
      expect((error.cause as Error).message).toContain('step-0000000002');
    });
    expect(params.w[0]).toBe(7);
  });

  test('a checkpoint of another run is an error, not a reason to go back', async () => {
    const { manager, save } = setUp();
    for (const step of [1, 2]) await save(step);
    const params = { v: new Float32Array(1) };
    await refused(manager.load({ params, optimizer: new Adam(params) }), 'SCHUSS_MISMATCH', 'no param "v"');
  });

  test('latest passes over truncated files, as load does', async () => {
    const { manager, save, pathOf } = setUp();
    for (const step of [1, 2]) await save(step);
    truncateSync(pathOf(2), 50);
    expect(await manager.latest()).toBe(1);
    truncateSync(pathOf(1), 0);
    expect(await manager.latest()).toBeUndefined();
  });

  test('the last good one is never removed', async () => {
    const { manager, run, save, steps, pathOf } = setUp({ keep: 2 });
    for (const step of [10, 20]) await save(step);
    truncateSync(pathOf(20), 9);
    // Going on from 10: the later, damaged file is left alone, and the good ones stay.
    await save(11);
    expect(steps()).toEqual([10, 11, 20]);
    await save(12);
    expect(steps()).toEqual([11, 12, 20]);
    await save(21); // 20 does not count: it is damaged
    expect(steps()).toEqual([12, 20, 21]);
    await save(22);
    expect(steps()).toEqual([21, 22]);
    expect((await manager.load(run)).step).toBe(22);
  });
});

test('a failed save removes nothing, and the next one works', async () => {
  const { folder, save, steps } = setUp({ keep: 1 });
  await save(1);
  mkdirSync(join(folder, 'step-0000000002.safetensors'));
  await refused(save(2), 'EISDIR', 'CheckpointManager.save: ');
  expect(steps()).toEqual([1, 2]);
  await save(3);
  expect(steps()).toEqual([2, 3]); // the directory is not ours to remove
  const controller = new AbortController();
  const [one, two] = [save(4, { signal: controller.signal }), save(5)];
  controller.abort('stop');
  await expect(one).rejects.toBe('stop');
  expect(await two).toBe(true);
  expect(steps()).toEqual([2, 5]);
});

test('other files in the folder are left alone', async () => {
  const { folder, manager, run, save } = setUp({ keep: 1 });
  mkdirSync(folder, { recursive: true });
  const names = [
    'step-1.safetensors',
    'step-00000000000000000001.safetensors',
    'step-0000000001.safetensors.bak',
    'x.tmp',
    'step-0000000000000007.safetensors',
  ];
  for (const name of names) writeFileSync(join(folder, name), 'x');
  await saveCheckpoint(join(folder, 'mine.safetensors'), run);
  await save(5);
  await save(6);
  for (const name of [...names, 'mine.safetensors']) expect(existsSync(join(folder, name)), name).toBe(true);
  expect(await manager.latest()).toBe(6);
});

test('arguments', async () => {
  const { manager, run } = setUp();
  expect(() => new CheckpointManager('')).toThrow('CheckpointManager: directory: "", expected a path');
  expect(() => new CheckpointManager('x', { kep: 1 } as Any)).toThrow(
    'CheckpointManager: kep: unknown option, expected keep',
  );
  expect(() => new CheckpointManager('x', { keep: 0 })).toThrow(
    'CheckpointManager: keep: 0, expected an integer in [1, inf)',
  );
  expect(() => new CheckpointManager('x', { every: 0.5 })).toThrow('CheckpointManager: every: 0.5');
  await expect(manager.save(-1, run)).rejects.toThrow(
    'CheckpointManager.save: step: -1, expected an integer in [0, 2^53)',
  );
  await expect(manager.save('1' as Any, run)).rejects.toThrow(
    'CheckpointManager.save: step: "1", expected a whole number',
  );
  await expect(manager.save(1, { params: 1 } as Any)).rejects.toThrow('CheckpointManager.save: params: 1');
  await expect(manager.load(run, { step: 0.5 })).rejects.toThrow('CheckpointManager.load: step: 0.5');
  await expect(manager.load({} as Any)).rejects.toThrow('CheckpointManager.load: params: undefined');
});
