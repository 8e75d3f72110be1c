import { rangeError, show } from '../../check/errors.js';
import type { Vector } from '../linalg.js';

/** Refuses sums of squares that are none. @throws RangeError */
export function checkSquares(who: string, path: (index: number) => string, squares: Vector): void {
  for (let i = 0; i < squares.length; i++)
    if (!(squares[i]! >= 0 && squares[i]! < Number.POSITIVE_INFINITY))
      throw rangeError(who, path(i), show(squares[i]), 'a sum of squares, finite and at least 0');
}
