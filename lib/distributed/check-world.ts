import { show, typeError } from '../check/errors.js';
import { Optimizer } from '../core/optimizer.js';
import type { World } from './world.js';

/** Refuses what is no world, such as the promise of one. @throws TypeError */
export function checkWorld(who: string, world: unknown): void {
  if (typeof (world as World | null | undefined)?.allGatherObject !== 'function')
    throw typeError(who, 'world', show(world), 'a World', 'await init()');
}

/**
 * Returns what `create` hands to its constructor, which has the member `key`. JavaScript lets anybody call the constructor.
 * @throws TypeError
 */
export function checkMade<M extends object>(who: string, made: M, key: keyof M, args: string): M {
  if ((made as M | undefined)?.[key] === undefined)
    throw typeError(who, 'new', `new ${who}(…)`, `await ${who}.create(${args})`);
  return made;
}

/** Refuses an optimizer that another wrapper steps. @throws TypeError */
export function checkFree(who: string, base: Optimizer): void {
  const { holder } = Optimizer.internals(base).stepper;
  if (holder !== undefined)
    throw typeError(who, 'optimizer', `one inside a ${holder}`, 'one of its own', 'unwrap() gives it back');
}
