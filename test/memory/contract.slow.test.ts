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
