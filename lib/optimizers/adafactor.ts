import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Params } from '../core/params.js';
import type { Schedule } from '../core/schedule.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

// All forms have the same, for params of both kinds may be in one group.
const constants = [
  'beta2',
  'oneMinusBeta2',
  'eps1',
  'eps2',
  'clipThreshold',
  'weightDecay',
  'scaleParameter',
  'lr',
  'decayFactor',
  'rate',
  'rootMean',
  'beta1',
  'oneMinusBeta1',
] as const;
type Numbers<C extends readonly string[]> = { readonly [K in keyof C]: number };
type Constants = Numbers<typeof constants>;

function average([beta2, oneMinusBeta2, eps1]: Constants, square: number, before: number): number {
  return f(f(beta2 * before) + f(oneMinusBeta2 * f(square + eps1)));
}

/** The roots one by one: rowAvg · colAvg may leave the range of float32. */
function factored({ 10: rootMean }: Constants, grad: number, rowAvg: number, colAvg: number): number {
  return f(f(grad / f(Math.sqrt(colAvg))) * f(rootMean / f(Math.sqrt(rowAvg))));
}

function step({ 8: decayFactor, 9: rate }: Constants, param: number, direction: number): number {
  return f(decayFactor * param) - f(rate * direction);
}

function stepWithMomentum(
  [, , , , , , , , decayFactor, rate, , beta1, oneMinusBeta1]: Constants,
  param: number,
  direction: number,
  expAvg: Float32Array,
  i: number,
): number {
  expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * f(rate * direction));
  return f(decayFactor * param) - expAvg[i]!;
}

function resolve(of: Constants, weights: number, updates: number, length: number): Constants {
  const [beta2, oneMinusBeta2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, , , ...rest] = of;
  const root = Math.sqrt(length);
  const rms = weights / root;
  const excess = updates / root / clipThreshold;
  const full = lr * (scaleParameter === 0 ? 1 : rms > eps2 ? rms : eps2);
  const decayFactor = 1 - full * weightDecay;
  const rate = excess > 1 ? full / excess : full;
  return [beta2, oneMinusBeta2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, decayFactor, rate, ...rest];
}

function resolveMean(of: Constants, mean: number): Constants {
  const [b2, c2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, decayFactor, rate, , b1, c1] = of;
  const rootMean = Math.sqrt(mean);
  return [b2, c2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, decayFactor, rate, rootMean, b1, c1];
}

type Measure = (i: number, param: number, grad: number, out: Float64Array) => void;

/** The first walk, whether the update is averaged or not: without a shape. */
const elementNorms = {
  measure(of: Constants, [squareAvg]: readonly [Float32Array, ...Float32Array[]]): Measure {
    return (i, param, grad, out) => {
      squareAvg[i] = average(of, f(grad * grad), squareAvg[i]!);
      out[0] = param;
      out[1] = grad / f(Math.sqrt(squareAvg[i]!));
    };
  },
  resolve,
};

/** The same with a shape. */
const factoredNorms = {
  resolveMean,
  measure(of: Constants, [rowAvg, colAvg]: readonly [Float32Array, Float32Array, ...Float32Array[]]): Measure {
    return (i, param, grad, out) => {
      out[0] = param;
      out[1] = factored(of, grad, rowAvg[0]!, colAvg[i]!);
    };
  },
  resolve,
};

export const adafactor = {
  name: 'Adafactor',
  reference:
    'Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, Algorithms 4 and 5, https://arxiv.org/abs/1804.04235',
  formula: [
    'β₂ = 1 − t^decayRate;  q = g² + ε₁',
    'with a shape: R ← β₂·R + (1−β₂)·mean of each row of q;  C ← the same of each column;  V = R·Cᵀ/mean(R)',
    'without: V ← β₂·V + (1−β₂)·q',
    'u = g/√V;  u ← u/max(1, RMS(u)/clipThreshold)',
    'α = ρ·max(ε₂, RMS(w)), or ρ without scaleParameter;  ρ = lr, or min(1e-2, 1/√t); warmupInit: min(1e-6·t, 1/√t)',
    'w ← w·(1 − α·λ) − α·u;  beta1: the moving average of α·u takes its place',
  ],
  decay: 'none',
  denseOnly: 'Adafactor needs the norm of the whole update',
  hyperParameters: {
    /** Learning rate; turns relativeStep off. */
    lr: { range: '[0, inf)' },
    /** Added to g². */
    eps1: { default: 1e-30, range: '(0, inf)' },
    /** The least that the root mean square of the weights counts as. */
    eps2: { default: 1e-3, range: '[0, inf)' },
    /** The most that the root mean square of the update may be. */
    clipThreshold: { default: 1, range: '(0, inf)' },
    /** Power of t in the decay rate of the averages of squares. */
    decayRate: {
      default: -0.8,
      range: '(-inf, 0]',
    },
    /** Decay rate of the moving average of the update. */
    beta1: { range: '[0, 1)' },
    /** Scale the rate by the root mean square of the weights. */
    scaleParameter: { default: true },
    /** A rate of min(1e-2, 1/√t), as long as there is no lr. */
    relativeStep: { default: true },
    /** Let that rate grow from 0, as 1e-6·t. */
    warmupInit: { default: false },
    /** Decoupled decay, by the full rate. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adafactor: kernel({
      state: ['squareAvg'],
      constants,
      norms: elementNorms,
      reference:
        (of, [squareAvg]) =>
        (i, param, grad) =>
          step(of, param, f(grad / f(Math.sqrt(squareAvg[i]!)))),
    }),
    'adafactor-momentum': kernel({
      state: ['squareAvg', 'expAvg'],
      constants,
      norms: elementNorms,
      reference:
        (of, [squareAvg, expAvg]) =>
        (i, param, grad) =>
          stepWithMomentum(of, param, f(grad / f(Math.sqrt(squareAvg[i]!))), expAvg, i),
    }),
    'adafactor-factored': kernel({
      state: ['rowAvg', 'colAvg'],
      layout: { rowAvg: 'row', colAvg: 'column' },
      constants,
      accumulate: (of) => (meanSquare, before) => average(of, meanSquare, before),
      norms: factoredNorms,
      reference:
        (of, [rowAvg, colAvg]) =>
        (i, param, grad) =>
          step(of, param, factored(of, grad, rowAvg[0]!, colAvg[i]!)),
    }),
    'adafactor-factored-momentum': kernel({
      state: ['rowAvg', 'colAvg', 'expAvg'],
      layout: { rowAvg: 'row', colAvg: 'column' },
      constants,
      accumulate: (of) => (meanSquare, before) => average(of, meanSquare, before),
      norms: factoredNorms,
      reference:
        (of, [rowAvg, colAvg, expAvg]) =>
        (i, param, grad) =>
          stepWithMomentum(of, param, factored(of, grad, rowAvg[0]!, colAvg[i]!), expAvg, i),
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adafactor}. @interface */
export type AdafactorOptions = OptionsOf<typeof adafactor>;
type Now = ResolvedOf<typeof adafactor>;

function relativeRate(warmupInit: boolean, t: number): number {
  return Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t));
}

/**
 * Adafactor: for a param with a shape, keeps the means of g² of each row and each column instead of one number an
 * element; its rate follows t and the size of the weights, and its update is clipped. Little memory for large matrices.
 *
 * ```
 * β₂ = 1 − t^decayRate;  q = g² + ε₁
 * with a shape: R ← β₂·R + (1−β₂)·mean of each row of q;  C ← the same of each column;  V = R·Cᵀ/mean(R)
 * without:      V ← β₂·V + (1−β₂)·q
 * u = g/√V;     u ← u/max(1, RMS(u)/clipThreshold)
 * α = ρ·max(ε₂, RMS(w));  w ← w·(1 − α·λ) − α·u
 * ```
 * ρ is lr where it is given; otherwise min(1e-2, 1/√t), or with `warmupInit` min(1e-6·t, 1/√t): t counts the param's
 * steps. Without `scaleParameter`, α is ρ. With `beta1`, w takes the moving average of α·u, which is one number an element.
 * Sparse gradients are refused: the means and norms are those of the whole param.
 *
 * Options: `lr` (none, [0, ∞)), `eps1` (1e-30, (0, ∞)), `eps2` (1e-3), `clipThreshold` (1, (0, ∞)), `decayRate` (−0.8,
 * (−∞, 0]), `beta1` (none, [0, 1)), `scaleParameter` (true), `relativeStep` (true; off where lr is given), `warmupInit`
 * (false), `weightDecay` (0, decoupled, by the full rate α), `maximize` (false), `clipValue`; for all groups together
 * `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`, `gradNorm`, `flushDenormals`. State: `rowAvg` of the length of the rows and
 * `colAvg` of the columns, or without a shape `squareAvg`; with `beta1` `expAvg`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range, overlapping params, or
 *   neither lr nor relativeStep
 * @example
 * ```ts
 * import { Adafactor } from 'schuss';
 * const w = new Float32Array([3, 4, 3, 4, 3, 4]);
 * const adafactor = new Adafactor({ data: w, shape: [2, 3] }, { lr: 0.1, scaleParameter: false });
 * adafactor.step(new Float32Array([1, 1, 1, 1, 1, 1])); // w is [2.9, 3.9, 2.9, 3.9, 2.9, 3.9]
 * ```
 * @see Shazeer & Stern 2018, Algorithms 4 and 5, https://arxiv.org/abs/1804.04235
 */
export class Adafactor extends Optimizer<typeof adafactor> {
  static readonly optimizerName: string = adafactor.name;
  static readonly defaults: AdafactorOptions = defaultsOf(adafactor);

  constructor(params: Params<GroupOptionsOf<typeof adafactor>>, options: AdafactorOptions = {}) {
    super(adafactor, params, options);
  }

  /** ρ of group 0 in the next step: lr, or what relativeStep gives a param that has taken all steps. */
  override get lr(): number {
    const given = super.lr as number | undefined;
    return given ?? relativeRate(this.paramGroups[0]!.warmupInit, this.stepCount + 1);
  }

  override set lr(value: number | Schedule) {
    super.lr = value;
  }

  protected override conflict({ lr, relativeStep }: Now): readonly [string, string, string] | undefined {
    return lr === undefined && !relativeStep
      ? ['lr', 'undefined', 'a number or a Schedule, or relativeStep']
      : undefined;
  }

  protected override kernel({ beta1 }: Now, hasShape: boolean): string {
    return `adafactor${hasShape ? '-factored' : ''}${beta1 === undefined ? '' : '-momentum'}`;
  }

  protected override constants(now: Now, t: number): number[] {
    const { lr, eps1, eps2, clipThreshold, decayRate, beta1 = 0, scaleParameter, warmupInit, weightDecay } = now;
    const oneMinusBeta2 = t ** decayRate;
    const rho = lr ?? relativeRate(warmupInit, t);
    const scale = scaleParameter ? 1 : 0;
    return [
      1 - oneMinusBeta2,
      oneMinusBeta2,
      eps1,
      eps2,
      clipThreshold,
      weightDecay,
      scale,
      rho,
      1,
      0,
      0,
      beta1,
      1 - beta1,
    ];
  }
}
