import { Sophia } from '../../../lib/index.js';
import * as truth from '../../support/golden/element-truth.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const withoutEstimates: Create = (params, options) => new Sophia(params, options as never);

/** Gives each param an estimate in its updates 1, 4, 7, …: |g|. */
const create: Create = (params, options) => {
  const sophia = new Sophia(params, options as never);
  const updates = params.map(() => 0);
  return {
    step(grads) {
      const hessian = grads.map((grad, p) => {
        updates[p] = (updates[p] ?? 0) + (grad === null ? 0 : 1);
        return grad !== null && (updates[p] ?? 0) % 3 === 1 ? grad.map(Math.abs) : null;
      });
      return sophia.step(grads as never, hessian.every((h) => h === null) ? {} : { hessian: hessian as never });
    },
    stateDict: () => sophia.stateDict() as never,
  };
};
const decaying = (step: number): number => 0.01 / step;

golden('Sophia', create, {
  defaults: {
    formula: truth.sophia,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'gamma 0.01': { options: { gamma: 0.01 } },
      'eps 1e-8': { options: { eps: 1e-8 } },
      'β₂ 0.999': { options: { betas: [0.965, 0.999] } },
      'no decay': { options: { weightDecay: 0 } },
      'no estimates': { formula: truth.sophiaWithoutEstimates },
      'an estimate in every step': { formula: truth.sophiaWith((_, g) => Math.abs(g)) },
      'no clip': miswritten(truth.sophia, (x, h, t) => {
        const { w } = x;
        truth.sophia.update(x, h, t);
        x.w = w - (h.lr * x.m) / Math.max(h.gamma * x.H, h.eps);
      }),
      'H before its update': miswritten(truth.sophia, (x, h, t) => {
        const { w, H } = x;
        truth.sophia.update(x, h, t);
        x.w = w - h.lr * Math.min(Math.max(x.m / Math.max(h.gamma * H, h.eps), -1), 1);
      }),
      'the m corrected, as in optax': miswritten(truth.sophia, (x, h, t) => {
        const { w } = x;
        truth.sophia.update(x, h, t);
        const m = x.m / (1 - h.beta1 ** t);
        x.w = w - h.lr * Math.min(Math.max(m / Math.max(h.gamma * x.H, h.eps), -1), 1);
      }),
      'gamma outside the maximum': miswritten(truth.sophia, (x, h, t) => {
        const { w } = x;
        truth.sophia.update(x, h, t);
        x.w = w - h.lr * Math.min(Math.max(x.m / (h.gamma * Math.max(x.H, h.eps)), -1), 1);
      }),
    },
  },
  'lr 0.01/t, betas, decay, skipped gradients': {
    formula: truth.sophia,
    options: { lr: decaying, betas: [0.8, (step) => 1 - 0.5 / (step + 1)], gamma: 1, weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'the first β₂ for ever': { options: { betas: [0.8, 0.75] } },
      'L2 decay': { formula: { ...truth.sophia, decay: 'L2' } },
    },
  },
});

golden('Sophia', withoutEstimates, {
  'no estimates': {
    formula: truth.sophiaWithoutEstimates,
    options: { eps: 0.1 },
    wrong: { 'eps 0.2': { options: { eps: 0.2 } }, 'no eps': { options: { eps: 1e-30 } } },
  },
});
