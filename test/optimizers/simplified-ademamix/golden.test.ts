import { SimplifiedAdEMAMix } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new SimplifiedAdEMAMix(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('SimplifiedAdEMAMix', create, {
  defaults: {
    formula: truth.simplifiedAdemamix,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.95, 0.99] } },
      'alpha 1': { options: { alpha: 1 } },
      'an average for the sum': miswritten(truth.simplifiedAdemamix, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.w = x.w - (lr * x.m) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
      }),
      'bias correction of m': miswritten(truth.simplifiedAdemamix, (x, h, t) =>
        truth.simplifiedAdemamix.update(x, { ...h, lr: h.lr / (1 - h.beta1 ** t) }, t),
      ),
      'no bias correction of s': miswritten(truth.simplifiedAdemamix, (x, { lr, beta1, beta2, eps }) => {
        x.m = beta1 * x.m + x.g;
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.w = x.w - (lr * x.m) / (Math.sqrt(x.s) + eps);
      }),
    },
  },
  'lr 0.01/t, alpha 10, decay, skipped gradients': {
    formula: truth.simplifiedAdemamix,
    options: { lr: decaying, alpha: 10, betas: [0.8, 0.95], weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no alpha': { options: { alpha: 0 } },
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': { formula: { ...truth.simplifiedAdemamix, decay: 'L2' } },
    },
  },
});
