import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { allocate } from '../../lib/engine/backend.js';
import type { Contender } from './alternate.js';

/** bench/limit/limit.cpp. */
interface Addon {
  readonly maxStates: number;
  limit(
    param: Float32Array,
    grad: Float32Array,
    states: readonly Float32Array[],
    repeats: number,
    threads: number,
  ): number;
}

// The package's root is three folders up, from lib/cli/bench and from dist/cli/bench alike.
const file = join(__dirname, '..', '..', '..', 'bench', 'limit', 'build', 'Release', 'limit.node');

/** Why there is no limit to compare with, where there is none. */
export const noLimit =
  'no limit column: it needs a loop built for this very CPU, which `npm run bench` makes in a clone of the repository';

/** The bytes that a step moves for each parameter: gradient read, param and states read and written. */
export function bytesPerParam(states: number): number {
  return (3 + 2 * states) * Float32Array.BYTES_PER_ELEMENT;
}

/** Loops that move as much memory as a step and compute one addition for each number. */
export class Limit {
  readonly #addon: Addon;
  readonly #arrays: Float32Array[] = [];
  readonly #n: number;

  private constructor(addon: Addon, n: number) {
    this.#addon = addon;
    this.#n = n;
  }

  /** The limit for n elements; undefined where its loop is not built. */
  static of(n: number): Limit | undefined {
    return existsSync(file) ? new Limit(require(file) as Addon, n) : undefined;
  }

  /** Undefined for an optimizer of more states than the loop knows. */
  contender(states: number, threads = 1, name = 'limit'): Contender | undefined {
    if (states > this.#addon.maxStates) return undefined;
    // The same kind of memory as the optimizer's own.
    while (this.#arrays.length < 2 + states) this.#arrays.push(allocate(this.#n).fill(1e-3));
    const [param, grad, ...others] = this.#arrays as [Float32Array, Float32Array, ...Float32Array[]];
    const state = others.slice(0, states);
    return { name, run: (steps) => this.#addon.limit(param, grad, state, steps, threads) };
  }
}
