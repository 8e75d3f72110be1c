import { ScheduleFreeAdamW, ScheduleFreeSGD } from '../../../lib/index.js';
import { lrMistakes, stepMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden, LONG, miswritten, type Wrong } from '../../support/golden/run.js';

const sgd: Create = (params, options) => new ScheduleFreeSGD(params, options as never);
const adamw: Create = (params, options) => new ScheduleFreeAdamW(params, options as never);
const rising = (step: number): number => 0.01 * Math.sqrt(step);
const decaying = (step: number): number => 0.1 / Math.sqrt(step);

type Cell = truth.Cell<'z' | 'x' | 'lrMax' | 'sum'>;

/** SGD with another average, or other weights from it. */
function averaging(of: (x: Cell, h: truth.Hyper, t: number) => void): Wrong {
  return miswritten(truth.scheduleFreeSgd, (x, h, t) => {
    x.z = x.z - truth.warmed(h, t) * x.g;
    of(x, h, t);
  });
}
function into(x: Cell, c: number, { momentum }: truth.Hyper): void {
  x.x = (1 - c) * x.x + c * x.z;
  x.w = (1 - momentum) * x.z + momentum * x.x;
}

const averagingMistakes: Record<string, Wrong> = {
  'z and x exchanged in y': averaging((x, h, t) => {
    into(x, truth.averagingWeight(x, h, t), h);
    x.w = h.momentum * x.z + (1 - h.momentum) * x.x;
  }),
  'the params are x': averaging((x, h, t) => {
    into(x, truth.averagingWeight(x, h, t), h);
    x.w = x.x;
  }),
  'the params are z': averaging((x, h, t) => {
    into(x, truth.averagingWeight(x, h, t), h);
    x.w = x.z;
  }),
  'an average that starts with w': averaging((x, _, t) => into(x, 1 / (t + 1), _)),
  'a moving average': averaging((x, h, t) => into(x, t === 1 ? 1 : 0.1, h)),
  'steps from y': averaging((x, h, t) => {
    x.z = x.w - truth.warmed(h, t) * x.g;
    into(x, truth.averagingWeight(x, h, t), h);
  }),
};

golden('ScheduleFreeSGD', sgd, {
  defaults: {
    formula: truth.scheduleFreeSgd,
    options: {},
    lengths: LONG,
    wrong: {
      ...averagingMistakes,
      'lr 0.5': { options: { lr: 0.5 } },
      'momentum 0.8': { options: { momentum: 0.8 } },
      'r 1': { options: { r: 1 } },
    },
  },
  'lr 0.01·√t: the largest counts; decay, skipped gradients': {
    formula: truth.scheduleFreeSgd,
    options: { lr: rising, momentum: 0.8, r: 0.5, weightDecay: 0.05 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...averagingMistakes,
      ...lrMistakes(rising),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      'decay at z': miswritten({ ...truth.scheduleFreeSgd, decay: 'none' }, (x, h, t) => {
        x.g = x.g + h.weightDecay * x.z;
        truth.scheduleFreeSgd.update(x, h, t);
      }),
      'weightLrPower 1': { options: { weightLrPower: 1 } },
      'a plain mean': averaging((x, h, t) => into(x, 1 / t, h)),
    },
  },
  'lr 0.1/√t after 10 steps of warm-up, r 0.5, weightLrPower 1': {
    formula: truth.scheduleFreeSgd,
    options: { lr: decaying, warmupSteps: 10, r: 0.5, weightLrPower: 1 },
    wrong: {
      'no warm-up': { options: { warmupSteps: 0 } },
      '9 steps of warm-up': { options: { warmupSteps: 9 } },
      'r 0': { options: { r: 0 } },
      'weightLrPower 2': { options: { weightLrPower: 2 } },
      'the lr of this step in the weight': averaging((x, h, t) => {
        x.lrMax = 0;
        into(x, truth.averagingWeight(x, h, t), h);
      }),
      'the lr without its warm-up in the weight': averaging((x, h, t) =>
        into(x, truth.averagingWeight(x, { ...h, warmupSteps: 0 }, t), h),
      ),
      'a warm-up that lasts': averaging((x, h, t) => {
        x.z = x.z + truth.warmed(h, t) * x.g - ((h.lr * t) / h.warmupSteps) * x.g;
        into(x, truth.averagingWeight(x, h, t), h);
      }),
    },
  },
  'momentum by a schedule': {
    formula: truth.scheduleFreeSgd,
    options: { lr: 0.1, momentum: (step) => 1 - 0.5 / step },
    wrong: { 'the first momentum for ever': { options: { momentum: 0.5 } } },
  },
});

golden('ScheduleFreeAdamW', adamw, {
  defaults: {
    formula: truth.scheduleFreeAdamw,
    options: {},
    lengths: LONG,
    wrong: {
      'lr 1e-3': { options: { lr: 1e-3 } },
      'β₁ and β₂ exchanged': { options: { betas: [0.999, 0.9] } },
      'eps 1e-7': { options: { eps: 1e-7 } },
      'no bias correction': miswritten(truth.scheduleFreeAdamw, (x, h, t) =>
        truth.scheduleFreeAdamw.update(
          Object.assign(x, { g: x.g * Math.sqrt(1 - h.beta2 ** t), s: x.s * (1 - h.beta2 ** t) }),
          h,
          t,
        ),
      ),
      'an average of the gradient': miswritten(truth.scheduleFreeAdamw, (x, h, t) => {
        x.g = 0.9 * x.g;
        truth.scheduleFreeAdamw.update(x, h, t);
      }),
    },
  },
  'lr 0.01·√t, decay, skipped gradients': {
    formula: truth.scheduleFreeAdamw,
    options: { lr: rising, betas: [0.8, 0.95], weightDecay: 0.1, eps: 0.01 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(rising),
      ...stepMistakes,
      'no decay': { options: { weightDecay: 0 } },
      L2: miswritten({ ...truth.scheduleFreeAdamw, decay: 'L2' }, (x, h, t) =>
        truth.scheduleFreeAdamw.update(x, { ...h, weightDecay: 0 }, t),
      ),
      'decay at z': miswritten(truth.scheduleFreeAdamw, (x, h, t) =>
        truth.scheduleFreeAdamw.update(Object.assign(x, { w: x.z }), h, t),
      ),
      'weightLrPower 1': { options: { weightLrPower: 1 } },
    },
  },
  'lr 0.1/√t after 10 steps of warm-up, r 0.5, weightLrPower 1': {
    formula: truth.scheduleFreeAdamw,
    options: { lr: decaying, warmupSteps: 10, r: 0.5, weightLrPower: 1 },
    wrong: {
      'no warm-up': { options: { warmupSteps: 0 } },
      'r 0': { options: { r: 0 } },
      'weightLrPower 2': { options: { weightLrPower: 2 } },
      'the bias correction in the largest lr, as its first releases': miswritten(truth.scheduleFreeAdamw, (x, h, t) => {
        const past = { lrMax: x.lrMax, sum: x.sum };
        const { x: average } = x;
        truth.scheduleFreeAdamw.update(x, h, t);
        const c = truth.averagingWeight(past, { ...h, lr: h.lr * Math.sqrt(1 - h.beta2 ** t) }, t);
        Object.assign(x, past, { x: (1 - c) * average + c * x.z });
        x.w = (1 - h.beta1) * x.z + h.beta1 * x.x;
      }),
    },
  },
});
