import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { newProgram } from '../../bench/commands.js';

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

/** What the command line prints when it refuses these arguments, without starting a process. */
export async function refusal(args: readonly string[]): Promise<string> {
  const program = newProgram();
  let printed = '';
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({ writeErr: (text) => (printed += text) });
  await program.parseAsync(args, { from: 'user' }).then(
    () => Promise.reject(new Error('it was accepted')),
    () => {},
  );
  return printed;
}
