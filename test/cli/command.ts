import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import manifest from '../../package.json';
import { root } from '../support/root.js';

/** Runs the built command. */
export function schuss(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { readonly status: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, manifest.bin.schuss), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, out: stdout, err: stderr };
}
