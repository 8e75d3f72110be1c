import { expect } from 'vitest';
import { engine } from '../../lib/engine/backend.js';
import type { Engine } from '../../lib/engine/engine.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import type { Optimizer } from '../../lib/index.js';
import { type Any, type Case, type Kind, numbers, type Options, shape, snapshot } from './rig.js';

const native = engine();
export const engines: readonly Engine[] = native.name === 'js' ? [native] : [native, referenceEngine];

/** A copy in memory that stays. */
export function pin(array: Float32Array): Float32Array {
  const pinned = new Float32Array(new SharedArrayBuffer(array.byteLength));
  pinned.set(array);
  return pinned;
}
export const pinned = (length: number, seed: number) => pin(numbers(length, seed));
export const rowsOf = (...rows: number[]) => {
  const array = new Int32Array(new SharedArrayBuffer(rows.length * 4));
  array.set(rows);
  return array;
};

/** A named optimizer of two params in memory that stays, that has taken two steps. */
export interface Rig {
  readonly optimizer: Optimizer;
  readonly params: readonly Float32Array[];
  seen(): string;
}

export function rig(c: Case, more: Options = {}): Rig {
  const [a, b] = [pinned(5, 1), pinned(18, 2)];
  const optimizer = c.make({ a, b }, more);
  const params = [a, b];
  for (const seed of [1, 2]) optimizer.step(grads(seed));
  return { optimizer, params, seen: () => snapshot(optimizer, params) };
}

/** New gradients for a rig; one of three is without "a". */
export function grads(seed: number): Any {
  return { a: seed % 3 === 2 ? null : pinned(5, seed), b: pinned(18, seed + 1) };
}

/** The reason for which a promise rejects, in the shape of all errors. */
export async function rejected(kind: Kind, message: RegExp, call: () => Promise<unknown>): Promise<Error> {
  const promise = call(); // what it throws at once fails the test
  expect(promise).toBeInstanceOf(Promise);
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  expect(error, `no rejection, expected ${kind.name} ${message}`).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(shape);
  expect((error as Error).message).toMatch(message);
  return error as Error;
}

/** Awaits an attack, and shows that a twin without it comes to the same. */
export async function harmless(c: Case, attack: (r: Rig) => Promise<unknown>, more: Options = {}): Promise<void> {
  const [victim, twin] = [rig(c, more), rig(c, more)];
  await attack(victim);
  expect(victim.seen()).toBe(twin.seen());
  for (const { optimizer } of [victim, twin]) await optimizer.stepAsync(grads(7));
  expect(victim.seen()).toBe(twin.seen());
}

export const queue = /this: an optimizer with a step in flight, expected to await the pending stepAsync\(\) first/;
export const middle = /this: an optimizer in the middle of a call/;
