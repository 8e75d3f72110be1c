// stepAsync: the process survives freed memory, other threads and its own end in the middle of a step.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Runs scenarios of crash.ts in a separate process. */
function run(scenarios: readonly string[]): Promise<unknown> {
  return new Promise((resolve) => {
    const script = join(__dirname, 'crash.ts');
    const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', script, ...scenarios]);
    let [out, errors] = ['', ''];
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (errors += data));
    child.on('close', (status, signal) => resolve({ status, signal, out, errors: errors.slice(-2000) }));
  });
}

describe.concurrent('the process lives', () => {
  const alive = { status: 0, signal: null, out: expect.stringMatching(/^alive$/m), errors: '' };
  test('memory that goes; other threads; its end in mid-step', async ({ expect }) => {
    expect(await run(['dropped', 'grown', 'transferred', 'movable', 'overwritten', 'crowd', 'exit'])).toEqual(alive);
  });
  test('workers that end in mid-step; its end when all is done', async ({ expect }) => {
    expect(await run(['ended', 'last'])).toEqual(alive);
  });
});
