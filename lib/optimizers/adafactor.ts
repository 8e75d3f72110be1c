import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import type { Schedule } from '../core/schedule.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

// All four kernels share one list, because a group may hold params with and without a shape.
const constantNames = [
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
type NumbersFor<Names extends readonly string[]> = { readonly [I in keyof Names]: number };
type Constants = NumbersFor<typeof constantNames>;

/** A copy of a constants row with some values replaced. */
function replaced(
  constants: Constants,
  values: { readonly [N in (typeof constantNames)[number]]?: number },
): Constants {
  return constantNames.map((name, i) => values[name] ?? constants[i]) as unknown as Constants;
}

function average([beta2, oneMinusBeta2, eps1]: Constants, square: number, before: number): number {
  return f(f(beta2 * before) + f(oneMinusBeta2 * f(square + eps1)));
}

/** Takes the two roots separately, because rowAvg · colAvg may leave the range of float32. */
function factoredDirection({ 10: rootMean }: Constants, grad: number, rowAvg: number, colAvg: number): number {
  return f(f(grad / f(Math.sqrt(colAvg))) * f(rootMean / f(Math.sqrt(rowAvg))));
}

function step({ 8: decayFactor, 9: rate }: Constants, param: number, direction: number): number {
  return f(decayFactor * param) - f(rate * direction);
}

function stepWithMomentum(
  { 8: decayFactor, 9: rate, 11: beta1, 12: oneMinusBeta1 }: Constants,
  param: number,
  direction: number,
  expAvg: Float32Array,
  i: number,
): number {
  expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * f(rate * direction));
  return f(decayFactor * param) - expAvg[i]!;
}

function resolve(constants: Constants, paramNorm: number, updateNorm: number, length: number): Constants {
  const [, , , eps2, clipThreshold, weightDecay, scaleParameter, lr] = constants;
  const root = Math.sqrt(length);
  const paramRms = paramNorm / root;
  const excess = updateNorm / root / clipThreshold;
  const alpha = lr * (scaleParameter === 0 ? 1 : paramRms > eps2 ? paramRms : eps2);
  return replaced(constants, { decayFactor: 1 - alpha * weightDecay, rate: excess > 1 ? alpha / excess : alpha });
}

type Measure = (i: number, param: number, grad: number, out: Float64Array) => void;

/** Norms of a param without a shape; its walk also updates squareAvg. */
const elementNorms = {
  measure(constants: Constants, [squareAvg]: readonly [Float32Array, ...Float32Array[]]): Measure {
    return (i, param, grad, out) => {
      squareAvg[i] = average(constants, f(grad * grad), squareAvg[i]!);
      out[0] = param;
      out[1] = grad / f(Math.sqrt(squareAvg[i]!));
    };
  },
  resolve,
};

/** Norms of a param with a shape. `accumulate` has already updated rowAvg and colAvg. */
const factoredNorms = {
  resolveMean: (constants: Constants, mean: number): Constants => replaced(constants, { rootMean: Math.sqrt(mean) }),
  measure(constants: Constants, [rowAvg, colAvg]: readonly [Float32Array, Float32Array, ...Float32Array[]]): Measure {
    return (i, param, grad, out) => {
      out[0] = param;
      out[1] = factoredDirection(constants, grad, rowAvg[0]!, colAvg[i]!);
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
    /** Learning rate. If it is given, relativeStep is ignored. */
    lr: { range: '[0, inf)' },
    /** Added to g². */
    eps1: { default: 1e-30, range: '(0, inf)' },
    /** Lower bound on RMS(w) when scaleParameter scales the rate. */
    eps2: { default: 1e-3, range: '[0, inf)' },
    /** Upper bound on RMS(u), the root mean square of the update. */
    clipThreshold: { default: 1, range: '(0, inf)' },
    /** Exponent of t in β₂ = 1 − t^decayRate, the decay rate of the averages of g². */
    decayRate: { default: -0.8, range: '(-inf, 0]' },
    /** Decay rate of a moving average of the update. If it is not given, the update is not averaged. */
    beta1: { range: '[0, 1)' },
    /** Multiply the rate by RMS(w), the root mean square of the weights. */
    scaleParameter: { default: true },
    /** Without lr, use the rate min(1e-2, 1/√t). */
    relativeStep: { default: true },
    /** Without lr, let the rate grow from 0: min(1e-6 · t, 1/√t). */
    warmupInit: { default: false },
    /** Decoupled weight decay: multiplies w by 1 − α · weightDecay, where α is the full rate. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adafactor: kernel({
      state: ['squareAvg'],
      constants: constantNames,
      norms: elementNorms,
      reference:
        (constants, [squareAvg]) =>
        (i, param, grad) =>
          step(constants, param, f(grad / f(Math.sqrt(squareAvg[i]!)))),
    }),
    'adafactor-momentum': kernel({
      state: ['squareAvg', 'expAvg'],
      constants: constantNames,
      norms: elementNorms,
      reference:
        (constants, [squareAvg, expAvg]) =>
        (i, param, grad) =>
          stepWithMomentum(constants, param, f(grad / f(Math.sqrt(squareAvg[i]!))), expAvg, i),
    }),
    'adafactor-factored': kernel({
      state: ['rowAvg', 'colAvg'],
      layout: { rowAvg: 'row', colAvg: 'column' },
      constants: constantNames,
      accumulate: (constants) => (meanSquare, before) => average(constants, meanSquare, before),
      norms: factoredNorms,
      reference:
        (constants, [rowAvg, colAvg]) =>
        (i, param, grad) =>
          step(constants, param, factoredDirection(constants, grad, rowAvg[0]!, colAvg[i]!)),
    }),
    'adafactor-factored-momentum': kernel({
      state: ['rowAvg', 'colAvg', 'expAvg'],
      layout: { rowAvg: 'row', colAvg: 'column' },
      constants: constantNames,
      accumulate: (constants) => (meanSquare, before) => average(constants, meanSquare, before),
      norms: factoredNorms,
      reference:
        (constants, [rowAvg, colAvg, expAvg]) =>
        (i, param, grad) =>
          stepWithMomentum(constants, param, factoredDirection(constants, grad, rowAvg[0]!, colAvg[i]!), expAvg, i),
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adafactor}. @interface */
export type AdafactorOptions = OptionsOf<typeof adafactor>;
type Resolved = ResolvedOf<typeof adafactor>;

function relativeRate(warmupInit: boolean, t: number): number {
  return Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t));
}

/**
 * Adafactor: keeps the mean of g² per row and per column of a matrix instead of per element. Saves memory on large
 * matrices.
 *
 * ```
 * β₂ = 1 − t^decayRate;  q = g² + ε₁
 * with a shape: R ← β₂·R + (1−β₂)·mean of each row of q;  C ← the same of each column;  V = R·Cᵀ/mean(R)
 * without:      V ← β₂·V + (1−β₂)·q
 * u = g/√V;     u ← u/max(1, RMS(u)/clipThreshold)
 * α = ρ·max(ε₂, RMS(w));  w ← w·(1 − α·λ) − α·u
 * ```
 * ρ is `lr` if it is given. Otherwise it is the relative step min(1e-2, 1/√t), or min(1e-6·t, 1/√t) with `warmupInit`;
 * t counts the param's own steps. `scaleParameter: false` sets α = ρ. With `beta1`, a moving average of α·u replaces
 * α·u; it takes one number per element. The means and norms are those of the whole param, so sparse gradients are
 * rejected.
 *
 * Options: `lr` (none, [0, ∞)), `eps1` (ε₁, 1e-30, (0, ∞)), `eps2` (ε₂, 1e-3, [0, ∞)), `clipThreshold` (1, (0, ∞)),
 * `decayRate` (−0.8, (−∞, 0]), `beta1` (none, [0, 1)), `scaleParameter` (true), `relativeStep` (true; ignored if `lr`
 * is given), `warmupInit` (false), `weightDecay` (λ, 0, [0, ∞), decoupled, by the full rate α).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * With a shape of rank 2 or more, `shape[0]` is the number of rows, and the product of the other dimensions is the
 * number of columns. A param with a shape of rank 1 is treated as one without a shape.
 *
 * State: `rowAvg` (R, one number per row) and `colAvg` (C, one per column) of a param with a shape; `squareAvg` (V, one
 * per element) of a param without; `expAvg` with `beta1`. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Large matrices and little memory for state.
 *
 * **Pitfalls:** Only a param with a shape is factored: pass `{ data, shape }`. A plain `Float32Array` keeps one number
 * per weight. Steps are relative to the RMS of the weights, so a param that starts at 0 moves slowly. `lr` turns off
 * the relative step size, but the factor RMS(w) stays: set `scaleParameter: false` for an absolute rate. It takes no
 * sparse gradients.
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
export class Adafactor<const P extends ParamsOf<typeof adafactor> = AnyParams> extends Optimizer<typeof adafactor, P> {
  static readonly optimizerName: string = adafactor.name;
  static readonly defaults: DefaultsOf<typeof adafactor> = defaultsOf(adafactor);

  constructor(params: Given<P, typeof adafactor>, options: AdafactorOptions = {}) {
    super(adafactor, params, options);
  }

  /**
   * ρ of group 0 in the next step: `lr` if it is set, otherwise the relative step of a param that had a gradient in
   * every step.
   */
  override get lr(): number {
    const lr = super.lr as number | undefined;
    return lr ?? relativeRate(this.paramGroups[0]!.warmupInit, this.stepCount + 1);
  }

  override set lr(value: number | Schedule) {
    super.lr = value;
  }

  protected override conflict({ lr, relativeStep }: Resolved): readonly [string, string, string] | undefined {
    return lr === undefined && !relativeStep
      ? ['lr', 'undefined', 'a number or a Schedule, or relativeStep']
      : undefined;
  }

  protected override kernel({ beta1 }: Resolved, shape: Shape): string {
    const isMatrix = shape !== undefined && shape.length > 1;
    return `adafactor${isMatrix ? '-factored' : ''}${beta1 === undefined ? '' : '-momentum'}`;
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    const { lr, eps1, eps2, clipThreshold, decayRate, beta1 = 0, scaleParameter, warmupInit, weightDecay } = resolved;
    const oneMinusBeta2 = t ** decayRate;
    const rho = lr ?? relativeRate(warmupInit, t);
    // 1, 0, 0: placeholders for decayFactor, rate and rootMean, which resolve and resolveMean compute.
    return [
      1 - oneMinusBeta2,
      oneMinusBeta2,
      eps1,
      eps2,
      clipThreshold,
      weightDecay,
      scaleParameter ? 1 : 0,
      rho,
      1,
      0,
      0,
      beta1,
      1 - beta1,
    ];
  }
}
