import { isProxy } from 'node:util/types';
import { typeError } from '../check/errors.js';
import { checkFloat32, floatsOf, isFloat32, isNumbers } from '../check/typed-array.js';
import { maxDepth } from '../core/collect.js';
import { extentOf } from '../core/extents.js';
import { checkNotInFlight } from '../core/step-queue.js';
import { engine } from '../engine/backend.js';

/**
 * Whether `value` is a plain record. An array, a Map or a Promise is not, because `Object.entries` would miss their
 * entries.
 */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  // A typed array is no record. Its tag, which user code can redefine, is not looked up.
  return !ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Object]';
}

function isSparse(value: unknown): value is { readonly values: unknown } {
  return isRecord(value) && (value['rows'] instanceof Int32Array || value['rows'] instanceof Uint32Array);
}

/** Whether `value` is a list or a record of gradients. A list of numbers is a gradient of a wrong type. */
function isTree(value: unknown): value is readonly unknown[] | Readonly<Record<string, unknown>> {
  if (Array.isArray(value)) return value.length === 0 || !isNumbers(value);
  if (isProxy(value) && value instanceof Float32Array) return false;
  return isRecord(value) && !isSparse(value) && !isFloat32(value['data']);
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

/** One gradient in a structure of gradients. */
interface Leaf {
  /** Where it stands, such as `layers.0.weight`; its index in a list; `0` if it stands alone. */
  readonly name: string;
  /** Its name in errors: `grads`, `grads[1]`, `grads["fc.bias"]`. */
  readonly path: string;
  readonly grad: unknown;
}

function leavesOf(who: string, grads: unknown): Leaf[] {
  const leaves: Leaf[] = [];
  const above = new Set<object>();
  const visit = (tree: readonly unknown[] | Readonly<Record<string, unknown>>, prefix: string): void => {
    if (above.has(tree)) {
      const path = prefix === '' ? 'grads' : `grads[${JSON.stringify(prefix.slice(0, -1))}]`;
      throw typeError(who, path, 'a cycle', 'a tree: no branch inside itself');
    }
    if (above.size === maxDepth) throw typeError(who, 'grads', 'a deeper tree', `a tree of at most ${maxDepth} levels`);
    above.add(tree);
    const isIndex = prefix === '' && Array.isArray(tree);
    for (const [key, grad] of Array.isArray(tree) ? tree.entries() : Object.entries(tree)) {
      const name = `${prefix}${key}`;
      const path = `grads[${isIndex ? name : JSON.stringify(name)}]`;
      if (!(key in tree)) throw typeError(who, path, 'undefined', 'a Float32Array or null');
      if (isTree(grad)) visit(grad, `${name}.`);
      else leaves.push({ name, path, grad });
    }
    above.delete(tree);
  };
  if (isTree(grads)) visit(grads, '');
  else leaves.push({ name: '0', path: 'grads', grad: grads });
  return leaves;
}

/** The array of one gradient. It is a view of ours, so that no method of the user's array is called. */
export interface GradArray {
  readonly name: string;
  readonly array: Float32Array;
}

/**
 * Lists the arrays of gradients of any structure, in order, without `null`.
 * @param options `sparse`: whether sparse gradients are allowed. Their `values` are listed.
 * @throws TypeError for a wrong type, or for memory of a pending step
 */
export function gradArraysOf(who: string, grads: unknown, { sparse = false } = {}): GradArray[] {
  const leaves = leavesOf(who, grads); // reads everything first, because getters may run user code
  const found = leaves.flatMap(({ name, path, grad }): (GradArray & { path: string })[] => {
    if (sparse && isSparse(grad)) {
      const valuesPath = `${path}.values`;
      return [{ name, path: valuesPath, array: floatsOf(checkFloat32(who, valuesPath, grad.values)) }];
    }
    const all = sparse ? 'a Float32Array, { rows, values } or null' : 'a Float32Array or null';
    const expected = path !== 'grads' ? all : `${all.replace(' or', ',')}, or a list or a record of them`;
    const array = checkGrad(who, path, grad, expected);
    return array === null ? [] : [{ name, path, array: floatsOf(array) }];
  });
  checkNotInFlight(who, () => found.map(({ array, path }) => extentOf(engine(), array, path)));
  return found;
}

/** Like {@link gradArraysOf}, without names and sparse gradients. */
export function arraysOf(who: string, grads: unknown): Float32Array[] {
  return gradArraysOf(who, grads).map(({ array }) => array);
}
