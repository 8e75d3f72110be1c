import { LAMB } from '../../../lib/index.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { paramNorm, Reference } from '../../support/golden/reference.js';
import { type Create, golden, LONG, type Wrong } from '../../support/golden/run.js';

const create: Create = (params, options) => new LAMB(params, options as never);
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

type Cell = truth.Cell<'m' | 's' | 'u' | 'ratio'>;

/** A formula with another ratio; `w` and `u` are the norms. */
function ratio(of: (w: number, u: number, h: truth.Hyper, x: Cell) => number, formula = truth.lamb): Wrong {
  return {
    formula: {
      ...formula,
      measure(param, h, t) {
        formula.measure?.(param as Cell[], h, t);
        const [w, u] = [paramNorm(param, (x) => x.w), paramNorm(param as Cell[], (x) => x.u)];
        for (const x of param as Cell[]) x.ratio = of(w, u, h, x);
      },
    },
  };
}

const ratioMistakes: Record<string, Wrong> = {
  'no ratio': ratio(() => 1),
  'its inverse': ratio((w, u) => (w === 0 || u === 0 ? 1 : u / w)),
  'squares of the norms': ratio((w, u) => (w === 0 || u === 0 ? 1 : w ** 2 / u ** 2)),
  'the norms of each element': ratio((_w, _u, _h, x) => (x.w === 0 || x.u === 0 ? 1 : Math.abs(x.w / x.u))),
  'a ratio of 0 for weights of 0': ratio((w, u) => (u === 0 ? 1 : w / u)),
  'the norm of the gradient': {
    formula: {
      ...truth.lamb,
      measure(param, h, t) {
        truth.lamb.measure?.(param as Cell[], h, t);
        const [w, g] = [paramNorm(param, (x) => x.w), paramNorm(param, (x) => x.g)];
        for (const x of param) Object.assign(x, { ratio: w === 0 || g === 0 ? 1 : w / g });
      },
    },
  },
  'the norms of all params': {
    reference: class extends Reference {
      protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper, t: number): void {
        super.measure(param, h, t);
        const all = this.params.flat();
        const [w, u] = [paramNorm(all, (x) => x.w), paramNorm(all as Cell[], (x) => x.u)];
        for (const x of param) Object.assign(x, { ratio: w === 0 || u === 0 ? 1 : w / u });
      }
    },
  },
};

/** LAMB with another direction. */
function direction(of: (x: Cell, h: truth.Hyper, t: number) => number): Wrong {
  return {
    formula: {
      ...truth.lamb,
      measure(param, h, t) {
        truth.lamb.measure?.(param as Cell[], h, t);
        for (const x of param as Cell[]) x.u = of(x, h, t);
        const [w, u] = [paramNorm(param, (x) => x.w), paramNorm(param as Cell[], (x) => x.u)];
        for (const x of param as Cell[]) x.ratio = w === 0 || u === 0 ? 1 : Math.min(w, h.clamp) / u;
      },
    },
  };
}

golden('LAMB', create, {
  'defaults, params of 0 among them': {
    formula: truth.lamb,
    options: {},
    lengths: LONG,
    wrong: {
      ...ratioMistakes,
      'lr 2e-3': { options: { lr: 2e-3 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      'eps 1e-5': { options: { eps: 1e-5 } },
      'no bias correction': { formula: truth.lambUncorrected },
      'the clamp that others have': { options: { clamp: 10 } },
    },
  },
  'lr 0.1/√t, decay, skipped gradients': {
    formula: truth.lamb,
    options: { lr: decaying, betas: [0.8, 0.95], weightDecay: 0.1, eps: 0.01 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...ratioMistakes,
      ...lrMistakes(decaying),
      ...nullMistake,
      't of the optimizer, not of the param': {
        reference: class extends Reference {
          protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper): void {
            super.measure(param, h, this.stepCount);
          }
        },
      },
      'no decay': { options: { weightDecay: 0 } },
      L2: { formula: { ...truth.lamb, decay: 'L2' } },
      'decay beside the ratio': {
        formula: {
          ...truth.lamb,
          measure: (param, h, t) => truth.lamb.measure?.(param as Cell[], { ...h, weightDecay: 0 }, t),
          update(x, h, t) {
            truth.lamb.update(Object.assign(x as Cell, { w: x.w * (1 - h.lr * h.weightDecay) }), h, t);
          },
        },
      },
      'eps inside the root': direction(
        (x, h, t) => x.m / (1 - h.beta1 ** t) / Math.sqrt(x.s / (1 - h.beta2 ** t) + h.eps) + h.weightDecay * x.w,
      ),
      'eps before the correction': direction(
        (x, h, t) =>
          (x.m / (1 - h.beta1 ** t) / (Math.sqrt(x.s) + h.eps)) * Math.sqrt(1 - h.beta2 ** t) + h.weightDecay * x.w,
      ),
    },
  },
  'clamp 2, lr 0.1/√t': {
    formula: truth.lamb,
    options: { lr: decaying, clamp: 2, eps: 0.01, weightDecay: 0.01 },
    gradients: 'plain',
    wrong: {
      'no clamp': { options: { clamp: Number.POSITIVE_INFINITY } },
      'clamp 3': { options: { clamp: 3 } },
      'the ratio is clamped': ratio((w, u, h) => (w === 0 || u === 0 ? 1 : Math.min(w / u, h.clamp))),
    },
  },
  'without bias correction, gradients of 0 at first': {
    formula: truth.lambUncorrected,
    options: { lr: decaying, biasCorrection: false, eps: 0.01 },
    gradients: 'plain',
    gradScale: (step) => (step < 3 ? 0 : 1),
    wrong: {
      'bias correction': { formula: truth.lamb },
      'a ratio for weights of 0': ratio((w, u) => (u === 0 ? 1 : w / u), truth.lambUncorrected),
    },
  },
});
