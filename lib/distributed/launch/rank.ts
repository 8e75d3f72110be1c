// The first file of each rank's thread: it directs the output, then runs the script.
import { pathToFileURL } from 'node:url';
import { isMainThread, workerData } from 'node:worker_threads';
import { RankOutput } from './output.js';
import { type Seat, seatOf } from './seat.js';

/** Node's exit code for a script whose top-level await never ends. */
const unsettled = 13;

function redirect(rank: number): void {
  const outputs = [new RankOutput(1, rank), new RankOutput(2, rank)] as const;
  outputs[0].attach(process.stdout);
  outputs[1].attach(process.stderr);
  process.on('exit', () => {
    for (const output of outputs) output.flush();
  });
}

/** Adds to an error what Node leaves out: in which file a syntax error is, and how TypeScript runs. */
function explain(error: unknown, script: string): void {
  if (!(error instanceof Error)) return;
  const { stack = '', code } = error as NodeJS.ErrnoException;
  if (error instanceof SyntaxError && !stack.includes(script))
    error.stack = `In ${script}, or in a module that it imports:\n${stack}`;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?ts"/.test(error.message))
    error.stack = `${stack}\nCompile it, or launch a module that registers tsx: import { register } from 'tsx/esm/api'; register(); await import('./train.ts');`;
}

async function run({ rank, script, argv }: Seat): Promise<void> {
  redirect(rank);
  process.argv = [process.execPath, script, ...argv];
  let isSettled = false;
  process.once('beforeExit', () => {
    if (isSettled) return;
    process.stderr.write('Warning: Detected unsettled top-level await\n');
    process.exit(unsettled);
  });
  try {
    await import(pathToFileURL(script).href);
  } catch (error) {
    explain(error, script);
    throw error;
  }
  isSettled = true;
}

const seat = seatOf(workerData);
if (!isMainThread && seat !== undefined) void run(seat);
