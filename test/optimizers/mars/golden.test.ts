import { describe, expect, test } from 'vitest';
import { MARS } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf } from '../../support/golden/one-step.js';
import { onEach } from '../../support/sparse.js';

interface Variant {
  difference?: 'none' | 'from the second step' | 'without β₁/(1−β₁)' | 'the other sign';
  norm?: 'none' | 'always' | 'of all params';
  moments?: 'of g' | 'no bias correction';
  decay?: 'none' | 'L2';
  sign?: 'of x';
}

const normOf = (x: readonly number[]): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

/** Algorithms 2 and 3 and the code of its authors, in float64. */
function mars(variant: Variant = {}): StepOf {
  return ({ params }) => {
    const gradOf = (p: number): number[] => {
      const { w, g, state, h, updates } = params[p]!;
      const { beta1, gamma, weightDecay } = h as Record<string, number>;
      const share = variant.difference === 'without β₁/(1−β₁)' ? 1 : beta1! / (1 - beta1!);
      const sign =
        variant.difference === 'none' || (variant.difference === 'from the second step' && updates === 0)
          ? 0
          : variant.difference === 'the other sign'
            ? -1
            : 1;
      return g!.map((value, i) => {
        const decay = variant.decay === 'L2' ? weightDecay! * w[i]! : 0;
        return value + sign * gamma! * share * (value - state['previousGrad']![i]!) + decay;
      });
    };
    const grads = params.map(({ g }, p) => (g === null ? [] : gradOf(p)));
    for (const [p, { w, g, state, h, updates }] of params.entries()) {
      if (g === null) continue;
      const { lr, beta1, beta2, eps, weightDecay, lion } = h as Record<string, number>;
      const norm = normOf(variant.norm === 'of all params' ? grads.flat() : grads[p]!);
      const divisor = variant.norm === 'none' ? 1 : variant.norm === 'always' ? norm : Math.max(1, norm);
      const [m, s, t] = [state['expAvg']!, state['expAvgSq'], updates + 1];
      for (const i of w.keys()) {
        const x = grads[p]![i]! / divisor;
        m[i] = beta1! * m[i]! + (1 - beta1!) * (variant.moments === 'of g' ? g[i]! : x);
        const kept = w[i]! * (variant.decay === undefined ? 1 - lr! * weightDecay! : 1);
        if (s === undefined || lion === 1) {
          w[i] = kept - lr! * Math.sign(variant.sign === 'of x' ? x : m[i]!);
        } else {
          s[i] = beta2! * s[i]! + (1 - beta2!) * (variant.moments === 'of g' ? g[i]! : x) ** 2;
          const [first, second] =
            variant.moments === 'no bias correction' ? [1, 1] : [1 - beta1! ** t, 1 - beta2! ** t];
          w[i] = kept - (lr! * (m[i]! / first)) / (Math.sqrt(s[i]! / second) + eps!);
        }
        state['previousGrad']![i] = g[i]!;
      }
    }
    return {};
  };
}

const create: OneStep['create'] = (params, options) => new MARS(params, options as never);
const defaults = { lr: 3e-3, beta1: 0.95, beta2: 0.99, eps: 1e-8, gamma: 0.025, weightDecay: 0, lion: 0 };
const decaying = (step: number): number => 0.1 / Math.sqrt(step);
const mistakes = {
  'no correction': mars({ difference: 'none' }),
  'a correction without β₁/(1−β₁)': mars({ difference: 'without β₁/(1−β₁)' }),
  'a correction of the other sign': mars({ difference: 'the other sign' }),
  'not normalized': mars({ norm: 'none' }),
  'the norm of all params': mars({ norm: 'of all params' }),
  'moments of g': mars({ moments: 'of g' }),
};

describe('MARS', () => {
  oneStep('defaults', {
    create,
    step: mars(),
    h: defaults,
    options: {},
    wrong: { ...mistakes, 'no bias correction': mars({ moments: 'no bias correction' }) },
  });
  oneStep('small gradients, skipped ones, all options', {
    create,
    step: mars(),
    h: { ...defaults, lr: decaying, beta1: 0.8, beta2: 0.9, eps: 0.1, gamma: 0.5, weightDecay: 0.3 },
    options: {
      lr: decaying,
      betas: [0.8, 0.9],
      eps: 0.1,
      gamma: 0.5,
      weightDecay: 0.3,
      maximize: true,
    } as never,
    gradScale: 0.1,
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: {
      ...mistakes,
      'always normalized': mars({ norm: 'always' }),
      // Where ‖x‖ > 1, the first correction cancels.
      'a correction from the second step on': mars({ difference: 'from the second step' }),
      'no bias correction': mars({ moments: 'no bias correction' }),
      'no decay': mars({ decay: 'none' }),
      'L2 decay': mars({ decay: 'L2' }),
    },
  });
  oneStep('lion', {
    create,
    step: mars(),
    h: { ...defaults, lr: decaying, weightDecay: 0.1, lion: 1 },
    options: { lr: decaying, weightDecay: 0.1, marsType: 'lion' } as never,
    wrong: { ...mistakes, 'the sign of x': mars({ sign: 'of x' }), 'no decay': mars({ decay: 'none' }) },
  });
});

test('a norm beyond float32 still divides', () => {
  onEach(() => {
    for (const marsType of ['adamw', 'lion'] as const) {
      const w = new Float32Array(4);
      new MARS(w, { lr: 0.1, marsType }).step(new Float32Array(4).fill(3e38));
      for (const x of w) expect(x).toBeCloseTo(-0.1, 3);
    }
  });
});
