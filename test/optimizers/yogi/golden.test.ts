import { Yogi } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Yogi(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('Yogi', create, {
  defaults: {
    formula: truth.yogi,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'β₂ 0.99': { options: { betas: [0.9, 0.99] } },
      's from 0': { formula: { ...truth.yogi, start: () => ({ s: 0 }) } },
      'm from the same value': {
        formula: { ...truth.yogi, start: ({ initialAccumulatorValue: s }) => ({ s, m: s }) },
      },
      'Adam’s average': miswritten(truth.yogi, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
      }),
      'the other sign': miswritten(truth.yogi, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = Math.max(x.s + (1 - beta2) * Math.sign(x.s - x.g ** 2) * x.g ** 2, 0);
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
      }),
      'no bias correction of s': miswritten(truth.yogi, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = x.s - (1 - beta2) * Math.sign(x.s - x.g ** 2) * x.g ** 2;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s) + eps);
      }),
      'no bias correction of m': miswritten(truth.yogi, (x, h, t) =>
        truth.yogi.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
      ),
      'eps inside the root': miswritten(truth.yogi, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = x.s - (1 - beta2) * Math.sign(x.s - x.g ** 2) * x.g ** 2;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / Math.sqrt(x.s / (1 - beta2 ** t) + eps);
      }),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.yogi,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.5, initialAccumulatorValue: 0.1 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': { formula: { ...truth.yogi, decay: 'L2' } },
      'initialAccumulatorValue 1e-6': { options: { initialAccumulatorValue: 1e-6 } },
    },
  },
});
