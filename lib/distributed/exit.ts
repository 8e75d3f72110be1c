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
