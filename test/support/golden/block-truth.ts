/**
 * The float64 truth of the classes with one number for many elements: Adam-mini and SM3. Written from the papers and the published
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

export type SM3 = 'R' | 'C' | 'a' | 'm';

/** The accumulators a of a step, from R and C. */
export function sm3Accumulators(
  param: readonly Cell<SM3>[],
  of: (x: Cell<SM3>) => number = (x) => Math.min(x.R, x.C) + x.g ** 2,
): void {
  for (const x of param) x.a = of(x);
}

/** R and C from the accumulators. */
export function sm3Maxima(param: readonly Cell<SM3>[]): void {
  const [rows, columns] = shapeOf(param.length);
  const most = (isIn: (i: number) => boolean): number => Math.max(...param.filter((_, i) => isIn(i)).map((x) => x.a));
  const [row, column] = [(i: number) => Math.floor(i / columns), (i: number) => i % columns];
  const ofRows = Array.from({ length: rows }, (_, r) => most((i) => row(i) === r));
  const ofColumns = Array.from({ length: columns }, (_, c) => most((i) => column(i) === c));
  for (const [i, x] of param.entries()) {
    x.R = ofRows[row(i)] ?? Number.NaN;
    x.C = ofColumns[column(i)] ?? Number.NaN;
  }
}

export const sm3Direction = (x: Cell<'a'>, eps: number): number => (x.a === 0 ? 0 : x.g / Math.sqrt(x.a + eps));

export const sm3Matrix: Formula<SM3> = {
  defaults: { lr: 0.1, momentum: 0.9, eps: 0 },
  decay: 'decoupled',
  stateNames: { R: 'rowMax', C: 'colMax', a: null, m: 'expAvg' },
  elements: {
    R: (length) => Array.from({ length: shapeOf(length)[0] }, (_, row) => row * shapeOf(length)[1]),
    C: (length) => Array.from({ length: shapeOf(length)[1] }, (_, column) => column),
  },
  measure(param) {
    sm3Accumulators(param);
    sm3Maxima(param);
  },
  update(x, { lr, momentum: mu, eps }) {
    x.m = mu * x.m + (1 - mu) * sm3Direction(x, eps);
    x.w = x.w - lr * x.m;
  },
};

export const sm3MatrixPlain: Formula<'R' | 'C' | 'a'> = {
  ...(sm3Matrix as unknown as Formula<'R' | 'C' | 'a'>),
  stateNames: { R: 'rowMax', C: 'colMax', a: null },
  update(x, { lr, eps }) {
    x.w = x.w - lr * sm3Direction(x, eps);
  },
};

export const sm3: Formula<'a' | 'm'> = {
  defaults: { lr: 0.1, momentum: 0.9, eps: 0 },
  decay: 'decoupled',
  stateNames: { a: 'sum', m: 'expAvg' },
  update(x, { lr, momentum: mu, eps }) {
    x.a = x.a + x.g ** 2;
    x.m = mu * x.m + (1 - mu) * sm3Direction(x, eps);
    x.w = x.w - lr * x.m;
  },
};

export const sm3Plain: Formula<'a'> = {
  ...(sm3 as unknown as Formula<'a'>),
  stateNames: { a: 'sum' },
  update(x, { lr, eps }) {
    x.a = x.a + x.g ** 2;
    x.w = x.w - lr * sm3Direction(x, eps);
  },
};
