// What carries a world: agreement between the ranks, bytes, and sums in the order of the contract. Worker threads are one
// transport, MPI is another. `World` checks arguments and knows nothing of how a transport works.

import { type Loss, ofAllRanks } from '../errors.js';
import { hintOf, nameOf } from './callers.js';

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
  'allToAll', // for the library's own use
  'failure', // in place of any other: this rank cannot go on with a larger call
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
  /** What the user called, if it is not the collective itself. */
  readonly caller?: string | undefined;
  /** Milliseconds from now. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a collective of objects gives: the bytes of each rank. Other collectives give an empty list. */
export type Outcome = readonly Uint8Array[];

/** A message from one rank to another. */
export interface Letter {
  /** What it means, a non-negative integer. */
  readonly kind: number;
  readonly numbers: readonly number[];
  /** Valid until the next `receive` from the same rank. Its memory begins at a multiple of 8 bytes. */
  readonly data: Uint8Array;
}

/** Who waits for a letter. */
export interface Waiter {
  readonly resolve: (letter: Letter | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Messages between ranks, beside the collectives. Those from one rank to another arrive in order. Every call throws (or
 * rejects with) the error of a broken world. Under MPI a rank is never lost, because the launcher ends the job with it; and no
 * call outlives the world: it rejects once that is closed.
 */
export interface Mail {
  /** Sends a message. Its arrays may be changed at once. A message to a lost rank is dropped. */
  send(to: number, kind: number, numbers: readonly number[], data: readonly (Float32Array | Uint8Array)[]): void;
  /** Waits until the receiver has taken all messages to it, or has room for them; or until it is lost. */
  handedOver(to: number): Promise<void>;
  /** The next message of a rank; undefined if it was lost and has sent no other. One call at a time for each rank. */
  receive(from: number): Promise<Letter | undefined>;
  /**
   * While this rank is expendable, its death does not end the job. Then barriers and `close` go on without it, and every
   * other collective that it misses rejects with RankError on the ranks that are left.
   */
  setExpendable(isExpendable: boolean): void;
  /** Breaks the world: ranks did not come before a deadline. */
  giveUp(message: string, ranks: readonly number[]): void;
}

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
  /** Absent in a world of one. */
  readonly mail?: Mail;
}

/** What the ranks compare before data move. */
export interface Header {
  readonly kind: Kind;
  readonly type: Type;
  readonly length: number;
  readonly op: Op | undefined;
  readonly root: number | undefined;
  readonly caller?: string | undefined;
}

/** Whether the ranks bring bytes of any length. */
const isObject = (kind: Kind): boolean => kind === 'broadcastObject' || kind === 'allGatherObject';

/** Kinds that agree: a script may end by close() on one rank and naturally on another. */
const agreed = (kind: Kind): Kind => (kind === 'leave' ? 'close' : kind);

/** The first part in which two headers differ, as an error prints it for each. */
function difference(a: Header, b: Header): [string, string] | undefined {
  if (a.caller !== b.caller || agreed(a.kind) !== agreed(b.kind))
    return [nameOf(agreed(a.kind), a.caller), nameOf(agreed(b.kind), b.caller)];
  if (!isObject(a.kind) && a.type !== b.type) return [a.type, b.type];
  if (!isObject(a.kind) && a.length !== b.length) return [`length ${a.length}`, `length ${b.length}`];
  if (a.op !== b.op) return [`op "${a.op}"`, `op "${b.op}"`];
  return a.root === b.root ? undefined : [`root ${a.root}`, `root ${b.root}`];
}

/**
 * The error of a collective in which the ranks do not agree, or undefined: `World: allReduce #12: rank 0 length 100, rank
 * 3 length 99`. It compares each rank with rank 0, so it is the same everywhere.
 */
export function disagreement(number: number, headers: readonly Header[]): RangeError | undefined {
  const first = headers[0] as Header;
  for (const [rank, header] of headers.entries()) {
    const [ours, theirs] = difference(first, header) ?? [];
    if (ours !== undefined)
      return ofAllRanks(
        new RangeError(
          `World: ${agreed(first.kind)} #${number}: rank 0 ${ours}, rank ${rank} ${theirs}${first.caller === header.caller ? '' : '; every rank must make the same calls'}`,
        ),
      );
  }
  return undefined;
}

/** The call by which a rank tells the others why it has failed, or hears it. */
export function reasonOf({ kind, x, timeout }: Call): Call {
  const own = kind === 'failure' ? x : new Uint8Array(0);
  return { kind: 'allGatherObject', x: own, type: 'Uint8Array', length: own.length, timeout };
}

/** The error of a collective in whose place a rank has said that it failed. */
export function failureOf(headers: readonly Header[], reasons: Outcome): Error {
  const rank = headers.findIndex(({ kind }) => kind === 'failure');
  const reason = new TextDecoder().decode(reasons[rank]);
  return ofAllRanks(new Error(`${headers[rank]!.caller ?? 'World'}: rank ${rank} failed: ${reason}`));
}

/** How a rank was lost whose script ended while others still call collectives, or undefined. */
export function leaverOf(number: number, headers: readonly Header[]): Loss | undefined {
  const rank = headers.findIndex(({ kind }) => kind === 'leave');
  const others = headers.filter(({ kind }) => kind !== 'leave' && kind !== 'close');
  if (rank < 0 || others.length === 0) return undefined;
  // A rank that has failed makes no more calls, so it misses nobody.
  const other = others.find(({ kind }) => kind !== 'failure');
  const missed =
    other === undefined
      ? (others[0]!.caller ?? 'a call')
      : `${nameOf(`${other.kind} #${number}`, other.caller)}${hintOf(other.caller)}`;
  return { rank, exitCode: 0, reason: `left the job without taking part in ${missed}` };
}
