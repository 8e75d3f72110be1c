import { StableAdamW } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, type Wrong } from '../../support/golden/run.js';

const create: Create = (params, options) => new StableAdamW(params, options as never);
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

type Cell = truth.Cell<'m' | 's' | 'rate'>;

/** A formula with another rate, from the mean square of the ratios. */
function rate(of: (param: readonly Cell[], h: truth.Hyper) => number): Wrong {
  return {
    formula: {
      ...truth.stableAdamw,
      measure(param, h, t) {
        truth.stableAdamw.measure?.(param as Cell[], h, t);
        const value = of(param as Cell[], h);
        for (const x of param as Cell[]) x.rate = value;
      },
    },
  };
}

/** The mean square of g/max(√s, ε). */
const meanSquare = (param: readonly Cell[], { eps }: truth.Hyper): number =>
  param.reduce((sum, x) => sum + x.g ** 2 / Math.max(x.s, eps ** 2), 0) / param.length;

const mistakes: Record<string, Wrong> = {
  'the full rate': rate((_, { lr }) => lr),
  'no root': rate((param, h) => h.lr / Math.max(1, meanSquare(param, h))),
  'a rate that grows too': rate((param, h) => h.lr / Math.sqrt(meanSquare(param, h))),
  'the sum, not the mean': rate((param, h) => h.lr / Math.max(1, Math.sqrt(meanSquare(param, h) * param.length))),
  'the momentum for the gradient': rate(
    (param, h) =>
      h.lr /
      Math.max(1, Math.sqrt(param.reduce((sum, x) => sum + x.m ** 2 / Math.max(x.s, h.eps ** 2), 0) / param.length)),
  ),
  "Adam's averages": {
    formula: {
      ...truth.stableAdamw,
      measure(param, h, t) {
        for (const x of param as Cell[]) {
          x.m = h.beta1 * x.m + (1 - h.beta1) * x.g;
          x.s = h.beta2 * x.s + (1 - h.beta2) * x.g ** 2;
        }
        void t;
        const value = h.lr / Math.max(1, Math.sqrt(meanSquare(param as Cell[], h)));
        for (const x of param as Cell[]) x.rate = value;
      },
    },
  },
};

golden('StableAdamW', create, {
  'defaults, params of 0 among them': {
    formula: truth.stableAdamw,
    options: {},
    lengths: LONG,
    wrong: {
      ...mistakes,
      'lr 2e-3': { options: { lr: 2e-3 } },
      'β₂ 0.999': { options: { betas: [0.9, 0.999] } },
      'eps 1e-6': { options: { eps: 1e-6 } },
      'no decay': { options: { weightDecay: 0 } },
    },
  },
  'lr 0.1/√t, decay, skipped gradients': {
    formula: truth.stableAdamw,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.1, eps: 0.01 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...mistakes,
      ...lrMistakes(decaying),
      ...nullMistake,
      't of the optimizer, not of the param': {
        reference: class extends Reference {
          protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper): void {
            super.measure(param, h, this.stepCount);
          }
        },
      },
      'decay by the full rate': {
        formula: {
          ...truth.stableAdamw,
          update(x, h) {
            const { w } = x;
            truth.stableAdamw.update(x as Cell, { ...h, weightDecay: 0 }, 1);
            x.w = x.w - h.lr * h.weightDecay * w;
          },
        },
      },
      L2: { formula: { ...truth.stableAdamw, decay: 'L2' } },
      'the rate of all params': {
        reference: class extends Reference {
          protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper, t: number): void {
            super.measure(param, h, t);
            const value = h.lr / Math.max(1, Math.sqrt(meanSquare(this.params.flat() as Cell[], h)));
            for (const x of param) Object.assign(x, { rate: value });
          }
        },
      },
    },
  },
});
