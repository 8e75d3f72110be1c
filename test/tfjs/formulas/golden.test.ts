// TensorFlow.js's formulas. Its momentum is golden with SGD's, and its centered RMSProp, which is NaN for an element
// without gradient, is compared with TensorFlow.js itself (test/tfjs/train/contract.test.ts).
import { allClasses } from '../../support/classes.js';
import { lrMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const creator = (name: string): Create => {
  const [Class] = allClasses.find(([{ optimizerName }]) => optimizerName === name)!;
  return (params, options) => new Class(params, options) as never;
};
const decaying = (step: number): number => 0.1 / step;

golden('AdagradOptimizer', creator('AdagradOptimizer'), {
  defaults: {
    formula: truth.tfAdagrad,
    options: { lr: 0.01 },
    lengths: LONG,
    wrong: {
      'from 0': { options: { initialAccumulatorValue: 0 } },
    },
  },
  'lr 0.1/t, decay': {
    formula: truth.tfAdagrad,
    options: { lr: decaying, weightDecay: 0.01, eps: 1e-3, initialAccumulatorValue: 0.5 },
    wrong: {
      ...lrMistakes(decaying),
      'no decay': { options: { weightDecay: 0 } },
      'eps outside the root': miswritten(truth.tfAdagrad, (x, { lr, eps }) => {
        x.s = x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
});

golden('AdadeltaOptimizer', creator('AdadeltaOptimizer'), {
  defaults: {
    formula: truth.tfAdadelta,
    options: {},
    lengths: LONG,
    wrong: {
      's after this gradient': { formula: { ...truth.adadelta, defaults: truth.tfAdadelta.defaults } },
    },
  },
  'lr 0.1/t': {
    formula: truth.tfAdadelta,
    options: { lr: decaying, rho: 0.8, eps: 1e-3 },
    // Not of rho: from a start at 0, u and s are the same number in each step, and Δ is g.
    wrong: lrMistakes(decaying),
  },
});

golden('AdamOptimizer', creator('AdamOptimizer'), {
  defaults: {
    formula: truth.tfAdam,
    options: {},
    lengths: LONG,
    wrong: { 'eps 1e-8': { options: { eps: 1e-8 } }, 'lr 2e-3': { options: { lr: 2e-3 } } },
  },
  'betas, eps, decay': {
    formula: truth.tfAdam,
    options: { lr: decaying, betas: [0.8, 0.9], eps: 1e-3, weightDecay: 0.01 },
    wrong: { ...lrMistakes(decaying), 'betas exchanged': { options: { betas: [0.9, 0.8] } } },
  },
});

golden('AdamaxOptimizer', creator('AdamaxOptimizer'), {
  defaults: {
    formula: truth.tfAdamax,
    options: {},
    lengths: LONG,
    wrong: {
      'eps 1e-8': { options: { eps: 1e-8 } },
      'eps inside the maximum': { formula: { ...truth.adamax, defaults: truth.tfAdamax.defaults } },
    },
  },
  decay: {
    formula: truth.tfAdamax,
    options: { lr: 0.01, betas: [0.8, 0.9], lrDecay: 0.1 },
    wrong: {
      'no decay': { options: { lrDecay: 0 } },
      'decay from the first step on': miswritten(truth.tfAdamax, (x, h, t) =>
        truth.tfAdamax.update(x, { ...h, lr: (h.lr * (1 + (t - 1) * h.lrDecay)) / (1 + t * h.lrDecay) }, t),
      ),
    },
  },
});

golden('RMSPropOptimizer', creator('RMSPropOptimizer'), {
  defaults: {
    formula: truth.tfRmsprop,
    options: { lr: 0.01 },
    lengths: LONG,
    wrong: {
      'alpha 0.99': { options: { alpha: 0.99 } },
      'eps outside the root': miswritten(truth.tfRmsprop, (x, { lr, alpha, eps }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
  'momentum, lr 0.1/t': {
    formula: truth.tfRmsprop,
    options: { lr: decaying, momentum: 0.9, alpha: 0.8, eps: 1e-3 },
    wrong: {
      ...lrMistakes(decaying),
      'lr outside the buffer': miswritten(truth.tfRmsprop, (x, { lr, alpha, eps, momentum }) => {
        x.s = alpha * x.s + (1 - alpha) * x.g ** 2;
        x.b = momentum * x.b + x.g / Math.sqrt(x.s + eps);
        x.w = x.w - lr * x.b;
      }),
    },
  },
});
