import { RAdam } from '../../../lib/index.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new RAdam(params, options as never);
const decaying = (step: number): number => 1e-3 / step;

/** The update with another factor of m̂. */
function factor(of: (x: truth.Cell<'s'>, h: truth.Hyper, t: number) => number): ReturnType<typeof miswritten> {
  return miswritten(truth.radam, (x, h, t) => {
    const { lr, beta1, beta2 } = h;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - lr * (x.m / (1 - beta1 ** t)) * of(x, h, t);
  });
}
/** √(1-β₂ᵗ)/(√s + ε) */
const adaptive = ({ s }: truth.Cell<'s'>, { beta2, eps }: truth.Hyper, t: number): number =>
  Math.sqrt(1 - beta2 ** t) / (Math.sqrt(s) + eps);
const isLong = (h: truth.Hyper, t: number, atLeast = 5): boolean => truth.radamLength(h, t) > atLeast;

golden('RAdam', create, {
  defaults: {
    formula: truth.radam,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 2e-3': { options: { lr: 2e-3 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      'rectified from 4 on, as in the paper': factor((x, h, t) =>
        isLong(h, t, 4) ? truth.radamRectification(h, t) * adaptive(x, h, t) : 1,
      ),
      'rectified from 6 on': factor((x, h, t) =>
        isLong(h, t, 6) ? truth.radamRectification(h, t) * adaptive(x, h, t) : 1,
      ),
      'no rectification': factor((x, h, t) => (isLong(h, t) ? adaptive(x, h, t) : 1)),
      'never adaptive': factor(() => 1),
      'no first steps': factor((x, h, t) => (isLong(h, t) ? truth.radamRectification(h, t) * adaptive(x, h, t) : 0)),
      'no root of r': factor((x, h, t) => (isLong(h, t) ? truth.radamRectification(h, t) ** 2 * adaptive(x, h, t) : 1)),
      'eps corrected': factor((x, h, t) =>
        isLong(h, t) ? truth.radamRectification(h, t) / (Math.sqrt(x.s / (1 - h.beta2 ** t)) + h.eps) : 1,
      ),
      'no correction of s': factor((x, h, t) =>
        isLong(h, t) ? truth.radamRectification(h, t) / (Math.sqrt(x.s) + h.eps) : 1,
      ),
      'no correction of m': miswritten(truth.radam, (x, h, t) =>
        truth.radam.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
      ),
    },
  },
  'lr 1e-3/t, decay, skipped gradients': {
    formula: truth.radam,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.05, eps: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: truth.radamDecoupled },
    },
  },
  'decoupledWeightDecay, lr 0.1/t': {
    formula: truth.radamDecoupled,
    options: { lr: (step) => 0.1 / step, weightDecay: 0.1, decoupledWeightDecay: true },
    gradients: 'plain',
    wrong: {
      ...lrMistakes((step) => 0.1 / step),
      L2: { formula: truth.radam },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  'β₂ 0.6: never rectified': {
    formula: truth.radam,
    options: { lr: decaying, betas: [0.9, 0.6] },
    wrong: { 'β₂ 0.9': { options: { betas: [0.9, 0.9] } } },
  },
  'β₂ by a schedule': {
    formula: truth.radam,
    options: { lr: 0.01, betas: [0.9, (step) => 1 - 0.5 / (step + 1)] },
    wrong: { 'the last β₂ for ever': { options: { betas: [0.9, 1 - 0.5 / 51] } } },
  },
});
