import { ASGD } from '../../../lib/index.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new ASGD(params, options as never);
const decaying = (step: number): number => 0.1 / step;

golden('ASGD', create, {
  defaults: {
    formula: truth.asgd,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 2e-2': { options: { lr: 2e-2 } },
      'lambd 1e-3': { options: { lambd: 1e-3 } },
      'no lambd': { options: { lambd: 0 } },
      'alpha 1': { options: { alpha: 1 } },
    },
  },
  'lambd 0.1, alpha 0.5, lr 0.1/t, decay, skipped gradients': {
    formula: truth.asgd,
    options: { lr: decaying, lambd: 0.1, alpha: 0.5, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: { ...truth.asgd, decay: 'decoupled' } },
      'this step’s lr': miswritten(truth.asgd, (x, h, t) => {
        x.eta = h.lr / (1 + h.lambd * h.lr * (t - 1)) ** h.alpha;
        truth.asgd.update(x, h, t);
      }),
      'the step size of this t': miswritten(truth.asgd, (x, h, t) => {
        x.eta = h.lr / (1 + h.lambd * h.lr * t) ** h.alpha;
        truth.asgd.update(x, h, t);
      }),
      'lambd beside the step size': miswritten(truth.asgd, (x, h, t) => {
        const { w, eta, g } = x;
        truth.asgd.update(x, h, t);
        x.w = w * (1 - h.lambd) - eta * g;
      }),
      'lambd in the step size alone': miswritten(truth.asgd, (x, h, t) => {
        const { w, eta, g } = x;
        truth.asgd.update(x, h, t);
        x.w = w - eta * g;
      }),
    },
  },
  'alpha and lambd by schedules': {
    formula: truth.asgd,
    options: { lr: 0.1, lambd: (step) => step / 50, alpha: (step) => 1 / step },
    wrong: {
      'the first lambd for ever': { options: { lambd: 1 / 50 } },
      'the first alpha for ever': { options: { alpha: 1 } },
    },
  },
  'averagedParams from step 10 on, lr 0.1/t': {
    formula: truth.asgd,
    options: { lr: decaying, t0: 10 },
    wrong: {
      'from step 9 on': { options: { t0: 9 } },
      never: { options: { t0: 1e6 } },
      'from the first step on': { options: { t0: 0 } },
      'with the μ of this t': miswritten(truth.asgd, (x, h, t) => {
        x.mu = 1 / Math.max(1, t - h.t0);
        truth.asgd.update(x, h, t);
      }),
      'a moving average': miswritten(truth.asgd, (x, h, t) => {
        if (x.mu < 1) x.mu = 0.5;
        truth.asgd.update(x, h, t);
      }),
      'the average of the weights before the step': miswritten(truth.asgd, (x, h, t) => {
        const [ax, mu, w] = [x.ax, x.mu, x.w];
        truth.asgd.update(x, h, t);
        x.ax = ax + mu * (w - ax);
      }),
    },
  },
});
