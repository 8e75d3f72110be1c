import { SM3 } from '../../../lib/index.js';
import * as block from '../../support/golden/block-truth.js';
import { shapeOf } from '../../support/golden/data.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import type * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const flat: Create = (params, options) => new SM3(params, options as never);
const shaped: Create = (params, options) =>
  new SM3(
    params.map((data) => ({ data, shape: shapeOf(data.length) as [number, number] })),
    options as never,
  );
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

/** 1×1, 1×7, 9×1, 3×5, 17×59. */
const SHAPED = [1, 7, 9, 15, 1003];

type Cell = truth.Cell<block.SM3>;

/** A formula with other accumulators, or with another R and C. */
function measured(
  formula: truth.Formula,
  of: (x: Cell) => number,
  after: (param: readonly Cell[]) => void = block.sm3Maxima,
): Wrong {
  return {
    formula: {
      ...formula,
      measure(param) {
        block.sm3Accumulators(param as Cell[], of);
        after(param as Cell[]);
      },
    },
  };
}

const mistakesOf = (formula: truth.Formula): Record<string, Wrong> => ({
  'the larger of R and C': measured(formula, (x) => Math.max(x.R, x.C) + x.g ** 2),
  'R alone': measured(formula, (x) => x.R + x.g ** 2),
  'C alone': measured(formula, (x) => x.C + x.g ** 2),
  'a sum of |g|': measured(formula, (x) => Math.min(x.R, x.C) + Math.abs(x.g)),
  'Adagrad: a sum for each element': measured(
    formula,
    (x) => x.a + x.g ** 2,
    () => {},
  ),
  'SM3-I: R and C grow by the largest squares': measured(
    formula,
    (x) => x.g ** 2,
    (param) => {
      const before = param.map(({ R, C }) => [R, C] as const);
      block.sm3Maxima(param);
      for (const [i, x] of param.entries()) {
        x.R += before[i]![0];
        x.C += before[i]![1];
        x.a = Math.min(x.R, x.C);
      }
    },
  ),
  'without this gradient': measured(
    formula,
    (x) => Math.min(x.R, x.C) + x.g ** 2,
    (param) => {
      const before = param.map(({ R, C }) => Math.min(R, C));
      block.sm3Maxima(param);
      for (const [i, x] of param.entries()) x.a = before[i]!;
    },
  ),
});

const momentumMistakes = (formula: truth.Formula<block.SM3>): Record<string, Wrong> => ({
  'a sum, not an average': miswritten(formula, (x, { lr, momentum, eps }) => {
    x.m = momentum * x.m + block.sm3Direction(x, eps);
    x.w = x.w - lr * x.m;
  }),
  'an average of the gradient': miswritten(formula, (x, { lr, momentum, eps }) => {
    x.m = momentum * x.m + (1 - momentum) * x.g;
    x.w = x.w - (x.a === 0 ? 0 : (lr * x.m) / Math.sqrt(x.a + eps));
  }),
});

/** For runs whose eps shows. */
const epsMistakes = (formula: truth.Formula<block.SM3>): Record<string, Wrong> => ({
  'no eps': { options: { eps: 0 } },
  'eps outside the root': miswritten(formula, (x, { lr, momentum, eps }) => {
    x.m = momentum * x.m + (1 - momentum) * (x.g / (Math.sqrt(x.a) + eps));
    x.w = x.w - lr * x.m;
  }),
});

golden('SM3, matrices', shaped, {
  'defaults, gradients from 1e-19 to 1e18': {
    formula: block.sm3Matrix,
    options: {},
    lengths: SHAPED,
    wrong: {
      ...mistakesOf(block.sm3Matrix),
      ...momentumMistakes(block.sm3Matrix),
      'lr 1e-2': { options: { lr: 1e-2 } },
      'momentum 0': { options: { momentum: 0 } },
    },
  },
  'lr 0.1/√t, decay, eps, skipped gradients': {
    formula: block.sm3Matrix,
    options: { lr: decaying, momentum: 0.5, weightDecay: 0.1, eps: 0.1 },
    gradients: 'plain',
    lengths: SHAPED,
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...mistakesOf(block.sm3Matrix),
      ...momentumMistakes(block.sm3Matrix),
      ...epsMistakes(block.sm3Matrix),
      ...lrMistakes(decaying),
      ...nullMistake,
      L2: { formula: { ...block.sm3Matrix, decay: 'L2' } },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  'no momentum, an average': {
    formula: block.sm3MatrixPlain,
    options: { momentum: 0, ema: 0.9, clipNorm: 10 },
    gradients: 'plain',
    lengths: SHAPED,
    wrong: { ...mistakesOf(block.sm3MatrixPlain), 'the norm before clipping': { options: { clipNorm: 1e9 } } },
  },
});

golden('SM3, flat params', flat, {
  defaults: {
    formula: block.sm3,
    options: {},
    lengths: LONG,
    wrong: {
      'a matrix': { formula: block.sm3Matrix },
      'a mean, not a sum': miswritten(block.sm3, (x, { lr, momentum }, t) => {
        x.a = x.a + (x.g ** 2 - x.a) / t;
        x.m = momentum * x.m + (1 - momentum) * block.sm3Direction(x, 0);
        x.w = x.w - lr * x.m;
      }),
    },
  },
  'no momentum, eps': {
    formula: block.sm3Plain,
    options: { momentum: 0, eps: 0.1, lr: decaying },
    gradients: 'plain',
    wrong: {
      ...lrMistakes(decaying),
      'no eps': { options: { eps: 0 } },
      'eps outside the root': miswritten(block.sm3Plain, (x, { lr, eps }) => {
        x.a = x.a + x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.a) + eps);
      }),
    },
  },
});
