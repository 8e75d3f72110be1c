import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { extname, join } from 'node:path';
import { EndingNote } from './ending-note.js';
import type { Ending, ToHost } from './seat.js';

/** A job that runs. */
export interface Running {
  readonly ended: Promise<Ending>;
  /** Passes on a signal that the launcher has got. */
  interrupt(signal: NodeJS.Signals): void;
  /** Ends all its processes. */
  kill(): void;
}

/** What worker threads run. */
interface ThreadJob {
  readonly script: string;
  readonly argv: readonly string[];
  readonly size: number;
  readonly env: NodeJS.ProcessEnv;
}

/** Milliseconds until a process that has said how it ended must be gone. */
const lastBreath = 2000;
/** Milliseconds that a command has to end when a rank has said that it ends the job: the other ranks take up to 6 s. */
const longestEnd = 10_000;
/** Milliseconds between two looks for what a rank says. */
const lookEvery = 500;

/** Options of Node that are for the first script, and would keep the process of the threads from its own. */
const forOneScript = /^(-[epic]+|--(eval|print|interactive|check|input-type|test|watch|inspect)\b.*)$/;

function options(): string[] {
  const list: string[] = [];
  for (let i = 0; i < process.execArgv.length; i++) {
    const option = process.execArgv[i] as string;
    if (!forOneScript.test(option)) list.push(option);
    else if (/^(-e|-p|-pe|--eval|--print|--input-type)$/.test(option)) i++; // its value
  }
  return list;
}

function endingOf(code: number | null, signal: NodeJS.Signals | null): Ending {
  if (signal === null) return { exitCode: code ?? 1 };
  return { exitCode: 128 + constants.signals[signal], reason: `ended by ${signal}` };
}

/** The end of a process. It has no code where it could not be started. */
function endOf(child: ChildProcess, told: () => Ending | undefined): Promise<Ending> {
  return new Promise((resolve) => {
    child.on('error', ({ message }) => resolve({ exitCode: 127, reason: message }));
    child.on('exit', (code, signal) => resolve(told() ?? endingOf(code, signal)));
  });
}

/** Starts a process whose threads are the ranks, so that a crash or `kill -9` of it is known too. */
export function startThreads({ script, argv, size, env }: ThreadJob): Running {
  const host = join(__dirname, `host${extname(__filename)}`);
  const child = spawn(process.execPath, [...options(), host], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env });
  let told: Ending | undefined;
  const send = (message: ToHost): void => {
    child.send(message, () => {}); // it may be gone
  };
  child.on('message', (ending: Ending) => {
    told = ending;
    const timer = setTimeout(() => child.kill('SIGKILL'), lastBreath);
    child.on('exit', () => clearTimeout(timer));
  });
  send({ job: { script, argv, size } });
  return {
    ended: endOf(child, () => told),
    interrupt: (signal) => send({ signal }),
    kill: () => child.kill('SIGKILL'),
  };
}

/**
 * Starts a command, such as mpirun, as a process group, so that nothing of it stays. When a rank has said that it ends the
 * job, the command gets a while to end.
 */
export function startCommand(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const note = new EndingNote();
  const child = spawn(command, args, { stdio: 'inherit', env: { ...env, ...note.environment }, detached: true });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // None is left.
    }
  };
  let limit: NodeJS.Timeout | undefined;
  let isLate = false;
  const watching = setInterval(() => {
    if (limit !== undefined || !note.isThere) return;
    limit = setTimeout(() => {
      isLate = true;
      kill();
    }, longestEnd);
  }, lookEvery);
  const end = async (): Promise<Ending> => {
    const ending = await endOf(child, () => undefined);
    clearInterval(watching);
    clearTimeout(limit);
    kill();
    const told = note.take();
    if (told === undefined || ending.exitCode === 0) return ending;
    return isLate ? told : { ...told, exitCode: ending.exitCode };
  };
  return { ended: end(), interrupt: (signal) => child.kill(signal), kill };
}
