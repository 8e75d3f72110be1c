import { describe, expect, test } from 'vitest';
import { Momo, MomoAdam } from '../../../lib/index.js';
import { type OneStep, oneStep, type StepOf, type Whole } from '../../support/golden/one-step.js';

const U = 2 ** -24;

interface Variant {
  start?: 'from 0';
  gamma?: 'of m' | 'none';
  product?: 'none';
  square?: 'of g' | 'of each param' | 'of m';
  bound?: 'none';
  lower?: 'none' | 'not corrected';
  clamp?: 'none';
  decay?: 'none' | 'outside the division' | 'not in τ' | 'L2';
  order?: 'w after decay';
  corrected?: 'not s' | 'not lr';
  loss?: 'not negated' | 'not averaged';
}

/** Algorithms 2 and 3 and the code of their authors, in float64. */
function momo(isAdam: boolean, variant: Variant = {}): StepOf {
  return ({ params, numbers, loss, step }: Whole) => {
    const first = params[0]!.h;
    const objective = (variant.loss === 'not negated' ? 1 : first['sign']!) * loss;
    const starts = !isAdam && step === 1 && variant.start !== 'from 0';
    const isCorrected = isAdam && variant.corrected !== 'not lr';
    const correction = isCorrected ? 1 - first['beta1']! ** step : 1;
    let [gradient, product, square, gradientSize, productSize] = [0, 0, 0, 0, 0];
    const squares: number[] = [];
    const directions: number[][] = [];
    for (const { w, g, state, h } of params) {
      const before = square;
      const [m, s] = [state['expAvg']!, state['expAvgSq']];
      const beta = starts ? 0 : h['beta1']!;
      const direction: number[] = [];
      directions.push(direction);
      for (const i of g === null ? [] : w.keys()) {
        const grad = g![i]! + (variant.decay === 'L2' ? h['weightDecay']! * w[i]! : 0);
        m[i] = beta * m[i]! + (1 - beta) * grad;
        let d = m[i]!;
        if (s !== undefined) {
          s[i] = h['beta2']! * s[i]! + (1 - h['beta2']!) * grad * grad;
          const corrected = variant.corrected === 'not s' ? s[i]! : s[i]! / (1 - h['beta2']! ** step);
          d = m[i]! / (Math.sqrt(corrected) + h['eps']!);
        }
        direction.push(d);
        const by = variant.order === 'w after decay' ? w[i]! / (1 + h['lr']! * h['weightDecay']!) : w[i]!;
        gradient += (variant.gamma === 'of m' ? m[i]! : grad) * by;
        gradientSize += Math.abs(grad * w[i]!);
        product += m[i]! * by;
        productSize += Math.abs(m[i]! * w[i]!) + Math.abs((1 - beta) * grad * w[i]!);
        square += variant.square === 'of g' ? grad * grad : variant.square === 'of m' ? m[i]! * m[i]! : m[i]! * d;
      }
      squares.push(square - before);
    }
    const beta = starts ? 0 : first['beta1']!;
    const { lossAvg, gamma } = numbers as { lossAvg: number; gamma: number };
    const average = variant.loss === 'not averaged' ? objective : beta * lossAvg + (1 - beta) * objective;
    numbers['lossAvg'] = average;
    numbers['gamma'] = variant.gamma === 'none' ? 0 : beta * gamma + (1 - beta) * gradient;
    const lower =
      variant.lower === 'none' ? 0 : first['lowerBound']! * (variant.lower === 'not corrected' ? 1 : correction);
    const errors = {
      lossAvg: 2 ** -50 * (Math.abs(average) + Math.abs(objective)),
      gamma: 4 * U * (1 - beta) * gradientSize + 2 ** -40 * Math.abs(numbers['gamma']),
    };
    for (const [p, param] of params.entries()) {
      const { w, g, h } = param;
      if (g === null) continue;
      const ofDecay = variant.decay === 'none' || variant.decay === 'L2' ? 1 : 1 + h['lr']! * h['weightDecay']!;
      const inTau = variant.decay === 'not in τ' ? 1 : ofDecay;
      const descent = inTau * (average - lower - numbers['gamma']) + (variant.product === 'none' ? 0 : product);
      const size = variant.square === 'of each param' ? squares[p]! : square;
      const limit = variant.bound === 'none' ? Number.POSITIVE_INFINITY : h['lr']! / correction;
      const wanted = (variant.clamp === 'none' ? descent : Math.max(descent, 0)) / size;
      const tau = size === 0 ? 0 : Math.min(limit, wanted);
      // How far τ may be off: its sums are of float32 products' factors. 0 where it is the limit by far, or 0 by far.
      const descentError = 6 * U * (productSize + inTau * gradientSize) + inTau * errors.gamma;
      const tauError = descentError / size + 16 * U * Math.abs(wanted);
      const isSure = wanted - tauError > limit || (tau === 0 && descent < -descentError);
      param.errors = {
        w: [...w.keys()].map((i) => (isSure ? 0 : tauError * Math.abs(directions[p]![i]!))),
      };
      for (const i of w.keys()) {
        const move = tau * directions[p]![i]!;
        w[i] = variant.decay === 'outside the division' ? w[i]! / ofDecay - move : (w[i]! - move) / ofDecay;
      }
    }
    return errors;
  };
}

const decaying = (step: number): number => 1 / Math.sqrt(step);
/** Losses for which τ is the limit, less, and 0. */
const loss = (step: number): number => 8 * Math.cos(step / 5) + 2;
const towardsOne = (w: Float32Array, step: number): Float32Array =>
  w.map((x, i) => 0.2 * (1 + (i % 5)) * (x - 1) + 0.1 * Math.sin(step + i));

const momoDefaults = { lr: 1, beta1: 0.9, lowerBound: 0, weightDecay: 0, sign: 1 };
const adamDefaults = { ...momoDefaults, lr: 1e-2, beta2: 0.999, eps: 1e-8 };

for (const isAdam of [false, true]) {
  const create: OneStep['create'] = (params, options) =>
    isAdam ? new MomoAdam(params, options as never) : new Momo(params, options as never);
  const wrong = (variant: Variant): StepOf => momo(isAdam, variant);
  const mistakes = {
    'γ of m': wrong({ gamma: 'of m' }),
    'no γ': wrong({ gamma: 'none' }),
    'no ⟨m, w⟩': wrong({ product: 'none' }),
    'the square of g': wrong({ square: 'of g' }),
    'the square of each param': wrong({ square: 'of each param' }),
    'no bound': wrong({ bound: 'none' }),
    'the loss not averaged': wrong({ loss: 'not averaged' }),
    'τ below 0': wrong({ clamp: 'none' }),
    ...(isAdam
      ? {
          '‖m‖²': wrong({ square: 'of m' }),
          's not corrected': wrong({ corrected: 'not s' }),
          'lr not corrected': wrong({ corrected: 'not lr' }),
        }
      : { 'averages from 0': wrong({ start: 'from 0' }) }),
  };
  describe(isAdam ? 'MomoAdam' : 'Momo', () => {
    oneStep('defaults, on a valley', {
      create,
      step: momo(isAdam),
      h: isAdam ? adamDefaults : momoDefaults,
      options: {},
      gradientOf: towardsOne,
      loss: (step) => (isAdam ? 0.05 : 20) * loss(step),
      wrong: mistakes,
    });
    oneStep('all options, skipped gradients', {
      create,
      step: momo(isAdam),
      h: {
        ...(isAdam ? adamDefaults : momoDefaults),
        lr: decaying,
        beta1: 0.5,
        ...(isAdam ? { beta2: 0.9, eps: 0.1 } : {}),
        lowerBound: -1,
        weightDecay: 0.3,
        sign: -1,
      },
      options: {
        lr: decaying,
        ...(isAdam ? { betas: [0.5, 0.9], eps: 0.1 } : { beta: 0.5 }),
        lowerBound: -1,
        weightDecay: 0.3,
        maximize: true,
      } as never,
      gradScale: 0.5,
      gradientOf: (w, step) => towardsOne(w, step).map((g) => -2 * g),
      loss: (step) => -loss(step),
      skips: (step, param) => (step + param) % 4 === 0,
      wrong: {
        ...mistakes,
        'no lower bound': wrong({ lower: 'none' }),
        ...(isAdam ? { 'the lower bound not corrected': wrong({ lower: 'not corrected' }) } : {}),
        'the loss not negated': wrong({ loss: 'not negated' }),
        'no decay': wrong({ decay: 'none' }),
        'L2 decay': wrong({ decay: 'L2' }),
        'decay outside the division, as optax': wrong({ decay: 'outside the division' }),
        'decay not in τ': wrong({ decay: 'not in τ' }),
        'products with w after decay': wrong({ order: 'w after decay' }),
      },
    });
  });
}

test('without gradients nothing but the decay moves: τ is 0', () => {
  for (const optimizer of [
    (w: Float32Array) => new Momo(w, { weightDecay: 1 }),
    (w: Float32Array) => new MomoAdam(w, { lr: 1, weightDecay: 1 }),
  ]) {
    const w = Float32Array.of(1, 2);
    optimizer(w).step(new Float32Array(2), { loss: 1 });
    expect(w).toEqual(Float32Array.of(0.5, 1));
  }
});

test('MomoAdam squares gradients whose square is beyond float32', () => {
  const w = Float32Array.of(0, 0);
  const optimizer = new MomoAdam({ w }, { lr: 1e-2 });
  optimizer.step({ w: Float32Array.of(2e19, -3e19) }, { loss: 1e30 });
  const { expAvgSq } = optimizer.stateDict().state['w'] as unknown as { expAvgSq: Float32Array };
  for (const [i, g] of [2e19, 3e19].entries()) expect(expAvgSq[i]! / (1e-3 * g * g)).toBeCloseTo(1, 6);
  expect(w[0]).toBeCloseTo(-1e-2, 8);
  expect(w[1]).toBeCloseTo(1e-2, 8);
});
