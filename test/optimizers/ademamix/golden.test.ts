import { AdEMAMix } from '../../../lib/index.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new AdEMAMix(params, options as never);
const decaying = (step: number): number => 0.01 / step;

/** The update with other corrections of the two averages. */
function mixed(of: (x: truth.Cell<'m' | 'slow'>, h: truth.Hyper, t: number) => number): ReturnType<typeof miswritten> {
  return miswritten(truth.ademamix, (x, h, t) => {
    const { lr, beta1, beta2, eps, weightDecay } = h;
    const beta3 = truth.ademamixBeta3(h, t);
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.slow = beta3 * x.slow + (1 - beta3) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - lr * (of(x, h, t) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps) + weightDecay * x.w);
  });
}

golden('AdEMAMix', create, {
  defaults: {
    formula: truth.ademamix,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 2e-3': { options: { lr: 2e-3 } },
      'alpha 8': { options: { alpha: 8 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'β₃ 0.999': { options: { betas: [0.9, 0.999, 0.999] } },
      'β₂ and β₃ exchanged': { options: { betas: [0.9, 0.9999, 0.999] } },
      'no slow average': { options: { alpha: 0 } },
      'the slow average corrected': mixed(
        ({ m, slow }, { beta1, beta3, alpha }, t) => m / (1 - beta1 ** t) + (alpha * slow) / (1 - beta3 ** t),
      ),
      'neither corrected': mixed(({ m, slow }, { alpha }) => m + alpha * slow),
      'alpha for both': mixed(({ m, slow }, { beta1, alpha }, t) => alpha * (m / (1 - beta1 ** t) + slow)),
    },
  },
  'lr 0.01/t, decay, skipped gradients': {
    formula: truth.ademamix,
    options: { lr: decaying, betas: [0.8, 0.99, 0.95], alpha: 3, weightDecay: 0.5 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'L2 decay': mixedL2(),
      'decay under the root': miswritten(truth.ademamix, (x, h, t) => {
        const w = x.w;
        truth.ademamix.update(x, { ...h, weightDecay: 0 }, t);
        x.w = x.w - (h.lr * h.weightDecay * w) / (Math.sqrt(x.s / (1 - h.beta2 ** t)) + h.eps);
      }),
    },
  },
  'warm-up of alpha in 30 steps, of β₃ in 40, lr 0.01/t': {
    formula: truth.ademamix,
    options: { lr: decaying, betas: [0.9, 0.999, 0.99], alphaSteps: 30, beta3Steps: 40 },
    wrong: {
      'no warm-up of alpha': { options: { alphaSteps: 0 } },
      'no warm-up of β₃': { options: { beta3Steps: 0 } },
      'the two exchanged': { options: { alphaSteps: 40, beta3Steps: 30 } },
      'one step late': miswritten(truth.ademamix, (x, h, t) =>
        truth.ademamix.update(
          x,
          {
            ...h,
            alpha: truth.ademamixAlpha(h, t - 1),
            beta3: truth.ademamixBeta3(h, t - 1),
            alphaSteps: 0,
            beta3Steps: 0,
          },
          t,
        ),
      ),
      'β₃ that grows linearly': miswritten(truth.ademamix, (x, h, t) => {
        const beta3 = h.beta1 + Math.min(t / h.beta3Steps, 1) * (h.beta3 - h.beta1);
        truth.ademamix.update(x, { ...h, beta3, beta3Steps: 0 }, t);
      }),
      'alpha that goes on growing': miswritten(truth.ademamix, (x, h, t) =>
        truth.ademamix.update(x, { ...h, alpha: (t * h.alpha) / h.alphaSteps, alphaSteps: 0 }, t),
      ),
    },
  },
  'alpha and β₃ by schedules': {
    formula: truth.ademamix,
    options: { lr: 0.01, alpha: (step) => step / 10, betas: [0.9, 0.999, (step) => 1 - 0.1 / step] },
    wrong: {
      'the first alpha for ever': { options: { alpha: 0.1 } },
      'the first β₃ for ever': { options: { betas: [0.9, 0.999, 0.9] } },
    },
  },
});

function mixedL2(): ReturnType<typeof miswritten> {
  return miswritten({ ...truth.ademamix, decay: 'L2' }, (x, h, t) =>
    truth.ademamix.update(x, { ...h, weightDecay: 0 }, t),
  );
}
