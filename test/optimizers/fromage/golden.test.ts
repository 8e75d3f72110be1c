import { describe, expect, test } from 'vitest';
import { Fromage } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf } from '../../support/golden/one-step.js';
import { onEach } from '../../support/sparse.js';

const U = 2 ** -24;

interface Variant {
  ratio?: 'inverse' | 'squared' | 'none' | 'of all params';
  shrink?: 'none' | 'without the root' | 'before the step';
  bound?: 'none' | 'of the present norm' | 'pBound alone';
}

const normOf = (x: readonly number[]): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

/** Algorithm 1 and the code of its authors, in float64. */
function fromage(variant: Variant = {}): StepOf {
  return ({ params, numbers }) => {
    let error = 0;
    const all = params.filter(({ g }) => g !== null);
    for (const [p, { w, g, own, h, updates }] of params.entries()) {
      if (g === null) continue;
      const [norm, gradNorm] =
        variant.ratio === 'of all params'
          ? [normOf(all.flatMap((param) => param.w)), normOf(all.flatMap((param) => param.g!))]
          : [normOf(w), normOf(g)];
      const [lr, pBound] = [h['lr']!, h['pBound']!];
      const first = updates === 0 ? normOf(w) : own['initialNorm']!;
      if (p === 0) {
        numbers['initialNorm'] = first;
        error = 4 * U * first;
      }
      let r = norm > 0 && gradNorm > 0 && variant.ratio !== 'none' ? norm / gradNorm : 1;
      if (variant.ratio === 'inverse') r = 1 / r;
      if (variant.ratio === 'squared') r **= 2;
      const root =
        variant.shrink === 'none' ? 1 : variant.shrink === 'without the root' ? 1 + lr ** 2 : Math.sqrt(1 + lr ** 2);
      for (const i of w.keys())
        w[i] = variant.shrink === 'before the step' ? w[i]! / root - lr * r * g[i]! : (w[i]! - lr * r * g[i]!) / root;
      if (Number.isNaN(pBound) || variant.bound === 'none') continue;
      const most =
        variant.bound === 'pBound alone' ? pBound : pBound * (variant.bound === 'of the present norm' ? norm : first);
      const factor = Math.min(1, most / normOf(w));
      for (const i of w.keys()) w[i] = w[i]! * factor;
    }
    return { initialNorm: error };
  };
}

const create: OneStep['create'] = (params, options) => new Fromage(params, options as never);
const mistakes = {
  'r inverse': fromage({ ratio: 'inverse' }),
  'r squared': fromage({ ratio: 'squared' }),
  'no r': fromage({ ratio: 'none' }),
  'r of all params': fromage({ ratio: 'of all params' }),
  'not shrunk': fromage({ shrink: 'none' }),
  'shrunk without the root': fromage({ shrink: 'without the root' }),
};

describe('Fromage', () => {
  oneStep('defaults, a param of 0', {
    create,
    step: fromage(),
    h: { lr: 1e-2, pBound: Number.NaN },
    options: {},
    wrong: mistakes,
  });
  oneStep('pBound, a schedule, skipped gradients', {
    create,
    step: fromage(),
    h: { lr: (step) => 1 / Math.sqrt(step), pBound: 1.1 },
    options: { lr: (step: number) => 1 / Math.sqrt(step), pBound: 1.1, maximize: true } as never,
    gradScale: 0.5,
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: {
      ...mistakes,
      'shrunk before the step': fromage({ shrink: 'before the step' }),
      'no bound': fromage({ bound: 'none' }),
      'a bound from the present norm': fromage({ bound: 'of the present norm' }),
      'pBound alone': fromage({ bound: 'pBound alone' }),
    },
  });
});

test('the first norm is a number of the state, and a resumed run keeps to its bound', () => {
  const w = Float32Array.of(3, 4);
  const optimizer = new Fromage({ w }, { lr: 0.5, pBound: 1 });
  optimizer.step({ w: Float32Array.of(1, 0) });
  expect(optimizer.stateDict().state['w']).toEqual({ step: 1, initialNorm: 5 });
  const again = w.slice();
  const resumed = new Fromage({ w: again }, { lr: 0.5, pBound: 1 });
  resumed.loadStateDict(optimizer.stateDict());
  // Away from 0, so that the norm would grow by a tenth.
  for (const [o, params] of [[optimizer, w] as const, [resumed, again] as const])
    for (let step = 0; step < 20; step++) o.step({ w: params.map((x) => -x) });
  expect(again).toEqual(w);
  expect(Math.hypot(...w)).toBeCloseTo(5, 5);
});

test('a denormal gradient moves no weight to infinity', () => {
  onEach(() => {
    const w = Float32Array.of(1, 2);
    new Fromage(w, { lr: 0.01 }).step(Float32Array.of(1e-42, 0));
    // The direction is kept, and r is the largest float32.
    expect(Array.from(w).every(Number.isFinite)).toBe(true);
    expect(w[0]).toBeLessThan(1);
    expect(w[1]).toBeCloseTo(2, 3);
  });
});
