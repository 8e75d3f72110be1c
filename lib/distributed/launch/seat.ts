import type { SharedBuffers } from '../threads/shared.js';

/** What a rank's thread is given at its start. */
export interface Seat {
  readonly rank: number;
  readonly buffers: SharedBuffers;
  readonly script: string;
  readonly argv: readonly string[];
}

/** What the launcher sends to the process of the threads: the job, then perhaps a signal that it has got. */
export type ToHost =
  | { readonly job: { readonly script: string; readonly argv: readonly string[]; readonly size: number } }
  | { readonly signal: NodeJS.Signals };

/** How a job ended. The process of the threads sends it to the launcher. */
export interface Ending {
  readonly exitCode: number;
  /** The rank that failed first, where it is known. */
  readonly rank?: number | undefined;
  readonly reason?: string | undefined;
}

/** The data of a worker that the launcher started, or undefined. */
export function seatOf(workerData: unknown): Seat | undefined {
  return (workerData as { readonly schussSeat?: Seat } | null | undefined)?.schussSeat;
}
