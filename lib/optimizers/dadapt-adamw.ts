import { commonRate } from '../core/common-rate.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { warnIfStuck } from '../core/warn-if-stuck.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const dadaptAdamw = {
  name: 'DAdaptAdamW',
  reference:
    'Defazio & Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML 2023, https://arxiv.org/abs/2301.07733',
  formula: [
    'κ = √(1−β₂ᵗ)/(1−β₁ᵗ) with biasCorrection, else 1;  δ = d·η·κ',
    'over all params: a = δ·Σ g·z/(√s + ε), with the old z and s',
    'm ← β₁·m + (1−β₁)·δ·g;  s ← β₂·s + (1−β₂)·g²;  z ← √β₂·z + (1−√β₂)·δ·g',
    'n ← √β₂·n + (1−√β₂)·a;  d̂ = n/((1−√β₂)·Σ|z|);  d ← max(d, min(d̂, d·growthRate))',
    'w ← w·(1 − δ·λ) − m/(√s + ε), with the old δ',
  ],
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'none' : 'l2'),
  denseOnly: 'DAdaptAdamW needs sums over the whole gradient',
  hyperParameters: {
    /**
     * Multiplies the rate that the method finds. Leave it at 1, or set a schedule. All groups need the same lr, or 0.
     */
    lr: { default: 1, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². √β₂ is the decay rate of the sums that estimate d. */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator. */
    eps: { default: 1e-8, range: '(0, inf)' },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay by the rate δ. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: true },
    /** Apply Adam's bias correction to the rate. */
    biasCorrection: { default: false },
    /** Initial value of d. */
    d0: { default: 1e-6, range: '(0, inf)', fixed: true },
    /** Upper bound on the factor by which d grows in a step. */
    growthRate: { default: Number.POSITIVE_INFINITY, range: '[1, inf]' },
  },
  kernels: {
    'dadapt-adamw': kernel({
      state: ['expAvg', 'expAvgSq', 's'],
      constants: [
        'beta1',
        'gradWeight',
        'beta2',
        'squareWeight',
        'sqrtBeta2',
        'sumWeight',
        'eps',
        'weightDecay',
        'counts',
        'moves',
        'decayFactor',
      ],
      numbers: {
        names: ['d', 'numerator', 'd0', 'growthRate', 'sqrtBeta2', 'delta', 'rate'],
        sums: 2,
        measure:
          ([beta1, gradWeight, beta2, squareWeight, sqrtBeta2, sumWeight, eps, , counts], [expAvg, expAvgSq, s]) =>
          (i, _param, grad, add) => {
            add(0, counts * grad, f(s[i]! / f(f(Math.sqrt(expAvgSq[i]!)) + eps)));
            expAvg[i] = f(beta1 * expAvg[i]!) + f(gradWeight * grad);
            expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(squareWeight * grad) * grad);
            s[i] = f(sqrtBeta2 * s[i]!) + f(sumWeight * grad);
            add(1, Math.abs(s[i]!), counts);
          },
        decide: ([before, numerator, d0, growthRate, sqrtBeta2, delta], [gain, total]) => {
          const d = before === 0 ? d0 : before;
          if (total === 0) return [d, numerator, d0, growthRate, sqrtBeta2, delta, 0];
          const sum = sqrtBeta2 * numerator + (1 - sqrtBeta2) * (delta * gain!);
          const estimate = sum / ((1 - sqrtBeta2) * total!);
          const grown = d * growthRate;
          const next = grown < estimate ? grown : estimate;
          return [next > d ? next : d, sum, d0, growthRate, sqrtBeta2, delta, delta];
        },
        resolve: (constants, { 6: rate }) => {
          const [beta1, gradWeight, beta2, squareWeight, sqrtBeta2, sumWeight, eps, weightDecay, counts] = constants;
          return [
            beta1,
            gradWeight,
            beta2,
            squareWeight,
            sqrtBeta2,
            sumWeight,
            eps,
            weightDecay,
            counts,
            rate === 0 ? 0 : counts,
            1 - rate * f(weightDecay * counts),
          ];
        },
      },
      reference:
        ([, , , , , , eps, , , moves, decayFactor], [expAvg, expAvgSq]) =>
        (i, param) =>
          f(decayFactor * param) - f(f(moves * expAvg[i]!) / f(f(Math.sqrt(expAvgSq[i]!)) + eps)),
    }),
  },
  // d is 0 before the first step: it starts as d0.
  scope: 'optimizer',
  scalars: { d: 0, numerator: 0 },
} as const satisfies Declaration;

/** Options of {@link DAdaptAdamW}. @interface */
export type DAdaptAdamWOptions = OptionsOf<typeof dadaptAdamw>;
type Resolved = ResolvedOf<typeof dadaptAdamw>;

/** A smaller eps could be 0 in float32, and the first step would divide 0 by 0. */
const leastEps = 2 ** -126;

/**
 * DAdaptAdamW: {@link AdamW} with D-adaptation, which finds the learning rate by itself. The rate follows d, a growing
 * lower bound on the distance from the initial params to a solution.
 *
 * ```
 * δ = d·η·κ
 * over all params: a = δ·Σ g·z/(√s + ε), with the old z and s
 * m ← β₁·m + (1−β₁)·δ·g;  s ← β₂·s + (1−β₂)·g²;  z ← √β₂·z + (1−√β₂)·δ·g
 * n ← √β₂·n + (1−√β₂)·a;  d̂ = n/((1−√β₂)·Σ|z|);  d ← max(d, min(d̂, d·growthRate))
 * w ← w·(1 − δ·λ) − m/(√s + ε), with the old δ
 * ```
 * κ is Adam's bias correction √(1−β₂ᵗ)/(1−β₁ᵗ) with `biasCorrection`, else 1; t counts the optimizer's steps. d belongs
 * to the whole optimizer. In a step where all z are 0, nothing moves.
 *
 * Options: `lr` (η, 1, [0, ∞), the same in every group, or 0), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8,
 * (0, ∞)), `decoupledWeightDecay` (true), `biasCorrection` (false), `d0` (d₀, 1e-6, (0, ∞)), `growthRate` (∞, [1, ∞]),
 * `weightDecay` (λ, 0, [0, ∞), decoupled with the rate δ, or L2). d uses the `betas`, `d0` and `growthRate` of the
 * first group.
 *
 * A group with lr 0 does not move and adds nothing to the sums.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s), `s` (z), and the numbers `d` and `numerator` (n), the same in each param. A step
 * updates the params and the state in place.
 *
 * @remarks
 * **When:** A first run on a new problem, without a search for lr. {@link Prodigy} is its successor; this class keeps
 * one number less per weight.
 *
 * **Pitfalls:** Keep `lr` at 1; a cosine schedule from 1 to 0 is usual. `growthRate: 1.02` keeps d from jumping, like a
 * warm-up. The params hardly move until d has grown, and d never falls. If `d` is still d₀ after 100 steps, a warning
 * says so. Then d₀ is too large or too small by orders of magnitude, `lr` is far below 1, or the gradients are 0. It
 * takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params. A
 *   step throws a RangeError if the lr of two groups differ and neither is 0.
 * @example
 * ```ts
 * import { DAdaptAdamW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new DAdaptAdamW(w);
 * for (let step = 0; step < 200; step++) optimizer.step(w.map((x) => 2 * x)); // the gradient of the sum of w²
 * console.log(optimizer.d); // has grown from 1e-6
 * ```
 * @see Defazio & Mishchenko 2023, https://arxiv.org/abs/2301.07733; the package dadaptation, `DAdaptAdam`
 */
export class DAdaptAdamW<const P extends ParamsOf<typeof dadaptAdamw> = AnyParams> extends Optimizer<
  typeof dadaptAdamw,
  P
> {
  static readonly optimizerName: string = dadaptAdamw.name;
  static readonly defaults: DefaultsOf<typeof dadaptAdamw> = defaultsOf(dadaptAdamw);

  constructor(params: Given<P, typeof dadaptAdamw>, options: DAdaptAdamWOptions = {}) {
    super(dadaptAdamw, params, options);
    this.registerStepPostHook(() => warnIfStuck(this, dadaptAdamw.name));
  }

  /**
   * d, the estimated distance from the initial params to a solution. It is the learning rate that the method has found.
   */
  get d(): number {
    const found = this.firstScalars[0];
    return found === 0 || found === undefined
      ? (this.paramGroups[0]?.d0 ?? dadaptAdamw.hyperParameters.d0.default)
      : found;
  }

  protected override inputs(groups: readonly Resolved[], t: number, [d]: readonly number[]): number[] {
    const lr = commonRate(dadaptAdamw.name, groups);
    const first = groups[0]!;
    const { d0, growthRate, betas } = first;
    return [d0, growthRate, Math.sqrt(betas[1]), rateOf({ ...first, lr }, t, d!), 0];
  }

  protected override constants(resolved: Resolved, t: number, [d]: readonly number[]): number[] {
    const { lr, betas, weightDecay, decoupledWeightDecay } = resolved;
    const eps = Math.max(resolved.eps, leastEps);
    // A group at lr 0 keeps its state.
    if (lr === 0) return [1, 0, 1, 0, 1, 0, eps, 0, 0, 0, 1];
    const [beta1, beta2] = betas;
    const sqrtBeta2 = Math.sqrt(beta2);
    const delta = rateOf(resolved, t, d!);
    const decay = decoupledWeightDecay ? weightDecay : 0;
    return [
      beta1,
      delta * (1 - beta1),
      beta2,
      1 - beta2,
      sqrtBeta2,
      delta * (1 - sqrtBeta2),
      eps,
      decay,
      1,
      0, // moves and decayFactor, which the numbers give
      1,
    ];
  }
}

/** δ of a step, from the number d that it starts with. */
function rateOf({ lr, betas: [beta1, beta2], biasCorrection, d0 }: Resolved, t: number, d: number): number {
  const correction = biasCorrection ? Math.sqrt(1 - power(beta2, t)) / (1 - power(beta1, t)) : 1;
  return (d === 0 ? d0 : d) * lr * correction;
}
