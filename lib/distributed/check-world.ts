import { show, typeError } from '../check/errors.js';
import { Optimizer } from '../core/optimizer.js';
import type { World } from './world/world.js';

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

/** A step of the optimizer itself throws from now on: each rank would train alone, and nothing would say so. */
export function hold(base: Optimizer, holder: { readonly who: string }): void {
  Optimizer.internals(base).stepper.holder = holder;
}

/** Ends a hold, unless it is that of another. */
export function release(base: Optimizer, holder: object): void {
  const { stepper } = Optimizer.internals(base);
  if (stepper.holder === holder) stepper.holder = undefined;
}

/** Lifts a hold for a call, which is synchronous: nobody else steps the optimizer meanwhile. */
export function letStep<R>(holder: { readonly who: string; readonly base: Optimizer }, step: () => R): R {
  release(holder.base, holder);
  try {
    return step();
  } finally {
    hold(holder.base, holder);
  }
}

/** Refuses a step of a wrapper whose optimizer another wrapper has since. @throws TypeError */
export function checkHolds(base: Optimizer, own: { readonly who: string }): void {
  const { holder } = Optimizer.internals(base).stepper;
  if (holder !== undefined && holder !== own)
    throw typeError(own.who, 'this', `one whose optimizer another ${holder.who} has since`, 'that one');
}

/** Refuses an optimizer that another wrapper steps. @throws TypeError */
export function checkFree(who: string, base: Optimizer): void {
  const { holder } = Optimizer.internals(base).stepper;
  if (holder !== undefined)
    throw typeError(who, 'optimizer', `one inside a ${holder.who}`, 'one of its own', 'unwrap() gives it back');
}
