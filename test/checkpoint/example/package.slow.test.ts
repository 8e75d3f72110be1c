// examples/checkpoint.mts: a run in two parts ends with the same bytes as a run in one.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../../support/checkpoint.js';

const root = join(__dirname, '..', '..', '..');
const folder = scratch();

function run(name: string, steps: number): string {
  const program = join(root, 'examples', 'checkpoint.mts');
  return execFileSync(process.execPath, ['--import', 'tsx', program, join(folder, name), String(steps)], {
    cwd: root,
    encoding: 'utf8',
  });
}

test('checkpoint: an interrupted run ends where the whole one does', () => {
  run('parts', 130); // saved at 120: the last ten steps are lost
  expect(run('parts', 300)).toContain('continues after step 120\n');
  expect(run('whole', 300)).toContain('step 300: weight 2.000,-3.000, bias 0.500');
  const [parts, whole] = ['parts', 'whole'].map((name) => readFileSync(join(folder, name, 'weights.safetensors')));
  expect(parts!.equals(whole!)).toBe(true);
  const file = 'step-0000000300.safetensors';
  expect(readFileSync(join(folder, 'parts', file)).equals(readFileSync(join(folder, 'whole', file)))).toBe(true);
});
