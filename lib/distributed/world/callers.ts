// What the user called, where a collective belongs to a larger call. So errors name that call.
import { type ActsFor, actFor } from '../../checkpoint/world.js';
import type { World } from './world.js';

/** The names are in the order of their numbers in a header. A collective of the user's own has none. */
const callers = [
  'DataParallel',
  'DataParallel.create',
  'DataParallel.step',
  'ShardedOptimizer',
  'ShardedOptimizer.create',
  'ShardedOptimizer.step',
  'saveCheckpoint',
  'loadCheckpoint',
  'CheckpointManager.save',
  'CheckpointManager.load',
] as const;

export type Caller = (typeof callers)[number];

/** The number of a caller in a header. */
export const numberOf = (caller: string | undefined): number => callers.indexOf(caller as Caller);

/** The caller of a number. */
export const callerOf = (number: number): Caller | undefined => callers[number];

/** The world, whose collectives carry the name of what the user called. What is no world stays what it is. */
export function actingFor(world: World, caller: Caller): World {
  return (world as (World & ActsFor<World>) | undefined)?.[actFor]?.(caller) ?? world;
}

/** A collective as errors name it: `allReduce #12`, or `DataParallel.step (allReduce #12)`. */
export function nameOf(kind: string, caller: string | undefined): string {
  return caller === undefined ? kind : `${caller} (${kind})`;
}

/** What to do where a rank does not take part in a call, as the end of an error. */
export function hintOf(caller: string | undefined): string {
  if (caller === undefined) return '';
  return caller.endsWith('.step') ? '; a rank without data calls step(null)' : '; every rank must call it';
}

/**
 * What to do where a rank does not come to a call in time, as the end of an error. One that has run out of data, or left the call
 * out, is known at its next call or its end.
 */
export function lateHintOf(caller: string | undefined): string {
  return caller === undefined ? '' : '; it is busy, and needs a longer timeout, or it is stopped or cut off';
}
