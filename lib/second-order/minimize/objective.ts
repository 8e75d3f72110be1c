import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Evaluate } from '../evaluation.js';
import { axpy, type Vector, type VectorConstructor } from '../linalg.js';

const who = 'minimize';

/**
 * Returns the value at `x` and writes the gradient to `grad`, which is filled with zeros before. Must not change `x`.
 */
export type Objective<T extends Vector = Vector> = (x: T, grad: T) => number;

/** A sum of N functions (terms). */
export interface Terms<T extends Vector = Vector> {
  /** Number of terms. An integer in [1, inf). */
  readonly N: number;
  /**
   * Returns the value of term i = 0 … N − 1 at `x` and writes its gradient to `grad`, which is filled with zeros
   * before. Must not change `x`.
   */
  f(i: number, x: T, grad: T): number;
}

const forms = 'a function, (x, grad) => value, or { N, f }';

/** Whether `fn` is a valid sum of terms. @throws TypeError, RangeError if it is neither that nor a function */
export function isTerms(fn: unknown): fn is Terms {
  if (typeof fn === 'function') return false;
  if (typeof fn !== 'object' || fn === null) throw typeError(who, 'fn', show(fn), forms);
  const { N, f } = fn as Partial<Terms>;
  if (typeof f !== 'function') throw typeError(who, 'fn.f', show(f), 'a function, (i, x, grad) => value');
  checkInteger(who, 'fn.N', N, '[1, inf)');
  return true;
}

/** Returns `x0` if it is a Float32Array or a Float64Array of finite numbers. @throws TypeError, RangeError */
export function checkStart(x0: unknown): Vector {
  const isVector = ArrayBuffer.isView(x0) && /Float(32|64)Array/.test(Object.prototype.toString.call(x0));
  if (!isVector) {
    const isList = Array.isArray(x0) && x0.every((v) => typeof v === 'number');
    const hint = isList ? 'convert it with Float64Array.from(…)' : undefined;
    throw typeError(who, 'x0', show(x0), 'a Float32Array or a Float64Array', hint);
  }
  const start = x0 as Vector;
  try {
    new Uint8Array(start.buffer, start.byteOffset, 0);
  } catch {
    throw typeError(who, 'x0', 'a detached array', 'a Float32Array or a Float64Array');
  }
  const bad = start.findIndex((v: number) => !Number.isFinite(v));
  if (bad >= 0) throw rangeError(who, `x0[${bad}]`, show(start[bad]), 'a finite number');
  return start;
}

/** The constructor of `x0`'s type. */
export function constructorOf(x0: Vector): VectorConstructor {
  return x0.BYTES_PER_ELEMENT === 4 ? Float32Array : Float64Array;
}

/** The vectors that the user's function has received. It may have kept and detached any of them. */
type Exposed = Map<Vector, 'x' | 'grad'>;

/** Returns the value if it is a number and no exposed vector was detached or resized. @throws TypeError, RangeError */
function checkResult(path: string, value: unknown, exposed: Exposed, length: number): number {
  if (typeof value !== 'number') {
    const isPromise = typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
    throw typeError(who, path, show(value), 'the value, a number', isPromise ? 'it must not be async' : undefined);
  }
  for (const [vector, name] of exposed) {
    const actual = lengthOf(vector as Float32Array);
    if (actual !== length)
      throw rangeError(who, `${name} of ${path}`, `length ${actual}`, `${length}, as it was given`);
  }
  return value;
}

/** Evaluates one term. @throws whatever the term throws; TypeError, RangeError for an invalid result */
export function evaluateTerm(terms: Terms, i: number, x: Vector, grad: Vector, exposed: Exposed = new Map()): number {
  const { length } = x;
  exposed.set(x, 'x').set(grad, 'grad');
  grad.fill(0);
  return checkResult(`fn.f(${i})`, terms.f(i, x, grad), exposed, length);
}

/** Returns a function that evaluates the objective, or the sum of all terms (N evaluations). */
export function evaluateAll(fn: Objective | Terms, length: number, VectorType: VectorConstructor): Evaluate {
  const exposed: Exposed = new Map();
  if (typeof fn === 'function') {
    return (x, grad) => {
      exposed.set(x, 'x').set(grad, 'grad');
      grad.fill(0);
      return checkResult('fn', fn(x, grad), exposed, length);
    };
  }
  const termGrad = new VectorType(length);
  // The sum is float64. In float32, a sum of many terms would lose the digits that the last steps need.
  const sum = new Float64Array(length);
  return (x, grad) => {
    let value = 0;
    sum.fill(0);
    for (let i = 0; i < fn.N; i++) {
      value += evaluateTerm(fn, i, x, termGrad, exposed);
      axpy(1, termGrad, sum);
    }
    grad.set(sum);
    return value;
  };
}
