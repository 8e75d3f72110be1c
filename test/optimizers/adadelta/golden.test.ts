import { Adadelta } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Adadelta(params, options as never);
const decaying = (step: number): number => 1 / Math.sqrt(step);

golden('Adadelta', create, {
  defaults: {
    formula: truth.adadelta,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'rho 0.95': { options: { rho: 0.95 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'eps outside the roots': miswritten(truth.adadelta, (x, { lr, rho, eps }) => {
        x.s = rho * x.s + (1 - rho) * x.g ** 2;
        const delta = (x.g * (Math.sqrt(x.u) + eps)) / (Math.sqrt(x.s) + eps);
        x.u = rho * x.u + (1 - rho) * delta ** 2;
        x.w = x.w - lr * delta;
      }),
      'u before Δ': miswritten(truth.adadelta, (x, { lr, rho, eps }) => {
        x.s = rho * x.s + (1 - rho) * x.g ** 2;
        x.u = rho * x.u + (1 - rho) * ((x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps)) ** 2;
        x.w = x.w - (lr * x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps);
      }),
      's before this gradient': miswritten(truth.adadelta, (x, { lr, rho, eps }) => {
        const delta = (x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps);
        x.s = rho * x.s + (1 - rho) * x.g ** 2;
        x.u = rho * x.u + (1 - rho) * delta ** 2;
        x.w = x.w - lr * delta;
      }),
      'no root of u': miswritten(truth.adadelta, (x, { lr, rho, eps }) => {
        x.s = rho * x.s + (1 - rho) * x.g ** 2;
        const delta = (x.g * (x.u + eps)) / Math.sqrt(x.s + eps);
        x.u = rho * x.u + (1 - rho) * delta ** 2;
        x.w = x.w - lr * delta;
      }),
    },
  },
  'lr 1/√t, decay, skipped gradients': {
    formula: truth.adadelta,
    options: { lr: decaying, rho: 0.8, eps: 1e-3, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: { ...truth.adadelta, decay: 'decoupled' } },
      'lr in the accumulated step': miswritten(truth.adadelta, (x, { lr, rho, eps }) => {
        x.s = rho * x.s + (1 - rho) * x.g ** 2;
        const delta = (lr * x.g * Math.sqrt(x.u + eps)) / Math.sqrt(x.s + eps);
        x.u = rho * x.u + (1 - rho) * delta ** 2;
        x.w = x.w - delta;
      }),
    },
  },
  'rho by a schedule, lr 0.1': {
    formula: truth.adadelta,
    options: { lr: 0.1, rho: (step) => 1 - 0.5 / step },
    wrong: {
      'the first rho for ever': { options: { rho: 0.5 } },
      'rho and 1-rho exchanged': { options: { rho: (step) => 0.5 / step } },
    },
  },
});
