import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';

/** What was begun last in a world, and is perhaps not over. It never rejects. */
const last = new WeakMap<object, Promise<unknown>>();

/**
 * Runs a function when those before it in the same world are over, in the order of the calls. Two that call collectives and wait
 * between them would meet each other's: which comes first may differ between the ranks.
 */
export function inTurn<T>(world: World, run: () => Promise<T>): Promise<T> {
  const key = OwnWorld.transportOf(world) ?? world;
  const own = (last.get(key) ?? Promise.resolve()).then(run);
  last.set(
    key,
    own.catch(() => {}),
  );
  return own;
}
