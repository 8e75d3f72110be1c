import { serialize } from 'node:v8';
import { typeError } from '../../check/errors.js';
import { floatsOf } from '../../check/typed-array.js';
import type { OptimizerMembers } from '../../core/any-optimizer.js';
import { Optimizer } from '../../core/optimizer.js';
import { checkAlike, differ, hashOf, putTogether, takeApart } from '../differences.js';
import type { World } from '../world/world.js';

/** Gives rank 0's params and state to all ranks. */
export async function shareState(world: World, optimizer: OptimizerMembers, base: Optimizer): Promise<void> {
  for (const { data } of Optimizer.internals(base).store.params) await world.broadcast(floatsOf(data));
  const isRoot = world.rank === 0;
  const arrays: Float32Array[] = [];
  const form = await world.broadcastObject(isRoot ? takeApart(optimizer.stateDict(), arrays) : null);
  const dict = putTogether(form, (index, length) => (arrays[index] ??= new Float32Array(length)));
  for (const array of arrays) await world.broadcast(array);
  if (!isRoot) optimizer.loadStateDict(dict, { schedules: 'keep' });
  await world.barrier(); // all have it, or none goes on
}

/** Compares params and state of all ranks. @throws RangeError, the same on every rank */
export async function compareState(
  who: string,
  world: World,
  optimizer: OptimizerMembers,
  base: Optimizer,
): Promise<void> {
  const { params } = Optimizer.internals(base).store;
  const short = (value: unknown): string => `with SHA-256 ${hashOf(value).slice(0, 16)}…`;
  const facts = params.map(({ path, data }) => [path, short(floatsOf(data))] as const);
  await checkAlike(who, world, [...facts, ['state', short(optimizer.stateDict())]]);
}

/** The plain data with arrays that one rank has. */
export async function fromOwner<T>(world: World, value: T, root: number): Promise<T> {
  const isRoot = world.rank === root;
  const arrays: Float32Array[] = [];
  const form = await world.broadcastObject(isRoot ? takeApart(value, arrays) : null, { root });
  const whole = putTogether(form, (index, length) => (arrays[index] ??= new Float32Array(length)));
  for (const array of arrays) await world.broadcast(array, { root });
  return whole as T;
}

/** Gives rank 0's state to all. Other ranks have none, or the same. @throws TypeError, RangeError, the same on every rank */
export async function agreeOnDict(who: string, world: World, dict: unknown): Promise<unknown> {
  let own: { readonly hash?: string; readonly refused?: string };
  try {
    serialize(takeApart(dict, [])); // what has no copy, such as a function
    own = dict === undefined ? {} : { hash: hashOf(dict) };
  } catch (error) {
    own = { refused: (error as Error).message };
  }
  const all = await world.allGatherObject(own);
  const bad = all.findIndex(({ refused }) => refused !== undefined);
  if (bad >= 0) throw typeError(who, 'dict', `rank ${bad}: ${all[bad]!.refused}`, 'what stateDict() returned');
  const shown = (hash: string | undefined): string =>
    hash === undefined ? 'none' : `one with SHA-256 ${hash.slice(0, 16)}…`;
  for (const [rank, { hash }] of all.entries())
    if (hash !== undefined && hash !== all[0]!.hash) throw differ(who, 'dict', shown(all[0]!.hash), rank, shown(hash));
  return fromOwner(world, dict, 0);
}

/**
 * Does the same on every rank, all or nothing: where one rank fails, the others undo it and throw the same.
 */
export async function together(world: World, action: () => void, undo: () => void): Promise<void> {
  let own: { readonly error: unknown } | undefined;
  try {
    action();
  } catch (error) {
    own = { error };
  }
  const { message, name } = (own?.error ?? {}) as { readonly message?: string; readonly name?: string };
  const all = await world.allGatherObject(own === undefined ? null : { name, message: message ?? String(own.error) });
  const first = all.find((error) => error !== null);
  if (first === undefined || first === null) return;
  if (own !== undefined) throw own.error;
  undo();
  throw new (first.name === 'RangeError' ? RangeError : first.name === 'TypeError' ? TypeError : Error)(first.message);
}
