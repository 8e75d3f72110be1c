import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { checkSignal } from '../../core/step-queue.js';
import { startThreads } from './running.js';
import { environment, type JobResult, supervise } from './supervise.js';

/** Options of {@link runWorkers}. */
export interface RunWorkersOptions {
  /** The number of ranks, a positive integer. */
  readonly size: number;
  /** Arguments of the script: `process.argv` from its third element on. */
  readonly argv?: readonly string[];
  /** Variables of the environment, beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** How often a job that fails is started again, at most; default 0. */
  readonly restarts?: number;
  /** Default deadline of the ranks' collectives in milliseconds, in (0, ∞]: `SCHUSS_DIST_TIMEOUT` of the ranks. */
  readonly timeout?: number;
  /** Milliseconds from the abort of `signal` until the job is ended; default 3000. */
  readonly grace?: number;
  /** Interrupts the job as SIGTERM does: it fires `world.interrupted`, and ends the job after `grace`. */
  readonly signal?: AbortSignal;
}

const known = ['size', 'argv', 'env', 'restarts', 'timeout', 'grace', 'signal'];

const isText = (value: unknown): value is string => typeof value === 'string';

/**
 * Runs a script on worker threads, as `npx schuss launch` does: one rank a thread, in a process of their own. Each line of
 * output has `[rank] ` before it.
 *
 * @param file The script: a path or a file URL.
 * @returns a Promise of the exit code; of the rank that failed first and the reason, where they are known; and of the
 *   number of restarts. After an abort of `signal` the exit code is 143.
 * @throws (rejects) TypeError for an unknown option or a wrong type; RangeError for a value out of range; Error if there
 *   is no such file
 * @example
 * ```ts
 * import { runWorkers } from 'schuss/distributed';
 *
 * export async function train(): Promise<void> {
 *   const { exitCode, rank, reason } = await runWorkers('train.mjs', { size: 4, restarts: 3 });
 *   if (exitCode !== 0) console.error(`rank ${rank} failed: ${reason}`);
 * }
 * ```
 */
export async function runWorkers(file: string | URL, options: RunWorkersOptions): Promise<JobResult> {
  const who = 'runWorkers';
  if (!isText(file) && !(file instanceof URL)) throw typeError(who, 'file', show(file), 'a path or a file URL');
  checkOptions(who, options, known);
  const { argv = [], env = {}, restarts = 0, grace = 3000, timeout, signal } = options;
  const size = checkInteger(who, 'size', options.size, '[1, inf)');
  checkInteger(who, 'restarts', restarts, '[0, inf)');
  checkNumber(who, 'grace', grace, '[0, inf)');
  if (timeout !== undefined) checkNumber(who, 'timeout', timeout, '(0, inf]');
  if (signal !== undefined) checkSignal(who, signal);
  if (!Array.isArray(argv) || !argv.every(isText)) throw typeError(who, 'argv', show(argv), 'a list of strings');
  if (typeof env !== 'object' || env === null || !Object.values(env).every(isText))
    throw typeError(who, 'env', show(env), 'a record of strings');
  const script = resolve(isText(file) ? file : fileURLToPath(file));
  if (statSync(script, { throwIfNoEntry: false })?.isFile() !== true)
    throw rangeError(who, 'file', show(script), 'a file that exists');
  const [ownArgv, ownEnv] = [[...argv], { ...env }];
  return supervise(
    (restart) => startThreads({ script, argv: ownArgv, size, env: environment(ownEnv, restart, timeout) }),
    { restarts, grace, signal },
  );
}
