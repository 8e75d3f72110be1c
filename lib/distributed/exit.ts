import { writeSync } from 'node:fs';

/** Exit code of a rank that exits with 0 before close(). */
export const exitedEarly = 72;

/** Writes a line to stderr before anything else happens: a stream may lose it at the end of the process. */
export function warn(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads stderr.
  }
}

/** Says why, then ends the process, or in a worker its thread. */
export function exitAborted(rank: number, code: number, reason: string | undefined): never {
  warn(`rank ${rank}: abort(${code})${reason === undefined ? '' : `: ${reason}`}`);
  process.exit(code);
}
