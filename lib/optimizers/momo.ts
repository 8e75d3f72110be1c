import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { LossOptimizer } from '../core/loss-optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

// The numbers of both classes: F and γ, and of a step the objective, the weights of the averages, the lower bound, and the
// sums ⟨m, w⟩ and ⟨m, m/D⟩.
const names = ['lossAvg', 'gamma', 'loss', 'decay', 'weight', 'lowerBound', 'product', 'square'] as const;
type NumbersOf<N extends readonly string[]> = { readonly [I in keyof N]: number };
type MomoNumbers = NumbersOf<typeof names>;

function decide([lossAvg, gamma, loss, decay, weight, lowerBound]: MomoNumbers, sums: readonly number[]): MomoNumbers {
  const [gradient, product, square] = sums as [number, number, number];
  const average = decay * lossAvg + weight * loss;
  return [average, decay * gamma + weight * gradient, loss, decay, weight, lowerBound, product, square];
}

/** τ: the rate at which the model of the loss reaches its lower bound, at most `limit`. `shrink` is 1 + η·λ. */
function rateOf(
  [lossAvg, gamma, , , , lowerBound, product, square]: MomoNumbers,
  limit: number,
  shrink: number,
): number {
  if (square === 0) return 0;
  const descent = shrink * (lossAvg - lowerBound - gamma) + product;
  const step = (descent < 0 ? 0 : descent) / square;
  return step > limit ? limit : step; // lets NaN through
}

export const momo = {
  name: 'Momo',
  reference:
    'Schaipp, Ohana, Eickenberg, Defazio & Gower, "MoMo: Momentum Models for Adaptive Learning Rates", ICML 2024, Algorithm 2, https://arxiv.org/abs/2305.07583',
  formula: [
    'm ← β·m + (1−β)·g;  F ← β·F + (1−β)·f;  γ ← β·γ + (1−β)·⟨g, w⟩;  at t = 1 m = g, F = f, γ = ⟨g, w⟩',
    'over all params: τ = min(η, max((1 + η·λ)·(F − lowerBound − γ) + ⟨m, w⟩, 0)/‖m‖²), 0 if ‖m‖ = 0',
    'w ← (w − τ·m)/(1 + η·λ)',
  ],
  decay: 'none',
  denseOnly: 'Momo needs sums over the whole gradient',
  hyperParameters: {
    /** Upper bound on the rate τ. */
    lr: { default: 1, range: '[0, inf)' },
    /** Decay rate of the moving averages of the gradient and of the loss. */
    beta: { default: 0.9, range: '[0, 1)' },
    /** A lower bound on the loss. */
    lowerBound: { default: 0 },
    /** Weight decay: divides w by 1 + lr · weightDecay, and enters τ. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    momo: kernel({
      state: ['expAvg'],
      constants: ['lr', 'beta', 'oneMinusBeta', 'weightDecay', 'rate', 'shrink'],
      numbers: {
        names,
        sums: 3,
        measure:
          ([, beta, oneMinusBeta], [expAvg]) =>
          (i, param, grad, add) => {
            add(0, grad, param);
            expAvg[i] = f(beta * expAvg[i]!) + f(oneMinusBeta * grad);
            add(1, expAvg[i]!, param);
            add(2, expAvg[i]!, expAvg[i]!);
          },
        decide,
        resolve: ([lr, beta, oneMinusBeta, weightDecay], numbers) => {
          const shrink = 1 + lr * weightDecay;
          return [lr, beta, oneMinusBeta, weightDecay, rateOf(numbers, lr, shrink), shrink];
        },
      },
      reference:
        ([, , , , rate, shrink], [expAvg]) =>
        (i, param) =>
          f(param - f(rate * expAvg[i]!)) / shrink,
    }),
  },
  needsLoss: true,
  scope: 'optimizer',
  scalars: { lossAvg: 0, gamma: 0 },
} as const satisfies Declaration;

/** Options of {@link Momo}. @interface */
export type MomoOptions = OptionsOf<typeof momo>;
type Resolved = ResolvedOf<typeof momo>;

/**
 * Momo: SGD with momentum and a learning rate that follows from the loss. Each step goes to where a model of the loss
 * reaches its lower bound, with a rate of at most lr.
 *
 * ```
 * m ← β·m + (1−β)·g;  F ← β·F + (1−β)·f;  γ ← β·γ + (1−β)·⟨g, w⟩;  at t = 1 m = g, F = f, γ = ⟨g, w⟩
 * over all params: τ = min(η, max((1 + η·λ)·(F − lowerBound − γ) + ⟨m, w⟩, 0)/‖m‖²), 0 if ‖m‖ = 0
 * w ← (w − τ·m)/(1 + η·λ)
 * ```
 * Each step needs the loss f: `step(grads, { loss })`. Its gradient must be `grads` after `gradScale`. With `maximize`,
 * f is −loss. t counts the optimizer's steps. F and γ belong to the whole optimizer and are readable as `lossAvg` and
 * `gamma`; τ follows from the η and λ of each group.
 *
 * Options: `lr` (η, 1, [0, ∞)), `beta` (β, 0.9, [0, 1)), `lowerBound` (0), `weightDecay` (λ, 0, [0, ∞), in the
 * formula). F and γ use the `beta` of the first group, and τ uses its `lowerBound`. All groups need the same
 * `maximize`.
 *
 * A group with lr 0 does not move, but its gradients enter the sums. Pass `null` gradients to leave it out.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer. `skipNonFinite` also skips a step whose loss is not finite.
 *
 * State: `expAvg` (m), and the numbers `lossAvg` (F) and `gamma` (γ), the same in each param. A step updates the params
 * and the state in place.
 *
 * @remarks
 * **When:** As SGD with momentum. A wide range of lr works, because τ adapts below it.
 *
 * **Pitfalls:** If the minimum of the loss is well above `lowerBound`, τ is nearly always lr. Then raise `lowerBound`,
 * or let a schedule lower lr. Clipped gradients are no longer the gradients of the loss. It takes no sparse gradients.
 * optax subtracts τ·m outside the division.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params. A
 *   step throws a TypeError without a loss, and a RangeError for a loss that is not finite or for groups that differ in
 *   `maximize`.
 * @example
 * ```ts
 * import { Momo } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * const optimizer = new Momo(w);
 * for (let step = 0; step < 50; step++) {
 *   const loss = w[0] ** 2 + w[1] ** 2; // with the gradient 2·w
 *   optimizer.step(w.map((x) => 2 * x), { loss });
 * }
 * console.log(optimizer.lossAvg); // nearly 0
 * ```
 * @see Schaipp et al. 2024, Algorithm 2, https://arxiv.org/abs/2305.07583
 */
export class Momo<const P extends ParamsOf<typeof momo> = AnyParams> extends LossOptimizer<typeof momo, P> {
  static readonly optimizerName: string = momo.name;
  static readonly defaults: DefaultsOf<typeof momo> = defaultsOf(momo);

  constructor(params: Given<P, typeof momo>, options: MomoOptions = {}) {
    super(momo, params, options);
  }

  /** F: the moving average of the loss, with `maximize` of −loss; 0 before the first step. */
  get lossAvg(): number {
    return this.firstScalars[0] ?? 0;
  }

  /** γ: the moving average of ⟨g, w⟩; 0 before the first step. */
  get gamma(): number {
    return this.firstScalars[1] ?? 0;
  }

  protected override constants({ lr, beta, weightDecay }: Resolved, t: number): number[] {
    // The numbers give the rate; the averages start with the first step.
    return t === 1 ? [lr, 0, 1, weightDecay, 0, 1] : [lr, beta, 1 - beta, weightDecay, 0, 1];
  }

  protected override inputs(groups: readonly Resolved[], t: number, _scalars: readonly number[], loss: number) {
    const { beta, lowerBound } = groups[0]!;
    const objective = this.objective(groups, loss);
    return t === 1 ? [objective, 0, 1, lowerBound, 0, 0] : [objective, beta, 1 - beta, lowerBound, 0, 0];
  }
}

export const momoAdam = {
  name: 'MomoAdam',
  reference:
    'Schaipp, Ohana, Eickenberg, Defazio & Gower, "MoMo: Momentum Models for Adaptive Learning Rates", ICML 2024, Algorithm 3, https://arxiv.org/abs/2305.07583',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²;  D = √(s/(1−β₂ᵗ)) + ε',
    'F ← β₁·F + (1−β₁)·f;  γ ← β₁·γ + (1−β₁)·⟨g, w⟩;  c = 1 − β₁ᵗ',
    'over all params: τ = min(η/c, max((1 + η·λ)·(F − c·lowerBound − γ) + ⟨m, w⟩, 0)/⟨m, m/D⟩), 0 if m = 0',
    'w ← (w − τ·m/D)/(1 + η·λ)',
  ],
  decay: 'none',
  denseOnly: 'MomoAdam needs sums over the whole gradient',
  hyperParameters: {
    /** Upper bound on the rate, before bias correction. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and of the loss, and of g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the root. */
    eps: { default: 1e-8, range: '(0, inf)' },
    /** A lower bound on the loss. */
    lowerBound: { default: 0 },
    /** Weight decay: divides w by 1 + lr · weightDecay, and enters τ. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'momo-adam': kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: [
        'lr',
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'weightDecay',
        'limit',
        'rate',
        'shrink',
      ],
      numbers: {
        names,
        sums: 3,
        measure:
          ([, beta1, oneMinusBeta1, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
          (i, param, grad, add) => {
            add(0, grad, param);
            expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
            expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
            const denominator = f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps);
            add(1, expAvg[i]!, param);
            add(2, expAvg[i]!, expAvg[i]! / denominator);
          },
        decide,
        resolve: (constants, numbers) => {
          const [lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2, correction, eps, weightDecay, limit] = constants;
          const shrink = 1 + lr * weightDecay;
          const rate = rateOf(numbers, limit, shrink);
          return [lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2, correction, eps, weightDecay, limit, rate, shrink];
        },
      },
      reference:
        ([, , , , , inverseBiasCorrection2Sqrt, eps, , , rate, shrink], [expAvg, expAvgSq]) =>
        (i, param) => {
          const denominator = f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps);
          return f(param - f(f(rate * expAvg[i]!) / denominator)) / shrink;
        },
    }),
  },
  needsLoss: true,
  scope: 'optimizer',
  scalars: { lossAvg: 0, gamma: 0 },
} as const satisfies Declaration;

/** Options of {@link MomoAdam}. @interface */
export type MomoAdamOptions = OptionsOf<typeof momoAdam>;
type AdamResolved = ResolvedOf<typeof momoAdam>;

/**
 * MomoAdam: {@link Adam} with a learning rate that follows from the loss. Each step goes to where a model of the loss
 * reaches its lower bound, with a rate of at most lr.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²;  D = √(s/(1−β₂ᵗ)) + ε
 * F ← β₁·F + (1−β₁)·f;  γ ← β₁·γ + (1−β₁)·⟨g, w⟩;  c = 1 − β₁ᵗ
 * over all params: τ = min(η/c, max((1 + η·λ)·(F − c·lowerBound − γ) + ⟨m, w⟩, 0)/⟨m, m/D⟩), 0 if m = 0
 * w ← (w − τ·m/D)/(1 + η·λ)
 * ```
 * Each step needs the loss f: `step(grads, { loss })`. Its gradient must be `grads` after `gradScale`. With `maximize`,
 * f is −loss. t counts the optimizer's steps. F and γ belong to the whole optimizer and are readable as `lossAvg` and
 * `gamma`; τ follows from the η and λ of each group.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, (0, ∞)), `lowerBound` (0),
 * `weightDecay` (λ, 0, [0, ∞), in the formula). F and γ use the `betas` of the first group, and τ uses its
 * `lowerBound`. All groups need the same `maximize`.
 *
 * A group with lr 0 does not move, but its gradients enter the sums. Pass `null` gradients to leave it out.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer. `skipNonFinite` also skips a step whose loss is not finite.
 *
 * State: `expAvg` (m), `expAvgSq` (s), and the numbers `lossAvg` (F) and `gamma` (γ), the same in each param. A step updates
 * the params and the state in place.
 *
 * @remarks
 * **When:** As {@link AdamW}. A wide range of lr works, because τ adapts below it.
 *
 * **Pitfalls:** If the minimum of the loss is well above `lowerBound`, τ is nearly always lr, and this is Adam. Then
 * raise `lowerBound`. F starts at 0 and has no bias correction. Clipped gradients are no longer the gradients of the
 * loss. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params. A
 *   step throws a TypeError without a loss, and a RangeError for a loss that is not finite or for groups that differ in
 *   `maximize`.
 * @example
 * ```ts
 * import { MomoAdam } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * const optimizer = new MomoAdam(w, { lr: 0.1 });
 * for (let step = 0; step < 100; step++) {
 *   const loss = w[0] ** 2 + w[1] ** 2; // with the gradient 2·w
 *   optimizer.step(w.map((x) => 2 * x), { loss });
 * }
 * ```
 * @see Schaipp et al. 2024, Algorithm 3, https://arxiv.org/abs/2305.07583
 */
export class MomoAdam<const P extends ParamsOf<typeof momoAdam> = AnyParams> extends LossOptimizer<typeof momoAdam, P> {
  static readonly optimizerName: string = momoAdam.name;
  static readonly defaults: DefaultsOf<typeof momoAdam> = defaultsOf(momoAdam);

  constructor(params: Given<P, typeof momoAdam>, options: MomoAdamOptions = {}) {
    super(momoAdam, params, options);
  }

  /** F: the moving average of the loss, from 0, with `maximize` of −loss. */
  get lossAvg(): number {
    return this.firstScalars[0] ?? 0;
  }

  /** γ: the moving average of ⟨g, w⟩, from 0. */
  get gamma(): number {
    return this.firstScalars[1] ?? 0;
  }

  protected override constants({ lr, betas: [beta1, beta2], eps, weightDecay }: AdamResolved, t: number): number[] {
    const inverseBiasCorrection2Sqrt = 1 / Math.sqrt(1 - power(beta2, t));
    const limit = lr / (1 - power(beta1, t));
    return [
      lr,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      inverseBiasCorrection2Sqrt,
      eps,
      weightDecay,
      limit,
      0, // rate and shrink, which the numbers give
      1,
    ];
  }

  protected override inputs(groups: readonly AdamResolved[], t: number, _scalars: readonly number[], loss: number) {
    const { betas, lowerBound } = groups[0]!;
    const [beta1] = betas;
    return [this.objective(groups, loss), beta1, 1 - beta1, (1 - power(beta1, t)) * lowerBound, 0, 0];
  }
}
