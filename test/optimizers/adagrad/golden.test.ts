import { Adagrad } from '../../../lib/index.js';
import * as truth from '../../support/golden/reference.js';
import { Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Adagrad(params, options as never);

golden('Adagrad', create, {
  defaults: {
    formula: truth.adagrad,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'eps inside the root': miswritten(truth.adagrad, (x, { lr, eps }) => {
        x.s = x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / Math.sqrt(x.s + eps);
      }),
      'no root': miswritten(truth.adagrad, (x, { lr, eps }) => {
        x.s = x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / (x.s + eps);
      }),
      'the sum before this gradient': miswritten(truth.adagrad, (x, { lr, eps }) => {
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
        x.s = x.s + x.g ** 2;
      }),
      'a mean, not a sum': miswritten(truth.adagrad, (x, { lr, eps }, t) => {
        x.s = x.s + (x.g ** 2 - x.s) / t;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
      'a sum of |g|': miswritten(truth.adagrad, (x, { lr, eps }) => {
        x.s = x.s + Math.abs(x.g);
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
  'eps 1e-25, below √s of the tiniest': {
    formula: truth.adagrad,
    options: { lr: 0.1, eps: 1e-25 },
    wrong: { 'eps 1e-20': { options: { eps: 1e-20 } } },
  },
  'lr 1e-3/t, decay': {
    formula: truth.adagrad,
    options: { lr: (step) => 1e-3 / step, weightDecay: 0.01, eps: 1e-4 },
    wrong: {
      'the first lr for ever': { options: { lr: 1e-3 } },
      'the lr of the step before': { options: { lr: (step) => 1e-3 / Math.max(1, step - 1) } },
      'decoupled decay': { formula: { ...truth.adagrad, decay: 'decoupled' } },
      'no decay': { options: { weightDecay: 0 } },
      'decay of the gradient, but not of its square': miswritten(truth.adagrad, (x, { lr, eps, weightDecay }) => {
        x.s = x.s + (x.g - weightDecay * x.w) ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
  'lrDecay, skipped gradients': {
    formula: truth.adagrad,
    options: { lr: 0.1, lrDecay: 0.1 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      'no lrDecay': { options: { lrDecay: 0 } },
      'lrDecay from the first step on': miswritten(truth.adagrad, (x, h, t) => truth.adagrad.update(x, h, t + 1)),
      'lrDecay by the optimizer’s steps, not the param’s': {
        reference: class extends Reference {
          protected override update(x: truth.Cell<string>, h: truth.Hyper): void {
            super.update(x, h, this.stepCount);
          }
        },
      },
      exponential: miswritten(truth.adagrad, (x, h, t) =>
        truth.adagrad.update(x, { ...h, lr: h.lr * Math.exp(-h.lrDecay * (t - 1)), lrDecay: 0 }, t),
      ),
    },
  },
  initialAccumulatorValue: {
    formula: truth.adagrad,
    options: { lr: 0.05, initialAccumulatorValue: 0.1 },
    wrong: {
      'from 0': { options: { initialAccumulatorValue: 0 } },
      squared: { options: { initialAccumulatorValue: 0.01 } },
      'added outside the root': miswritten(truth.adagrad, (x, { lr, eps, initialAccumulatorValue }) => {
        x.s = x.s + x.g ** 2;
        x.w = x.w - (lr * x.g) / (Math.sqrt(x.s - initialAccumulatorValue) + initialAccumulatorValue + eps);
      }),
    },
  },
});
