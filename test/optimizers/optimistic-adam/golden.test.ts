import { OptimisticAdam } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new OptimisticAdam(params, options as never);
const decaying = (step: number): number => 0.01 / step;

golden('OptimisticAdam', create, {
  defaults: {
    formula: truth.optimisticAdam,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-2': { options: { lr: 1e-2 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      Nesterov: { formula: truth.optimisticAdamNesterov },
      Adam: { options: { beta: 0 } },
      'alpha 2': { options: { alpha: 2 } },
      'a previous update of 0': miswritten(truth.optimisticAdam, (x, h, t) => {
        truth.optimisticAdam.update(x, h, t);
        if (t === 1) x.w = x.w - h.lr * h.beta * x.last;
      }),
      'a difference of gradients': miswritten(truth.optimisticAdam, (x, h, t) => {
        const { g, w } = x;
        truth.optimisticAdam.update(x, { ...h, beta: 0 }, t);
        const root = Math.sqrt(x.s / (1 - h.beta2 ** t)) + h.eps;
        x.w = w - (w - x.w) - (h.lr * h.beta * (g - x.last * root)) / root;
      }),
      'no bias correction of m': miswritten(truth.optimisticAdam, (x, h, t) =>
        truth.optimisticAdam.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
      ),
    },
  },
  'lr 0.01/t, alpha, beta, decay, skipped gradients': {
    formula: truth.optimisticAdam,
    options: { lr: decaying, betas: [0.5, 0.9], alpha: 0.7, beta: (step) => 1 / step, weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'the first beta for ever': { options: { beta: 1 } },
      'L2 decay': { formula: { ...truth.optimisticAdam, decay: 'L2' } },
    },
  },
  nesterov: {
    formula: truth.optimisticAdamNesterov,
    options: { nesterov: true, betas: [0.8, 0.95] },
    wrong: {
      'no Nesterov': { formula: truth.optimisticAdam },
      'one bias correction for both': miswritten(truth.optimisticAdamNesterov, (x, h, t) => {
        const { w, last } = x;
        truth.optimisticAdamNesterov.update(x, h, t);
        const before = t === 1 ? 0 : last;
        const more = h.beta1 * x.m * (1 / (1 - h.beta1 ** t) - 1 / (1 - h.beta1 ** (t + 1)));
        x.last = x.last + more / (Math.sqrt(x.s / (1 - h.beta2 ** t)) + h.eps);
        x.w = w - h.lr * ((h.alpha + h.beta) * x.last - h.beta * (t === 1 ? x.last : before));
      }),
    },
  },
});
