// Memory that is dropped is freed, also in a loop that never gives the event loop a turn.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const run = (...args: string[]): string => {
  const script = join(__dirname, 'loops.ts');
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
};

// Twice what is alive at a time, which is 10 MB at most, and 256 MB. A loop that frees nothing rises by 600 MB and more.
const most = 276;

describe.each(['blocks', 'yields'])('a loop of 300 that %s', (how) => {
  test.each(JSON.parse(run()) as string[])('%s', (name) => {
    // Steps on other threads end only when the event loop turns.
    if (how === 'blocks' && name === 'stepAsync') return;
    expect(Number(run(name, how))).toBeLessThan(most);
  });
});
