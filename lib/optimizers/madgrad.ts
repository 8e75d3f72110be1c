import { copyInto } from '../check/typed-array.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { finite, overScale } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;
const bits = new DataView(new ArrayBuffer(8));

/**
 * The cube root of a float32 that is not negative, in float64, rounded once: the recipe of native/kernels/madgrad.h.
 * `Math.cbrt` differs between JavaScript engines.
 */
function cubeRoot(a: number): number {
  if (!(a > 0 && a < Number.POSITIVE_INFINITY)) return a;
  bits.setFloat64(0, a);
  const high = bits.getUint32(0);
  const thirds = Math.floor(((high >>> 20) - 1023 + 150) / 3);
  bits.setUint32(0, high - (3 * thirds - 150) * 0x100000);
  const fraction = bits.getFloat64(0);
  let root = 0.75 + fraction * (0.26 - 0.0125 * fraction);
  for (let step = 0; step < 4; step++) root = (root + root + fraction / (root * root)) / 3;
  bits.setUint32(0, (thirds - 50 + 1023) * 0x100000);
  bits.setUint32(4, 0);
  return f(root * bits.getFloat64(0));
}

export const madgrad = {
  name: 'MADGRAD',
  reference:
    'Defazio & Jelassi, "Adaptivity without Compromise: A Momentumized, Adaptive, Dual Averaged Gradient Method for Stochastic Optimization", 2021, Algorithm 1, https://arxiv.org/abs/2101.11075',
  formula: [
    'e = η + ε, or 0 if η = 0;  c = e·√t;  G ← G + c·g²;  z ← z + c·g',
    'x = w₀ − z/(∛G + ε);  w ← μ·w + (1−μ)·x',
    'decoupledWeightDecay: w ← w − e·λ·(w before the step) at the end',
  ],
  // Decoupled decay comes after the update and has the rate e, so the formula applies it.
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'none' : 'l2'),
  float32State: 'it computes the weights from its state',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Fraction of w that a step keeps. The rest comes from x, the weights of dual averaging. */
    momentum: { default: 0.9, range: '[0, 1)' },
    /** Added to the cube root, and to lr. */
    eps: { default: 1e-6, range: '[0, inf)' },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: false },
  },
  kernels: {
    madgrad: kernel({
      state: ['gradSumSq', 's', 'x0'],
      constants: ['lambda', 'eps', 'momentum', 'decay'],
      reference:
        ([lambda, eps, momentum, decay], [gradSumSq, s, x0]) =>
        (i, param, grad) => {
          gradSumSq[i] = gradSumSq[i]! + f(f(lambda * grad) * grad);
          s[i] = finite(s[i]! + f(lambda * grad));
          const scale = f(cubeRoot(gradSumSq[i]!) + eps);
          const x = f(x0[i]! - overScale(s[i]!, scale));
          return f(x + f(momentum * f(param - x))) - (decay > 0 ? f(decay * param) : 0);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link MADGRAD}. @interface */
export type MADGRADOptions = OptionsOf<typeof madgrad>;
type Resolved = ResolvedOf<typeof madgrad>;

/**
 * MADGRAD: dual averaging with a cube root in place of {@link Adagrad}'s square root, and momentum by averaging.
 *
 * ```
 * e = η + ε, or 0 if η = 0;   c = e·√t;   G ← G + c·g²;   z ← z + c·g
 * x = w₀ − z/(∛G + ε);   w ← μ·w + (1−μ)·x
 * decoupledWeightDecay: w ← w − e·λ·(w before the step) at the end
 * ```
 * w₀ is the weight before its first step. Where ∛G + ε is 0, x is w₀.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `momentum` (μ, 0.9, [0, 1)), `eps` (ε, 1e-6, [0, ∞)), `weightDecay` (λ, 0, [0, ∞),
 * L2), `decoupledWeightDecay` (false; true: `weightDecay` decays the weights directly).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `gradSumSq` (G), `s` (z), `x0` (w₀). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Image models and language models where {@link SGD} generalizes better than {@link Adam}; sparse features as
 * with {@link Adagrad}.
 *
 * **Pitfalls:** It needs far less weight decay than other methods, often 0. An `lr` that suits SGD or Adam does not
 * suit it: search again. x is computed from w₀ and the state, so a value that you write into the params fades with the
 * momentum. The cube root is slow: with arrays in the cache, a step takes about 30 times as long as Adam's.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { MADGRAD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new MADGRAD(w, { lr: 0.01 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Defazio & Jelassi 2021, Algorithm 1, https://arxiv.org/abs/2101.11075
 */
export class MADGRAD<const P extends ParamsOf<typeof madgrad> = AnyParams> extends Optimizer<typeof madgrad, P> {
  static readonly optimizerName: string = madgrad.name;
  static readonly defaults: DefaultsOf<typeof madgrad> = defaultsOf(madgrad);

  constructor(params: Given<P, typeof madgrad>, options: MADGRADOptions = {}) {
    super(madgrad, params, options);
  }

  protected override start(
    _options: Resolved,
    param: Float32Array,
    { x0 }: Readonly<Record<'x0', Float32Array>>,
  ): void {
    copyInto(x0, param);
  }

  protected override constants(
    { lr, momentum, eps, weightDecay, decoupledWeightDecay }: Resolved,
    t: number,
  ): number[] {
    const rate = lr === 0 ? 0 : lr + eps;
    return [rate * Math.sqrt(t), eps, momentum, decoupledWeightDecay ? rate * weightDecay : 0];
  }
}
