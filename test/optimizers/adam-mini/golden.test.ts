import { AdamMini } from '../../../lib/index.js';
import * as block from '../../support/golden/block-truth.js';
import { shapeOf } from '../../support/golden/data.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const flat: Create = (params, options) => new AdamMini(params, options as never);
const shapedAs =
  (more: object): Create =>
  (params, options) =>
    new AdamMini(
      params.map((data) => ({ data, shape: shapeOf(data.length) as [number, number] })),
      { ...options, ...more } as never,
    );
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

/** 1×1, 1×7, 9×1, 3×5, 17×59. */
const SHAPED = [1, 7, 9, 15, 1003];

type Cell = truth.Cell<'m' | 's'>;

/** A formula with another s: `of` is what its average gets of a block. */
function averageOf(
  formula: truth.Formula<'m' | 's'>,
  blockOf: block.BlockOf,
  of: (g: readonly number[]) => number,
): Wrong {
  return {
    formula: {
      ...formula,
      measure(param, { beta2 }) {
        block.overBlocks(
          param as Cell[],
          blockOf,
          (cells) => beta2 * cells[0]!.s + (1 - beta2) * of(cells.map((x) => x.g)),
        );
      },
    },
  };
}

const meanSquare = (g: readonly number[]): number => g.reduce((sum, x) => sum + x ** 2, 0) / g.length;

const mistakesOf = (formula: truth.Formula<'m' | 's'>, blockOf: block.BlockOf): Record<string, Wrong> => ({
  'a sum, not a mean': averageOf(formula, blockOf, (g) => g.length * meanSquare(g)),
  'the square of the mean': averageOf(formula, blockOf, (g) => (g.reduce((sum, x) => sum + x, 0) / g.length) ** 2),
  'the largest square': averageOf(formula, blockOf, (g) => Math.max(...g) ** 2),
  'the first element alone': averageOf(formula, blockOf, ([first = 0]) => first ** 2),
  AdamW: { formula: truth.adam as truth.Formula },
  'no bias correction': miswritten(formula, (x, { lr, beta1, eps }) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.w = x.w - (lr * x.m) / (Math.sqrt(x.s) + eps);
  }),
});

/** For runs whose eps shows. */
const epsMistake = (formula: truth.Formula<'m' | 's'>): Record<string, Wrong> => ({
  'eps inside the root': miswritten(formula, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / Math.sqrt(x.s / (1 - beta2 ** t) + eps);
  }),
});

golden('AdamMini, rows', shapedAs({}), {
  'defaults, gradients from 1e-19 to 1e18': {
    formula: block.adamMiniRows,
    options: {},
    lengths: SHAPED,
    wrong: {
      ...mistakesOf(block.adamMiniRows, block.rowsAsBlocks),
      ...epsMistake(block.adamMiniRows),
      'the whole param': { formula: block.adamMiniTensor },
      'blocks of 3': { formula: block.adamMini((length) => (length % 3 === 0 ? 3 : length)) },
      'columns as blocks': {
        formula: {
          ...block.adamMiniRows,
          measure(param, { beta2 }) {
            const [, columns] = shapeOf(param.length);
            const means = param
              .slice(0, columns)
              .map((_, c) => meanSquare(param.filter((_, i) => i % columns === c).map((x) => x.g)));
            for (const [i, x] of param.entries()) x['s'] = beta2 * (x['s'] ?? 0) + (1 - beta2) * means[i % columns]!;
          },
        },
      },
      'lr 2e-3': { options: { lr: 2e-3 } },
      'beta2 0.99': { options: { betas: [0.9, 0.99] } },
    },
  },
  'lr 0.1/√t, decay, skipped gradients': {
    formula: block.adamMiniRows,
    options: { lr: decaying, betas: [0.8, 0.9], weightDecay: 0.1, eps: 0.1 },
    gradients: 'plain',
    lengths: SHAPED,
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...mistakesOf(block.adamMiniRows, block.rowsAsBlocks),
      ...epsMistake(block.adamMiniRows),
      ...lrMistakes(decaying),
      ...stepMistakes,
      L2: { formula: { ...block.adamMiniRows, decay: 'L2' } },
      'no decay': { options: { weightDecay: 0 } },
      'eps 0.11': { options: { eps: 0.11 } },
    },
  },
});

golden('AdamMini, whole params', flat, {
  'without shapes: defaults': {
    formula: block.adamMiniTensor,
    options: {},
    lengths: LONG,
    wrong: mistakesOf(block.adamMiniTensor, block.wholeAsBlock),
  },
});

golden("AdamMini, block 'tensor'", shapedAs({ block: 'tensor' }), {
  'decay, clipping, an average': {
    formula: block.adamMiniTensor,
    options: { lr: 0.01, weightDecay: 0.01, clipNorm: 1, ema: 0.9 },
    gradients: 'plain',
    lengths: SHAPED,
    wrong: { rows: { formula: block.adamMiniRows }, 'the norm before clipping': { options: { clipNorm: 1e9 } } },
  },
});

golden('AdamMini, a number', shapedAs({ block: 3 }), {
  'blocks of 3, within and over rows': {
    formula: block.adamMiniThrees,
    options: { lr: 0.01, clipValue: 1, eps: 0.1 },
    gradients: 'plain',
    lengths: [9, 15, 60],
    wrong: {
      ...mistakesOf(block.adamMiniThrees, block.threes),
      ...epsMistake(block.adamMiniThrees),
      'blocks of one row': { formula: block.adamMiniRows },
      'a block that begins elsewhere': {
        formula: {
          ...block.adamMiniThrees,
          measure(param, h, t) {
            block.adamMiniThrees.measure?.([...param.slice(1), param[0]!] as Cell[], h, t);
          },
        },
      },
    },
  },
});
