import { Adamax, AdamaxW } from '../../../lib/index.js';
import { adamaxW } from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Adamax(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('Adamax', create, {
  defaults: {
    formula: truth.adamax,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      'eps beside the maximum': miswritten(truth.adamax, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.u = Math.max(beta2 * x.u, Math.abs(x.g));
        x.w = x.w - ((lr / (1 - beta1 ** t)) * x.m) / (x.u + eps);
      }),
      'no decay of the maximum': miswritten(truth.adamax, (x, { lr, beta1, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.u = Math.max(x.u, Math.abs(x.g) + eps);
        x.w = x.w - ((lr / (1 - beta1 ** t)) * x.m) / x.u;
      }),
      'a sum for the maximum': miswritten(truth.adamax, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.u = beta2 * x.u + (1 - beta2) * (Math.abs(x.g) + eps);
        x.w = x.w - ((lr / (1 - beta1 ** t)) * x.m) / x.u;
      }),
      'no bias correction': miswritten(truth.adamax, (x, { lr, ...h }, t) =>
        truth.adamax.update(x, { ...h, lr: lr * (1 - h.beta1 ** t) }, t),
      ),
      'u corrected too': miswritten(truth.adamax, (x, { lr, ...h }, t) =>
        truth.adamax.update(x, { ...h, lr: lr * (1 - h.beta2 ** t) }, t),
      ),
      'bias correction one step late': miswritten(truth.adamax, (x, h, t) =>
        truth.adamax.update(x, h, Math.max(1, t - 1)),
      ),
      'g without its sign in m': miswritten(truth.adamax, (x, h, t) =>
        truth.adamax.update(Object.assign(x, { g: Math.abs(x.g) }), h, t),
      ),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.adamax,
    options: { lr: decaying, betas: [0.8, 0.95], eps: 0.01, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: { ...truth.adamax, decay: 'decoupled' } },
    },
  },
  'betas by schedules': {
    formula: truth.adamax,
    options: { lr: 0.01, betas: [(step) => 0.5 + 0.4 / step, (step) => 1 - 0.5 / (step + 1)] },
    wrong: {
      'the first β₁ for ever': { options: { betas: [0.9, (step) => 1 - 0.5 / (step + 1)] } },
      'the first β₂ for ever': { options: { betas: [(step) => 0.5 + 0.4 / step, 0.75] } },
    },
  },
});

golden('AdamaxW', (params, options) => new AdamaxW(params, options as never), {
  defaults: {
    formula: adamaxW,
    options: {},
    lengths: LONG,
    wrong: {
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': { formula: { ...adamaxW, decay: 'L2' } },
      'lr 1e-3': { options: { lr: 1e-3 } },
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: adamaxW,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: { ...lrMistakes(decaying), ...stepMistakes, 'decay 0.01': { options: { weightDecay: 0.01 } } },
  },
});
