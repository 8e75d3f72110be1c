import { expect } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import type { Engine } from '../../lib/engine/engine.js';
import { loadAddon, nativeEngine } from '../../lib/engine/native.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { all } from './sample.js';

const addon = loadAddon();

/** One engine for each instruction set of this machine. */
export const nativeEngines: readonly Engine[] = addon.isas.map((isa) => nativeEngine(addon, isa) as Engine);
/** The engines of parity tests: the widest instruction set in `npm test`, all of them in `npm run test:all`. */
export const parityEngines = all ? nativeEngines : nativeEngines.slice(0, 1);
/** The engine that all of them must equal. */
export const reference = referenceEngine;
export { withEngine };

const special = [0, -0, 1e-45, -1e-40, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 1e-20, 1e20];
const nonFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Numbers of all magnitudes, with zeros, denormals and the largest floats among them; with NaN and Inf if `wild`. */
export function floats(length: number, next: () => number, wild = false): Float32Array {
  const pool = wild ? [...special, ...nonFinite] : special;
  return Float32Array.from({ length }, () => {
    if (next() < 0.05) return pool[Math.floor(next() * pool.length)] as number;
    return (next() - 0.5) * 10 ** (next() * 8 - 5);
  });
}

/** The first element in which two arrays differ in a bit, or -1; any NaN equals any NaN. */
export function firstDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}

/** What a run leaves behind. */
export interface Trace {
  readonly arrays: readonly Float32Array[];
  readonly norms: readonly (number | undefined)[];
}

/** Fails unless two runs gave the same bits. */
export function expectEqual(actual: Trace, expected: Trace, where: string): void {
  expect(actual.norms, `${where}: the norms of the gradients`).toEqual(expected.norms);
  expect(actual.arrays.length, `${where}: the number of arrays`).toBe(expected.arrays.length);
  for (const [i, array] of expected.arrays.entries()) {
    const at = firstDifference(actual.arrays[i] as Float32Array, array);
    if (at >= 0) expect.fail(`${where}: array ${i}[${at}] is ${actual.arrays[i]?.[at]}, expected ${array[at]}`);
  }
}
