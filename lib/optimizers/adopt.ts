import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { largest } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adopt = {
  name: 'ADOPT',
  reference:
    'Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any β2 with the Optimal Rate", NeurIPS 2024, Algorithm 2, https://arxiv.org/abs/2411.02853',
  formula: [
    't = 1: s ← g², and nothing else changes',
    't > 1: x = clip(g/max(√s, ε), ±(t−1)^¼);  m ← β₁·m + (1−β₁)·x;  w ← w − η·m;  s ← β₂·s + (1−β₂)·g²',
    'useClipping: false: no clip;  decoupledWeightDecay: w ← w·(1 − η·λ) first, from t = 2 on',
  ],
  // Decoupled decay starts with the second step, so the formula applies it.
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'none' : 'l2'),
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of the normalized gradient and of g². */
    betas: { default: [0.9, 0.9999], range: '[0, 1)' },
    /** Lower bound on the divisor of the gradient. */
    eps: { default: 1e-6, range: '[0, inf)' },
    /** Clip the normalized gradient to ±(t − 1)^¼. */
    useClipping: { default: true },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: false },
  },
  kernels: {
    adopt: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: ['lr', 'beta1', 'oneMinusBeta1', 'beta2', 'oneMinusBeta2', 'eps', 'limit', 'decayFactor'],
      reference:
        ([lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, limit, decayFactor], [expAvg, expAvgSq]) =>
        (i, param, grad) => {
          const root = f(Math.sqrt(expAvgSq[i]!));
          const quotient = f(grad / (root > eps ? root : eps));
          const raised = -limit > quotient ? -limit : quotient;
          const normalized = limit < raised ? limit : raised;
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * normalized);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          return f(decayFactor * param) - f(lr * expAvg[i]!);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link ADOPT}. @interface */
export type ADOPTOptions = OptionsOf<typeof adopt>;
type Resolved = ResolvedOf<typeof adopt>;

/**
 * ADOPT: {@link Adam} that first divides each gradient by the root of the average of earlier g², and then averages the
 * quotient. It converges with any β₂.
 *
 * ```
 * t = 1   s ← g², and nothing else changes
 * t > 1   x = clip(g/max(√s, ε), ±(t−1)^¼)
 *         m ← β₁·m + (1−β₁)·x;   w ← w − η·m;   s ← β₂·s + (1−β₂)·g²
 * ```
 * The first step only initializes s: it neither moves nor decays the weights. `useClipping: false` leaves out the clip,
 * as the first version of the paper does.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.9999], each in [0, 1)), `eps` (ε, 1e-6, [0, ∞)), `useClipping`
 * (true), `weightDecay` (0, [0, ∞), L2), `decoupledWeightDecay` (false; true: `weightDecay` acts as in AdamW).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link AdamW}, where Adam is unstable or β₂ is hard to choose: noisy gradients, small batches,
 * reinforcement learning.
 *
 * **Pitfalls:** An element whose first gradient is 0 has s = 0, and its next gradient is divided by `eps`: only the
 * clip bounds that step. `weightDecay` is L2 unless `decoupledWeightDecay` is true. There are no bias corrections, so
 * the momentum builds up over the first steps.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ADOPT } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const adopt = new ADOPT(w, { lr: 0.1, weightDecay: 0.01, decoupledWeightDecay: true });
 * adopt.step(new Float32Array([0.5, 0, -0.5])); // w is still [1, 2, 3]
 * adopt.step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Taniguchi et al. 2024, Algorithm 2, https://arxiv.org/abs/2411.02853
 */
export class ADOPT<const P extends ParamsOf<typeof adopt> = AnyParams> extends Optimizer<typeof adopt, P> {
  static readonly optimizerName: string = adopt.name;
  static readonly defaults: DefaultsOf<typeof adopt> = defaultsOf(adopt);

  constructor(params: Given<P, typeof adopt>, options: ADOPTOptions = {}) {
    super(adopt, params, options);
  }

  protected override constants(
    { lr, betas: [beta1, beta2], eps, useClipping, weightDecay, decoupledWeightDecay }: Resolved,
    t: number,
  ): number[] {
    if (t === 1) return [lr, beta1, 1 - beta1, 0, 1, eps, 0, 1];
    const limit = useClipping ? Math.sqrt(Math.sqrt(t - 1)) : largest;
    const decayFactor = decoupledWeightDecay ? 1 - lr * weightDecay : 1;
    return [lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, limit, decayFactor];
  }
}
