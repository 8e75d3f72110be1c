import { Adam, AdamW } from '../../../lib/index.js';
import { stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const adam: Create = (params, options) => new Adam(params, options as never);
const adamW: Create = (params, options) => new AdamW(params, options as never);

const decaying = (step: number): number => 0.1 / step;
// Small steps, and an eps as large as the decay, keep weights that decay alone moves from overshooting 0 (see run.ts).
const decayingFromLess = (step: number): number => 1e-3 / step;

const momentMistakes: Record<string, Wrong> = {
  'eps inside the root': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / Math.sqrt(x.s / (1 - beta2 ** t) + eps);
  }),
  'eps corrected too (the paper’s ε̂)': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - ((lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)) * (x.m / (Math.sqrt(x.s) + eps));
  }),
  'no bias correction': { formula: truth.adamUncorrected },
  'bias correction of m alone': miswritten(truth.adam, (x, h, t) =>
    truth.adamUncorrected.update(x, { ...h, lr: h.lr / (1 - h.beta1 ** t) }, t),
  ),
  'bias correction of s alone': miswritten(truth.adam, (x, h, t) =>
    truth.adam.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
  ),
  'bias correction one step late': miswritten(truth.adam, (x, h, t) => truth.adam.update(x, h, Math.max(1, t - 1))),
  'bias correction one step early': miswritten(truth.adam, (x, h, t) => truth.adam.update(x, h, t + 1)),
  '(1-β₁) missing': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  '(1-β₂) missing': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  '1-β₂ of β₂ rounded to float32': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - Math.fround(beta2)) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  'bias correction of β₂ rounded to float32': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - Math.fround(beta2) ** t)) + eps);
  }),
  'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
  'no root': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (x.s / (1 - beta2 ** t) + eps);
  }),
  'the variance of the average, m² for g²': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.m ** 2;
    x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  'the gradient above, not its average': miswritten(truth.adam, (x, { lr, beta2, eps }, t) => {
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * x.g) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  Nesterov: miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    const ahead = beta1 * x.m + (1 - beta1) * x.g;
    x.w = x.w - (lr * (ahead / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  }),
  amsgrad: { formula: truth.amsgrad },
};

golden('Adam', adam, {
  defaults: {
    formula: truth.adam,
    options: {},
    lengths: LONG,
    wrong: {
      ...momentMistakes,
      'lr 1e-2': { options: { lr: 1e-2 } },
      'β₂ 0.99': { options: { betas: [0.9, 0.99] } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'AdamW’s decay': { formula: truth.adamW },
    },
  },
  'eps 1e-25, below √s of the tiniest': {
    formula: truth.adam,
    options: { eps: 1e-25 },
    lengths: LONG,
    wrong: {
      'denormals flushed to 0': miswritten(truth.adam, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        const s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.s = s < 2 ** -126 ? 0 : s;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
      }),
    },
  },
  'lr 1e-3/t, decay, skipped gradients': {
    formula: truth.adam,
    options: { lr: decayingFromLess, weightDecay: 0.05, eps: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...stepMistakes,
      'the first lr for ever': { options: { lr: 1e-3 } },
      'the lr of the step before': { options: { lr: (step) => decayingFromLess(Math.max(1, step - 1)) } },
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: { ...truth.adam, decay: 'decoupled' } },
    },
  },
  'betas by schedules, lr 0.01': {
    formula: truth.adam,
    options: { lr: 0.01, betas: [(step) => 0.5 + 0.4 / step, (step) => 1 - 0.5 / (step + 1)] },
    wrong: {
      'the first β₁ for ever': { options: { betas: [0.9, (step) => 1 - 0.5 / (step + 1)] } },
      'the first β₂ for ever': { options: { betas: [(step) => 0.5 + 0.4 / step, 0.75] } },
    },
  },
  'biasCorrection: false': {
    formula: truth.adamUncorrected,
    options: { biasCorrection: false },
    wrong: {
      'bias correction': { formula: truth.adam },
      'bias correction of m': miswritten(truth.adam, (x, h, t) =>
        truth.adamUncorrected.update(x, { ...h, lr: h.lr / (1 - h.beta1 ** t) }, t),
      ),
      'bias correction of s': miswritten(truth.adam, (x, h, t) =>
        truth.adam.update(x, { ...h, lr: h.lr * (1 - h.beta1 ** t) }, t),
      ),
    },
  },
  'amsgrad, lr 1e-3/t, decay': {
    formula: truth.amsgrad,
    options: { lr: decayingFromLess, amsgrad: true, betas: [0.9, 0.9], weightDecay: 0.01, eps: 0.01 },
    wrong: {
      'no amsgrad': { formula: truth.adam },
      'max after bias correction': miswritten(truth.amsgrad, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.sMax = Math.max(x.sMax, x.s / (1 - beta2 ** t));
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.sMax) + eps);
      }),
      'the max feeds the average': miswritten(truth.amsgrad, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = Math.max(x.s, beta2 * x.s + (1 - beta2) * x.g ** 2);
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.s) / Math.sqrt(1 - beta2 ** t) + eps);
      }),
      'the max before this gradient': miswritten(truth.amsgrad, (x, { lr, beta1, beta2, eps }, t) => {
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.sMax = Math.max(x.sMax, x.s);
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        x.w = x.w - (lr * (x.m / (1 - beta1 ** t))) / (Math.sqrt(x.sMax) / Math.sqrt(1 - beta2 ** t) + eps);
      }),
      'no bias correction': { formula: truth.amsgradUncorrected },
      'decoupled decay': { formula: { ...truth.amsgrad, decay: 'decoupled' } },
    },
  },
  'amsgrad, biasCorrection: false': {
    formula: truth.amsgradUncorrected,
    options: { amsgrad: true, biasCorrection: false, betas: [0.8, 0.9] },
    wrong: {
      'bias correction': { formula: truth.amsgrad },
      'no amsgrad': { formula: truth.adamUncorrected },
    },
  },
});

/** A wrong decay around Adam's update. */
function decaysBy(decay: (update: () => void, x: truth.Cell<string>, h: truth.Hyper, first: number) => void): Wrong {
  return {
    reference: class extends Reference {
      protected override update(x: truth.Cell<string>, h: truth.Hyper, t: number): void {
        decay(() => truth.adam.update(x as truth.Cell<'m' | 's'>, h, t), x, h, 0.1);
      }
    },
  };
}

golden('AdamW', adamW, {
  defaults: {
    formula: truth.adamW,
    options: {},
    lengths: LONG,
    wrong: {
      'no decay': { options: { weightDecay: 0 } },
      L2: { formula: { ...truth.adamW, decay: 'L2' } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'no bias correction': { formula: truth.adamWUncorrected },
    },
  },
  'lr 0.1/t, weightDecay 0.1, skipped gradients': {
    formula: truth.adamW,
    options: { lr: decaying, weightDecay: 0.1, betas: [0.8, 0.99] },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...stepMistakes,
      L2: { formula: truth.adam },
      'L2 in the gradient and decoupled': {
        reference: class extends Reference {
          protected override gradient(raw: number, w: number, s: number, c: number, h: truth.Hyper): number {
            return super.gradient(raw, w, s, c, h) + h.weightDecay * w;
          }
        },
      },
      'decay without lr': decaysBy((update, x, h) => {
        x.w = x.w * (1 - h.weightDecay);
        update();
      }),
      'decay by the first lr': decaysBy((update, x, h, first) => {
        x.w = x.w * (1 - first * h.weightDecay);
        update();
      }),
      'decay after the update': decaysBy((update, x, h) => {
        update();
        x.w = x.w * (1 - h.lr * h.weightDecay);
      }),
      growth: decaysBy((update, x, h) => {
        x.w = x.w * (1 + h.lr * h.weightDecay);
        update();
      }),
      'exp(-ηλ)': decaysBy((update, x, h) => {
        x.w = x.w * Math.exp(-h.lr * h.weightDecay);
        update();
      }),
    },
  },
  'weightDecay by a schedule, biasCorrection: false': {
    formula: truth.adamWUncorrected,
    options: { lr: 0.01, weightDecay: (step) => 0.1 * step, biasCorrection: false },
    wrong: {
      'the first decay for ever': { options: { weightDecay: 0.1 } },
      'bias correction': { formula: truth.adamW },
    },
  },
  amsgrad: {
    formula: truth.adamWAmsgrad,
    options: { lr: decaying, weightDecay: 0.1, amsgrad: true, betas: [0.9, 0.9] },
    wrong: {
      'no amsgrad': { formula: truth.adamW },
      L2: { formula: truth.amsgrad },
    },
  },
});
