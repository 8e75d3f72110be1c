// Compressed gradients: the same bits with both wrappers, after a save as without one, and in a world of one on any transport.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from '../../../lib/checkpoint/index.js';
import { hashOf } from '../../../lib/distributed/differences.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import type { World } from '../../../lib/distributed/world/world.js';
import {
  arraysOf,
  type Case,
  create,
  newParams,
  perClass,
  run,
  special,
  train,
} from '../../support/distributed/sharded.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { all, sample } from '../../support/sample.js';

const compression = 'bf16';
const known = [...perClass.flat(), ...special];
const named = (name: string): Case => known.find((given) => given.name === name) as Case;
const adamW = named('AdamW in groups');
const muon = named('Muon with AdamW');
const cases = [
  adamW,
  muon,
  named('Prodigy with correction'),
  named('SGD by a schedule'),
  named('Adagrad, sparse'),
  named('Adam, clipped'),
];

test.each(sample(cases, 3))('both wrappers: $name', async (given) => {
  for (const size of all ? [1, 2, 3, 4] : [3]) {
    const whole = await onRanks(size, (world) => run(world, given, false, { compression }));
    const parts = await onRanks(size, (world) => run(world, given, true, { compression }));
    for (const [rank, part] of parts.entries()) {
      expect(part.params).toEqual(whole[0]!.params);
      expect(part.results).toEqual(whole[0]!.results);
      expect(part.dict).toEqual(rank === 0 ? whole[0]!.dict : undefined);
      expect(whole[rank]).toMatchObject({ params: whole[0]!.params, dict: whole[0]!.dict });
    }
  }
});

test('the size of a bucket changes nothing; compression does', async () => {
  const digest = async (more: object): Promise<unknown> =>
    (await onRanks(2, (world) => run(world, adamW, false, more)))[0]!.params;
  const usual = await digest({ compression });
  expect(await digest({ compression, bucketBytes: 64 * 20 })).toEqual(usual);
  expect(await digest({})).not.toEqual(usual);
});

test('a world of one has the bits of one worker thread', async () => {
  const alone = await run(new OwnWorld(new SingleTransport(), 1000), adamW, false, { compression });
  expect(await onRanks(1, (world) => run(world, adamW, true, { compression }))).toEqual([alone]);
});

/** Trains from one step to another. Returns the digests of params and state. */
async function go(world: World, given: Case, from: number, to: number, by: 'dict' | string, kept: unknown[]) {
  const isSharded = from > 0; // what one wrapper has saved, the other loads
  const params = newParams();
  const optimizer = await create(world, params, given, isSharded, { compression });
  if (from > 0 && by !== 'dict') await loadCheckpoint(by, { params, optimizer, world });
  else if (from > 0) {
    await optimizer.loadStateDict((kept[0] as { dict: never }).dict);
    for (const [i, array] of arraysOf(params).entries()) array.set((kept[0] as { params: Float32Array[] }).params[i]!);
  }
  await train(world, optimizer, params, given, from, to);
  const dict = await optimizer.stateDict();
  if (by !== 'dict') await saveCheckpoint(by, { params, optimizer, world });
  else if (world.rank === 0) kept[0] = { params: arraysOf(params), dict };
  return hashOf([arraysOf(params), world.rank === 0 ? dict : null]);
}

test.each([
  [adamW, 'dict'],
  [muon, 'dict'],
  [adamW, 'set'],
  [muon, 'set'],
] as const)('a run that was saved goes on as without it: $name', async (given, way) => {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-bf16-'));
  try {
    const by = way === 'dict' ? way : folder;
    const whole = await onRanks(3, (world) => go(world, given, 0, 5, 'dict', []));
    const kept: unknown[] = [];
    await onRanks(3, (world) => go(world, given, 0, 2, by, kept));
    expect(await onRanks(3, (world) => go(world, given, 3, 5, by, kept))).toEqual(whole);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
