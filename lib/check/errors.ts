import { isProxy } from 'node:util/types';

/** A value as an error prints it: short, with its type where that helps. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (isProxy(value)) return 'a Proxy'; // its handler may throw
  if (ArrayBuffer.isView(value))
    return `${value.constructor?.name ?? 'a view'}(${(value as Float32Array).length ?? value.byteLength})`;
  if (Array.isArray(value))
    return value.length > 4
      ? `an array of ${value.length}`
      : `[${Array.from(value, (v) => (Array.isArray(v) ? 'a list' : show(v))).join(', ')}]`;
  const name = (Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor?.name;
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object';
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

function sentence(who: string, argument: string, given: string, expected: string, hint?: string): string {
  return `${who}: ${argument}: ${given}, expected ${expected}${hint === undefined ? '' : ` (${hint})`}`;
}

/**
 * Creates an error in the library's one form: class, argument, given value, allowed values, hint.
 * `typeError('Adam', 'betas', '0.9', 'a pair of numbers')` reads `Adam: betas: 0.9, expected a pair of numbers`.
 */
export function typeError(who: string, argument: string, given: string, expected: string, hint?: string): TypeError {
  return new TypeError(sentence(who, argument, given, expected, hint));
}

/** Like {@link typeError}: `Adam: betas[1]: 1.5, expected [0, 1)`. */
export function rangeError(who: string, argument: string, given: string, expected: string, hint?: string): RangeError {
  return new RangeError(sentence(who, argument, given, expected, hint));
}
