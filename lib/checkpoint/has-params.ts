import { extentOf, overlapping, union } from '../core/extents.js';
import { heldParamsOf } from '../core/held-params.js';
import type { Tensor } from '../core/params.js';
import { engine } from '../engine/backend.js';
import { type FileContext, fileError } from './errors.js';

/** What {@link checkHasParams} looks at. */
interface Held {
  readonly tensors: readonly Tensor[];
  readonly optimizer: unknown;
}

/**
 * Refuses `params` that lack a param of an optimizer: a run that loads such a file would have that param's state, and other
 * weights. A param is there if its memory is, in any pieces, or its name: averages of the params have the same names. An
 * optimizer among `objects` may have its params in another of them.
 * @throws CheckpointError
 */
export function checkHasParams(context: FileContext, { tensors, optimizer }: Held): void {
  const names = new Set(tensors.map(({ key }) => String(key)));
  const given = union(tensors.map(({ data, path }) => extentOf(engine(), data, path)));
  const isThere = ({ key, data, path }: Tensor): boolean => {
    if (names.has(String(key))) return true;
    const { start, end } = extentOf(engine(), data, path);
    const found = overlapping(start, end, given);
    return start === end || (found !== undefined && found.start <= start && found.end >= end);
  };
  const missing = heldParamsOf(optimizer).find((param) => !isThere(param));
  if (missing === undefined) return;
  throw fileError(context, {
    code: 'SCHUSS_MISMATCH',
    given: `params: the optimizer has the param ${JSON.stringify(missing.key)}`,
    expected: 'it among params',
  });
}
