import { OptimisticGradientDescent } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new OptimisticGradientDescent(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('OptimisticGradientDescent', create, {
  defaults: {
    formula: truth.optimisticGradientDescent,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 0.01': { options: { lr: 0.01 } },
      'alpha 2': { options: { alpha: 2 } },
      'beta 0.5': { options: { beta: 0.5 } },
      'a previous gradient of 0': miswritten(truth.optimisticGradientDescent, (x, { lr, alpha, beta }) => {
        x.w = x.w - lr * ((alpha + beta) * x.g - beta * x.last);
        x.last = x.g;
      }),
      'the gradient before, not its difference': miswritten(
        truth.optimisticGradientDescent,
        (x, { lr, alpha, beta }) => {
          x.w = x.w - lr * (alpha * x.g + beta * x.last);
          x.last = x.g;
        },
      ),
      'the first gradient for ever': miswritten(truth.optimisticGradientDescent, (x, { lr, alpha, beta }, t) => {
        if (t === 1) x.last = x.g;
        x.w = x.w - lr * ((alpha + beta) * x.g - beta * x.last);
      }),
    },
  },
  'lr 0.01/t, alpha, beta, decay, skipped gradients': {
    formula: truth.optimisticGradientDescent,
    options: { lr: decaying, alpha: 0.7, beta: (step) => 1 / step, weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'the first beta for ever': { options: { beta: 1 } },
      'L2 decay': { formula: { ...truth.optimisticGradientDescent, decay: 'L2' } },
    },
  },
});
