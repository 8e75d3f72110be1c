import { describe, expect, test } from 'vitest';
import { DoWG } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  r?: 'the present distance' | 'not squared' | 'from ε' | 'of the first param';
  G?: 'not weighted' | 'before this step' | 'not summed' | 'of the first param' | 'weighted by the old r²';
  rate?: 'without lr' | 'ε in the root' | 'without the root';
  decay?: 'decoupled' | 'none';
}

/** Algorithm 1 with the options of optax, in float64. */
function dowg(variant: Variant = {}): StepOf {
  return ({ params, numbers }) => {
    const { lr, eps, initial: given, weightDecay } = params[0]!.h as Record<string, number>;
    const start = Number.isNaN(given) || variant.r === 'from ε' ? eps! : given!;
    const old = numbers['r'] === 0 ? start : numbers['r']! ** 2;
    const isL2 = variant.decay === undefined;
    const [sumBefore] = [numbers['G']!];
    let [distances, squares, error] = [0, 0, 0];
    for (const [p, { w, g, state, updates }] of params.entries()) {
      if (g === null) continue;
      if (updates === 0) state['initial'] = [...w];
      for (const i of w.keys()) {
        const grad = g[i]! + (isL2 ? weightDecay! * w[i]! : 0);
        const size = Math.abs(g[i]!) + weightDecay! * Math.abs(w[i]!);
        if (variant.r !== 'of the first param' || p === 0) distances += (w[i]! - state['initial']![i]!) ** 2;
        if (variant.G !== 'of the first param' || p === 0) squares += grad ** 2;
        error += 8 * U * size * Math.abs(grad);
      }
    }
    const square = variant.r === 'the present distance' && distances > 0 ? distances : Math.max(old, distances);
    const weight =
      variant.G === 'not weighted'
        ? 1
        : variant.G === 'weighted by the old r²'
          ? old
          : variant.r === 'not squared'
            ? Math.sqrt(square)
            : square;
    const from = variant.G === 'not summed' ? 0 : sumBefore;
    const G = from + weight * squares;
    Object.assign(numbers, { r: Math.sqrt(square), G });
    const under = variant.G === 'before this step' ? from : G;
    const root =
      variant.rate === 'ε in the root'
        ? Math.sqrt(under + eps!)
        : variant.rate === 'without the root'
          ? under + eps!
          : Math.sqrt(under) + eps!;
    const rate =
      ((variant.rate === 'without lr' ? 1 : lr!) * (variant.r === 'not squared' ? Math.sqrt(square) : square)) / root;
    for (const { w, g } of params) {
      if (g === null) continue;
      for (const i of w.keys()) {
        const grad = g[i]! + (isL2 ? weightDecay! * w[i]! : 0);
        w[i] = w[i]! * (1 - (variant.decay === 'decoupled' ? rate * weightDecay! : 0)) - rate * grad;
      }
    }
    return { r: 4 * U * Math.sqrt(square), G: square * (error + 8 * U * squares) + 2 ** -45 * G };
  };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
const create: OneStep['create'] = (params, options) => new DoWG(params, options as never);
const defaults = { lr: 1, eps: 1e-4, initial: Number.NaN, weightDecay: 0 };

const mistakes = {
  'r, not r²': dowg({ r: 'not squared' }),
  'r of the first param': dowg({ r: 'of the first param' }),
  'G not weighted': dowg({ G: 'not weighted' }),
  'G before this step': dowg({ G: 'before this step' }),
  'G not summed': dowg({ G: 'not summed' }),
  'G of the first param': dowg({ G: 'of the first param' }),
  'G weighted by the old r²': dowg({ G: 'weighted by the old r²' }),
  'no root': dowg({ rate: 'without the root' }),
};

describe('DoWG', () => {
  oneStep('defaults', { create, step: dowg(), h: defaults, options: {}, wrong: mistakes });
  oneStep('random gradients, skipped ones, all options', {
    create,
    step: dowg(),
    h: { ...defaults, lr: decaying, eps: 0.5, initial: 0.04, weightDecay: 0.3 },
    options: { lr: decaying, eps: 0.5, initEstimSqDist: 0.04, weightDecay: 0.3, maximize: true } as never,
    gradScale: 0.5,
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: {
      ...mistakes,
      'the present distance': dowg({ r: 'the present distance' }),
      'r² from ε': dowg({ r: 'from ε' }),
      'ε in the root': dowg({ rate: 'ε in the root' }),
      'no lr': dowg({ rate: 'without lr' }),
      'no decay': dowg({ decay: 'none' }),
      'decoupled decay': dowg({ decay: 'decoupled' }),
    },
  });
});

// By hand: w = 8 with the gradient w, r² from 1 and ε = 1.
test('two steps by hand', () => {
  const w = Float32Array.of(8);
  const optimizer = new DoWG(w, { eps: 1, initEstimSqDist: 1 });
  optimizer.step(Float32Array.of(7)); // G = 49, rate 1/8
  expect([...w, optimizer.r, optimizer.G]).toEqual([8 - 7 / 8, 1, 49]);
  w[0] = 6; // a distance of 2
  optimizer.step(Float32Array.of(2)); // G = 49 + 4·4 = 65
  expect([optimizer.r, optimizer.G]).toEqual([2, 65]);
  expect(w[0]).toBe(Math.fround(6 - Math.fround(Math.fround(4 / (Math.sqrt(65) + 1)) * 2)));
});
