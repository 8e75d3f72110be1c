import { typeError } from '../check/errors.js';
import { checkFloat32 } from '../check/typed-array.js';

/** Whether `value` holds things by name: an array, a Map or a Promise, whose entries would be missed, does not. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

function isSparse(value: unknown): boolean {
  return isRecord(value) && (value['rows'] instanceof Int32Array || value['rows'] instanceof Uint32Array);
}

/** `grad` if it is a dense gradient or null. @throws TypeError */
export function checkGrad(
  who: string,
  path: string,
  grad: unknown,
  expected = 'a Float32Array or null',
): Float32Array | null {
  if (grad === null) return null;
  if (isSparse(grad))
    throw typeError(who, path, 'a sparse gradient', expected, 'an optimizer takes them, and its option clipNorm');
  return checkFloat32(who, path, grad, expected);
}

/** The arrays in gradients of any structure, in order; null ones are left out. @throws TypeError */
export function arraysOf(who: string, grads: unknown): Float32Array[] {
  const many = Array.isArray(grads) || (isRecord(grads) && !isSparse(grads));
  if (!many) {
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
