// kill -9 of a whole job at random moments of its saves: the last whole set loads, is never older than the last save that had
// ended, and training goes on from it bit for bit, on another number of ranks too. It runs dist/. SCHUSS_CRASHES=1000 for the
// full count (npm run test:crash), SCHUSS_CRASH_SEED for other moments.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hashOf } from '../../../../lib/distributed/differences.js';
import { AdamW, CheckpointManager, GradAccumulator, loadCheckpoint } from '../../../../lib/index.js';
import manifest from '../../../../package.json';
import { random, scratch } from '../../../support/checkpoint.js';
import { root } from '../../../support/root.js';
import { gradsOf, microBatches, newParams, options } from './run.mjs';

const isFull = process.env['SCHUSS_CRASHES'] !== undefined;
const crashes = Number(process.env['SCHUSS_CRASHES'] ?? 6);
const folders = scratch();
const warnings: string[] = [];
process.on('warning', ({ message }) => warnings.push(message));
const next = random(Number(process.env['SCHUSS_CRASH_SEED'] ?? 1));

/**
 * Runs the job and kills all its processes at a random moment of its first two saves or so, which take `duration`; without
 * it, after both kinds of save. Returns the steps whose saves ended, and how long it lived after it was ready.
 */
async function crash(
  ranks: number,
  folder: string,
  length: number,
  duration?: number,
): Promise<{ readonly single: number; readonly managed: number; readonly lived: number }> {
  const words = ['launch', '-n', `${ranks}`, join(__dirname, 'child.mjs'), folder, `${length}`];
  const child = spawn(process.execPath, [join(root, manifest.bin.schuss), ...words], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const closed = once(child, 'close');
  const seen = async (text: string): Promise<void> => {
    while (!output.includes(text) && child.exitCode === null) await Promise.race([once(child.stdout, 'data'), closed]);
  };
  await seen('ready');
  const start = performance.now();
  if (duration === undefined) await seen('managed');
  else await sleep(next() * 2.5 * duration);
  const lived = performance.now() - start;
  process.kill(-(child.pid as number), 'SIGKILL');
  await closed;
  expect(output).not.toMatch(/Error|failed/);
  const last = (kind: string): number =>
    Math.max(0, ...[...output.matchAll(new RegExp(`^\\[0\\] ${kind} (\\d+)$`, 'gm'))].map(([, n]) => Number(n)));
  return { single: last('single'), managed: last('managed'), lived };
}

/** Digests of params and state after each step of a run of one process without a crash. */
function truth(length: number): (steps: number) => string {
  const params = newParams(length);
  const optimizer = new AdamW(params, options);
  const sum = new GradAccumulator(params, { order: 'tree' });
  const digests = [hashOf([params, optimizer.stateDict()])];
  return (steps) => {
    for (let step = optimizer.stepCount; step < steps; step++) {
      for (let part = 0; part < microBatches; part++) sum.add(gradsOf(params, step, part));
      optimizer.step(sum.grads as typeof params, { gradScale: 1 / sum.weight });
      sum.reset();
      digests.push(hashOf([params, optimizer.stateDict()]));
    }
    return digests[steps]!;
  };
}

test.each([
  ['small parts', 1000, [1, 2, 4]],
  ['parts that a worker writes', 1_500_000, [1, 2]],
] as const)('%s', { timeout: 60_000 + crashes * 10_000 }, async (title, length, sizes) => {
  const folder = join(folders, String(length));
  mkdirSync(folder);
  const [single, managed] = [join(folder, 'single'), join(folder, 'managed')];
  const digestAt = truth(length);
  /** Loads a run into a plain program. Returns its step. */
  const load = async (from: (parts: { params: object; optimizer: AdamW }) => Promise<unknown>): Promise<number> => {
    const params = newParams(length);
    const optimizer = new AdamW(params, options);
    await from({ params, optimizer });
    expect(hashOf([params, optimizer.stateDict()])).toBe(digestAt(optimizer.stepCount));
    return optimizer.stepCount;
  };
  const acknowledged = { single: 0, managed: 0 };
  const counts = { kills: 0, temps: 0, halfSets: 0 };
  let duration: number | undefined;
  for (; counts.kills < Math.ceil(crashes / 2); counts.kills++) {
    const ended = await crash(sizes[Math.floor(sizes.length * next())] as number, folder, length, duration);
    duration ??= ended.lived;
    for (const kind of ['single', 'managed'] as const) acknowledged[kind] = Math.max(acknowledged[kind], ended[kind]);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    counts.temps += files.filter((name) => name.endsWith('.tmp')).length;

    if (existsSync(join(single, 'LATEST')))
      expect(await load((parts) => loadCheckpoint(single, parts))).toBeGreaterThanOrEqual(acknowledged.single);
    else expect(acknowledged.single).toBe(0);

    const manager = new CheckpointManager(managed, { keep: 2 });
    const latest = (await manager.latest()) ?? 0;
    expect(latest).toBeGreaterThanOrEqual(acknowledged.managed);
    // A set whose save was killed is passed over without a warning.
    if (latest > 0) expect(await load((parts) => manager.load(parts))).toBe(latest);
    const sets = existsSync(managed) ? readdirSync(managed) : [];
    counts.halfSets += sets.filter((name) => !existsSync(join(managed, name, 'LATEST'))).length;
    expect(sets.length).toBeLessThanOrEqual(4); // two that are kept, one that was written, one that was being removed
  }
  expect(acknowledged.single).toBeGreaterThan(0);
  expect(warnings).toEqual([]);
  if (isFull)
    console.log(
      `${title}: ${counts.kills} kills of all ranks, which left ${counts.temps} temporary files and ${counts.halfSets} sets that are not whole; ` +
        `step ${acknowledged.single}; 0 unreadable, 0 steps back`,
    );
});
