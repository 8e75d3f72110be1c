import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { allocate } from '../common/schuss.js';
import type { Contender } from './alternate.js';

/** limit/limit.cpp */
interface Addon {
  readonly maxStates: number;
  limit(
    param: Float32Array,
    grad: Float32Array,
    states: readonly Float32Array[],
    repeats: number,
    threads: number,
  ): number;
  limitRows(
    table: Float32Array,
    states: readonly Float32Array[],
    isPerRow: boolean,
    width: number,
    rows: Int32Array,
    grads: Float32Array,
  ): number;
}

/** Batches for rows of a table, and what an optimizer keeps for it. */
export interface RowTask {
  readonly total: number;
  readonly width: number;
  readonly states: number;
  /** Whether the state has one number a row. */
  readonly isPerRow: boolean;
  readonly batches: readonly { readonly rows: Int32Array; readonly values: Float32Array }[];
}

/**
 * A loop that reads each gradient, and reads and writes the lines of each named row once, in aligned memory; undefined if it
 * is not built.
 */
export function rowLimit(name: string, { total, width, states, isPerRow, batches }: RowTask): Contender | undefined {
  if (!existsSync(file)) return undefined;
  const { limitRows } = require(file) as Addon;
  const table = allocate(total * width).fill(1e-3);
  const kept = Array.from({ length: states }, () => allocate(isPerRow ? total : total * width).fill(1e-3));
  const distinct = batches.map(({ rows, values }) => ({ rows: Int32Array.from(new Set(rows)), values }));
  let turn = 0;
  return {
    name,
    run(steps) {
      let seconds = 0;
      for (let i = 0; i < steps; i++) {
        const { rows, values } = distinct[turn++ % distinct.length]!;
        seconds += limitRows(table, kept, isPerRow, width, rows, values);
      }
      return seconds;
    },
  };
}

const require = createRequire(import.meta.url);
const file = fileURLToPath(new URL('./limit/build/Release/limit.node', import.meta.url));

/** Why there is no column of the limit. */
export const noLimit = 'no limit column: its loop is not built, which `npm run bench` does';

/** Bytes that a step moves for each parameter: the gradient is read; the param and each state are read and written. */
export function bytesPerParam(states: number): number {
  return (3 + 2 * states) * Float32Array.BYTES_PER_ELEMENT;
}

/**
 * Memory at its best placement: where a store lies within 64 bytes of a load, modulo a page, the processor takes it for a
 * dependency. Each array is 640 bytes further in its page than the one before.
 */
function placed(n: number, index: number): Float32Array {
  const shift = 160 * index;
  return allocate(n + shift).subarray(shift);
}

/** Loops that move as much memory as a step, and compute one addition for each element of an array. */
export class Limit {
  readonly #addon: Addon;
  readonly #arrays: Float32Array[] = [];
  readonly #n: number;

  private constructor(addon: Addon, n: number) {
    this.#addon = addon;
    this.#n = n;
  }

  /** The limit for n elements; undefined if the loop is not built. */
  static of(n: number): Limit | undefined {
    return existsSync(file) ? new Limit(require(file) as Addon, n) : undefined;
  }

  /** Undefined if the optimizer keeps more states than the loop supports. */
  contender(states: number, threads = 1, name = 'limit'): Contender | undefined {
    if (states > this.#addon.maxStates) return undefined;
    while (this.#arrays.length < 2 + states) this.#arrays.push(placed(this.#n, this.#arrays.length).fill(1e-3));
    const [param, grad, ...others] = this.#arrays as [Float32Array, Float32Array, ...Float32Array[]];
    const state = others.slice(0, states);
    return { name, run: (steps) => this.#addon.limit(param, grad, state, steps, threads) };
  }
}
