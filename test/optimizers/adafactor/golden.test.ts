import { Adafactor } from '../../../lib/index.js';
import { shapeOf } from '../../support/golden/data.js';
import { lrMistakes, nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { Reference, rms } from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const flat: Create = (params, options) => new Adafactor(params, options as never);
const shaped: Create = (params, options) =>
  new Adafactor(
    params.map((data) => ({ data, shape: shapeOf(data.length) as [number, number] })),
    options as never,
  );
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

/** 1×1, 1×7, 9×1, 3×5, 17×59. */
const SHAPED = [1, 7, 9, 15, 1003];

type Cell = truth.Cell<'V' | 'u' | 'alpha'>;
type Factored = truth.Cell<'V' | 'u' | 'alpha' | 'R' | 'C'>;

/** Another V of a flat param. */
function squares(of: (x: Cell, h: truth.Hyper, t: number) => number): Wrong {
  return {
    formula: {
      ...truth.adafactor,
      measure(param, h, t) {
        for (const x of param as Cell[]) x.V = of(x, h, t);
        truth.adafactorUpdate(param as Cell[], h, t);
      },
    },
  };
}

/** Another V from R and C. */
function product(of: (x: Factored, mean: number, h: truth.Hyper) => number): Wrong {
  return {
    formula: {
      ...truth.adafactorFactored,
      measure(param, h, t) {
        const mean = truth.adafactorMeans(param as Factored[], h, t);
        for (const x of param as Factored[]) x.V = of(x, mean, h);
        truth.adafactorUpdate(param as Cell[], h, t);
      },
    },
  };
}

/** What follows from V, done otherwise: `rate` and `excess` of all elements. */
function update(
  formula: truth.Formula,
  of: (param: readonly Cell[], h: truth.Hyper, t: number) => { alpha?: number; excess?: number },
): Wrong {
  return {
    formula: {
      ...formula,
      measure(param, h, t) {
        formula.measure?.(param, { ...h, clipThreshold: Number.POSITIVE_INFINITY }, t);
        const cells = param as Cell[];
        const excess = Math.max(1, rms(cells, (x) => x.u) / h.clipThreshold);
        const found = of(cells, h, t);
        for (const x of cells) {
          x.u = x.u / (found.excess ?? excess);
          x.alpha = found.alpha ?? x.alpha;
        }
      },
    },
  };
}

/** The t of the optimizer, which measures too. */
const stepMistake: Record<string, Wrong> = {
  't of the optimizer, not of the param': {
    reference: class extends Reference {
      protected override measure(param: readonly truth.Cell<string>[], h: truth.Hyper): void {
        super.measure(param, h, this.stepCount);
      }
    },
  },
};

/** For runs in which updates are clipped. */
function clipMistakes(formula: truth.Formula): Record<string, Wrong> {
  return {
    'no clipping': { options: { clipThreshold: 1e9 } },
    'small updates are stretched': update(formula, (param, h) => ({
      excess: rms(param, (x) => x.u) / h.clipThreshold,
    })),
    'the norm, not its mean': update(formula, (param, h) => ({
      excess: Math.max(1, truth.paramNorm(param, (x) => x.u) / h.clipThreshold),
    })),
    'the largest element': update(formula, (param, h) => ({
      excess: Math.max(1, ...param.map((x) => Math.abs(x.u) / h.clipThreshold)),
    })),
    'the root mean square of the gradient': update(formula, (param, h) => ({
      excess: Math.max(1, rms(param, (x) => x.g) / h.clipThreshold),
    })),
  };
}

/** For runs without lr, with scaleParameter. */
function rateMistakes(formula: truth.Formula): Record<string, Wrong> {
  return {
    'no scaleParameter': { options: { scaleParameter: false } },
    'eps2 1e-2': { options: { eps2: 1e-2 } },
    'eps2 is added': update(formula, (param, h, t) => ({
      alpha: truth.adafactorRho(h, t) * (h.eps2 + rms(param, (x) => x.w)),
    })),
    'the norm of the weights': update(formula, (param, h, t) => ({
      alpha:
        truth.adafactorRho(h, t) *
        Math.max(
          h.eps2,
          truth.paramNorm(param, (x) => x.w),
        ),
    })),
    'without the bound of 1e-2': update(formula, (param, h, t) => ({
      alpha:
        Math.max(
          h.eps2,
          rms(param, (x) => x.w),
        ) / Math.sqrt(t),
    })),
    'lr 1e-3': { options: { lr: 1e-3 } },
  };
}

golden('Adafactor, flat params', flat, {
  defaults: {
    formula: truth.adafactor,
    options: {},
    gradients: 'plain',
    lengths: LONG,
    wrong: {
      ...clipMistakes(truth.adafactor),
      ...rateMistakes(truth.adafactor),
      'decayRate -0.7': { options: { decayRate: -0.7 } },
      'a decay rate of 0.999': squares((x, h) => 0.999 * x.V + 0.001 * (x.g ** 2 + h.eps1)),
      'the decay rate of the step before': squares((x, h, t) => {
        const beta2 = truth.adafactorBeta2(h, Math.max(1, t - 1));
        return beta2 * x.V + (1 - beta2) * (x.g ** 2 + h.eps1);
      }),
      'no averaging': squares((x, h) => x.g ** 2 + h.eps1),
      'one mean for all elements': product((x) => x.R),
    },
  },
  'lr 0.1/√t, decay, skipped gradients': {
    formula: truth.adafactor,
    options: { lr: decaying, weightDecay: 0.1, eps1: 1e-3, clipThreshold: 0.5 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...clipMistakes(truth.adafactor),
      ...lrMistakes(decaying),
      ...nullMistake,
      ...stepMistake,
      'no decay': { options: { weightDecay: 0 } },
      L2: { formula: { ...truth.adafactor, decay: 'L2' } },
      'decay by lr alone': miswritten(truth.adafactor, (x, { lr, weightDecay }) => {
        x.w = x.w * (1 - lr * weightDecay) - x.alpha * x.u;
      }),
      'the weights measured after their decay': update(truth.adafactor, (param, h, t) => ({
        alpha:
          truth.adafactorRho(h, t) *
          Math.max(
            h.eps2,
            rms(param, (x) => x.w * (1 - x.alpha * h.weightDecay)),
          ),
      })),
      'decay after the step': miswritten(truth.adafactor, (x, { weightDecay }) => {
        x.w = (x.w - x.alpha * x.u) * (1 - x.alpha * weightDecay);
      }),
      'eps1 1e-30': { options: { eps1: 1e-30 } },
      'eps1 beside the average': squares((x, h, t) => {
        const beta2 = truth.adafactorBeta2(h, t);
        return beta2 * x.V + (1 - beta2) * x.g ** 2 + h.eps1;
      }),
      'relativeStep in spite of lr': update(truth.adafactor, (param, h, t) => ({
        alpha:
          truth.adafactorRho({ ...h, lr: Number.NaN }, t) *
          Math.max(
            h.eps2,
            rms(param, (x) => x.w),
          ),
      })),
    },
  },
  'warmupInit, without scaleParameter': {
    formula: truth.adafactor,
    options: { warmupInit: true, scaleParameter: false },
    gradients: 'plain',
    wrong: {
      'no warmupInit': { options: { warmupInit: false } },
      'with scaleParameter': { options: { scaleParameter: true } },
      'a rate of 1e-6': { options: { lr: 1e-6 } },
    },
  },
  'beta1 0.8, lr 0.1/√t, decay': {
    formula: truth.adafactorWithMomentum,
    options: { lr: decaying, beta1: 0.8, weightDecay: 0.1 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      ...nullMistake,
      'beta1 0.9': { options: { beta1: 0.9 } },
      'no beta1': { formula: truth.adafactor },
      'an average of the update without its rate': miswritten(
        truth.adafactorWithMomentum,
        (x, { beta1, weightDecay }) => {
          x.m = beta1 * x.m + (1 - beta1) * x.u;
          x.w = x.w * (1 - x.alpha * weightDecay) - x.alpha * x.m;
        },
      ),
      'an average of the gradient': {
        formula: {
          ...truth.adafactorWithMomentum,
          measure(param, h, t) {
            for (const x of param) {
              x['m'] = h.beta1 * (x['m'] ?? 0) + (1 - h.beta1) * x.g;
              x.g = x['m'];
            }
            truth.adafactor.measure?.(param as Cell[], h, t);
          },
          update: truth.adafactor.update as truth.Formula['update'],
        },
      },
      'decay in the average': miswritten(truth.adafactorWithMomentum, (x, { beta1, weightDecay }) => {
        x.m = beta1 * x.m + (1 - beta1) * x.alpha * (x.u + weightDecay * x.w);
        x.w = x.w - x.m;
      }),
    },
  },
});

golden('Adafactor, params with a shape', shaped, {
  defaults: {
    formula: truth.adafactorFactored,
    options: {},
    gradients: 'plain',
    lengths: SHAPED,
    wrong: {
      ...clipMistakes(truth.adafactorFactored),
      ...rateMistakes(truth.adafactorFactored),
      'not factored': { formula: truth.adafactor },
      'decayRate -0.7': { options: { decayRate: -0.7 } },
      'rows alone': product((x) => x.R),
      'columns alone': product((x) => x.C),
      'not divided by the mean': product((x) => x.R * x.C),
      'divided by the sum of the rows': product((x, mean) => (x.R * x.C) / (mean * 17)),
      'divided by its square': product((x, mean) => (x.R * x.C) / mean ** 2),
      'the mean of rows and columns': product((x) => (x.R + x.C) / 2),
      'divided by the mean of this step, not of the averages': {
        formula: {
          ...truth.adafactorFactored,
          measure(param, h, t) {
            truth.adafactorMeans(param as Factored[], h, t);
            const mean = param.reduce((sum, x) => sum + x.g ** 2 + h.eps1, 0) / param.length;
            for (const x of param as Factored[]) x.V = (x.R * x.C) / mean;
            truth.adafactorUpdate(param as Cell[], h, t);
          },
        },
      },
      'the shape read column by column': {
        formula: {
          ...truth.adafactorFactored,
          measure(param, h, t) {
            const [rows, columns] = shapeOf(param.length);
            const turned = param.map((_, i) => param[(i % rows) * columns + Math.floor(i / rows)] as Factored);
            truth.adafactorFactored.measure?.(turned, h, t);
          },
        },
      },
    },
  },
  'lr 0.1/√t, decay, skipped gradients': {
    formula: truth.adafactorFactored,
    options: { lr: decaying, weightDecay: 0.1, eps1: 1e-3, clipThreshold: 0.5 },
    gradients: 'plain',
    lengths: SHAPED,
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...clipMistakes(truth.adafactorFactored),
      ...lrMistakes(decaying),
      ...nullMistake,
      ...stepMistake,
      'no decay': { options: { weightDecay: 0 } },
      'decay by lr alone': miswritten(truth.adafactorFactored, (x, { lr, weightDecay }) => {
        x.w = x.w * (1 - lr * weightDecay) - x.alpha * x.u;
      }),
      'eps1 1e-30': { options: { eps1: 1e-30 } },
      'eps1 in the product alone': product(
        (x, mean, h) => ((x.R - h.eps1) * (x.C - h.eps1)) / (mean - h.eps1) + h.eps1,
      ),
    },
  },
  'gradients of 0 at first: eps1 holds': {
    formula: truth.adafactorFactored,
    options: { lr: decaying, decayRate: -0.5 },
    gradients: 'plain',
    lengths: SHAPED,
    gradScale: (step) => (step < 3 ? 0 : 1),
    wrong: { 'decayRate -0.8': { options: { decayRate: -0.8 } } },
  },
  'beta1 0.8, lr 0.1/√t, without scaleParameter': {
    formula: truth.adafactorFactoredWithMomentum,
    options: { lr: decaying, beta1: 0.8, scaleParameter: false, weightDecay: 0.05 },
    gradients: 'plain',
    lengths: SHAPED,
    wrong: {
      ...lrMistakes(decaying),
      'beta1 0.9': { options: { beta1: 0.9 } },
      'no beta1': { formula: truth.adafactorFactored },
      'with scaleParameter': { options: { scaleParameter: true } },
      'decay in the average': miswritten(truth.adafactorFactoredWithMomentum, (x, { beta1, weightDecay }) => {
        x.m = beta1 * x.m + (1 - beta1) * x.alpha * (x.u + weightDecay * x.w);
        x.w = x.w - x.m;
      }),
    },
  },
  'clipThreshold, decayRate and beta1 by schedules': {
    formula: truth.adafactorFactoredWithMomentum,
    options: {
      lr: 0.01,
      clipThreshold: (step) => 0.5 + 1 / step,
      decayRate: (step) => -0.8 + 0.3 / step,
      beta1: (step) => 0.8 - 0.3 / step,
    },
    gradients: 'plain',
    lengths: SHAPED,
    wrong: {
      'the first clipThreshold for ever': { options: { clipThreshold: 1.5 } },
      'the first decayRate for ever': { options: { decayRate: -0.5 } },
      'the first beta1 for ever': { options: { beta1: 0.5 } },
    },
  },
});
