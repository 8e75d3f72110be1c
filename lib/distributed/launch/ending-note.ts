import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Ending } from './seat.js';

/** Variable with the path of the note, in a folder that the launcher has made. */
const variable = 'SCHUSS_ENDING';

/**
 * The first rank that ends a job over MPI leaves a note for `schuss launch`: MPI's own launcher passes on no rank and no
 * reason, and where a network was cut it may never end. A rank on another host has no such folder, and leaves none.
 */
export function leaveEndingNote(ending: Ending): void {
  const path = process.env[variable];
  if (path === undefined || !existsSync(dirname(path))) return;
  try {
    writeFileSync(path, JSON.stringify(ending), { flag: 'wx' }); // fails if there is one
  } catch {
    // The job ends without a note, too.
  }
}

/** Where the launcher waits for the note of a job. */
export class EndingNote {
  readonly #path = pathOfNote();

  /** What the processes of the job need to know. */
  get environment(): NodeJS.ProcessEnv {
    return this.#path === undefined ? {} : { [variable]: this.#path };
  }

  get isThere(): boolean {
    return this.#path !== undefined && existsSync(this.#path);
  }

  /** Reads the note, and removes its folder. */
  take(): Ending | undefined {
    if (this.#path === undefined) return undefined;
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8')) as Ending;
    } catch {
      return undefined; // no note, or half of one
    } finally {
      rmSync(dirname(this.#path), { recursive: true, force: true });
    }
  }
}

function pathOfNote(): string | undefined {
  try {
    return join(mkdtempSync(join(tmpdir(), 'schuss-launch-')), 'ending.json');
  } catch {
    return undefined; // nothing can be written here
  }
}
