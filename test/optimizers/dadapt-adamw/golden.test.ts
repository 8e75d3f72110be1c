import { describe, expect, test } from 'vitest';
import { DAdaptAdamW } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  numerator?: 'new z' | 'new s' | 'not decayed' | 'without δ' | 'decayed by β₂';
  estimate?: 'signed sum' | 'without 1−√β₂';
  d?: 'may fall';
  rate?: 'new' | 'no bias correction';
  momentum?: 'without δ';
  decay?: 'L2' | 'decoupled' | 'by lr' | 'none';
  sums?: 'of the first param' | 'of all groups';
  growth?: 'none';
}

/** The code of the authors' package, in float64. */
function dadapt(variant: Variant = {}): StepOf {
  return (all) => {
    const { params, numbers, step } = all;
    const first = params[0]!.h;
    const lr = Math.max(...params.map(({ h }) => h['lr']!));
    const [beta1, beta2, eps] = [first['beta1']!, first['beta2']!, first['eps']!];
    const root = Math.sqrt(beta2);
    const isCorrected = first['biasCorrection'] === 1 && variant.rate !== 'no bias correction';
    const correction = isCorrected ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1;
    const old = numbers['d'] === 0 ? first['d0']! : numbers['d']!;
    const delta = old * lr * correction;
    const isL2 = variant.decay === 'L2' || (first['decoupled'] === 0 && variant.decay === undefined);
    let [gain, gainError, total, totalError] = [0, 0, 0, 0];
    for (const [p, { w, g, state, h }] of params.entries()) {
      if (g === null || (h['lr'] === 0 && variant.sums !== 'of all groups')) continue;
      const [m, s, z] = [state['expAvg']!, state['expAvgSq']!, state['s']!];
      for (const i of w.keys()) {
        const grad = g[i]! + (isL2 ? h['weightDecay']! * w[i]! : 0);
        const size = Math.abs(g[i]!) + (isL2 ? h['weightDecay']! * Math.abs(w[i]!) : 0);
        const [oldS, oldZ] = [s[i]!, z[i]!];
        m[i] = beta1 * m[i]! + (variant.momentum === undefined ? delta : 1) * (1 - beta1) * grad;
        s[i] = beta2 * s[i]! + (1 - beta2) * grad * grad;
        z[i] = root * z[i]! + delta * (1 - root) * grad;
        if (variant.sums === 'of the first param' && p > 0) continue;
        const towards = variant.numerator === 'new z' ? z[i]! : oldZ;
        const scaled = towards / (Math.sqrt(variant.numerator === 'new s' ? s[i]! : oldS) + eps);
        gain += grad * scaled;
        gainError += 8 * U * size * Math.abs(scaled);
        total += variant.estimate === 'signed sum' ? z[i]! : Math.abs(z[i]!);
        totalError += 6 * U * (Math.abs(z[i]!) + Math.abs(oldZ) + delta * (1 - root) * size);
      }
    }
    if (total === 0) {
      numbers['d'] = old;
      return { d: 0, numerator: 0 };
    }
    const weight = variant.numerator === 'without δ' ? 1 : delta;
    const kept = variant.numerator === 'not decayed' ? 1 : variant.numerator === 'decayed by β₂' ? beta2 : root;
    const numerator = kept * numbers['numerator']! + (1 - root) * weight * gain;
    const numeratorError = (1 - root) * weight * gainError + 2 ** -40 * Math.abs(numerator);
    const scale = variant.estimate === 'without 1−√β₂' ? total : (1 - root) * total;
    const estimate = numerator / scale;
    const grown = variant.growth === undefined ? old * first['growthRate']! : Number.POSITIVE_INFINITY;
    const next = Math.min(estimate, grown);
    const d = variant.d === 'may fall' ? next : Math.max(old, next);
    Object.assign(numbers, { d, numerator });

    const moved = variant.rate === 'new' ? d * lr * correction : delta;
    for (const { w, g, state, h } of params) {
      if (g === null || h['lr'] === 0) continue;
      const [m, s] = [state['expAvg']!, state['expAvgSq']!];
      const decay = isL2 || variant.decay === 'none' ? 0 : h['weightDecay']! * (variant.decay === 'by lr' ? lr : moved);
      const more = variant.rate === 'new' ? d / old : 1;
      for (const i of w.keys()) w[i] = w[i]! * (1 - decay) - (more * m[i]!) / (Math.sqrt(s[i]!) + h['eps']!);
    }
    const isFound = d === estimate;
    const error = isFound ? numeratorError / scale + (Math.abs(estimate) * totalError) / total : 2 ** -50 * d;
    return { d: error, numerator: numeratorError };
  };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
const create: OneStep['create'] = (params, options) => new DAdaptAdamW(params, options as never);
const defaults = {
  lr: 1,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0,
  decoupled: 1,
  biasCorrection: 0,
  d0: 1e-6,
  growthRate: Number.POSITIVE_INFINITY,
};
/** The gradient of Σ cᵢ·(w − 1)², so that d finds something. */
const towardsOne = (w: Float32Array, step: number): Float32Array =>
  w.map((x, i) => (1 + (i % 5)) * (x - 1) + 0.1 * Math.sin(step + i));

const mistakes = {
  'the new z in the numerator': dadapt({ numerator: 'new z' }),
  'the new s in the numerator': dadapt({ numerator: 'new s' }),
  'the numerator not decayed': dadapt({ numerator: 'not decayed' }),
  'the numerator decayed by β₂': dadapt({ numerator: 'decayed by β₂' }),
  'the numerator without δ': dadapt({ numerator: 'without δ' }),
  'the sum of z, not of |z|': dadapt({ estimate: 'signed sum' }),
  'd̂ without 1−√β₂': dadapt({ estimate: 'without 1−√β₂' }),
  'a d that may fall': dadapt({ d: 'may fall' }),
  'the new d in the rate': dadapt({ rate: 'new' }),
  'momentum without δ': dadapt({ momentum: 'without δ' }),
  'sums of the first param': dadapt({ sums: 'of the first param' }),
};

describe('DAdaptAdamW', () => {
  oneStep('defaults, on a valley', {
    create,
    step: dadapt(),
    h: defaults,
    options: {},
    gradientOf: towardsOne,
    steps: 150,
    wrong: mistakes,
  });
  oneStep('random gradients, skipped ones, all options', {
    create,
    step: dadapt(),
    h: {
      ...defaults,
      lr: decaying,
      beta1: 0.8,
      beta2: 0.95,
      eps: 0.1,
      weightDecay: 0.3,
      biasCorrection: 1,
      d0: 1e-2,
      growthRate: 1.1,
    },
    options: {
      lr: decaying,
      betas: [0.8, 0.95],
      eps: 0.1,
      weightDecay: 0.3,
      biasCorrection: true,
      d0: 1e-2,
      growthRate: 1.1,
      maximize: true,
    } as never,
    gradScale: 0.5,
    gradientOf: (w, step) => towardsOne(w, step).map((g) => -g),
    skips: (step, param) => (step + param) % 4 === 0,
    steps: 60,
    wrong: {
      ...mistakes,
      'no bias correction': dadapt({ rate: 'no bias correction' }),
      'no growth rate': dadapt({ growth: 'none' }),
      'L2 decay': dadapt({ decay: 'L2' }),
      'no decay': dadapt({ decay: 'none' }),
      'decay by lr': dadapt({ decay: 'by lr' }),
    },
  });
  oneStep('L2 decay, a group at lr 0', {
    create: (params, options) =>
      new DAdaptAdamW(
        params.map((data, p) => ({ params: data, ...(p === 1 ? { lr: 0 } : {}) })),
        options as never,
      ),
    step: dadapt(),
    h: { ...defaults, lr: [1, 0, 1], weightDecay: 0.1, decoupled: 0 },
    options: { weightDecay: 0.1, decoupledWeightDecay: false } as never,
    gradientOf: towardsOne,
    steps: 20, // later, at the bottom of the valley, g and λ·w cancel
    wrong: {
      'sums of all groups': dadapt({ sums: 'of all groups' }),
      'no decay': dadapt({ decay: 'none' }),
      'decoupled decay': dadapt({ decay: 'decoupled' }),
    },
  });
  oneStep('g² beyond float32', {
    create,
    step: dadapt(),
    h: defaults,
    options: {},
    gradientOf: (w, step) => w.map((_, i) => 2.5e19 * Math.sin(step / 10 + i)),
    wrong: { 'the new z in the numerator': dadapt({ numerator: 'new z' }) },
  });
});

// What the authors' package gives in float64, for the gradient 2·w: d after some steps, and the params at the end.
const published = {
  defaults: {
    options: { d0: 1e-2 },
    d: { 1: 0.01, 2: 0.1564689887656266, 5: 5.36996661847184, 10: 5.36996661847184, 50: 5.36996661847184 },
    w: [-0.24396581, 0.15747546, 0.14924479],
    v: [0.24396581, -1.19001684],
  },
  'all options': {
    options: { d0: 1e-2, biasCorrection: true, weightDecay: 0.1, growthRate: 1.5, betas: [0.8, 0.95], eps: 1e-3 },
    d: { 1: 0.01, 2: 0.015, 5: 0.050625, 10: 0.3372508118636472, 20: 1.31064881745819, 50: 1.31064881745819 },
    w: [0.0001146, -0.00039443, 0.00269395],
    v: [-0.0001146, -0.00030363],
  },
} as const;

describe.each(Object.entries(published))('the published code, %s', (_, { options, d, ...at }) => {
  test('gives the same d and params', () => {
    const [w, v] = [Float32Array.of(1, 2, 3), Float32Array.of(-1, 0.5)];
    const optimizer = new DAdaptAdamW([w, v], options);
    const found: Record<number, number> = {};
    for (let step = 1; step <= 50; step++) {
      optimizer.step([w.map((x) => 2 * x), v.map((x) => 2 * x)]);
      if (step in d) found[step] = optimizer.d;
    }
    for (const [step, value] of Object.entries(d))
      expect(Math.abs(found[Number(step)]! / value - 1)).toBeLessThan(1e-4);
    for (const [array, values] of [
      [w, at.w],
      [v, at.v],
    ] as const)
      for (const [i, value] of values.entries()) expect(Math.abs(array[i]! - value)).toBeLessThan(1e-4);
  });
});
