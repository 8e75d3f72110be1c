import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import { bufferOf, byteOffsetOf, isNumbers, lengthOf } from '../../check/typed-array.js';
import type { Vector, VectorConstructor } from '../linalg.js';

/**
 * Returns the value at `x` and writes the gradient to `grad`, every element of it. It may add to `grad`
 * (`grad[i] += …`); the library then fills `grad` with zeros first. It must not change `x`.
 */
export type Objective<T extends Vector = Vector> = (x: T, grad: T) => number;

/** An {@link Objective} of `minimizeAsync`: may return a promise of the value, and write the gradient until then. */
export type AsyncObjective<T extends Vector = Vector> = (x: T, grad: T) => number | PromiseLike<number>;

/** A sum of N functions (terms). */
export interface Terms<T extends Vector = Vector> {
  /** Number of terms. An integer in [1, inf). */
  readonly N: number;
  /** Returns the value of term i = 0 … N − 1 at `x` and writes its gradient to `grad`, as an {@link Objective} does. */
  f(i: number, x: T, grad: T): number;
}

/** {@link Terms} of `minimizeAsync`: f may return a promise of the value. */
export interface AsyncTerms<T extends Vector = Vector> {
  /** Number of terms. An integer in [1, inf). */
  readonly N: number;
  /** Like `f` of {@link Terms}, or returns a promise of the value, and writes the gradient until then. */
  f(i: number, x: T, grad: T): number | PromiseLike<number>;
}

const forms = 'a function, (x, grad) => value, or { N, f }';

/**
 * The number of terms of `fn`, or undefined for a function.
 * @throws TypeError, RangeError if it is neither a function nor a sum of terms
 */
export function termsOf(who: string, fn: unknown): number | undefined {
  if (typeof fn === 'function') return undefined;
  if (typeof fn !== 'object' || fn === null) throw typeError(who, 'fn', show(fn), forms);
  const { N, f } = fn as Partial<Terms>;
  if (typeof f !== 'function') throw typeError(who, 'fn.f', show(f), 'a function, (i, x, grad) => value');
  return checkInteger(who, 'fn.N', N, '[1, inf)');
}

/** The constructor of the type of a float array. User code cannot mislead it. */
export function constructorOf(x0: Vector): VectorConstructor {
  return isFloat32Array(x0) ? Float32Array : Float64Array;
}

/**
 * Returns a copy of a point if it is a Float32Array or a Float64Array of finite numbers. Calls nothing that user code
 * can define on the array. @throws TypeError, RangeError
 */
export function copyPoint(who: string, argument: string, given: unknown): Vector {
  if (!isFloat32Array(given) && !isFloat64Array(given)) {
    const isList = Array.isArray(given) && isNumbers(given);
    const hint = isList ? 'convert it with Float64Array.from(…)' : undefined;
    throw typeError(who, argument, show(given), 'a Float32Array or a Float64Array', hint);
  }
  const point = given as Float32Array;
  const VectorType = constructorOf(given);
  try {
    new VectorType(bufferOf(point) as ArrayBuffer, byteOffsetOf(point), 0);
  } catch {
    throw typeError(who, argument, 'a detached array', 'a Float32Array or a Float64Array');
  }
  const copy = new VectorType(lengthOf(point));
  copy.set(point);
  const bad = copy.findIndex((v: number) => !Number.isFinite(v));
  if (bad >= 0) throw rangeError(who, `${argument}[${bad}]`, show(copy[bad]), 'a finite number');
  return copy;
}
