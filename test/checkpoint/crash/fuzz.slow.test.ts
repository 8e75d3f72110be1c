// kill -9 at random moments of saves: the file is always whole, and never older than the last save that had ended.
// It runs dist/. SCHUSS_CRASHES=1000 for the full count (npm run test:crash), SCHUSS_CRASH_SEED for other moments.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CheckpointManager, loadCheckpoint, SGD } from '../../../lib/index.js';
import { random, scratch, tempsIn } from '../../support/checkpoint.js';

const crashes = Number(process.env['SCHUSS_CRASHES'] ?? 30);
const isFull = process.env['SCHUSS_CRASHES'] !== undefined;
const root = scratch();
const next = random(Number(process.env['SCHUSS_CRASH_SEED'] ?? 1));

/**
 * Runs the child and kills it at a random moment of its first two saves or so, whose time is `duration`; without it, after
 * a save. Returns the steps whose saves ended, and how long it lived after it was ready.
 */
async function crash(
  folder: string,
  length: number,
  duration?: number,
): Promise<{ readonly single: number; readonly managed: number; readonly lived: number }> {
  const child = spawn(process.execPath, [join(__dirname, 'child.cjs'), folder, String(length)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    output += text;
  });
  const seen = async (text: string): Promise<void> => {
    while (!output.includes(text) && child.exitCode === null)
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  };
  await seen('ready');
  const start = performance.now();
  if (duration === undefined) await seen('managed');
  else await sleep(next() * 2.5 * duration);
  const lived = performance.now() - start;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
  expect(output).not.toContain('failed');
  const last = (kind: string): number =>
    Math.max(0, ...[...output.matchAll(new RegExp(`^${kind} (\\d+)$`, 'gm'))].map(([, n]) => Number(n)));
  return { single: last('single'), managed: last('managed'), lived };
}

/** What a run of `steps` steps leaves in every element. */
function expected(steps: number): number {
  const w = new Float32Array(1);
  const optimizer = new SGD(w, { lr: 1, momentum: 0.5 });
  for (let s = 0; s < steps; s++) optimizer.step(Float32Array.of(-1));
  return w[0]!;
}

const lengths = { 'a small file': 1000, 'a file that a worker writes': 1_200_000 };

test.each(Object.entries(lengths))('%s', { timeout: 60_000 + crashes * 3000 }, async (title, length) => {
  const folder = join(root, String(length));
  mkdirSync(join(folder, 'managed'), { recursive: true });
  let duration: number | undefined;
  let acknowledged = { single: 0, managed: 0 };
  let [temps, unread] = [0, 0];
  for (let i = 0; i < Math.ceil(crashes / 2); i++) {
    const ended = await crash(folder, length, duration);
    duration ??= ended.lived;
    acknowledged = {
      single: Math.max(acknowledged.single, ended.single),
      managed: Math.max(acknowledged.managed, ended.managed),
    };
    temps += tempsIn(folder).length + tempsIn(join(folder, 'managed')).length;
    const params = { w: new Float32Array(length), b: new Float32Array(1) };
    const optimizer = new SGD(params, { lr: 1, momentum: 0.5 });
    const whole = (): void => {
      const value = expected(optimizer.stepCount);
      expect(params.b[0]).toBe(value);
      expect(params.w.every((w) => w === value)).toBe(true);
    };
    if (acknowledged.single > 0 || readdirSync(folder).includes('single.safetensors')) {
      await loadCheckpoint(join(folder, 'single.safetensors'), { params, optimizer });
      expect(optimizer.stepCount).toBeGreaterThanOrEqual(acknowledged.single);
      whole();
    } else unread++;
    const manager = new CheckpointManager(join(folder, 'managed'), { keep: 2 });
    const latest = await manager.latest();
    if (latest === undefined) expect(acknowledged.managed).toBe(0);
    else {
      const { step } = await manager.load({ params, optimizer });
      expect(step).toBe(latest);
      expect(optimizer.stepCount).toBe(step);
      expect(step).toBeGreaterThanOrEqual(acknowledged.managed);
      whole();
      expect(tempsIn(join(folder, 'managed'))).toEqual([]); // swept
    }
  }
  expect(acknowledged.single).toBeGreaterThan(0);
  if (isFull)
    console.log(
      `${title}: ${Math.ceil(crashes / 2)} kills, ${temps} temporary files left by them, ${unread} before the first save; ` +
        `step ${acknowledged.single}; 0 unreadable, 0 steps back`,
    );
});
