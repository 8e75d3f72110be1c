import { floatsOf } from '../check/typed-array.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { Optimizer } from '../core/optimizer.js';
import { checkAlike, hashOf, putTogether, takeApart } from './differences.js';
import type { World } from './world.js';

/** Gives rank 0's params and state to all ranks. */
export async function shareState(world: World, optimizer: AnyOptimizer, base: Optimizer): Promise<void> {
  for (const { data } of Optimizer.internals(base).store.params) await world.broadcast(floatsOf(data));
  const isRoot = world.rank === 0;
  const arrays: Float32Array[] = [];
  const form = await world.broadcastObject(isRoot ? takeApart(optimizer.stateDict(), arrays) : null);
  const dict = putTogether(form, (index, length) => (arrays[index] ??= new Float32Array(length)));
  for (const array of arrays) await world.broadcast(array);
  if (!isRoot) optimizer.loadStateDict(dict, { schedules: 'keep' });
}

/** Compares params and state of all ranks. @throws RangeError, the same on every rank */
export async function compareState(who: string, world: World, optimizer: AnyOptimizer, base: Optimizer): Promise<void> {
  const { params } = Optimizer.internals(base).store;
  const short = (value: unknown): string => `with SHA-256 ${hashOf(value).slice(0, 16)}…`;
  const facts = params.map(({ path, data }) => [path, short(floatsOf(data))] as const);
  await checkAlike(who, world, [...facts, ['state', short(optimizer.stateDict())]]);
}
