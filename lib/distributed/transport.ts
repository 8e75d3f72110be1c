// What carries a world: agreement between the ranks, bytes, and sums in the order of the contract. Worker threads are one
// transport, MPI is another. `World` checks arguments and knows nothing of how a transport works.

/** Arrays that collectives move. */
export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The names are in the order of their numbers in a header. */
export const kinds = [
  'allReduce',
  'reduceScatter',
  'allGather',
  'broadcast',
  'barrier',
  'broadcastObject',
  'allGatherObject',
  'close',
  'leave', // the natural end of a script that has not called close()
] as const;
export const types = ['Float32Array', 'Float64Array', 'Int32Array', 'Uint8Array'] as const;
export const ops = ['sum', 'mean', 'max', 'min'] as const;

export type Kind = (typeof kinds)[number];
export type Type = (typeof types)[number];
export type Op = (typeof ops)[number];

/** One collective, with arguments that were checked. */
export interface Call {
  readonly kind: Kind;
  /** The array, or the bytes of this rank's object. Barriers have an empty one. */
  readonly x: Numbers;
  readonly type: Type;
  /** The length of `x` when the call was made. */
  readonly length: number;
  readonly op?: Op;
  readonly root?: number;
  /** Milliseconds from now. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a collective of objects gives: the bytes of each rank. Other collectives give an empty list. */
export type Outcome = readonly Uint8Array[];

/**
 * Runs collectives in the order of the calls and numbers them as they begin: 1, 2, 3, …. A call rejects (or throws) with
 *
 * - the error of `disagreement`, the same on every rank and with nothing changed: the world goes on
 * - a TypeError where an array was transferred or shrunk meanwhile: the world goes on
 * - the signal's reason, if the collective had not begun
 * - TimeoutError or RankError, and the same error at every later call
 *
 * A synchronous call first completes the calls that are pending.
 */
export interface Transport {
  readonly name: 'mpi' | 'workers' | 'single';
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly interrupted: AbortSignal;
  run(call: Call): Promise<Outcome>;
  runSync(call: Call): Outcome;
  /** Why the world is broken, or undefined. */
  readonly broken: Error | undefined;
  /** Ends the job, all ranks, from any state. */
  abort(code: number, reason: string | undefined): never;
}

/** What the ranks compare before data move. */
export interface Header {
  readonly kind: Kind;
  readonly type: Type;
  readonly length: number;
  readonly op: Op | undefined;
  readonly root: number | undefined;
}

/** Whether the ranks bring bytes of any length. */
const isObject = (kind: Kind): boolean => kind === 'broadcastObject' || kind === 'allGatherObject';

/** Each part of a header, as an error prints it, in the order of comparison. */
function parts({ kind, type, length, op, root }: Header): string[] {
  return [
    kind === 'leave' ? 'close' : kind,
    isObject(kind) ? '' : type,
    isObject(kind) ? '' : `length ${length}`,
    op === undefined ? '' : `op "${op}"`,
    root === undefined ? '' : `root ${root}`,
  ];
}

/**
 * The error of a collective in which the ranks do not agree, or undefined: `World: allReduce #12: rank 0 length 100, rank
 * 3 length 99`. It compares each rank with rank 0, so it is the same everywhere.
 */
export function disagreement(number: number, headers: readonly Header[]): RangeError | undefined {
  const first = parts(headers[0] as Header);
  for (let rank = 1; rank < headers.length; rank++) {
    const other = parts(headers[rank] as Header);
    const at = first.findIndex((part, i) => part !== other[i]);
    if (at >= 0)
      return new RangeError(
        `World: ${first[0]} #${number}: rank 0 ${first[at] || 'none'}, rank ${rank} ${other[at] || 'none'}`,
      );
  }
  return undefined;
}
