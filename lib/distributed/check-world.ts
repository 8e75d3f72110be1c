import { show, typeError } from '../check/errors.js';
import type { World } from './world.js';

/** Refuses what is no world, such as the promise of one. @throws TypeError */
export function checkWorld(who: string, world: unknown): void {
  if (typeof (world as World | null | undefined)?.allGatherObject !== 'function')
    throw typeError(who, 'world', show(world), 'a World', 'await init()');
}
