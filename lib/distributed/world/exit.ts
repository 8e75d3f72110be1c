import { dirname, sep } from 'node:path';
import { inspect } from 'node:util';

/** Exit code of a rank that exits with 0 before close(). */
export const exitedEarly = 72;

/** Writes a line to stderr. */
export function warn(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Says why, then ends the process, or in a worker its thread. */
export function exitAborted(rank: number, code: number, reason: string | undefined): never {
  warn(`rank ${rank}: abort(${code})${reason === undefined ? '' : `: ${reason}`}`);
  process.exit(code);
}

/** An error in one line. */
export function firstLine(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : inspect(error)).split('\n', 1)[0] as string;
}

/**
 * An error that nobody caught, as stderr shows it. The loss of another rank is one line: that rank's own error has the rest. It
 * names the line of the script, if the stack has it.
 */
export function uncaughtText(error: unknown): string {
  const { name, message, stack } = (error ?? {}) as Partial<Error>;
  if (name !== 'RankError') return inspect(error);
  const ours = dirname(dirname(__dirname)) + sep;
  const isTheirs = (line: string): boolean =>
    /^ +at .*[/\\]/.test(line) && !line.includes(ours) && !/[ (]node:/.test(line);
  const line = stack
    ?.split('\n')
    .find(isTheirs)
    ?.match(/[^/\\() ]+:\d+:\d+/)?.[0];
  return `${name}: ${message}${line === undefined ? '' : ` (at ${line})`}`;
}
