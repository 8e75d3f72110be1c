import { Lion } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Lion(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('Lion', create, {
  defaults: {
    formula: truth.lion,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'β₂ 0.999': { options: { betas: [0.9, 0.999] } },
      'β₁ and β₂ exchanged': { options: { betas: [0.99, 0.9] } },
      'the sign of the average that is kept': miswritten(truth.lion, (x, { lr, beta2 }) => {
        x.m = beta2 * x.m + (1 - beta2) * x.g;
        x.w = x.w - lr * Math.sign(x.m);
      }),
      'the average before the step': miswritten(truth.lion, (x, { lr, beta1, beta2 }) => {
        x.m = beta2 * x.m + (1 - beta2) * x.g;
        x.w = x.w - lr * Math.sign(beta1 * x.m + (1 - beta1) * x.g);
      }),
      'the sign of the gradient': miswritten(truth.lion, (x, { lr }) => {
        x.w = x.w - lr * Math.sign(x.g);
      }),
      'no sign': miswritten(truth.lion, (x, { lr, beta1, beta2 }) => {
        x.w = x.w - lr * (beta1 * x.m + (1 - beta1) * x.g);
        x.m = beta2 * x.m + (1 - beta2) * x.g;
      }),
      'a sign of 0 that is 1': miswritten(truth.lion, (x, { lr, beta1, beta2 }) => {
        x.w = x.w - lr * (beta1 * x.m + (1 - beta1) * x.g >= 0 ? 1 : -1);
        x.m = beta2 * x.m + (1 - beta2) * x.g;
      }),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.lion,
    options: { lr: decaying, betas: [0.8, 0.9], weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'no decay': { options: { weightDecay: 0 } },
      L2: { formula: { ...truth.lion, decay: 'L2' } },
      'decay after the step': miswritten({ ...truth.lion, decay: 'none' }, (x, h, t) => {
        truth.lion.update(x, h, t);
        x.w = x.w * (1 - h.lr * h.weightDecay);
      }),
    },
  },
  'betas by schedules, plain gradients': {
    formula: truth.lion,
    options: { lr: 0.01, betas: [(step) => 0.5 + 0.4 / step, (step) => 1 - 0.5 / (step + 1)] },
    gradients: 'plain',
    wrong: {
      'the first β₁ for ever': { options: { betas: [0.9, (step) => 1 - 0.5 / (step + 1)] } },
      'the first β₂ for ever': { options: { betas: [(step) => 0.5 + 0.4 / step, 0.75] } },
    },
  },
});
