/**
 * A rank did not come to a collective before its deadline. The world is broken after it: every later call throws the
 * same error.
 */
export class TimeoutError extends Error {
  override readonly name: string = 'TimeoutError';
  /** The ranks that had not come, where they are known. */
  readonly ranks: readonly number[];

  constructor(message: string, ranks: readonly number[]) {
    super(message);
    this.ranks = ranks;
  }
}

/** Errors that every rank has got from the same collective. */
const common = new WeakSet<Error>();

/** Marks an error that every rank gets. */
export function ofAllRanks<E extends Error>(error: E): E {
  common.add(error);
  return error;
}

/** Whether every rank has got the error. */
export const isOfAllRanks = (error: unknown): boolean => common.has(error as Error);

/** How a rank was lost. */
export interface Loss {
  readonly rank: number;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly reason: string;
}

/**
 * Another rank was lost: it threw, exited without `close()`, or was killed. The world is broken after it: every later call
 * throws the same error.
 */
export class RankError extends Error {
  override readonly name: string = 'RankError';
  /** The rank that was lost. */
  readonly rank: number;
  /** Its exit code, where it is known. */
  readonly exitCode: number | undefined;
  /** The signal that ended it, as `SIGKILL`. */
  readonly signal: string | undefined;
  /** What happened to it: `exited with code 3 before close()`. */
  readonly reason: string;

  constructor({ rank, exitCode, signal, reason }: Loss) {
    super(`World: rank ${rank}: ${reason}`);
    this.rank = rank;
    this.exitCode = exitCode;
    this.signal = signal;
    this.reason = reason;
  }
}
