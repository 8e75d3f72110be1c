import { rangeError, show, typeError } from '../check/errors.js';
import { isNumbers } from '../check/typed-array.js';
import { maxDepth } from '../core/collect.js';

/** A value of a tree that is not a branch, with its path as its name: `layers.0.weight`. */
export interface Leaf {
  readonly name: string;
  readonly value: unknown;
}

/** Whether `value` is a list or a record that holds tensors, and no tensor itself. */
function isBranch(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return value.length > 0 && !isNumbers(value);
  return (
    Object.prototype.toString.call(value) === '[object Object]' && !('data' in value) && Object.keys(value).length > 0
  );
}

/** Lists the leaves of a record, a list, or a tree of them. Methods are left out. @throws TypeError, RangeError */
export function leavesOf(who: string, argument: string, tree: object): Leaf[] {
  const leaves: Leaf[] = [];
  const names = new Set<string>();
  const above = new Set<object>();
  const visit = (branch: object, prefix: string): void => {
    const path = prefix === '' ? argument : `${argument}[${JSON.stringify(prefix.slice(0, -1))}]`;
    if (above.has(branch)) throw typeError(who, path, 'a cycle', 'a tree: no branch inside itself');
    if (above.size === maxDepth)
      throw typeError(who, argument, 'a deeper tree', `a tree of at most ${maxDepth} levels`);
    above.add(branch);
    for (const [key, value] of Object.entries(branch)) {
      if (typeof value === 'function') continue;
      const name = prefix + key;
      if (isBranch(value)) {
        visit(value, `${name}.`);
        continue;
      }
      if (names.has(name)) throw rangeError(who, argument, `${show(name)} twice`, 'unique names');
      names.add(name);
      leaves.push({ name, value });
    }
    above.delete(branch);
  };
  visit(tree, '');
  return leaves;
}
