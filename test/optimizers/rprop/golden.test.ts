import { Rprop } from '../../../lib/index.js';
import { nullMistake } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten } from '../../support/golden/run.js';

const create: Create = (params, options) => new Rprop(params, options as never);
const decaying = (step: number): number => 0.1 / step;

/** The update with other step sizes, and another gradient where the sign has turned. */
function stepping(
  next: (step: number, agreement: number, h: truth.Hyper) => number,
  turned: (g: number) => number = () => 0,
): ReturnType<typeof miswritten> {
  return miswritten(truth.rprop, (x, h) => {
    const agreement = Math.sign(x.g) * Math.sign(x.previous);
    x.step = next(x.step, agreement, h);
    const g = agreement < 0 ? turned(x.g) : x.g;
    x.w = x.w - Math.sign(g) * x.step;
    x.previous = g;
  });
}
const clamped = (step: number, { minStep, maxStep }: truth.Hyper): number => Math.min(Math.max(step, minStep), maxStep);
const grown = (step: number, agreement: number, h: truth.Hyper): number =>
  clamped(step * (agreement > 0 ? h.etaPlus : agreement < 0 ? h.etaMinus : 1), h);

golden('Rprop', create, {
  defaults: {
    formula: truth.rprop,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 2e-2': { options: { lr: 2e-2 } },
      'etas 0.5 and 1.1': { options: { etas: [0.5, 1.1] } },
      'etas 0.6 and 1.2': { options: { etas: [0.6, 1.2] } },
      'a turned gradient that counts': stepping(grown, (g) => g),
      'a turned gradient that is remembered': miswritten(truth.rprop, (x, h, t) => {
        const g = x.g;
        truth.rprop.update(x, h, t);
        x.previous = g;
      }),
      'η⁻ at a gradient of 0': stepping((step, agreement, h) =>
        clamped(step * (agreement > 0 ? h.etaPlus : h.etaMinus), h),
      ),
      'η⁺ and η⁻ exchanged': stepping((step, agreement, h) => grown(step, -agreement, h)),
      'a step as long as the gradient': miswritten(truth.rprop, (x, h, t) => {
        const w = x.w;
        truth.rprop.update(x, h, t);
        x.w = w - x.previous * x.step;
      }),
    },
  },
  'step sizes at their limits': {
    formula: truth.rprop,
    options: { lr: 0.1, etas: [0.4, 1.5], stepSizes: [0.05, 0.3] },
    wrong: {
      'no smallest': { options: { stepSizes: [0, 0.3] } },
      'no largest': { options: { stepSizes: [0.05, 50] } },
    },
  },
  'a first step size beyond its limit': {
    formula: truth.rprop,
    options: { lr: 1, stepSizes: [0.05, 0.3] },
    wrong: {
      'clamped from the second step on': miswritten(truth.rprop, (x, h, t) => {
        truth.rprop.update(x, t === 1 ? { ...h, maxStep: 50 } : h, t);
      }),
    },
  },
  'lr 0.1/t: only the lr of a param’s first step counts; skipped gradients': {
    formula: truth.rprop,
    options: { lr: decaying },
    skips: (step, param) => step === 1 || (step + param) % 3 === 0,
    wrong: {
      'the optimizer’s first lr': { options: { lr: 0.1 } },
      ...nullMistake,
      'lr as a factor': stepping((step, agreement, h) => grown(step, agreement, h) * h.lr),
    },
  },
  'etas and the largest step by schedules': {
    formula: truth.rprop,
    options: { etas: [(step) => 1 - 1 / (step + 1), (step) => 1 + 1 / step], stepSizes: [1e-6, (step) => 1 / step] },
    wrong: {
      'the first η⁺ for ever': { options: { etas: [(step) => 1 - 1 / (step + 1), 2] } },
      'the first η⁻ for ever': { options: { etas: [0.5, (step) => 1 + 1 / step] } },
      'the first largest step for ever': { options: { stepSizes: [1e-6, 1] } },
    },
  },
});
