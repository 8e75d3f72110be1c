import { commonRate } from '../core/common-rate.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { warnIfStuck } from '../core/warn-if-stuck.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const prodigy = {
  name: 'Prodigy',
  reference:
    'Mishchenko & Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", ICML 2024, Algorithm 4, https://arxiv.org/abs/2306.06101',
  formula: [
    'κ = √(1−β₂ᵗ)/(1−β₁ᵗ) with biasCorrection, else 1;  δ = d·η·κ;  q = (d/d₀)·δ, or (d/d₀)·d with safeguardWarmup',
    'm ← β₁·m + d·(1−β₁)·g;  s ← β₂·s + d²·(1−β₂)·g²;  z ← β₃·z + q·g',
    'over all params: n ← β₃·n + (d/d₀)·δ·Σ g·(w₀−w);  d̂ = dCoef·n/Σ|z|',
    'if d = d₀: d ← max(d, d̂);  dMax ← max(dMax, d̂);  d ← min(dMax, d·growthRate)',
    'w ← w·(1 − δ·λ) − δ·m/(√s + d·ε), with the old δ and the new d',
  ],
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'none' : 'l2'),
  denseOnly: 'Prodigy needs sums over the whole gradient',
  hyperParameters: {
    /**
     * Multiplies the rate that the method finds. Leave it at 1, or set a schedule. All groups need the same lr, or 0.
     */
    lr: { default: 1, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Decay rate of the sums that estimate d; √β₂ if it is not given. */
    beta3: { range: '[0, 1)' },
    /** d · eps is added to the denominator. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay by the rate δ. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: true },
    /** Apply Adam's bias correction to the rate. */
    biasCorrection: { default: false },
    /** Leave lr out of the sum in the denominator, so that a long warm-up does not make d too large. */
    safeguardWarmup: { default: false },
    /** Initial value of d. */
    d0: { default: 1e-6, range: '(0, inf)', fixed: true },
    /** Multiplies the estimate of d: larger values give larger steps. */
    dCoef: { default: 1, range: '(0, inf)' },
    /** Upper bound on the factor by which d grows in a step. */
    growthRate: { default: Number.POSITIVE_INFINITY, range: '[1, inf]' },
  },
  kernels: {
    prodigy: kernel({
      state: ['expAvg', 'expAvgSq', 's', 'initial'],
      constants: [
        'beta1',
        'gradWeight',
        'beta2',
        'squareWeight',
        'beta3',
        'sumWeight',
        'eps',
        'weightDecay',
        'counts',
        'rate',
        'decayFactor',
        'scaledEps',
      ],
      numbers: {
        names: ['d', 'dMax', 'numerator', 'd0', 'dCoef', 'growthRate', 'beta3', 'weight', 'delta', 'rate'],
        sums: 2,
        measure:
          ([beta1, gradWeight, beta2, squareWeight, beta3, sumWeight, , , counts], [expAvg, expAvgSq, s, initial]) =>
          (i, param, grad, add) => {
            add(0, counts * grad, initial[i]! - param);
            expAvg[i] = f(beta1 * expAvg[i]!) + f(gradWeight * grad);
            expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(squareWeight * grad) * grad);
            s[i] = f(beta3 * s[i]!) + f(sumWeight * grad);
            add(1, Math.abs(s[i]!), counts);
          },
        decide: ([d, dMax, numerator, d0, dCoef, growthRate, beta3, weight, delta], [gain, total]) => {
          let next = d === 0 ? d0 : d;
          let most = d === 0 ? d0 : dMax;
          if (total === 0) return [next, most, numerator, d0, dCoef, growthRate, beta3, weight, delta, 0];
          const sum = beta3 * numerator + weight * gain!;
          const estimate = (dCoef * sum) / total!;
          if (next === d0 && estimate > next) next = estimate;
          if (estimate > most) most = estimate;
          const grown = next * growthRate;
          next = grown < most ? grown : most;
          return [next, most, sum, d0, dCoef, growthRate, beta3, weight, delta, delta];
        },
        resolve: (constants, { 0: d, 9: rate }) => {
          const [beta1, gradWeight, beta2, squareWeight, beta3, sumWeight, eps, weightDecay, counts] = constants;
          return [
            beta1,
            gradWeight,
            beta2,
            squareWeight,
            beta3,
            sumWeight,
            eps,
            weightDecay,
            counts,
            rate * counts,
            1 - rate * f(weightDecay * counts),
            rate * counts === 0 ? 1 : d * eps, // where nothing moves, expAvgSq and eps may both be 0
          ];
        },
      },
      reference:
        ([, , , , , , , , , rate, decayFactor, scaledEps], [expAvg, expAvgSq]) =>
        (i, param) =>
          f(decayFactor * param) - f(f(rate * expAvg[i]!) / f(f(Math.sqrt(expAvgSq[i]!)) + scaledEps)),
    }),
  },
  // d is 0 before the first step: it starts as d0.
  scope: 'optimizer',
  scalars: { d: 0, dMax: 0, numerator: 0 },
} as const satisfies Declaration;

/** Options of {@link Prodigy}. @interface */
export type ProdigyOptions = OptionsOf<typeof prodigy>;
type Resolved = ResolvedOf<typeof prodigy>;

/**
 * Prodigy: {@link Adam} that finds its learning rate by itself, from how far the params have moved along the gradients.
 *
 * ```
 * δ = d·η·κ;  q = (d/d₀)·δ, or (d/d₀)·d with safeguardWarmup
 * m ← β₁·m + d·(1−β₁)·g;  s ← β₂·s + d²·(1−β₂)·g²;  z ← β₃·z + q·g
 * over all params: n ← β₃·n + (d/d₀)·δ·Σ g·(w₀−w);  d̂ = dCoef·n/Σ|z|
 * if d = d₀: d ← max(d, d̂);  dMax ← max(dMax, d̂);  d ← min(dMax, d·growthRate)
 * w ← w·(1 − δ·λ) − δ·m/(√s + d·ε), with the old δ and the new d
 * ```
 * κ is Adam's bias correction √(1−β₂ᵗ)/(1−β₁ᵗ) with `biasCorrection`, else 1; t counts the optimizer's steps. w₀ is a
 * copy of the params at their first step. d belongs to the whole optimizer. In a step where all z are 0, nothing moves.
 *
 * Options: `lr` (η, 1, [0, ∞), the same in every group, or 0), `betas` ([0.9, 0.999], each in [0, 1)), `beta3` (β₃,
 * √β₂, [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `decoupledWeightDecay` (true), `biasCorrection` (false), `safeguardWarmup`
 * (false), `d0` (d₀, 1e-6, (0, ∞)), `dCoef` (1, (0, ∞)), `growthRate` (∞, [1, ∞]), `weightDecay` (λ, 0, [0, ∞),
 * decoupled with the rate δ, or L2). d uses the `betas`, `beta3`, `d0`, `dCoef` and `growthRate` of the first group.
 *
 * A group with lr 0 does not move and adds nothing to the sums.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s), `s` (z), `initial` (w₀), and the numbers `d`, `dMax` and `numerator` (n), the
 * same in each param. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** A first run on a new problem, without a search for lr.
 *
 * **Pitfalls:** Keep `lr` at 1; a cosine schedule from 1 to 0 is usual. With a long warm-up, set `safeguardWarmup`.
 * Fine-tuning may need `dCoef: 2` or `biasCorrection`. If `d` is still d₀ after 100 steps, a warning says so. Then d₀
 * is too large or too small by orders of magnitude, `lr` is far below 1, or the gradients are 0. It keeps four numbers
 * per weight. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params. A
 *   step throws a RangeError if the lr of two groups differ and neither is 0.
 * @example
 * ```ts
 * import { Prodigy } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const prodigy = new Prodigy(w);
 * for (let step = 0; step < 200; step++) prodigy.step(w.map((x) => 2 * x)); // the gradient of the sum of w²
 * console.log(prodigy.d); // has grown from 1e-6 to the order of 1
 * ```
 * @see Mishchenko & Defazio 2023, Algorithm 4, https://arxiv.org/abs/2306.06101
 */
export class Prodigy<const P extends ParamsOf<typeof prodigy> = AnyParams> extends Optimizer<typeof prodigy, P> {
  static readonly optimizerName: string = prodigy.name;
  static readonly defaults: DefaultsOf<typeof prodigy> = defaultsOf(prodigy);

  constructor(params: Given<P, typeof prodigy>, options: ProdigyOptions = {}) {
    super(prodigy, params, options);
    this.registerStepPostHook(() => warnIfStuck(this, prodigy.name));
  }

  /**
   * d, the estimated distance from the initial params to a solution. It is the learning rate that the method has found.
   */
  get d(): number {
    const found = this.firstScalars[0];
    return found === 0 || found === undefined ? (this.paramGroups[0]?.d0 ?? prodigy.hyperParameters.d0.default) : found;
  }

  protected override start(
    _options: Resolved,
    param: Float32Array,
    { initial }: Readonly<Record<string, Float32Array>>,
  ): void {
    initial!.set(param);
  }

  protected override inputs(groups: readonly Resolved[], t: number, [d]: readonly number[]): number[] {
    const lr = commonRate(prodigy.name, groups);
    const first = groups[0]!;
    const { d0, dCoef, growthRate } = first;
    const delta = rateOf({ ...first, lr }, t, d!);
    return [d0, dCoef, growthRate, beta3Of(first), ((d === 0 ? d0 : d!) / d0) * delta, delta, 0];
  }

  protected override constants(resolved: Resolved, t: number, [found]: readonly number[]): number[] {
    const { lr, betas, eps, weightDecay, decoupledWeightDecay, safeguardWarmup, d0 } = resolved;
    // A group at lr 0 keeps its state.
    if (lr === 0) return [1, 0, 1, 0, 1, 0, eps, 0, 0, 0, 1, 0];
    const d = found === 0 ? d0 : found!;
    const [beta1, beta2] = betas;
    const sumWeight = (d / d0) * (safeguardWarmup ? d : rateOf(resolved, t, d));
    const decay = decoupledWeightDecay ? weightDecay : 0;
    return [
      beta1,
      d * (1 - beta1),
      beta2,
      d * d * (1 - beta2),
      beta3Of(resolved),
      sumWeight,
      eps,
      decay,
      1,
      0, // rate, decayFactor and scaledEps, which the numbers give
      1,
      0,
    ];
  }
}

/** β₃ of a group. */
function beta3Of({ beta3, betas }: Resolved): number {
  return beta3 ?? Math.sqrt(betas[1]);
}

/** δ of a step, from the number d that it starts with. */
function rateOf({ lr, betas: [beta1, beta2], biasCorrection, d0 }: Resolved, t: number, d: number): number {
  const correction = biasCorrection ? Math.sqrt(1 - power(beta2, t)) / (1 - power(beta1, t)) : 1;
  return (d === 0 ? d0 : d) * lr * correction;
}
