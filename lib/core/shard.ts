import { typeError } from '../check/errors.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Tensor } from './params.js';

/** How a param is divided among several optimizers, of which this one updates a part. */
export interface Shard {
  /** The param as the user gave it. */
  readonly whole: Tensor;
  readonly length: number;
  /** The elements `[begin, end)` of each optimizer. */
  readonly ranges: readonly (readonly [begin: number, end: number])[];
  /** Whether one optimizer updates the whole param, because its kernel needs the whole. */
  readonly isDealt: boolean;
  /** The elements that this optimizer updates. */
  readonly part: Tensor;
}

/** A param to divide, and the kernel that updates it. */
export interface Divisible {
  readonly tensor: Tensor;
  readonly kernel: KernelDeclaration;
}

/** Divides new params. `before` are those of earlier calls. */
export type Divider = (before: readonly Shard[], added: readonly Divisible[]) => readonly Shard[];

/** Key of an option of the classes that only the library sets: the {@link Divider} of the params. */
export const divider: unique symbol = Symbol('divider');

/** The divider in the options of an optimizer, if there is one. */
export function dividerIn(options: object): Divider | undefined {
  return (options as { readonly [divider]?: Divider })[divider];
}

/** Whether a kernel updates each element by itself, so that a param may be divided anywhere. */
export function isElementwise({ layout, norms, numbers, matrix }: KernelDeclaration): boolean {
  return [layout, norms, numbers, matrix].every((work) => work === undefined);
}

/** Refuses a kernel that needs the whole of a param that was divided. @throws TypeError */
export function checkDivided(
  who: string,
  { shard, path }: { readonly shard: Shard | undefined; readonly path: string },
  name: string,
  kernel: KernelDeclaration,
): void {
  if (shard === undefined || shard.isDealt || isElementwise(kernel)) return;
  const given = `options that select ${name}, which needs the whole param`;
  throw typeError(who, path, given, 'those that it was made with, because the param was divided among the ranks');
}

/**
 * Key of a step option that only the library sets: what was measured of all gradients, of which the optimizer gets a part.
 * The hooks before the step have run then.
 */
export const measured: unique symbol = Symbol('measured');

/** What was measured of the gradients of all parts. */
export interface Measured {
  /** The mean loss over all parts; NaN in a class that takes none. */
  readonly loss: number;
  /** The factor of every gradient, clipping included. */
  readonly factor: number;
  readonly applied: boolean;
  readonly gradNorm: number | undefined;
}
