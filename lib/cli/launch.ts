import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkInteger, checkNumber } from '../check/options.js';
import { type Running, startCommand, startThreads } from '../distributed/launch/running.js';
import { environment, supervise } from '../distributed/launch/supervise.js';
import { mpiLauncher } from '../distributed/world/mpi-launcher.js';
import { CliError } from './cli-error.js';

export interface LaunchOptions {
  readonly ranks?: string;
  readonly restart?: string;
  readonly timeout?: string;
  readonly grace?: string;
}

/** An ending as the last line of the command says it. */
interface Ended {
  readonly exitCode: number;
  readonly rank?: number | undefined;
  readonly reason?: string | undefined;
}

const sayFailed = ({ exitCode, rank, reason }: Ended, then = ''): void =>
  console.error(
    `schuss launch: ${rank === undefined ? '' : `rank ${rank} `}failed: exit code ${exitCode}${reason === undefined ? '' : `: ${reason}`}${then}`,
  );

/** An option's number. @throws CliError */
function number<T extends string | undefined>(value: T, check: (value: number) => number): number | undefined {
  if (value === undefined) return undefined;
  try {
    return check(value === '' ? Number.NaN : Number(value));
  } catch (error) {
    const { message } = error as Error;
    const hint = value === 'p' ? ' (-np of mpirun is -n here)' : '';
    throw new CliError(`${message.replace('NaN', JSON.stringify(value))}${hint}`);
  }
}

/**
 * Runs a script on worker threads, or a command that starts its own ranks, and returns the exit code.
 *
 * @param isCommand whether `--` stands before the words
 */
export async function launch(
  words: readonly string[],
  isCommand: boolean,
  { ranks, restart, timeout, grace }: LaunchOptions,
): Promise<number> {
  const who = 'schuss launch';
  const size = number(ranks, (value) => checkInteger(who, '-n', value, '[1, inf)'));
  const restarts = number(restart, (value) => checkInteger(who, '--restart', value, '[0, inf)')) ?? 0;
  const deadline = number(timeout, (value) => checkNumber(who, '--timeout', value, '(0, inf]'));
  const patience = number(grace, (value) => checkNumber(who, '--grace', value, '[0, inf)')) ?? 3000;
  const start = starter(words, isCommand, size, deadline);

  const [interrupted, hurry] = [new AbortController(), new AbortController()];
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => (interrupted.signal.aborted ? hurry.abort() : interrupted.abort(signal)));
  const result = await supervise(start, {
    restarts,
    grace: patience,
    signal: interrupted.signal,
    hurry: hurry.signal,
    onRestart: (ending, count) => sayFailed(ending, `; restart ${count} of ${restarts}`),
  });
  if (result.exitCode !== 0) sayFailed(result);
  return result.exitCode;
}

function starter(
  words: readonly string[],
  isCommand: boolean,
  size: number | undefined,
  timeout: number | undefined,
): (restart: number) => Running {
  const [first, ...rest] = words as [string, ...string[]];
  if (isCommand) {
    if (size !== undefined)
      throw new CliError('schuss launch: -n is for a script; the command after -- starts its own ranks');
    return (restart) => startCommand(first, rest, environment({}, restart, timeout));
  }
  if (size === undefined) throw new CliError('schuss launch: -n is missing: the number of ranks, as in -n 4 train.mjs');
  const launcher = mpiLauncher(process.env);
  if (launcher !== undefined)
    throw new CliError(
      `schuss launch: ${launcher.text} starts ${launcher.size} of it, each a job of its own: start the script itself, as in mpirun -np 4 node ${first}`,
    );
  const script = resolve(first);
  if (statSync(script, { throwIfNoEntry: false })?.isFile() !== true)
    throw new CliError(`schuss launch: ${script}: no such file`);
  return (restart) => startThreads({ script, argv: rest, size, env: environment({}, restart, timeout) });
}
