import { extentOf, overlapping, union } from '../core/extents.js';
import { heldParamsOf } from '../core/held-params.js';
import type { Tensor } from '../core/params.js';
import { engine } from '../engine/backend.js';
import { type FileContext, fileError } from './errors.js';

/** What {@link checkHasParams} looks at. */
interface Held {
  readonly tensors: readonly Tensor[];
  readonly optimizer: unknown;
  readonly objects: readonly (readonly [name: string, object: unknown])[];
}

/**
 * Refuses `params` that lack a param of an optimizer: a run that loads such a file would have that param's state, and other
 * weights. A param is there if its memory is, in any pieces, or its name: averages of the params have the same names.
 * @throws CheckpointError
 */
export function checkHasParams(context: FileContext, { tensors, optimizer, objects }: Held): void {
  const holders = [
    ['the optimizer', optimizer] as const,
    ...objects.map(([name, object]) => [`objects[${JSON.stringify(name)}]`, object] as const),
  ];
  const names = new Set(tensors.map(({ key }) => String(key)));
  const given = union(tensors.map(({ data, path }) => extentOf(engine(), data, path)));
  const isThere = ({ key, data, path }: Tensor): boolean => {
    if (names.has(String(key))) return true;
    const { start, end } = extentOf(engine(), data, path);
    const found = overlapping(start, end, given);
    return start === end || (found !== undefined && found.start <= start && found.end >= end);
  };
  for (const [holder, object] of holders) {
    const missing = heldParamsOf(object).find((param) => !isThere(param));
    if (missing === undefined) continue;
    throw fileError(context, {
      code: 'SCHUSS_MISMATCH',
      given: `params: ${holder} has the param ${JSON.stringify(missing.key)}`,
      expected: 'it among params',
    });
  }
}
