import { AdaBelief } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new AdaBelief(params, options as never);
const decaying = (step: number): number => 0.01 / step;

/** The update with another s. */
function spread(of: (x: truth.Belief, beta2: number, eps: number) => number): ReturnType<typeof miswritten> {
  return miswritten(truth.adabelief, (x, { lr, beta1, beta2, eps }, t) => {
    const before = x.m;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = of({ ...x, before }, beta2, eps);
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  });
}

golden('AdaBelief', create, {
  defaults: {
    formula: truth.adabelief,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-2': { options: { lr: 1e-2 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      rectified: { formula: truth.adabeliefRectified },
      'Adam’s average of g²': spread(({ s, g }, beta2, eps) => beta2 * s + (1 - beta2) * g ** 2 + eps),
      'the m before the step': spread(
        ({ s, g, before }, beta2, eps) => beta2 * s + (1 - beta2) * (g - before) ** 2 + eps,
      ),
      'no bias correction of s': miswritten(truth.adabelief, (x, h, t) =>
        truth.adabelief.update(x, { ...h, lr: h.lr / Math.sqrt(1 - h.beta2 ** t) }, t),
      ),
      'no bias correction of m': miswritten(truth.adabelief, (x, h, t) =>
        truth.adabelief.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
      ),
    },
  },
  'eps 0.01': {
    formula: truth.adabelief,
    options: { eps: 0.01, lr: 0.01 },
    wrong: {
      'no eps in s': spread(({ s, g, m }, beta2) => beta2 * s + (1 - beta2) * (g - m) ** 2),
      'eps inside the average': spread(({ s, g, m }, beta2, eps) => beta2 * s + (1 - beta2) * ((g - m) ** 2 + eps)),
      'no eps beside the root': miswritten(truth.adabelief, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = beta2 * x.s + (1 - beta2) * (x.g - x.m) ** 2 + eps;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / Math.sqrt(x.s / (1 - beta2 ** t));
      }),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.adabelief,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': { formula: { ...truth.adabelief, decay: 'L2' } },
    },
  },
  'rectify, decay': {
    formula: truth.adabeliefRectified,
    options: { rectify: true, weightDecay: 0.5, eps: 1e-6 },
    wrong: {
      'not rectified': { formula: truth.adabelief },
      'no first steps': miswritten(truth.adabeliefRectified, (x, h, t) => {
        const { w } = x;
        truth.adabeliefRectified.update(x, h, t);
        if (t < 5) x.w = w;
      }),
      'a border of t, one step early': miswritten(truth.adabeliefRectified, (x, h, t) =>
        truth.adabeliefRectified.update(x, h, t + 1),
      ),
    },
  },
});
