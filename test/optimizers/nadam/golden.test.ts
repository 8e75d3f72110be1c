import { NAdam } from '../../../lib/index.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new NAdam(params, options as never);
const decaying = (step: number): number => 1e-3 / step;

/** The update with another look-ahead, which is given the product of all μ before this step. */
function ahead(
  of: (x: truth.Cell<'m'>, mu: number, next: number, before: number, h: truth.Hyper, t: number) => number,
): ReturnType<typeof miswritten> {
  return miswritten(truth.nadam, (x, h, t) => {
    const { lr, beta1, beta2, eps } = h;
    const [mu, next, before] = [truth.nadamMomentum(h, t), truth.nadamMomentum(h, t + 1), x.product];
    x.product = before * mu;
    x.m = beta1 * x.m + (1 - beta1) * x.g;
    x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
    x.w = x.w - (lr * of(x, mu, next, before, h, t)) / (Math.sqrt(x.s / (1 - beta2 ** t)) + eps);
  });
}

golden('NAdam', create, {
  defaults: {
    formula: truth.nadam,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'momentumDecay 5e-3': { options: { momentumDecay: 5e-3 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      'one μ too many, as PyTorch before 2.0': ahead(
        ({ g, m }, mu, next, before) => ((1 - mu) * g) / (1 - before * mu) + (next * m) / (1 - before * mu * mu * next),
      ),
      'the product before this step': ahead(
        ({ g, m }, mu, next, before) => ((1 - mu) * g) / (1 - before * next) + (next * m) / (1 - before * mu * next),
      ),
      'μₜ for μₜ₊₁': ahead(
        ({ g, m }, mu, _, before) => ((1 - mu) * g) / (1 - before * mu) + (mu * m) / (1 - before * mu * mu),
      ),
      'β₁ᵗ for the product': ahead(
        ({ g, m }, mu, next, _, { beta1 }, t) =>
          ((1 - mu) * g) / (1 - beta1 ** t) + (next * m) / (1 - beta1 ** (t + 1)),
      ),
      'Adam’s correction': ahead(({ m }, _, __, ___, { beta1 }, t) => m / (1 - beta1 ** t)),
      'no correction': ahead(({ g, m }, mu, next) => (1 - mu) * g + next * m),
      'eps inside the root': miswritten(truth.nadam, (x, h, t) => {
        const { lr, beta1, beta2, eps } = h;
        const [mu, next] = [truth.nadamMomentum(h, t), truth.nadamMomentum(h, t + 1)];
        x.product = x.product * mu;
        x.m = beta1 * x.m + (1 - beta1) * x.g;
        x.s = beta2 * x.s + (1 - beta2) * x.g ** 2;
        const direction = ((1 - mu) * x.g) / (1 - x.product) + (next * x.m) / (1 - x.product * next);
        x.w = x.w - (lr * direction) / Math.sqrt(x.s / (1 - beta2 ** t) + eps);
      }),
    },
  },
  'lr 1e-3/t, decay, skipped gradients': {
    formula: truth.nadam,
    options: { lr: decaying, betas: [0.8, 0.99], momentumDecay: 0.1, weightDecay: 0.05, eps: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decoupled decay': { formula: truth.nadamDecoupled },
    },
  },
  'decoupledWeightDecay, lr 0.1/t': {
    formula: truth.nadamDecoupled,
    options: { lr: (step) => 0.1 / step, weightDecay: 0.1, decoupledWeightDecay: true },
    wrong: {
      ...lrMistakes((step) => 0.1 / step),
      L2: { formula: truth.nadam },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  'β₁ and momentumDecay by schedules': {
    formula: truth.nadam,
    options: { lr: 0.01, betas: [(step) => 0.5 + 0.4 / step, 0.99], momentumDecay: (step) => 0.01 * step },
    wrong: {
      'the first β₁ for ever': { options: { betas: [0.9, 0.99] } },
      'the first momentumDecay for ever': { options: { momentumDecay: 0.01 } },
      'a product of this step’s μ alone': miswritten(truth.nadam, (x, h, t) => {
        x.product = Array.from({ length: t - 1 }, (_, k) => truth.nadamMomentum(h, k + 1)).reduce((a, b) => a * b, 1);
        truth.nadam.update(x, h, t);
      }),
    },
  },
});
