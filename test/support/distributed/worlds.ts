// The ranks of a world in one thread: they take turns whenever they wait.

import { createShared } from '../../../lib/distributed/threads/shared.js';
import { ThreadTransport } from '../../../lib/distributed/threads/thread-transport.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import type { World } from '../../../lib/distributed/world/world.js';

export function worldsOf(size: number, timeout = 20_000): World[] {
  const shared = createShared(size);
  return Array.from({ length: size }, (_, rank) => new OwnWorld(new ThreadTransport(shared, rank), timeout));
}

/** Runs a script on each rank. Returns what they return, by rank. */
export function onRanks<T>(size: number, script: (world: World) => Promise<T>): Promise<T[]> {
  return Promise.all(worldsOf(size).map(script));
}

/** Runs a script on each rank. Returns the error of each, as a text. */
export async function errorsOn(size: number, script: (world: World) => Promise<unknown>): Promise<string[]> {
  return onRanks(size, async (world) => {
    try {
      await script(world);
      return 'no error';
    } catch (error) {
      return String(error);
    }
  });
}
