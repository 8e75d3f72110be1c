import { describe, expect, test } from 'vitest';
import { DoG } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf, type Tensor } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  r?: 'without 1' | 'of all params of the group' | 'the present distance' | 'squared' | 'from repsRel with initEta';
  G?: 'without ε' | 'before this step' | 'mean of g²' | 'without the root' | 'not summed';
  decay?: 'decoupled' | 'none';
  rate?: 'initEta times lr' | 'initEta in every step' | 'without lr';
  scope?: 'group' | 'param';
}

/** Algorithm 1 and the code of its authors, in float64. */
function dog(variant: Variant = {}): StepOf {
  return ({ params, numbers }) => {
    const scope = variant.scope ?? (params[0]!.h['layerWise'] === 1 ? 'param' : 'group');
    const sets = scope === 'param' ? params.map((param) => [param]) : [params];
    let errors: Record<string, number> = { r: 0, G: 0 };
    for (const [s, set] of sets.entries()) {
      const found = together(set, scope === 'param' ? set[0]!.own : numbers, variant);
      if (s > 0) continue;
      Object.assign(numbers, found.numbers);
      errors = found.errors;
    }
    return errors;
  };
}

/** A step of params that share r and G. */
function together(
  set: Tensor[],
  before: Readonly<Record<string, number>>,
  variant: Variant,
): { numbers: Record<string, number>; errors: Record<string, number> } {
  const [r, sum] = [before['r']!, before['G']!];
  const active = set.filter(({ g }) => g !== null);
  if (active.length === 0) return { numbers: { r, G: sum }, errors: { r: 0, G: 0 } };
  const { lr, eps, repsRel, initEta, weightDecay } = set[0]!.h as Record<string, number>;
  const isFirst = sum === 0;
  for (const { w, state, updates } of active) if (updates === 0) state['initial'] = [...w];
  const isL2 = variant.decay === undefined;
  let [distances, squares, error, count] = [0, 0, 0, 0];
  for (const { w, g, state } of active)
    for (const i of w.keys()) {
      const grad = g![i]! + (isL2 ? weightDecay! * w[i]! : 0);
      const size = Math.abs(g![i]!) + weightDecay! * Math.abs(w[i]!);
      distances += (isFirst ? w[i]! : w[i]! - state['initial']![i]!) ** 2;
      squares += grad ** 2;
      error += 8 * U * size * Math.abs(grad);
      count++;
    }
  if (variant.G === 'mean of g²') squares /= count;
  const norm = variant.r === 'squared' ? distances : Math.sqrt(distances);
  const start = (variant.r === 'without 1' ? 0 : 1) + norm;
  const hasEta = !Number.isNaN(initEta) && variant.r !== 'from repsRel with initEta';
  const next = isFirst
    ? hasEta
      ? 0
      : repsRel! * start
    : variant.r === 'the present distance'
      ? norm
      : Math.max(r, norm);
  const from = isFirst ? (variant.G === 'without ε' ? 0 : eps!) : variant.G === 'not summed' ? 0 : sum;
  const G = from + squares;
  const under = variant.G === 'before this step' ? from : G;
  let rate =
    (next / (variant.G === 'without the root' ? under : Math.sqrt(under))) * (variant.rate === 'without lr' ? 1 : lr!);
  if (!Number.isNaN(initEta) && (isFirst || variant.rate === 'initEta in every step'))
    rate = initEta! * (variant.rate === 'initEta times lr' ? lr! : 1);
  for (const { w, g } of active)
    for (const i of w.keys()) {
      const grad = g![i]! + (isL2 ? weightDecay! * w[i]! : 0);
      w[i] = w[i]! * (1 - (variant.decay === 'decoupled' ? rate * weightDecay! : 0)) - rate * grad;
    }
  return { numbers: { r: next, G }, errors: { r: 4 * U * next, G: error + 2 ** -45 * G } };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
const create: OneStep['create'] = (params, options) => new DoG(params, options as never);
const defaults = { lr: 1, repsRel: 1e-6, eps: 1e-8, initEta: Number.NaN, weightDecay: 0, layerWise: 0 };

const mistakes = {
  'r from ‖w₀‖ alone': dog({ r: 'without 1' }),
  'r squared': dog({ r: 'squared' }),
  'G before this step': dog({ G: 'before this step' }),
  'the mean of g²': dog({ G: 'mean of g²' }),
  'G without the root': dog({ G: 'without the root' }),
  'G not summed': dog({ G: 'not summed' }),
};

describe('DoG', () => {
  oneStep('defaults', {
    create,
    step: dog(),
    h: defaults,
    options: {},
    wrong: { ...mistakes, 'each param by itself': dog({ scope: 'param' }) },
  });
  oneStep('random gradients, skipped ones, all options', {
    create,
    step: dog(),
    h: { ...defaults, lr: decaying, repsRel: 0.1, eps: 10, weightDecay: 0.3 },
    options: { lr: decaying, repsRel: 0.1, eps: 10, weightDecay: 0.3, maximize: true } as never,
    gradScale: 0.5,
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: {
      ...mistakes,
      'G without ε': dog({ G: 'without ε' }),
      'the present distance': dog({ r: 'the present distance' }),
      'no lr': dog({ rate: 'without lr' }),
      'no decay': dog({ decay: 'none' }),
      'decoupled decay': dog({ decay: 'decoupled' }),
    },
  });
  oneStep('initEta', {
    create,
    step: dog(),
    h: { ...defaults, lr: 0.5, initEta: 0.01 },
    options: { lr: 0.5, initEta: 0.01 } as never,
    wrong: {
      ...Object.fromEntries(Object.entries(mistakes).filter(([name]) => name !== 'r from ‖w₀‖ alone')), // r starts at 0
      'initEta times lr': dog({ rate: 'initEta times lr' }),
      'initEta in every step': dog({ rate: 'initEta in every step' }),
      'r from repsRel': dog({ r: 'from repsRel with initEta' }),
    },
  });
  oneStep('L-DoG, skipped gradients', {
    create,
    step: dog(),
    h: { ...defaults, repsRel: 0.1, layerWise: 1, weightDecay: 0.1 },
    options: { repsRel: 0.1, layerWise: true, weightDecay: 0.1 } as never,
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: { ...mistakes, 'the whole group': dog({ scope: 'group' }) },
  });
});

// What the authors' code gives in float64, for the gradient 2·w: r and G after some steps, and the params at the end.
const published = {
  DoG: {
    options: { repsRel: 1e-2 },
    numbers: {
      1: [0.04905124837953327, 61.00000001],
      2: [0.04905124837953327, 120.47721412295815],
      5: [0.195740058449175, 290.90294411413595],
      10: [0.9048888205811263, 515.529115526673],
      20: [3.4767360103502347, 629.4706192966637],
      50: [3.9051177738276905, 630.2397444990892],
    },
    w: [1.25e-6, 2.49e-6, 3.74e-6],
    v: [-1.25e-6, 6.2e-7],
  },
  'DoG, all options': {
    options: { initEta: 1e-2, lr: 0.5, weightDecay: 0.1, eps: 1 },
    numbers: {
      1: [0, 68.2525],
      2: [0.08200762159702003, 132.71005335249998],
      5: [0.1769348773740726, 319.95317164242954],
      10: [0.4144239387917806, 604.9917449457052],
      20: [1.2608420788972383, 1022.3848027889676],
      50: [3.700681287831905, 1256.405142831799],
    },
    w: [0.04661352, 0.09322704, 0.13984055],
    v: [-0.04661352, 0.02330676],
  },
  'L-DoG': {
    options: { repsRel: 1e-2, layerWise: true },
    numbers: {
      1: [0.04741657386773941, 56.00000001],
      2: [0.04741657386773941, 110.58966074509263],
      5: [0.1891961964447989, 266.946170115929],
      10: [0.8739128180301476, 472.60341559885455],
      20: [3.3375676691659413, 576.0476325356175],
      50: [3.741650883699324, 576.7286278965933],
    },
    w: [1.2e-6, 2.39e-6, 3.59e-6],
    v: [-1.6e-7, 8e-8],
  },
} as const;

describe.each(Object.entries(published))('the published code, %s', (_, { options, numbers, ...at }) => {
  test('gives the same r, G and params', () => {
    const [w, v] = [Float32Array.of(1, 2, 3), Float32Array.of(-1, 0.5)];
    const optimizer = new DoG([w, v], options);
    const found: Record<number, readonly number[]> = {};
    for (let step = 1; step <= 50; step++) {
      optimizer.step([w.map((x) => 2 * x), v.map((x) => 2 * x)]);
      if (step in numbers) found[step] = [optimizer.r, optimizer.G];
    }
    for (const [step, [r, G]] of Object.entries(numbers)) {
      expect(Math.abs(found[Number(step)]![0]! - r)).toBeLessThan(1e-5);
      expect(Math.abs(found[Number(step)]![1]! / G - 1)).toBeLessThan(1e-5);
    }
    for (const [array, values] of [
      [w, at.w],
      [v, at.v],
    ] as const)
      for (const [i, value] of values.entries()) expect(Math.abs(array[i]! - value)).toBeLessThan(1e-5);
  });
});
