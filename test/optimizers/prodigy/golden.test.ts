import { describe, expect, test } from 'vitest';
import { Prodigy } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  numerator?: 'without d/d₀' | 'from w−w₀' | 'not decayed';
  estimate?: 'without dCoef' | 'signed sum';
  max?: 'from the first step' | 'none';
  rate?: 'new' | 'no bias correction';
  eps?: 'not scaled' | 'old d';
  decay?: 'L2' | 'decoupled' | 'by lr' | 'none';
  sums?: 'of the first param' | 'of all groups';
  safeguard?: boolean;
  growth?: 'none';
  scale?: 'g² by d';
}

/** Algorithm 4 and the code of its authors, in float64. */
function prodigy(variant: Variant = {}): StepOf {
  return (all) => {
    const { params, numbers, step } = all;
    const first = params[0]!.h;
    const lr = Math.max(...params.map(({ h }) => h['lr']!));
    const [beta1, beta2, d0] = [first['beta1']!, first['beta2']!, first['d0']!];
    const beta3 = Number.isNaN(first['beta3']!) ? Math.sqrt(beta2) : first['beta3']!;
    const isCorrected = first['biasCorrection'] === 1 && variant.rate !== 'no bias correction';
    const correction = isCorrected ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1;
    let [d, dMax, numerator] = [numbers['d']!, numbers['dMax']!, numbers['numerator']!];
    if (d === 0) [d, dMax] = [d0, d0];
    const delta = d * lr * correction;
    const isL2 = variant.decay === 'L2' || (first['decoupled'] === 0 && variant.decay === undefined);
    let [gain, size, total, totalError] = [0, 0, 0, 0];
    for (const [p, { w, g, state, h, updates }] of params.entries()) {
      if (g === null) continue;
      const [m, s, z, w0] = [state['expAvg']!, state['expAvgSq']!, state['s']!, state['initial']!];
      if (updates === 0) for (const i of w.keys()) w0[i] = w[i]!;
      if (h['lr'] === 0 && variant.sums !== 'of all groups') continue;
      const q = (h['safeguard'] === 1) !== (variant.safeguard === true) ? d : delta;
      for (const i of w.keys()) {
        const grad = g[i]! + (isL2 ? h['weightDecay']! * w[i]! : 0);
        m[i] = beta1 * m[i]! + d * (1 - beta1) * grad;
        s[i] = beta2 * s[i]! + (variant.scale === undefined ? d * d : d) * (1 - beta2) * grad * grad;
        z[i] = beta3 * z[i]! + (d / d0) * q * grad;
        if (variant.sums === 'of the first param' && p > 0) continue;
        gain += grad * (variant.numerator === 'from w−w₀' ? w[i]! - w0[i]! : w0[i]! - w[i]!);
        size += Math.abs(grad * (w0[i]! - w[i]!));
        total += variant.estimate === 'signed sum' ? z[i]! : Math.abs(z[i]!);
        totalError += 4 * U * (Math.abs(z[i]!) + Math.abs((d / d0) * q * grad));
      }
    }
    if (total === 0) {
      Object.assign(numbers, { d, dMax });
      return { d: 0, dMax: 0, numerator: 0 };
    }
    const weight = (variant.numerator === 'without d/d₀' ? 1 : d / d0) * delta;
    numerator = (variant.numerator === 'not decayed' ? 1 : beta3) * numerator + weight * gain;
    const numeratorError = 8 * U * weight * size + 2 ** -40 * Math.abs(numerator);
    const estimate = ((variant.estimate === 'without dCoef' ? 1 : first['dCoef']!) * numerator) / total;
    const [old, oldMax] = [d, dMax];
    if (d === d0 || variant.max === 'from the first step') d = Math.max(d, estimate);
    dMax = variant.max === 'none' ? estimate : Math.max(dMax, estimate);
    d = Math.min(dMax, d * (variant.growth === undefined ? first['growthRate']! : Number.POSITIVE_INFINITY));
    Object.assign(numbers, { d, dMax, numerator });

    const moved = variant.rate === 'new' ? d * lr * correction : delta;
    for (const { w, g, state, h } of params) {
      if (g === null || h['lr'] === 0) continue;
      const [m, s] = [state['expAvg']!, state['expAvgSq']!];
      const decay = isL2 || variant.decay === 'none' ? 0 : h['weightDecay']! * (variant.decay === 'by lr' ? lr : delta);
      const scaled = variant.eps === 'not scaled' ? h['eps']! : (variant.eps === 'old d' ? old : d) * h['eps']!;
      for (const i of w.keys()) w[i] = w[i]! * (1 - decay) - (moved * m[i]!) / (Math.sqrt(s[i]!) + scaled);
    }
    const error =
      ((first['dCoef']! * numeratorError) / total + (Math.abs(estimate) * totalError) / total) * (d === old ? 0 : 1);
    const ofMax = dMax === oldMax ? 0 : error;
    return { d: error, dMax: ofMax, numerator: numeratorError };
  };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
const create: OneStep['create'] = (params, options) => new Prodigy(params, options as never);
const defaults = {
  lr: 1,
  beta1: 0.9,
  beta2: 0.999,
  beta3: Number.NaN, // √β₂
  eps: 1e-8,
  weightDecay: 0,
  decoupled: 1,
  biasCorrection: 0,
  safeguard: 0,
  d0: 1e-6,
  dCoef: 1,
  growthRate: Number.POSITIVE_INFINITY,
};
/** The gradient of Σ cᵢ·(w − 1)², so that d finds something. */
const towardsOne = (w: Float32Array, step: number): Float32Array =>
  w.map((x, i) => (1 + (i % 5)) * (x - 1) + 0.1 * Math.sin(step + i));

const mistakes = {
  'the numerator without d/d₀': prodigy({ numerator: 'without d/d₀' }),
  'the numerator from w−w₀': prodigy({ numerator: 'from w−w₀' }),
  'the numerator not decayed': prodigy({ numerator: 'not decayed' }),
  'the sum of z, not of |z|': prodigy({ estimate: 'signed sum' }),
  'the new d in the rate': prodigy({ rate: 'new' }),
  'sums of the first param': prodigy({ sums: 'of the first param' }),
  'g² times d': prodigy({ scale: 'g² by d' }),
  'no dMax': prodigy({ max: 'none' }),
};

describe('Prodigy', () => {
  oneStep('defaults, on a valley', {
    create,
    step: prodigy(),
    h: defaults,
    options: {},
    gradientOf: towardsOne,
    steps: 150,
    wrong: mistakes,
  });
  oneStep('random gradients, skipped ones, all options', {
    create,
    step: prodigy(),
    h: {
      ...defaults,
      lr: decaying,
      beta1: 0.8,
      beta2: 0.95,
      beta3: 0.9,
      eps: 0.1,
      weightDecay: 0.3,
      biasCorrection: 1,
      safeguard: 1,
      d0: 1e-2,
      dCoef: 2,
      growthRate: 1.1,
    },
    options: {
      lr: decaying,
      betas: [0.8, 0.95],
      beta3: 0.9,
      eps: 0.1,
      weightDecay: 0.3,
      biasCorrection: true,
      safeguardWarmup: true,
      d0: 1e-2,
      dCoef: 2,
      growthRate: 1.1,
      maximize: true,
    } as never,
    gradScale: 0.5,
    gradientOf: (w, step) => towardsOne(w, step).map((g) => -g),
    skips: (step, param) => (step + param) % 4 === 0,
    steps: 60,
    wrong: {
      ...mistakes,
      'no safeguard': prodigy({ safeguard: true }),
      'no bias correction': prodigy({ rate: 'no bias correction' }),
      'no dCoef': prodigy({ estimate: 'without dCoef' }),
      'no growth rate': prodigy({ growth: 'none' }),
      'eps not scaled': prodigy({ eps: 'not scaled' }),
      'eps by the old d': prodigy({ eps: 'old d' }),
      'L2 decay': prodigy({ decay: 'L2' }),
      'no decay': prodigy({ decay: 'none' }),
      'decay by lr': prodigy({ decay: 'by lr' }),
    },
  });
  oneStep('L2 decay, a group at lr 0', {
    create: (params, options) =>
      new Prodigy(
        params.map((data, p) => ({ params: data, ...(p === 1 ? { lr: 0 } : {}) })),
        options as never,
      ),
    step: prodigy(),
    h: { ...defaults, lr: [1, 0, 1], weightDecay: 0.1, decoupled: 0 },
    options: { weightDecay: 0.1, decoupledWeightDecay: false } as never,
    gradientOf: towardsOne,
    wrong: {
      'sums of all groups': prodigy({ sums: 'of all groups' }),
      'no decay': prodigy({ decay: 'none' }),
      'decoupled decay': prodigy({ decay: 'decoupled' }),
    },
  });
});

// What the authors' code gives in float64, for the gradient 2·w: d after some steps, and the params at the end. A small d0
// would leave too few bits of w₀−w in float32.
const published = {
  defaults: {
    options: { d0: 1e-2 },
    d: {
      1: 0.01,
      2: 0.015646898876562624,
      5: 0.3379740227678289,
      10: 0.5695347685961999,
      20: 0.5695347685961999,
      50: 0.5695347685961999,
    },
    at: { step: 50, w: [-0.12466504, -0.10442192, -0.16661068], v: [0.12466504, 0.0336752] },
  },
  'all options': {
    options: { biasCorrection: true, safeguardWarmup: true, weightDecay: 0.1, dCoef: 2, growthRate: 1.5, d0: 1e-2 },
    d: { 1: 0.01, 2: 0.01, 5: 0.01, 10: 0.017363507195808845, 20: 0.11603999726163909, 50: 0.2726242659443314 },
    at: { step: 50, w: [0.05186242, -0.05669365, 0.41550795], v: [-0.05186242, -0.0375419] },
  },
};

describe.each(Object.entries(published))('the published code, %s', (_, { options, d, at }) => {
  test('gives the same d and params', () => {
    const [w, v] = [Float32Array.of(1, 2, 3), Float32Array.of(-1, 0.5)];
    const optimizer = new Prodigy([w, v], options);
    const found: Record<number, number> = {};
    for (let step = 1; step <= 50; step++) {
      optimizer.step([w.map((x) => 2 * x), v.map((x) => 2 * x)]);
      if (step in d) found[step] = optimizer.d;
      if (step !== at.step) continue;
      for (const [array, values] of [
        [w, at.w],
        [v, at.v],
      ] as const)
        for (const [i, value] of values.entries()) expect(Math.abs(array[i]! - value)).toBeLessThan(1e-4);
    }
    for (const [step, value] of Object.entries(d))
      expect(Math.abs(found[Number(step)]! / value - 1)).toBeLessThan(1e-4);
  });
});
