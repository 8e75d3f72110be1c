import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Evaluate } from '../lbfgs/solver.js';
import { axpy, maxAbs, type Vector, type VectorConstructor } from '../linalg.js';

/** Returns the value at `x` and writes the gradient there to `grad`, which comes as zeros. `x` is not to be changed. */
export type Objective<T extends Vector = Vector> = (x: T, grad: T) => number;

/** A sum of N functions: `f` returns the value of number i at `x` and writes its gradient to `grad`, which comes as zeros. */
export interface Terms<T extends Vector = Vector> {
  /** How many there are. An integer in [1, inf). */
  readonly N: number;
  f(i: number, x: T, grad: T): number;
}

const forms = 'a function, (x, grad) => value, or { N, f }';

/** Whether it is a sum of terms, checked. @throws TypeError, RangeError for what is neither that nor a function */
export function isTerms(who: string, fn: unknown): fn is Terms {
  if (typeof fn === 'function') return false;
  if (typeof fn !== 'object' || fn === null) throw typeError(who, 'fn', show(fn), forms);
  const { N, f } = fn as Partial<Terms>;
  if (typeof f !== 'function') throw typeError(who, 'fn.f', show(f), 'a function, (i, x, grad) => value');
  checkInteger(who, 'fn.N', N, '[1, inf)');
  return true;
}

/** `vector` if it is a Float32Array or a Float64Array of finite numbers. @throws TypeError, RangeError */
export function checkStart(who: string, vector: unknown): Vector {
  const isVector = ArrayBuffer.isView(vector) && /Float(32|64)Array/.test(Object.prototype.toString.call(vector));
  if (!isVector) {
    const isList = Array.isArray(vector) && vector.every((v) => typeof v === 'number');
    const hint = isList ? 'convert it with Float64Array.from(…)' : undefined;
    throw typeError(who, 'x0', show(vector), 'a Float32Array or a Float64Array', hint);
  }
  const x0 = vector as Vector;
  try {
    new Uint8Array(x0.buffer, x0.byteOffset, 0);
  } catch {
    throw typeError(who, 'x0', 'a detached array', 'a Float32Array or a Float64Array');
  }
  const bad = x0.findIndex((v: number) => !Number.isFinite(v));
  if (bad >= 0) throw rangeError(who, `x0[${bad}]`, show(x0[bad]), 'a finite number');
  return x0;
}

/** The constructor of arrays of the type of `x0`. */
export function constructorOf(x0: Vector): VectorConstructor {
  return x0.BYTES_PER_ELEMENT === 4 ? Float32Array : Float64Array;
}

/** The vectors that a function was given so far: it may have kept one, and none may be gone. */
type Given = Map<Vector, 'x' | 'grad'>;

/** What an evaluation left, if it can be used. @throws TypeError, RangeError */
function checkResult(who: string, path: string, value: unknown, given: Given, length: number): number {
  if (typeof value !== 'number') {
    const isPromise = typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
    throw typeError(who, path, show(value), 'the value, a number', isPromise ? 'it must not be async' : undefined);
  }
  for (const [vector, name] of given)
    if (lengthOf(vector as Float32Array) !== length)
      throw rangeError(
        who,
        `${name} of ${path}`,
        `length ${lengthOf(vector as Float32Array)}`,
        `${length}, as it was given`,
      );
  return value;
}

/** Evaluates one term. @throws what the term throws, and TypeError, RangeError for what it leaves */
export function evaluateTerm(
  who: string,
  terms: Terms,
  i: number,
  x: Vector,
  grad: Vector,
  given: Given = new Map(),
): number {
  const { length } = x;
  given.set(x, 'x').set(grad, 'grad');
  grad.fill(0);
  return checkResult(who, `fn.f(${i})`, terms.f(i, x, grad), given, length);
}

/** Evaluations of the function, or of the sum of the terms, which are N evaluations each. */
export function evaluateAll(who: string, fn: Objective | Terms, length: number, make: VectorConstructor): Evaluate {
  const given: Given = new Map();
  if (typeof fn === 'function') {
    return (x, grad) => {
      given.set(x, 'x').set(grad, 'grad');
      grad.fill(0);
      return checkResult(who, 'fn', fn(x, grad), given, length);
    };
  }
  const one = new make(length);
  // The terms are added in float64: in float32 a sum of many would lose the digits that the last steps need.
  const sum = new Float64Array(length);
  return (x, grad) => {
    let value = 0;
    sum.fill(0);
    for (let i = 0; i < fn.N; i++) {
      value += evaluateTerm(who, fn, i, x, one, given);
      axpy(1, one, sum);
    }
    grad.set(sum);
    return value;
  };
}

/** Whether value and gradient are all finite. */
export function isFinitePoint(value: number, grad: Vector): boolean {
  return Number.isFinite(value) && Number.isFinite(maxAbs(grad));
}
