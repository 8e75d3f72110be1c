import { LARS } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { paramNorm, Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const create: Create = (params, options) => new LARS(params, options as never);
const decaying = (step: number): number => 1 / Math.sqrt(step);

/** A formula with another ratio; `w` and `g` are the norms. */
function ratio(of: (w: number, g: number, h: truth.Hyper, x: truth.Cell<'v' | 'ratio'>) => number): Wrong {
  return {
    formula: {
      ...truth.lars,
      measure(param, h) {
        const [w, g] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.g)];
        for (const x of param) x.ratio = of(w, g, h, x as truth.Cell<'v' | 'ratio'>);
      },
    },
  };
}

const right = (w: number, g: number, h: truth.Hyper): number => (h.trustCoefficient * w) / (g + h.weightDecay * w);

const ratioMistakes: Record<string, Wrong> = {
  'no ratio': ratio(() => 1),
  'its inverse': ratio((w, g, h) => (w === 0 || g === 0 ? 1 : 1 / right(w, g, h))),
  'no trust coefficient': ratio((w, g, h) => (w === 0 || g === 0 ? 1 : right(w, g, h) / h.trustCoefficient)),
  'squares of the norms': ratio((w, g, h) => (w === 0 || g === 0 ? 1 : right(w ** 2, g ** 2, h))),
  'the norms of each element': ratio((_w, _g, h, x) =>
    x.w === 0 || x.g === 0 ? 1 : right(Math.abs(x.w), Math.abs(x.g), h),
  ),
  'the trust coefficient for norms of 0': ratio((w, g, h) =>
    w === 0 || g === 0 ? h.trustCoefficient : right(w, g, h),
  ),
  'the norms of all params': {
    reference: class extends Reference {
      protected override measure(_: readonly truth.Cell<string>[], h: truth.Hyper, t: number): void {
        super.measure(this.params.flat(), h, t);
      }
    },
  },
};

/** A gradient of 0 every fourth step: its norm is 0. */
const sometimesZero = (step: number): number => (step % 4 === 0 ? 0 : 1);

golden('LARS', create, {
  'lr 1/√t, params of 0 among them': {
    formula: truth.lars,
    options: { lr: decaying, trustCoefficient: 0.01 },
    gradients: 'plain',
    lengths: LONG,
    wrong: {
      ...ratioMistakes,
      ...lrMistakes(decaying),
      'momentum 0.8': { options: { momentum: 0.8 } },
      'lr and ratio outside the momentum': miswritten(truth.lars, (x, { lr, momentum: mu }) => {
        x.v = mu * x.v + x.g;
        x.w = x.w - lr * x.ratio * x.v;
      }),
    },
  },
  'the default trust coefficient, gradients from 1e-19 to 1e18': {
    formula: truth.lars,
    options: { lr: 1 },
    wrong: { 'trust coefficient 2e-3': { options: { trustCoefficient: 2e-3 } } },
  },
  'decay, skipped gradients, gradients of 0, lr 1/√t': {
    formula: truth.lars,
    options: { lr: decaying, momentum: 0.5, weightDecay: 0.1, trustCoefficient: 0.2 },
    gradients: 'plain',
    gradScale: sometimesZero,
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...ratioMistakes,
      ...lrMistakes(decaying),
      ...nullMistake,
      'no decay': { options: { weightDecay: 0 } },
      'the ratio without decay': ratio((w, g, h) => (w === 0 || g === 0 ? 1 : (h.trustCoefficient * w) / g)),
      'a ratio for a gradient of 0': ratio((w, g, h) => (w === 0 ? 1 : right(w, g, h))),
      'a ratio of 0 for weights of 0': ratio((w, g, h) => (g === 0 ? 1 : right(w, g, h))),
      'the norm of the decayed gradient': {
        formula: {
          ...truth.lars,
          measure(param, h) {
            const [w, g] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.g + h.weightDecay * x.w)];
            for (const x of param) Object.assign(x, { ratio: w === 0 || g === 0 ? 1 : right(w, g, h) });
          },
        },
      },
      'decoupled decay': miswritten({ ...truth.lars, decay: 'decoupled' }, (x, h, t) =>
        truth.lars.update(x, { ...h, weightDecay: 0 }, t),
      ),
      'decay after the ratio': miswritten(truth.lars, (x, { lr, momentum: mu, weightDecay }) => {
        x.v = mu * x.v + lr * (x.ratio * x.g + weightDecay * x.w);
        x.w = x.w - x.v;
      }),
    },
  },
  'trust coefficient, momentum and decay by schedules': {
    formula: truth.lars,
    options: {
      lr: 1,
      trustCoefficient: (step) => 0.1 / step,
      momentum: (step) => 1 - 1 / (step + 1),
      weightDecay: (step) => 0.1 / step,
    },
    gradients: 'plain',
    wrong: {
      'the first trust coefficient for ever': { options: { trustCoefficient: 0.1 } },
      'the first momentum for ever': { options: { momentum: 0.5 } },
      'the first decay for ever': { options: { weightDecay: 0.1 } },
    },
  },
});
