import { typeError } from '../check/errors.js';
import { checkFloat32 } from '../check/typed-array.js';

/**
 * Whether `value` is a plain record. An array, a Map or a Promise is not, because `Object.entries` would miss their
 * entries.
 */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

function isSparse(value: unknown): boolean {
  return isRecord(value) && (value['rows'] instanceof Int32Array || value['rows'] instanceof Uint32Array);
}

/** Returns `grad` if it is a dense gradient or null. @throws TypeError */
export function checkGrad(
  who: string,
  path: string,
  grad: unknown,
  expected = 'a Float32Array or null',
): Float32Array | null {
  if (grad === null) return null;
  if (isSparse(grad))
    throw typeError(who, path, 'a sparse gradient', expected, 'pass them to the optimizer and use its option clipNorm');
  return checkFloat32(who, path, grad, expected);
}

/** Lists the arrays of gradients of any structure, in order, without `null`. @throws TypeError */
export function arraysOf(who: string, grads: unknown): Float32Array[] {
  const isTree = Array.isArray(grads) || (isRecord(grads) && !isSparse(grads));
  if (!isTree) {
    const array = checkGrad(who, 'grads', grads, 'a Float32Array, null, or a list or a record of them');
    return array === null ? [] : [array];
  }
  const entries: [key: string | number, grad: unknown][] = Array.isArray(grads)
    ? [...grads.entries()]
    : Object.entries(grads);
  return entries
    .map(([key, grad]) => checkGrad(who, `grads[${JSON.stringify(key)}]`, grad))
    .filter((array) => array !== null);
}
