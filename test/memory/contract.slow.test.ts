// Memory: calls that could crash the process, made in another process.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test.each(['crash.ts', 'moved.ts'])(
  'no call of %s crashes the process',
  (name) => {
    const script = join(__dirname, name);
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', script], {
      encoding: 'utf8',
    });
    expect({ status, signal, last: stdout.trim().split('\n').at(-1), stderr: stderr.slice(-2000) }).toMatchObject({
      status: 0,
      signal: null,
      last: 'alive',
    });
  },
  60_000,
);

test('a step allocates a few numbers and its result, but nothing for each array', () => {
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=128', '--import', 'tsx'];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, join(__dirname, 'garbage.ts')], {
    encoding: 'utf8',
  });
  const bytes = JSON.parse(stdout.trim().split('\n').at(-1) ?? stderr) as Record<string, number>;
  expect(Object.keys(bytes)).toHaveLength(6);
  // The smallest object for each of 100 arrays would be 1,200.
  for (const [name, count] of Object.entries(bytes)) expect(count, name).toBeLessThan(800);
}, 60_000);
