import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { BroadcastChannel } from 'node:worker_threads';
import { typeError } from '../check/errors.js';
import type { World } from './world/world.js';

/** Refuses a world whose ranks are not threads of one process. @throws TypeError */
export function checkSharesMemory(who: string, world: World): void {
  if (world.transport !== 'mpi') return;
  const hint = 'run npx schuss launch -n 4 script.mjs';
  throw typeError(who, 'world', 'a world over MPI, whose ranks have no memory in common', 'worker threads', hint);
}

/**
 * Gives rank 0's value to all ranks. Unlike `broadcastObject`, it hands over shared memory, so every rank must be a
 * thread of one process.
 */
export async function shareFromRoot<T>(world: World, value: T): Promise<T> {
  if (world.size === 1) return value;
  const isRoot = world.rank === 0;
  const name = await world.broadcastObject(isRoot ? `schuss ${randomUUID()}` : '');
  const channel = new BroadcastChannel(name);
  try {
    // A channel delivers only to those that listen already.
    const received = isRoot ? undefined : once(channel as unknown as EventTarget, 'message');
    await world.barrier();
    if (isRoot) channel.postMessage(value);
    await world.barrier();
    return received === undefined ? value : ((await received)[0] as { data: T }).data;
  } finally {
    channel.close();
  }
}
