import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const novograd = {
  name: 'NovoGrad',
  reference:
    'Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of Deep Networks", 2019, Algorithm 1, https://arxiv.org/abs/1905.11286',
  formula: [
    'v ← β₂·v + (1−β₂)·‖g‖², one number a param; at t = 1 v = ‖g‖²',
    'm ← β₁·m + (g/(√v + ε) + λ·w), times 1−β₁ with gradAveraging',
    'w ← w − η·m',
  ],
  decay: 'none',
  denseOnly: 'NovoGrad needs the norm of the whole gradient',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Decay rates of the momentum and of the moving average of ‖g‖². */
    betas: { default: [0.95, 0.98], range: '[0, 1)' },
    /** Added to the norm. */
    eps: { default: 1e-8, range: '(0, inf)' },
    /** Multiply the new term of the momentum by 1−β₁, which makes the momentum a moving average. */
    gradAveraging: { default: false },
    /** Weight decay inside the formula: adds weightDecay · w to the normalized gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    novograd: kernel({
      state: ['expAvg'],
      constants: ['lr', 'beta1', 'gradWeight', 'weightDecay', 'eps', 'inverseNorm'],
      numbers: {
        names: ['expAvgSq', 'beta2'],
        sums: 1,
        measure: () => (_i, _param, grad, add) => add(0, grad, grad),
        decide: ([expAvgSq, beta2], [square]) => [beta2 * expAvgSq + (1 - beta2) * square!, beta2],
        resolve: ([lr, beta1, gradWeight, weightDecay, eps], [expAvgSq]) => [
          lr,
          beta1,
          gradWeight,
          weightDecay,
          eps,
          1 / (Math.sqrt(expAvgSq) + eps),
        ],
      },
      reference:
        ([lr, beta1, gradWeight, weightDecay, , inverseNorm], [expAvg]) =>
        (i, param, grad) => {
          const pull = f(f(grad * inverseNorm) + f(weightDecay * param));
          expAvg[i] = f(beta1 * expAvg[i]!) + f(gradWeight * pull);
          return param - f(lr * expAvg[i]!);
        },
    }),
  },
  scope: 'param',
  scalars: { expAvgSq: 0 },
} as const satisfies Declaration;

/** Options of {@link NovoGrad}. @interface */
export type NovoGradOptions = OptionsOf<typeof novograd>;
type Resolved = ResolvedOf<typeof novograd>;

/**
 * NovoGrad: SGD with momentum that divides the gradient of each param by the root of a moving average of ‖g‖².
 *
 * ```
 * v ← β₂·v + (1−β₂)·‖g‖², one number a param; at t = 1 v = ‖g‖²
 * m ← β₁·m + (g/(√v + ε) + λ·w), times 1−β₁ with gradAveraging
 * w ← w − η·m
 * ```
 * g is the gradient after clipping. The norm is that of the whole param, so sparse gradients are rejected.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `betas` ([0.95, 0.98], each in [0, 1)), `eps` (ε, 1e-8, (0, ∞)), `gradAveraging`
 * (false), `weightDecay` (λ, 0, [0, ∞), in the formula).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), and the number `expAvgSq` (v). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Speech and image networks, if memory is scarce: it keeps half of Adam's state. You need not tune lr to the
 * size of the gradients.
 *
 * **Pitfalls:** The step of a whole param has the norm η/(1−β₁), so a large matrix needs a larger lr than a bias. The
 * first gradient alone sets v: a warm-up helps if it is far from the later ones. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { NovoGrad } from 'schuss';
 * const w = new Float32Array([1, 2]);
 * new NovoGrad(w, { lr: 0.1 }).step(new Float32Array([3, 4])); // ‖g‖ is 5: w is [0.94, 1.92]
 * ```
 * @see Ginsburg et al. 2019, Algorithm 1, https://arxiv.org/abs/1905.11286
 */
export class NovoGrad<const P extends ParamsOf<typeof novograd> = AnyParams> extends Optimizer<typeof novograd, P> {
  static readonly optimizerName: string = novograd.name;
  static readonly defaults: DefaultsOf<typeof novograd> = defaultsOf(novograd);

  constructor(params: Given<P, typeof novograd>, options: NovoGradOptions = {}) {
    super(novograd, params, options);
  }

  protected override constants({ lr, betas: [beta1], eps, gradAveraging, weightDecay }: Resolved): number[] {
    return [lr, beta1, gradAveraging ? 1 - beta1 : 1, weightDecay, eps, 0];
  }

  protected override inputs([group]: readonly Resolved[], t: number): number[] {
    return [t === 1 ? 0 : group!.betas[1]];
  }
}
