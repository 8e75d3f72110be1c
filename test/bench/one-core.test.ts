// Contenders in processes of their own share a core with ours while they are compared.
import { spawn, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shareCore } from '../../bench/speed/one-core.js';

const allowed = (pid: number): string => spawnSync('taskset', ['-cp', String(pid)], { encoding: 'utf8' }).stdout.trim();
const hasTaskset = spawnSync('taskset', ['--version']).status === 0;

test.runIf(hasTaskset)('both are on one core, and then where they were', () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
  const pids = [process.pid, child.pid as number];
  try {
    const before = pids.map(allowed);
    const putBack = shareCore(pids);
    const meanwhile = pids.map((pid) => /: (\d+)$/.exec(allowed(pid))?.[1]);
    putBack();
    expect(meanwhile[0]).toMatch(/^\d+$/);
    expect(meanwhile[1]).toBe(meanwhile[0]);
    expect(pids.map(allowed)).toEqual(before);
  } finally {
    child.kill();
  }
});

test.runIf(hasTaskset)('a process that has ended does not keep ours on its core', () => {
  const before = allowed(process.pid);
  shareCore([process.pid, 2 ** 22 + 1])();
  expect(allowed(process.pid)).toBe(before);
});
