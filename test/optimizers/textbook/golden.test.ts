/** One or two steps of every formula, worked by hand. */

import { describe, expect, it } from 'vitest';
import {
  Adadelta,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  AdEMAMix,
  ASGD,
  FTRL,
  Lion,
  NAdam,
  RAdam,
  RMSprop,
  Rprop,
  ScheduleFreeAdamW,
  ScheduleFreeSGD,
  SGD,
} from '../../../lib/index.js';

const of = (...values: number[]): Float32Array => Float32Array.from(values);

/** Relative to the largest number of the case; none has more than 16 roundings. */
function near(actual: Float32Array | undefined, expected: number[]): void {
  expect(actual).toHaveLength(expected.length);
  const tolerance = 16 * 2 ** -24 * Math.max(...expected.map(Math.abs));
  expected.forEach((value, i) => {
    const distance = Math.abs((actual?.[i] ?? Number.NaN) - value);
    expect(distance, `${actual} is not ${expected}`).toBeLessThanOrEqual(tolerance);
  });
}

type Create = (w: Float32Array) => { step(g: Float32Array): unknown };

/** The weight after each step, from `start`. */
function follow(create: Create, grads: number[], start = 0): Float32Array {
  const w = of(start);
  const optimizer = create(w);
  return Float32Array.from(grads, (g) => {
    optimizer.step(of(g));
    return w[0] ?? Number.NaN;
  });
}

function follows(create: Create, grads: number[], expected: number[], start = 0): void {
  near(follow(create, grads, start), expected);
}

const tenthThenHundredth = (step: number): number => (step === 1 ? 0.1 : 0.01);
const halfThenNineTenths = (step: number): number => (step === 1 ? 0.5 : 0.9);

describe('SGD', () => {
  it('steps against the gradient', () => {
    // 1 - 0.1*2 = 0.8; 0.8 - 0.1*(-4) = 1.2
    follows((w) => new SGD(w, { lr: 0.1 }), [2, -4], [0.8, 1.2], 1);
  });

  it('adds L2 decay to the gradient', () => {
    // g = 2 + 0.5*1 = 2.5; 1 - 0.1*2.5 = 0.75
    follows((w) => new SGD(w, { lr: 0.1, weightDecay: 0.5 }), [2], [0.75], 1);
  });

  it('maximizes: turns the gradient, not the decay', () => {
    // g = -2 + 0.5*1 = -1.5; 1 + 0.1*1.5 = 1.15
    follows((w) => new SGD(w, { lr: 0.1, weightDecay: 0.5, maximize: true }), [2], [1.15], 1);
  });

  it('has a velocity', () => {
    // v = -0.1, w = -0.1; v = 0.9*(-0.1) - 0.1 = -0.19, w = -0.29
    follows((w) => new SGD(w, { lr: 0.1, momentum: 0.9 }), [1, 1], [-0.1, -0.29]);
  });

  it('keeps lr inside the velocity, or outside the buffer', () => {
    // v = 0.9*(-0.1) - 0.01*1 = -0.1, w = -0.1 - 0.1
    follows((w) => new SGD(w, { lr: tenthThenHundredth, momentum: 0.9 }), [1, 1], [-0.1, -0.2]);
    // b = 0.9*1 + 1 = 1.9, w = -0.1 - 0.01*1.9
    const buffer = { lr: tenthThenHundredth, momentum: 0.9, momentumForm: 'buffer' } as const;
    follows((w) => new SGD(w, buffer), [1, 1], [-0.1, -0.119]);
  });

  it('uses a new momentum at once', () => {
    // v = -0.1; v = 0.9*(-0.1) - 0.1 = -0.19, w = -0.1 - 0.19
    follows((w) => new SGD(w, { lr: 0.1, momentum: halfThenNineTenths }), [1, 1], [-0.1, -0.29]);
  });

  it('looks ahead with Nesterov', () => {
    // v' = -0.1,                    w = 0 - 0.9*0 + 1.9*(-0.1) = -0.19
    // v' = 0.9*(-0.1) - 0.1 = -0.19, w = -0.19 + 0.9*0.1 - 1.9*0.19 = -0.461
    follows((w) => new SGD(w, { lr: 0.1, momentum: 0.9, nesterov: true }), [1, 1], [-0.19, -0.461]);
  });

  it('looks ahead by the new momentum from a velocity of the old', () => {
    // v' = -0.1,                      w = 0.5*(-0.1) - 0.1 = -0.15
    // v' = 0.5*(-0.1) - 0.1 = -0.15,  w = -0.15 + 0.9*(-0.15) - 0.1 = -0.385
    const options = { lr: 0.1, momentum: halfThenNineTenths, nesterov: true };
    follows((w) => new SGD(w, options), [1, 1], [-0.15, -0.385]);
  });

  it('damps the buffer from the second step on', () => {
    // b = 1, w = -0.1; b = 0.9 + 0.5*1 = 1.4, w = -0.1 - 0.14
    const options = { lr: 0.1, momentum: 0.9, dampening: 0.5, momentumForm: 'buffer' } as const;
    follows((w) => new SGD(w, options), [1, 1], [-0.1, -0.24]);
  });

  it('looks ahead in the buffer form', () => {
    // b = 1, w = -0.1*(1 + 0.9) = -0.19; b = 1.9, w = -0.19 - 0.1*(1 + 0.9*1.9) = -0.461
    const options = { lr: 0.1, momentum: 0.9, nesterov: true, momentumForm: 'buffer' } as const;
    follows((w) => new SGD(w, options), [1, 1], [-0.19, -0.461]);
  });
});

describe('Adagrad', () => {
  it('divides by the root of the sum of squares', () => {
    // s = 9, w = -0.1*3/3; s = 9 + 16 = 25, w = -0.1 - 0.1*4/5
    follows((w) => new Adagrad(w, { lr: 0.1 }), [3, 4], [-0.1, -0.18]);
  });

  it('adds eps outside the root', () => {
    // w = -0.1*3/(3 + 1)
    follows((w) => new Adagrad(w, { lr: 0.1, eps: 1 }), [3], [-0.075]);
  });

  it('decays lr from the second step on', () => {
    // -0.1 - 0.1/(1 + 1*1)*4/5
    follows((w) => new Adagrad(w, { lr: 0.1, lrDecay: 1 }), [3, 4], [-0.1, -0.14]);
  });

  it('starts from initialAccumulatorValue', () => {
    // s = 16 + 9 = 25, w = -0.1*3/5
    follows((w) => new Adagrad(w, { lr: 0.1, initialAccumulatorValue: 16 }), [3], [-0.06]);
  });
});

describe('RMSprop', () => {
  it('divides by the root of the average of squares', () => {
    // s = 0.25*4 = 1, w = -0.1*2/1; s = 0.75*1 + 0.25*1 = 1, w = -0.2 - 0.1*1/1
    follows((w) => new RMSprop(w, { lr: 0.1, alpha: 0.75 }), [2, 1], [-0.2, -0.3]);
  });

  it('adds eps outside the root', () => {
    // w = -0.1*2/(1 + 1)
    follows((w) => new RMSprop(w, { lr: 0.1, alpha: 0.75, eps: 1 }), [2], [-0.1]);
  });

  it('subtracts the square of the average when centered', () => {
    // s = 2, a = 1, √(2 - 1) = 1, w = -0.1*2/1
    // s = 1 + 0.5*2.25 = 2.125, a = 0.5 + 0.75 = 1.25, √(2.125 - 1.5625) = 0.75, w = -0.2 - 0.1*1.5/0.75
    follows((w) => new RMSprop(w, { lr: 0.1, alpha: 0.5, centered: true }), [2, 1.5], [-0.2, -0.4]);
  });

  it('stays finite where a centered square is negative by rounding', () => {
    // the same gradient for ever: s and a² tend to the same number
    const w = follow((w) => new RMSprop(w, { alpha: 0.1, centered: true }), new Array(50).fill(0.7));
    expect(Array.from(w).every(Number.isFinite)).toBe(true);
  });

  it('has momentum, lr outside', () => {
    // b = 2/1, w = -0.1*2; b = 0.5*2 + 1/1 = 2, w = -0.2 - 0.1*2
    follows((w) => new RMSprop(w, { lr: 0.1, alpha: 0.75, momentum: 0.5 }), [2, 1], [-0.2, -0.4]);
    // ... - 0.01*2
    const options = { lr: tenthThenHundredth, alpha: 0.75, momentum: 0.5 };
    follows((w) => new RMSprop(w, options), [2, 1], [-0.2, -0.22]);
  });

  it('has both', () => {
    // b = 2/1, w = -0.2; b = 0.5*2 + 1.5/0.75 = 3, w = -0.2 - 0.3
    const options = { lr: 0.1, alpha: 0.5, centered: true, momentum: 0.5 };
    follows((w) => new RMSprop(w, options), [2, 1.5], [-0.2, -0.5]);
  });
});

describe('Adam', () => {
  it('corrects the bias: the first step is lr, whatever the gradient', () => {
    // m = 0.1g, m̂ = g; s = 0.001g², ŝ = g²; w = -1e-3*g/|g|
    follows((w) => new Adam(w, {}), [50], [-1e-3]);
    // eps beside 0.02: 1e-3*0.02/(0.02 + 1e-8)
    follows((w) => new Adam(w), [-0.02], [1e-3 / (1 + 5e-7)]);
  });

  it('corrects the bias of the second step', () => {
    // m = 0.5, s = 0.25; m̂ = 0.5/0.5 = 1, ŝ = 0.25/0.25 = 1; w = -0.1
    // m = 0.25 - 0.5 = -0.25, s = 0.1875 + 0.25 = 0.4375; m̂ = -0.25/0.75 = -1/3, ŝ = 0.4375/0.4375 = 1; w = -0.1 + 0.1/3
    follows((w) => new Adam(w, { lr: 0.1, betas: [0.5, 0.75] }), [1, -1], [-0.1, -0.1 + 0.1 / 3]);
  });

  it('adds eps outside the root, uncorrected', () => {
    // m̂ = 1, ŝ = 1; w = -0.1*1/(1 + 1)
    follows((w) => new Adam(w, { lr: 0.1, betas: [0.5, 0.75], eps: 1 }), [1], [-0.05]);
  });

  it('does without bias correction', () => {
    // m = 0.25, s = 0.25; w = -0.1*0.25/0.5
    follows((w) => new Adam(w, { lr: 0.1, betas: [0.75, 0.75], biasCorrection: false }), [1], [-0.05]);
  });

  it('takes the maximum before bias correction with amsgrad', () => {
    // m = 1, s = 1 = ŝ; w = -0.1*(1/0.5)/(1/0.5) = -0.1
    // m = 0.5, s = 0.75, ŝ = 1; w = -0.1 - 0.1*(0.5/0.75)/(1/√0.4375) = -0.1 - 0.1*0.6666667*0.6614378
    // (after it: max(1/0.25, 0.75/0.4375) = 4, w = -0.1 - 0.1*0.6666667/2 = -0.1333)
    follows((w) => new Adam(w, { lr: 0.1, betas: [0.5, 0.75], amsgrad: true }), [2, 0], [-0.1, -0.14409585]);
  });

  it('has L2 decay, AdamW a decoupled one', () => {
    // g = 1 + 0.1*1, w = 1 - 0.1
    follows((w) => new Adam(w, { lr: 0.1, weightDecay: 0.1 }), [1], [0.9], 1);
    // w = 1*(1 - 0.1*0.1) - 0.1
    follows((w) => new AdamW(w, { lr: 0.1, weightDecay: 0.1 }), [1], [0.89], 1);
    // the default, 0.01: w = 1*(1 - 0.1*0.01) - 0.1
    follows((w) => new AdamW(w, { lr: 0.1 }), [1], [0.899], 1);
    // no gradient: Adam's g = 0.1, a whole step of lr; AdamW only decays
    follows((w) => new Adam(w, { lr: 0.1, weightDecay: 0.1 }), [0], [0.9], 1);
    follows((w) => new AdamW(w, { lr: 0.1, weightDecay: 0.1 }), [0], [0.99], 1);
  });
});

describe('Adadelta', () => {
  it('steps by the root of u over the root of s', () => {
    // s = 0.5*4 = 2, Δ = 2*√2/√(2 + 2) = √2, w = -√2; u = 0.5*2 = 1
    // s = 1 + 0.5*8 = 5, Δ = √8*√(1 + 2)/√(5 + 2), w = -√2 - 0.1*√(24/7)
    const lr = (step: number): number => (step === 1 ? 1 : 0.1);
    const expected = [-Math.SQRT2, -Math.SQRT2 - 0.1 * Math.sqrt(24 / 7)];
    follows((w) => new Adadelta(w, { lr, rho: 0.5, eps: 2 }), [2, Math.sqrt(8)], expected);
  });
});

describe('Adamax', () => {
  it('divides by the largest gradient, which decays', () => {
    // m = 1, u = max(0, 2) = 2, w = -0.1/0.5*1/2 = -0.1
    // m = 0.5 + 0.25 = 0.75, u = max(0.75*2, 0.5) = 1.5, w = -0.1 - 0.1/0.75*0.75/1.5
    follows((w) => new Adamax(w, { lr: 0.1, betas: [0.5, 0.75], eps: 0 }), [2, 0.5], [-0.1, -0.1 - 0.1 / 1.5]);
    // eps beside |g|: u = 1 + 1
    follows((w) => new Adamax(w, { lr: 0.1, betas: [0.5, 0.75], eps: 1 }), [1], [-0.05]);
  });
});

describe('NAdam', () => {
  it('looks ahead by the momentum of the next step', () => {
    // momentumDecay 0: every μ is 0.8/2 = 0.4. m = 0.2, s = 0.25, √ŝ = 1
    // w = -0.1*(0.6*1/(1 - 0.4) + 0.4*0.2/(1 - 0.16)) = -0.1*(1 + 0.08/0.84)
    // m = 0.16 - 0.2 = -0.04, s = 0.1875 + 0.25 = 0.4375, √ŝ = 1
    // w -= 0.1*(0.6*(-1)/(1 - 0.16) + 0.4*(-0.04)/(1 - 0.064))
    const first = -0.1 * (1 + 0.08 / 0.84);
    const second = first + 0.1 * (0.6 / 0.84 + 0.016 / 0.936);
    follows((w) => new NAdam(w, { lr: 0.1, betas: [0.8, 0.75], momentumDecay: 0 }), [1, -1], [first, second]);
  });

  it('has L2 decay, or a decoupled one', () => {
    // one step of any gradient: the same for g = 1 and for 1 + 0.1*1, and 0.99 of w for the decoupled
    const step = 0.1 * (1 + 0.08 / 0.84);
    const options = { lr: 0.1, betas: [0.8, 0.75], momentumDecay: 0, eps: 0, weightDecay: 0.1 } as const;
    follows((w) => new NAdam(w, options), [1], [1 - step], 1);
    follows((w) => new NAdam(w, { ...options, decoupledWeightDecay: true }), [1], [0.99 - step], 1);
  });
});

describe('RAdam', () => {
  it('begins with momentum', () => {
    // m = 0.5*2, m̂ = 2, w = -0.1*2; m = 0.5 + 0.5*(-1) = 0, w = -0.2
    follows((w) => new RAdam(w, { lr: 0.1, betas: [0.5, 0.999] }), [2, -1], [-0.2, -0.2]);
  });

  it('divides from the sixth step on', () => {
    // the same gradient: m̂ = 2, √ŝ = 2. β₂ = 0.99: ρ∞ = 199, ρ₅ = 4.96, ρ₆ = 5.94
    const power = 0.99 ** 6;
    const rho = 199 - (12 * power) / (1 - power);
    const r = Math.sqrt(((rho - 4) * (rho - 2) * 199) / (195 * 197 * rho));
    const expected = [-0.2, -0.4, -0.6, -0.8, -1, -1 - 0.1 * r];
    follows((w) => new RAdam(w, { lr: 0.1, betas: [0.5, 0.99] }), new Array(6).fill(2), expected);
  });
});

describe('Lion', () => {
  it('steps by the sign of an average that leans to the gradient', () => {
    // c = 0.5*3 > 0, w = -0.1, m = 0.25*3 = 0.75; c = 0.375 - 0.5*0.5 > 0, w = -0.2, m = 0.5625 - 0.125 = 0.4375
    // c = 0.21875 - 0.5 < 0, w = -0.1
    follows((w) => new Lion(w, { lr: 0.1, betas: [0.5, 0.75] }), [3, -0.5, -1], [-0.1, -0.2, -0.1]);
  });

  it('stays where there was no gradient, and decays beside it', () => {
    follows((w) => new Lion(w, { lr: 0.1 }), [0], [1], 1);
    // 1*(1 - 0.1*0.5) - 0.1
    follows((w) => new Lion(w, { lr: 0.1, weightDecay: 0.5 }), [1], [0.85], 1);
  });
});

describe('AdEMAMix', () => {
  it('adds a slow average that is not corrected', () => {
    // m₁ = 0.5, m̂₁ = 1; m₂ = 0.25; √ŝ = 1; w = -0.1*(1 + 2*0.25)
    const options = { lr: 0.1, betas: [0.5, 0.75, 0.75], alpha: 2 } as const;
    follows((w) => new AdEMAMix(w, options), [1], [-0.15]);
    // ... + 0.5*1, from w = 1
    follows((w) => new AdEMAMix(w, { ...options, weightDecay: 0.5 }), [1], [1 - 0.1 * 2], 1);
  });

  it('warms alpha up linearly, and the half-life of β₃', () => {
    // alpha(1) = 2/4; β₃(1) = exp(ln ½ ln ¼ / (½ ln ¼ + ½ ln ½)) = exp(-(4/3) ln 2), but no more than ¼
    const options = { lr: 0.1, betas: [0.5, 0.75, 0.25], alpha: 2, alphaSteps: 4, beta3Steps: 2 } as const;
    follows((w) => new AdEMAMix(w, options), [1], [-0.1 * (1 + 0.5 * 0.75)]);
    // from ¼ to ½: exp(-(4/3) ln 2) at t = 1, ½ at t = 2
    const beta = 2 ** (-4 / 3);
    const slow = 0.5 * (1 - beta) + 0.5;
    const growing = { ...options, betas: [0.25, 0.75, 0.5] } as const;
    const first = -0.1 * (1 + 0.5 * (1 - beta));
    follows((w) => new AdEMAMix(w, growing), [1, 1], [first, first - 0.1 * (1 + slow)]);
  });
});

describe('Rprop', () => {
  it('grows a step while its sign stays, and shrinks it and waits where it turns', () => {
    // -0.1; *2: -0.2; turned: *0.5, waits; after a wait neither: 0.1; 0: stays
    const create: Create = (w) => new Rprop(w, { lr: 0.1, etas: [0.5, 2] });
    follows(create, [3, 1, -5, -1, 0], [-0.1, -0.3, -0.3, -0.2, -0.2]);
  });

  it('keeps step sizes within their limits', () => {
    const create: Create = (w) => new Rprop(w, { lr: 1, etas: [0.5, 2], stepSizes: [0.25, 0.5] });
    // 0.5; 0.5; turned: 0.25; 0.25; turned: 0.25
    follows(create, [1, 1, -1, -1, 1, 1], [-0.5, -1, -1, -0.75, -0.75, -1]);
  });
});

describe('FTRL', () => {
  it('follows the regularized leader', () => {
    // n = 0 + 9, σ = 3/0.5 = 6, z = 3, w = -3/((1 + 3)/0.5) = -0.375
    // n = 25, σ = (5 - 3)/0.5 = 4, z = 3 + 4 + 4*0.375 = 8.5, w = -8.5/((1 + 5)/0.5)
    follows((w) => new FTRL(w, { lr: 0.5, initialAccumulatorValue: 0 }), [3, 4], [-0.375, -8.5 / 12]);
  });

  it('keeps a weight without a gradient, whatever the penalties', () => {
    follows((w) => new FTRL(w, { l1: 0.5, l2: 0.25 }), [0, 0], [-2, -2], -2);
  });

  it('is exactly 0 up to l1, and shrinks what is above', () => {
    // z = 0.5: not above l1; n = 9.25, z = 3.5: -(3.5 - 1)/((1 + √9.25)/0.5)
    const create: Create = (w) => new FTRL(w, { lr: 0.5, initialAccumulatorValue: 0, l1: 1 });
    follows(create, [0.5, 3], [0, -2.5 / ((1 + Math.sqrt(9.25)) / 0.5)]);
    expect(follow(create, [0.5])[0]).toBe(0);
  });

  it('adds l2 to the curvature', () => {
    // -3/((1 + 3)/0.5 + 2)
    follows((w) => new FTRL(w, { lr: 0.5, initialAccumulatorValue: 0, l2: 2 }), [3], [-0.3]);
  });

  it('lets a NaN through', () => {
    expect(follow((w) => new FTRL(w, { l1: 1 }), [Number.NaN])[0]).toBeNaN();
  });
});

describe('ASGD', () => {
  it('steps by the lr of the step before, decayed', () => {
    // w = -0.5*2 = -1; η̃ = 0.5/(1 + 2*0.5*1)^2 = 0.125, w = -1*(1 - 2*0.125) - 0.125*4 = -1.25
    // η̃ = 0.1/(1 + 2*0.1*2)^2 = 0.1/1.96, w = -1.25*(1 - 0.2/1.96)
    const lr = (step: number): number => (step === 1 ? 0.5 : 0.1);
    const expected = [-1, -1.25, -1.25 * (1 - 0.2 / 1.96)];
    follows((w) => new ASGD(w, { lr, lambd: 2, alpha: 2 }), [2, 4, 0], expected);
  });

  it('averages after t0', () => {
    // w: -1, -2, -3, -4; μ after t = 1: 1/max(1, 0), after 2: 1/1, after 3: 1/2
    const w = of(0);
    const asgd = new ASGD(w, { lr: 1, lambd: 0, t0: 1 });
    const averages = [1, 1, 1, 1].map((g) => {
      asgd.step(of(g));
      return (asgd.averagedParams as Float32Array)[0] as number;
    });
    near(Float32Array.from(averages), [-1, -2, -3, -3.5]);
  });
});

describe('ScheduleFree', () => {
  it('takes gradients between the steps and their average', () => {
    // z = 1 - 0.5*2 = 0, c = 1, x = 0, y = 0
    // z = -0.5, c = 1/2, x = -0.25, y = 0.25*(-0.5) + 0.75*(-0.25) = -0.3125
    // z = -1, c = 1/3, x = -0.25*2/3 - 1/3 = -0.5, y = -0.25 - 0.375 = -0.625
    follows((w) => new ScheduleFreeSGD(w, { lr: 0.5, momentum: 0.75 }), [2, 1, 1], [0, -0.3125, -0.625], 1);
  });

  it('weighs each step by the square of the largest lr so far', () => {
    // lr 1: z = -1 = x = y; lr 2: z = -3, c = 4/(1 + 4), x = -0.2 - 2.4 = -2.6, y = -0.75 - 1.95
    // lr 1: z = -4, c = 4/9, x = -2.6*5/9 - 16/9, y = 0.25*z + 0.75*x
    const lr = (step: number): number => (step === 2 ? 2 : 1);
    const x = -(13 + 16) / 9;
    const expected = [-1, -2.7, -1 + 0.75 * x];
    follows((w) => new ScheduleFreeSGD(w, { lr, momentum: 0.75 }), [1, 1, 1], expected);
  });

  it('decays at y', () => {
    // z = 1 - 0.5*(2 + 0.5*1) = -0.25
    follows((w) => new ScheduleFreeSGD(w, { lr: 0.5, weightDecay: 0.5 }), [2], [-0.25], 1);
    // √ŝ = 2: z = 1 - 0.5*(2/2 + 0.5*1) = 0.25
    follows((w) => new ScheduleFreeAdamW(w, { lr: 0.5, weightDecay: 0.5 }), [2], [0.25], 1);
  });

  it('divides by the root of the corrected average of squares', () => {
    // s = 0.25*4, ŝ = 4, z = -0.1; s = 0.75 + 0.25 = 1, ŝ = 1/0.4375, z = -0.1 - 0.1*√0.4375
    // x = (-0.1 + z)/2, y = 0.5*z + 0.5*x
    const z = -0.1 - 0.1 * Math.sqrt(0.4375);
    const expected = [-0.1, 0.5 * z + 0.25 * (z - 0.1)];
    follows((w) => new ScheduleFreeAdamW(w, { lr: 0.1, betas: [0.5, 0.75] }), [2, 1], expected);
  });
});

describe('what all share', () => {
  it('scales, then clips by the norm over all params and groups', () => {
    // 1e-6*(3, 4): norm 5e-6, coefficient 1e-6/(5e-6 + 1e-6) = 1/6; -1*3e-6/6 and -2*4e-6/6
    const a = of(0);
    const b = of(0);
    const groups = [{ params: a }, { params: b, lr: 2 }];
    const { gradNorm } = new SGD(groups, { lr: 1, clipNorm: 1e-6 }).step([of(3), of(4)], { gradScale: 1e-6 });
    near(of(gradNorm ?? Number.NaN), [5e-6]);
    near(a, [-3e-6 / 6]);
    near(b, [(-2 * 4e-6) / 6]);
  });

  it('leaves a short gradient alone', () => {
    const w = of(0, 0);
    const { gradNorm } = new SGD(w, { lr: 1, clipNorm: 6 }).step(of(3, 4));
    expect(gradNorm).toBeCloseTo(5, 12);
    expect(Array.from(w)).toEqual([-3, -4]);
  });

  it('clips values after the norm', () => {
    // norm 5, 1/(5 + 1e-6): g = (0.6, -0.8) to 1e-7, then 0.7: w = -(0.6, -0.7)
    const w = of(0, 0);
    new SGD(w, { lr: 1, clipNorm: 1, clipValue: 0.7 }).step(of(3, -4));
    near(w, [-0.6 * (5 / (5 + 1e-6)), 0.7]);
  });

  it('averages the weights after the update', () => {
    // w: 0 -> -0.1 -> -0.2; ema: 0 -> 0 + 0.5*(-0.1) = -0.05 -> -0.05 + 0.5*(-0.15) = -0.125
    const w = of(0);
    const optimizer = new SGD(w, { lr: 0.1, ema: 0.5 });
    optimizer.step(of(1));
    near(optimizer.emaParams as Float32Array, [-0.05]);
    optimizer.step(of(1));
    near(optimizer.emaParams as Float32Array, [-0.125]);
  });
});
