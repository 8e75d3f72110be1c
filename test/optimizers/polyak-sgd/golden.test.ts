import { describe, expect, test } from 'vitest';
import { PolyakSGD } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf, type Tensor } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  gap?: 'f' | 'at least 0' | 'below 0 too' | 'not negated';
  norm?: '‖g‖' | 'of each param' | 'without eps';
  bound?: 'none' | 'after lr';
  decay?: 'by lr' | 'L2' | 'none' | 'after the step';
  lr?: 'none';
}

/** Equation 2 and optax' polyak_sgd, in float64. */
function polyak(variant: Variant = {}): StepOf {
  return ({ params, numbers, loss }) => {
    const h = params[0]!.h;
    const eps = variant.norm === 'without eps' ? 0 : h['eps']!;
    const f = (variant.gap === 'not negated' ? 1 : h['sign']!) * loss;
    let gap = variant.gap === 'f' ? f : f - h['fMin']!;
    const isClamped = variant.gap === 'at least 0' || (h['plus'] === 1 && variant.gap !== 'below 0 too');
    if (isClamped) gap = Math.max(gap, 0);
    const pull = variant.decay === 'L2' ? h['weightDecay']! : 0;
    const squareOf = ({ w, g }: Tensor): number => (g ?? []).reduce((sum, x, i) => sum + (x + pull * w[i]!) ** 2, 0);
    const all = params.reduce((sum, param) => sum + squareOf(param), 0);
    const stepOf = (square: number): number => {
      const norm = variant.norm === '‖g‖' ? Math.sqrt(square) : square;
      if (norm + eps <= 2 ** -52) return 0;
      const bound = variant.bound === 'none' ? Number.POSITIVE_INFINITY : h['maxLr']!;
      return Math.min(gap / (norm + eps), bound);
    };
    numbers['stepSize'] = stepOf(all);
    for (const param of params) {
      const { w, g, h } = param;
      if (g === null) continue;
      let rate = h['lr']! * (variant.norm === 'of each param' ? stepOf(squareOf(param)) : stepOf(all));
      if (variant.lr === 'none') rate /= h['lr']!;
      const decay = variant.decay === 'none' ? 0 : h['weightDecay']!;
      for (const i of w.keys()) {
        const before = w[i]!;
        if (variant.decay === 'L2') w[i] = before - rate * (g[i]! + decay * before);
        else if (variant.decay === 'after the step') w[i] = (before - rate * g[i]!) * (1 - rate * decay);
        else w[i] = before * (1 - (variant.decay === 'by lr' ? h['lr']! : rate) * decay) - rate * g[i]!;
      }
    }
    // Only gradScale·g is rounded to float32; the sum is in float64.
    return { stepSize: 4 * U * Math.abs(numbers['stepSize']) };
  };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
const create: OneStep['create'] = (params, options) => new PolyakSGD(params, options as never);
const defaults = { lr: 1, maxLr: 1, fMin: 0, eps: 0, weightDecay: 0, plus: 0, sign: 1 };
/** Above and below the bounds of the tests, and below fMin. */
const loss = (step: number): number => [40, 8, 3, 0.2, -1, -30][step % 6]! + 0.01 * step;

const mistakes = {
  'the norm, not its square': polyak({ norm: '‖g‖' }),
  'the norm of each param': polyak({ norm: 'of each param' }),
  'no bound': polyak({ bound: 'none' }),
};

describe('PolyakSGD', () => {
  oneStep('defaults', {
    create,
    step: polyak(),
    h: defaults,
    options: {},
    loss: (step) => 20 * loss(step),
    wrong: { ...mistakes, 'f − fMin at least 0': polyak({ gap: 'at least 0' }) },
  });
  oneStep('all options, skipped gradients', {
    create,
    step: polyak(),
    h: { ...defaults, lr: decaying, maxLr: 0.2, fMin: 0.5, eps: 3, weightDecay: 0.3, plus: 1, sign: -1 },
    options: {
      lr: decaying,
      maxLr: 0.2,
      fMin: 0.5,
      eps: 3,
      weightDecay: 0.3,
      variant: 'sps+',
      maximize: true,
    } as never,
    gradScale: 0.5,
    loss: (step) => -loss(step),
    skips: (step, param) => (step + param) % 4 === 0,
    wrong: {
      ...mistakes,
      'f for f − fMin': polyak({ gap: 'f' }),
      'below fMin uphill': polyak({ gap: 'below 0 too' }),
      'the loss not negated': polyak({ gap: 'not negated' }),
      'no eps': polyak({ norm: 'without eps' }),
      'no lr': polyak({ lr: 'none' }),
      'decay by lr': polyak({ decay: 'by lr' }),
      'L2 decay': polyak({ decay: 'L2' }),
      'no decay': polyak({ decay: 'none' }),
      'decay after the step': polyak({ decay: 'after the step' }),
    },
  });
  oneStep('groups with another lr, one at 0', {
    create: (params, options) =>
      new PolyakSGD(
        params.map((data, p) => ({ params: data, lr: [1, 0, 0.5][p]! })),
        options as never,
      ),
    step: polyak(),
    h: { ...defaults, lr: [1, 0, 0.5] },
    options: {},
    loss,
    wrong: { 'no lr': polyak({ lr: 'none' }) },
  });
});

test('the step is 0 where ‖g‖² is at most 2⁻⁵², and not above', () => {
  for (const [exponent, moves] of [
    [-26, false],
    [-25, true],
  ] as const) {
    const w = Float32Array.of(0);
    const optimizer = new PolyakSGD(w);
    optimizer.step(Float32Array.of(2 ** exponent), { loss: 1 });
    expect(w[0]).toBe(moves ? -(2 ** exponent) : 0);
    expect(optimizer.stepSize).toBe(moves ? 1 : 0);
  }
});

test('a quadratic with its least value known is halved in every step: e = 1/4 where all cᵢ are 1', () => {
  const w = Float32Array.of(1, 2, 3);
  const optimizer = new PolyakSGD(w);
  for (let step = 1; step <= 10; step++) {
    const loss = w.reduce((sum, x) => sum + x * x, 0);
    optimizer.step(
      w.map((x) => 2 * x),
      { loss },
    );
    expect(optimizer.stepSize).toBe(0.25);
    expect(w).toEqual(Float32Array.of(1, 2, 3).map((x) => x / 2 ** step));
  }
});
