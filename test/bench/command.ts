import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(__dirname, '..', '..');
const tsx = pathToFileURL(require.resolve('tsx')).href;

/** Runs bench/main.ts as the npm scripts `study` and `bench` do, in another folder. */
export function runBench(
  args: readonly string[],
  cwd: string,
): { readonly status: number | null; readonly out: string; readonly err: string } {
  const main = join(root, 'bench', 'main.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', tsx, main, ...args], {
    cwd,
    encoding: 'utf8',
  });
  return { status, out: stdout, err: stderr };
}
