import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { overScale } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const proximalAdagrad = {
  name: 'ProximalAdagrad',
  reference:
    'Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 2011, composite mirror descent, section 5.1, https://jmlr.org/papers/v12/duchi11a.html',
  formula: ['s ← s + g²;  H = ε + √s;  z = w − η·g/H', 'w ← sign(z)·max(|z| − η·l1/H, 0)', 'g/H is 0 where H is 0'],
  decay: 'none',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 0.1, range: '[0, inf)' },
    /** L1 penalty: makes weights exactly 0. */
    l1: { default: 0, range: '[0, inf)' },
    /** Added to the square root of the sum of squares. */
    eps: { default: 1e-3, range: '[0, inf)' },
  },
  kernels: {
    'proximal-adagrad': kernel({
      state: ['sum'],
      constants: ['lr', 'threshold', 'eps'],
      reference:
        ([lr, threshold, eps], [sum]) =>
        (i, param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          const scale = f(f(Math.sqrt(sum[i]!)) + eps);
          const moved = f(param - overScale(f(lr * grad), scale));
          const rest = f(Math.abs(moved) - (threshold > 0 ? f(threshold / scale) : 0));
          return Math.sign(moved) * (rest > 0 ? rest : 0);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link ProximalAdagrad}. @interface */
export type ProximalAdagradOptions = OptionsOf<typeof proximalAdagrad>;
type Resolved = ResolvedOf<typeof proximalAdagrad>;

/**
 * ProximalAdagrad: {@link Adagrad} with an L1 penalty that makes weights exactly 0, by composite mirror descent.
 *
 * ```
 * s ← s + g²;   H = ε + √s;   z = w − η·g/H
 * w ← sign(z)·max(|z| − η·l1/H, 0)
 * ```
 * With `eps: 0`, an element that has had no gradient yet has g/H = 0, and a penalty sets it to 0.
 *
 * Options: `lr` (η, 0.1, [0, ∞)), `l1` (0, [0, ∞)), `eps` (ε, 1e-3, [0, ∞)).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `sum` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Linear models on sparse features, when many weights should be exactly 0 and w starts from known values.
 * {@link FTRL} and {@link AdagradDA} give sparser weights.
 *
 * **Pitfalls:** The penalty acts on the rows of a sparse gradient only. Each step shrinks w by the penalty, so a weight
 * becomes 0 only if |g| is smaller than `l1`. There is no `weightDecay`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ProximalAdagrad } from 'schuss';
 * const w = new Float32Array([1, 0.01, -1]);
 * new ProximalAdagrad(w, { lr: 0.1, l1: 0.5 }).step(new Float32Array([0.5, 0.1, -0.5])); // w[1] is 0
 * ```
 * @see Duchi, Hazan & Singer 2011, https://jmlr.org/papers/v12/duchi11a.html
 */
export class ProximalAdagrad<const P extends ParamsOf<typeof proximalAdagrad> = AnyParams> extends Optimizer<
  typeof proximalAdagrad,
  P
> {
  static readonly optimizerName: string = proximalAdagrad.name;
  static readonly defaults: DefaultsOf<typeof proximalAdagrad> = defaultsOf(proximalAdagrad);

  constructor(params: Given<P, typeof proximalAdagrad>, options: ProximalAdagradOptions = {}) {
    super(proximalAdagrad, params, options);
  }

  protected override constants({ lr, l1, eps }: Resolved): number[] {
    return [lr, lr * l1, eps];
  }
}
