import { show, typeError } from '../check/errors.js';
import type { HoldsParams } from '../core/held-params.js';
import type { LoadOptions } from '../core/state-dict.js';
import { CheckpointError } from './errors.js';

/** What a checkpoint needs of the `World` of `schuss/distributed`. */
export interface CheckpointWorld {
  readonly rank: number;
  readonly size: number;
  partition(length: number): [begin: number, end: number][];
  broadcastObject<T>(value: T): Promise<T>;
  allGatherObject<T>(value: T): Promise<T[]>;
}

/** Key under which a world makes one whose errors name what the user called. */
export const actFor: unique symbol = Symbol('actFor');

/** A world whose errors can do so. */
export interface ActsFor<W> {
  readonly [actFor]?: (caller: string) => W;
}

/** Key under which an optimizer of many ranks has its {@link RankPart}. */
export const rankPart: unique symbol = Symbol('rankPart');

/** How a tensor is read: whole, not at all, or by a function that gets its floats in pieces, from `at` on. */
export type Reading = 'whole' | 'nothing' | ((piece: Float32Array, at: number) => void);

/** The part of an optimizer's state that one rank saves. It saves and loads without communication. */
export interface RankPart extends HoldsParams {
  /** Name of the optimizer's class. */
  readonly className: string;
  readonly stepCount: number;
  /** Copies of the arrays of this part, in the form of the whole. */
  stateDict(): unknown;
  /** Loads the part of a whole state, all or nothing. */
  loadStateDict(whole: unknown, options?: LoadOptions): void;
  /** Remembers the state. Returns what puts it back. */
  remember(): () => void;
  /** The first element and the length of the whole, for an array of the part by its path; undefined if another rank has it. */
  placeOf(path: readonly string[], length: number): { readonly begin: number; readonly whole: number } | undefined;
  /** How loading takes a tensor of the file of a rank of `size`. */
  reads(name: string, rank: number, size: number): Reading;
  /** The params whose state this rank alone has. */
  readonly owned: readonly (string | number)[];
  /** Refuses steps until the function that it returns is called. */
  hold(): () => void;
}

/** The part of an optimizer, if it is one of many ranks. */
export function rankPartOf(optimizer: unknown): RankPart | undefined {
  return (optimizer as { readonly [rankPart]?: RankPart } | null | undefined)?.[rankPart];
}

/** Checks `world` and whether the optimizer needs it. @throws TypeError */
export function checkWorld(who: string, world: unknown, optimizer: unknown): CheckpointWorld | undefined {
  if (world === undefined) {
    if (rankPartOf(optimizer) !== undefined)
      throw typeError(who, 'world', 'undefined', 'the world of the optimizer: every rank has a part of the checkpoint');
    return undefined;
  }
  if (typeof (world as CheckpointWorld | null)?.allGatherObject !== 'function')
    throw typeError(who, 'world', show(world), 'a World', 'await init() of schuss/distributed');
  return (world as ActsFor<CheckpointWorld>)[actFor]?.(who) ?? (world as CheckpointWorld);
}

/** An error as plain data. */
interface Told {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly path?: string | undefined;
}

/**
 * Runs an action on every rank. If one fails, every rank throws the error of the first that failed; `undo` is called where it
 * did not.
 */
export async function onEveryRank<T>(
  world: CheckpointWorld,
  action: () => T | Promise<T>,
  undo: (done: T) => void | Promise<void> = () => {},
): Promise<T> {
  let done: { readonly value: T } | undefined;
  let own: unknown;
  try {
    done = { value: await action() };
  } catch (error) {
    own = error;
  }
  const all = await world.allGatherObject(done === undefined ? told(own) : null);
  const first = all.findIndex((error) => error !== null);
  if (first < 0) return (done as { readonly value: T }).value;
  if (done !== undefined) await undo(done.value);
  throw first === world.rank ? own : retold(all[first] as Told);
}

function told(error: unknown): Told {
  const { name = 'Error', message = String(error), code, path } = (error ?? {}) as Partial<Told>;
  return { name, message, code, path };
}

function retold({ name, message, code, path }: Told): Error {
  if (name === 'CheckpointError') return new CheckpointError(message, { code: String(code), path: String(path) });
  return new (name === 'TypeError' ? TypeError : name === 'RangeError' ? RangeError : Error)(message);
}
