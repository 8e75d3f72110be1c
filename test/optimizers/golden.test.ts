/** The steps of every class around its formula: gradScale, norm and clipNorm, clipValue, maximize, L2, and then ema. */

import {
  ADOPT,
  AdaBelief,
  Adadelta,
  Adafactor,
  Adagrad,
  AdagradDA,
  Adam,
  Adamax,
  AdamaxW,
  AdamW,
  Adan,
  AdEMAMix,
  ASGD,
  COCOB,
  FTRL,
  LAMB,
  LARS,
  Lion,
  MADGRAD,
  NAdam,
  OptimisticAdam,
  OptimisticGradientDescent,
  ProximalAdagrad,
  RAdam,
  RMSprop,
  Rprop,
  ScheduleFreeAdamW,
  ScheduleFreeSGD,
  SGD,
  SignSGD,
  Signum,
  SimplifiedAdEMAMix,
  Sophia,
  Yogi,
} from '../../lib/index.js';
import { shapeOf } from '../support/golden/data.js';
import * as second from '../support/golden/element-truth.js';
import * as truth from '../support/golden/reference.js';
import { type Cell, type Gradient, type Hyper, norm, type Options, Reference } from '../support/golden/reference.js';
import { type Create, golden, type Run, type Wrong } from '../support/golden/run.js';

const sgd: Create = (params, options) => new SGD(params, options as never);
const adagrad: Create = (params, options) => new Adagrad(params, options as never);
const rmsprop: Create = (params, options) => new RMSprop(params, options as never);
const adam: Create = (params, options) => new Adam(params, options as never);
const adamW: Create = (params, options) => new AdamW(params, options as never);

// --- Wrong on purpose ------------------------------------------------------------------------------------------------

function clamp(g: number, h: Hyper): number {
  return Math.min(Math.max(g, -h.clipValue), h.clipValue);
}

/** The prologue in another order. All of these runs use maximize and L2 decay. */
function ordered(gradient: (raw: number, w: number, scale: number, coefficient: number, h: Hyper) => number): Wrong {
  return {
    reference: class extends Reference {
      protected override gradient(raw: number, w: number, scale: number, coefficient: number, h: Hyper): number {
        return gradient(raw, w, scale, coefficient, h);
      }
    },
  };
}

const orderMistakes: Record<string, Wrong> = {
  'no gradScale': { gradScale: 1 },
  'no clipNorm': ordered((raw, w, scale, _, h) => -clamp(raw * scale, h) + h.weightDecay * w),
  'no clipValue': ordered((raw, w, scale, coefficient, h) => -raw * scale * coefficient + h.weightDecay * w),
  'no maximize': { options: { maximize: false } },
  'clipValue before clipNorm': ordered(
    (raw, w, scale, coefficient, h) => -clamp(raw * scale, h) * coefficient + h.weightDecay * w,
  ),
  'clipValue before gradScale': ordered(
    (raw, w, scale, coefficient, h) => -clamp(raw * coefficient, h) * scale + h.weightDecay * w,
  ),
  'gradScale divides': ordered(
    (raw, w, scale, coefficient, h) => -clamp((raw / scale) * coefficient, h) + h.weightDecay * w,
  ),
  'maximize turns the decay too': ordered(
    (raw, w, scale, coefficient, h) => -(clamp(raw * scale * coefficient, h) + h.weightDecay * w),
  ),
  'the decay is clipped': ordered((raw, w, scale, coefficient, h) =>
    clamp(-raw * scale * coefficient + h.weightDecay * w, h),
  ),
  'clipValue from above only': ordered(
    (raw, w, scale, coefficient, h) => -Math.min(raw * scale * coefficient, h.clipValue) + h.weightDecay * w,
  ),
};

const clipMistakes: Record<string, Wrong> = {
  'no 1e-6': coefficientBy((gradNorm, max) => Math.min(1, max / gradNorm)),
  '1e-6 in the wrong place': coefficientBy((gradNorm, max) => Math.min(1, max / gradNorm + 1e-6)),
  'short gradients are stretched': coefficientBy((gradNorm, max) => max / (gradNorm + 1e-6)),
  'always normalised, then scaled if long': coefficientBy((gradNorm, max) => Math.min(1, max) / (gradNorm + 1e-6)),
  'the square of the norm': coefficientBy((gradNorm, max) => Math.min(1, max / (gradNorm ** 2 + 1e-6))),
  'the norm before gradScale': {
    reference: class extends Reference {
      override coefficients(grads: readonly Gradient[], gradScale: number): number[] {
        const coefficients = super.coefficients(grads, 1);
        this.gradNorm = norm(grads, gradScale);
        return coefficients;
      }
    },
  },
  'a norm for each tensor': {
    reference: class extends Reference {
      override coefficients(grads: readonly Gradient[], gradScale: number): number[] {
        const coefficients = grads.map((grad) => super.coefficients([grad], gradScale)[0] ?? Number.NaN);
        this.gradNorm = norm(grads, gradScale);
        return coefficients;
      }
    },
  },
  'the largest |g| for the norm': {
    reference: class extends Reference {
      override coefficients(grads: readonly Gradient[], gradScale: number): number[] {
        this.gradNorm = norm(grads, gradScale);
        const largest = Math.max(...grads.flatMap((grad) => Array.from(grad ?? [], Math.abs))) * gradScale;
        return grads.map(() => this.coefficient(largest, this.options.clipNorm ?? Number.NaN));
      }
    },
  },
  'gradNorm after clipping': {
    reference: class extends Reference {
      override coefficients(grads: readonly Gradient[], gradScale: number): number[] {
        const coefficients = super.coefficients(grads, gradScale);
        this.gradNorm *= coefficients[0] ?? Number.NaN;
        return coefficients;
      }
    },
  },
};

function coefficientBy(coefficient: (gradNorm: number, max: number) => number): Wrong {
  return {
    reference: class extends Reference {
      protected override coefficient(gradNorm: number, max: number): number {
        return coefficient(gradNorm, max);
      }
    },
  };
}

const emaMistakes: Record<string, Wrong> = {
  'the average before the update': averaged((x, before, d) => x.ema + (1 - d) * (before - x.ema)),
  'd and 1-d exchanged': averaged((x, _, d) => x.ema + d * (x.w - x.ema)),
  'from 0': averaged((x, _, d, t) => (t === 1 ? 0 : x.ema) + (1 - d) * (x.w - (t === 1 ? 0 : x.ema))),
  'from the weights after the first step': averaged((x, _, d, t) => (t === 1 ? x.w : x.ema + (1 - d) * (x.w - x.ema))),
  'a running mean': averaged((x, _, __, t) => x.ema + (x.w - x.ema) / (t + 1)),
  'the weights': averaged((x) => x.w),
};

function averaged(average: (x: Cell<string>, before: number, d: number, t: number) => number): Wrong {
  return {
    reference: class extends Reference {
      protected override update(x: Cell<string>, h: Hyper, t: number): void {
        const { w, ema } = x;
        super.update(x, h, t);
        x.ema = ema;
        x.ema = average(x, w, this.options.ema ?? Number.NaN, t);
      }
    },
  };
}

// --- Runs ------------------------------------------------------------------------------------------------------------

const everything: Options = { maximize: true, clipNorm: 5, clipValue: 0.1, ema: 0.9 };

/** Norms on both sides of clipNorm. */
const gradScale = (step: number): number => (step % 3 === 0 ? 1 / 64 : 0.75);

/** All common options at once, with missing gradients. */
function withEverything(formula: truth.Formula, options: Options, wrong: Record<string, Wrong> = {}): Run {
  return {
    formula,
    options: {
      lr: (step) => 0.05 / step,
      ...options,
      ...everything,
      ...(formula.decay === 'none' ? {} : { weightDecay: 0.02 }),
    },
    gradients: 'plain',
    gradScale,
    skips: (step, param) => (step + 2 * param) % 5 === 0,
    wrong: { ...wrong, 'no maximize': { options: { maximize: false } }, ...emaMistakes },
  };
}

/** The run of a class whose first step moves nothing: its average may start before that step or after it. */
function standingFirst({ wrong: { 'from the weights after the first step': _, ...wrong } = {}, ...run }: Run): Run {
  return { ...run, wrong };
}

golden('every common option at once', sgd, {
  SGD: withEverything(truth.sgd, {}, orderMistakes),
  momentum: withEverything(truth.momentum, { momentum: 0.9 }, orderMistakes),
  Nesterov: withEverything(truth.nesterov, { momentum: 0.9, nesterov: true }, orderMistakes),
  buffer: withEverything(truth.buffer, { momentum: 0.9, dampening: 0.1, momentumForm: 'buffer' }, orderMistakes),
  'buffer, Nesterov': withEverything(
    truth.bufferNesterov,
    { momentum: 0.9, nesterov: true, momentumForm: 'buffer' },
    orderMistakes,
  ),
});
golden('every common option at once', adagrad, {
  Adagrad: withEverything(truth.adagrad, { lrDecay: 0.01, initialAccumulatorValue: 0.1 }, orderMistakes),
});
golden('every common option at once', rmsprop, {
  RMSprop: withEverything(truth.rmsprop, { eps: 0.01 }, orderMistakes),
  centered: withEverything(truth.rmspropCentered, { centered: true, eps: 0.01 }, orderMistakes),
  momentum: withEverything(truth.rmspropMomentum, { momentum: 0.9, eps: 0.01 }, orderMistakes),
  'centered, momentum': withEverything(
    truth.rmspropCenteredMomentum,
    { centered: true, momentum: 0.9, eps: 0.01 },
    orderMistakes,
  ),
});
golden('every common option at once', adam, {
  Adam: withEverything(truth.adam, { eps: 0.01 }, orderMistakes),
  uncorrected: withEverything(truth.adamUncorrected, { biasCorrection: false, eps: 0.01 }, orderMistakes),
  amsgrad: withEverything(truth.amsgrad, { amsgrad: true, eps: 0.01 }, orderMistakes),
});
golden('every common option at once', adamW, {
  AdamW: withEverything(truth.adamW, {}),
  uncorrected: withEverything(truth.adamWUncorrected, { biasCorrection: false }),
  amsgrad: withEverything(truth.adamWAmsgrad, { amsgrad: true }),
});

const nadam: Create = (params, options) => new NAdam(params, options as never);
const radam: Create = (params, options) => new RAdam(params, options as never);
golden('every common option at once', (params, options) => new Adadelta(params, options as never), {
  Adadelta: withEverything(truth.adadelta, { eps: 0.01 }, orderMistakes),
});
golden('every common option at once', (params, options) => new Adamax(params, options as never), {
  Adamax: withEverything(truth.adamax, { eps: 0.01 }, orderMistakes),
});
golden('every common option at once', nadam, {
  NAdam: withEverything(truth.nadam, { eps: 0.01 }, orderMistakes),
  decoupled: withEverything(truth.nadamDecoupled, { decoupledWeightDecay: true }),
});
golden('every common option at once', radam, {
  RAdam: withEverything(truth.radam, { eps: 0.01 }, orderMistakes),
  decoupled: withEverything(truth.radamDecoupled, { decoupledWeightDecay: true }),
});
golden('every common option at once', (params, options) => new Lion(params, options as never), {
  Lion: withEverything(truth.lion, {}),
});
golden('every common option at once', (params, options) => new AdEMAMix(params, options as never), {
  AdEMAMix: withEverything(truth.ademamix, { alphaSteps: 20, beta3Steps: 20 }),
});
golden('every common option at once', (params, options) => new LARS(params, options as never), {
  LARS: withEverything(truth.lars, { trustCoefficient: 0.1 }),
});
golden('every common option at once', (params, options) => new LAMB(params, options as never), {
  LAMB: withEverything(truth.lamb, { eps: 0.01 }),
});
golden('every common option at once', (params, options) => new Adafactor(params, options as never), {
  'Adafactor, flat params': withEverything(truth.adafactor, { eps1: 1e-3 }),
});
golden(
  'every common option at once',
  (params, options) =>
    new Adafactor(
      params.map((data) => ({ data, shape: shapeOf(data.length) as [number, number] })),
      options as never,
    ),
  {
    'Adafactor, params with a shape': {
      ...withEverything(truth.adafactorFactored, { eps1: 1e-3 }),
      lengths: [1, 7, 9, 15, 1000],
    },
  },
);
golden('every common option at once', (params, options) => new Rprop(params, options as never), {
  Rprop: withEverything(truth.rprop, {}),
});
golden('every common option at once', (params, options) => new FTRL(params, options as never), {
  FTRL: withEverything(truth.ftrl, { l1: 0.1 }),
});
golden('every common option at once', (params, options) => new ASGD(params, options as never), {
  ASGD: withEverything(truth.asgd, { t0: 5 }, orderMistakes),
});
golden('every common option at once', (params, options) => new ScheduleFreeSGD(params, options as never), {
  ScheduleFreeSGD: withEverything(truth.scheduleFreeSgd, { warmupSteps: 5 }, orderMistakes),
});
golden('every common option at once', (params, options) => new ScheduleFreeAdamW(params, options as never), {
  ScheduleFreeAdamW: withEverything(truth.scheduleFreeAdamw, { warmupSteps: 5, eps: 0.01 }),
});

golden('every common option at once', (params, options) => new AdaBelief(params, options as never), {
  AdaBelief: withEverything(second.adabelief, { eps: 0.01 }),
  rectified: withEverything(second.adabeliefRectified, { eps: 0.01, rectify: true }),
});
golden('every common option at once', (params, options) => new Sophia(params, options as never), {
  Sophia: withEverything(second.sophiaWithoutEstimates, { eps: 0.1 }),
});
golden('every common option at once', (params, options) => new Yogi(params, options as never), {
  Yogi: withEverything(second.yogi, {}),
});
golden('every common option at once', (params, options) => new ADOPT(params, options as never), {
  ADOPT: standingFirst(withEverything(second.adopt, { eps: 0.1 }, orderMistakes)),
  decoupled: standingFirst(withEverything(second.adoptDecoupled, { decoupledWeightDecay: true })),
});
golden('every common option at once', (params, options) => new Adan(params, options as never), {
  Adan: withEverything(second.adan, {}),
  noProx: withEverything(second.adanNoProx, { noProx: true }),
});
golden('every common option at once', (params, options) => new SignSGD(params, options as never), {
  SignSGD: withEverything(second.signSgd, {}),
});
golden('every common option at once', (params, options) => new Signum(params, options as never), {
  Signum: withEverything(second.signum, {}),
});
golden('every common option at once', (params, options) => new AdamaxW(params, options as never), {
  AdamaxW: withEverything(second.adamaxW, {}),
});
golden('every common option at once', (params, options) => new ProximalAdagrad(params, options as never), {
  ProximalAdagrad: withEverything(second.proximalAdagrad, { l1: 0.03 }),
});
golden('every common option at once', (params, options) => new AdagradDA(params, options as never), {
  AdagradDA: withEverything(second.adagradDa, { l1: 0.01 }),
});
golden('every common option at once', (params, options) => new OptimisticGradientDescent(params, options as never), {
  OptimisticGradientDescent: withEverything(second.optimisticGradientDescent, {}),
});
golden('every common option at once', (params, options) => new OptimisticAdam(params, options as never), {
  OptimisticAdam: withEverything(second.optimisticAdam, {}),
  Nesterov: withEverything(second.optimisticAdamNesterov, { nesterov: true }),
});
golden('every common option at once', (params, options) => new SimplifiedAdEMAMix(params, options as never), {
  SimplifiedAdEMAMix: withEverything(second.simplifiedAdemamix, { alpha: 2 }),
});
golden('every common option at once', (params, options) => new COCOB(params, options as never), {
  COCOB: withEverything(second.cocob, {}, orderMistakes),
});
golden('every common option at once', (params, options) => new MADGRAD(params, options as never), {
  MADGRAD: withEverything(second.madgrad, { eps: 0.01 }, orderMistakes),
  decoupled: withEverything(second.madgradDecoupled, { decoupledWeightDecay: true }),
});

// 1e-6 added to a norm of 10 is less than a rounding of float32
const {
  'no 1e-6': noTiny,
  '1e-6 in the wrong place': tinyMisplaced,
  ...withoutTiny
} = clipMistakes as Record<'no 1e-6' | '1e-6 in the wrong place' | 'a norm for each tensor', Wrong>;

golden('clipNorm', sgd, {
  'norms on both sides of it': {
    formula: truth.sgd,
    options: { lr: 0.1, clipNorm: 5 },
    gradients: 'plain',
    gradScale,
    wrong: { ...withoutTiny, never: { options: { clipNorm: Number.POSITIVE_INFINITY } } },
  },
  'norms near 1e-6': {
    formula: truth.sgd,
    options: { lr: 0.1, clipNorm: 1e-6 },
    gradients: 'plain',
    magnitude: 1e-7,
    wrong: { 'no 1e-6': noTiny, '1e-6 in the wrong place': tinyMisplaced },
  },
  'squares whose sum leaves float32': {
    formula: truth.sgd,
    options: { lr: 0.1, clipNorm: 1 },
    magnitude: 10, // up to 1e19
    wrong: { 'a norm for each tensor': withoutTiny['a norm for each tensor'] },
  },
});

golden('clipValue', sgd, {
  'by a schedule': {
    formula: truth.sgd,
    options: { lr: 0.1, clipValue: (step) => 2 / step },
    wrong: {
      'the first one for ever': { options: { clipValue: 2 } },
      never: { options: { clipValue: Number.POSITIVE_INFINITY } },
    },
  },
});

golden('ema', sgd, {
  'from 1e-19 to 1e18, skipped gradients': {
    formula: truth.momentum,
    options: { lr: (step) => 0.1 / step, momentum: 0.9, ema: 0.99 },
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: emaMistakes,
  },
});

golden('maximize and gradScale', adam, {
  'Adam, decay': {
    formula: truth.adam,
    options: { maximize: true, weightDecay: 0.1, eps: 0.01 },
    gradients: 'plain',
    gradScale: 1 / 1024,
    wrong: {
      'no maximize': { options: { maximize: false } },
      'no gradScale': { gradScale: 1 },
      'maximize turns the decay too': orderMistakes['maximize turns the decay too'] ?? {},
    },
  },
});
golden('maximize', adamW, {
  'AdamW: the decay still decays': {
    formula: truth.adamW,
    options: { maximize: true, weightDecay: 0.5, lr: 0.01 },
    wrong: {
      'no maximize': { options: { maximize: false } },
      growth: { options: { weightDecay: -0.5 } },
    },
  },
});
