/**
 * The float64 truth of the classes with one number for many elements: Adam-mini. Written from the papers and the published
 * code alone, as all of `reference.ts`.
 */

import { shapeOf } from './data.js';
import type { Cell, Formula } from './reference.js';

/** The elements of each block of a param of this length. */
export type BlockOf = (length: number) => number;

export const rowsAsBlocks: BlockOf = (length) => shapeOf(length)[1];
export const wholeAsBlock: BlockOf = (length) => length;
export const threes: BlockOf = () => 3;

/** Replaces s of each block. */
export function overBlocks(
  param: readonly Cell<'m' | 's'>[],
  blockOf: BlockOf,
  next: (block: readonly Cell<'m' | 's'>[]) => number,
): void {
  const size = blockOf(param.length);
  for (let begin = 0; begin < param.length; begin += size) {
    const block = param.slice(begin, begin + size);
    const s = next(block);
    for (const x of block) x.s = s;
  }
}

export function adamMini(blockOf: BlockOf): Formula<'m' | 's'> {
  return {
    defaults: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
    decay: 'decoupled',
    stateNames: { m: 'expAvg', s: 'expAvgSq' },
    elements: {
      s: (length) => Array.from({ length: length / blockOf(length) }, (_, k) => k * blockOf(length)),
    },
    measure(param, { beta2 }) {
      overBlocks(param, blockOf, (block) => {
        const mean = block.reduce((sum, x) => sum + x.g ** 2, 0) / block.length;
        return beta2 * (block[0]?.s ?? Number.NaN) + (1 - beta2) * mean;
      });
    },
    update(x, { lr, beta1, beta2, eps }, t) {
      x.m = beta1 * x.m + (1 - beta1) * x.g;
      const h = Math.sqrt(x.s) / Math.sqrt(1 - beta2 ** t) + eps;
      x.w = x.w - lr * (x.m * (1 / (1 - beta1 ** t) / h));
    },
  };
}

export const adamMiniRows = adamMini(rowsAsBlocks);
export const adamMiniTensor = adamMini(wholeAsBlock);
export const adamMiniThrees = adamMini(threes);
