import { constants } from 'node:os';
import type { Running } from './running.js';
import type { Ending } from './seat.js';

/** How a job ended, and how often it was started again. */
export interface JobResult extends Ending {
  readonly restarts: number;
}

export interface Supervision {
  /** How often a job that fails is started again, at most. */
  readonly restarts: number;
  /** Milliseconds from a signal until the job is ended. */
  readonly grace: number;
  /** Interrupts the job. Its reason is the name of the signal; else it counts as SIGTERM. */
  readonly signal: AbortSignal | undefined;
  /** Ends the grace. */
  readonly hurry?: AbortSignal | undefined;
  readonly onRestart?: (ending: Ending, restart: number) => void;
}

/** Exit codes that a new start would only repeat: success, and wrong usage. */
const final: readonly number[] = [0, 2];

/** Runs a job until it succeeds, fails for good, or is interrupted. */
export async function supervise(
  start: (restart: number) => Running,
  { restarts, grace, signal, hurry, onRestart }: Supervision,
): Promise<JobResult> {
  for (let restart = 0; ; restart++) {
    if (signal?.aborted) return { ...interruptedBy(signal), restarts: restart };
    const job = start(restart);
    let timer: NodeJS.Timeout | undefined;
    const interrupt = (): void => {
      job.interrupt(nameOf(signal));
      timer = setTimeout(() => job.kill(), grace);
    };
    const kill = (): void => job.kill();
    signal?.addEventListener('abort', interrupt);
    hurry?.addEventListener('abort', kill);
    const ending = await job.ended;
    clearTimeout(timer);
    signal?.removeEventListener('abort', interrupt);
    hurry?.removeEventListener('abort', kill);
    if (signal?.aborted) return { ...interruptedBy(signal), restarts: restart };
    if (final.includes(ending.exitCode) || restart === restarts) return { ...ending, restarts: restart };
    onRestart?.(ending, restart + 1);
  }
}

function nameOf(signal: AbortSignal | undefined): 'SIGINT' | 'SIGTERM' {
  return signal?.reason === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
}

function interruptedBy(signal: AbortSignal): Ending {
  const name = nameOf(signal);
  return { exitCode: 128 + constants.signals[name], reason: `interrupted by ${name}` };
}

/** The variables that tell a script how it was started. */
export function environment(
  env: Readonly<NodeJS.ProcessEnv>,
  restart: number,
  timeout: number | undefined,
): NodeJS.ProcessEnv {
  const deadline = timeout === undefined ? {} : { SCHUSS_DIST_TIMEOUT: `${timeout}` };
  return { ...process.env, ...env, ...deadline, SCHUSS_RESTART: `${restart}` };
}
