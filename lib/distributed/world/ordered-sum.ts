import { engine } from '../../engine/backend.js';
import type { Numbers, Op } from './transport.js';

/**
 * Reduces equally long parts into the first one, in the order of the contract: part i += part i+d for d = 1, 2, 4, … and
 * every i that is a multiple of 2d. The other parts are overwritten.
 */
export function reduceInOrder(parts: readonly Numbers[], op: Op): void {
  for (let d = 1; d < parts.length; d *= 2)
    for (let i = 0; i + d < parts.length; i += 2 * d) combine(parts[i]!, parts[i + d]!, op);
  if (op === 'mean') divide(parts[0]!, parts.length);
}

function combine(target: Numbers, source: Numbers, op: Op): void {
  if (op === 'max') for (let i = 0; i < target.length; i++) target[i] = larger(target[i]!, source[i]!);
  else if (op === 'min') for (let i = 0; i < target.length; i++) target[i] = smaller(target[i]!, source[i]!);
  else if (target instanceof Float32Array) engine().add(target, source as Float32Array);
  else for (let i = 0; i < target.length; i++) target[i] = target[i]! + source[i]!; // stored with wrap-around by integers
}

// Of two equal values, such as 0 and −0, the first stays. The first NaN wins.
const larger = (a: number, b: number): number => (b > a || (Number.isNaN(b) && !Number.isNaN(a)) ? b : a);
const smaller = (a: number, b: number): number => (b < a || (Number.isNaN(b) && !Number.isNaN(a)) ? b : a);

/** A true division. For a power of two the product with its inverse has the same bits. */
function divide(x: Numbers, by: number): void {
  if (x instanceof Float32Array && (by & (by - 1)) === 0) engine().scale(x, 1 / by);
  else for (let i = 0; i < x.length; i++) x[i] = x[i]! / by;
}
