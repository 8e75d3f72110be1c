import { copyInto } from '../check/typed-array.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { finite } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const cocob = {
  name: 'COCOB',
  reference:
    'Orabona & Tommasi, "Training Deep Networks without Learning Rates Through Coin Betting", NeurIPS 2017, Algorithm 2, https://arxiv.org/abs/1705.07795',
  formula: [
    'g ← η·g;  L ← max(L, |g|), from ε;  G ← G + |g|;  R ← max(R − g·(w − w₀), 0);  θ ← θ − g',
    'w ← w₀ + θ/(L·max(G + L, α·L))·(L + R)',
  ],
  decay: 'l2',
  float32State: 'it computes the weights from its state',
  hyperParameters: {
    /** Factor of the gradient. It matters little: the method has no learning rate. */
    lr: { default: 1, range: '[0, inf)' },
    /** Bounds the first steps: a larger alpha makes them shorter. */
    alpha: { default: 100, range: '[0, inf)' },
    /** Initial value of L, the largest |g| so far. */
    eps: { default: 1e-8, range: '(0, inf)', fixed: true },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    cocob: kernel({
      state: ['scale', 'gradAbsSum', 'reward', 'gradSum', 'initialParam'],
      constants: ['lr', 'alpha'],
      reference:
        ([lr, alpha], [scale, gradAbsSum, reward, gradSum, initialParam]) =>
        (i, param, grad) => {
          const pull = f(lr * grad);
          const size = Math.abs(pull);
          scale[i] = scale[i]! > size ? scale[i]! : size;
          gradAbsSum[i] = gradAbsSum[i]! + size;
          const gain = f(reward[i]! - f(pull * f(param - initialParam[i]!)));
          reward[i] = finite(gain > 0 ? gain : 0);
          gradSum[i] = finite(gradSum[i]! - pull);
          const [sum, least] = [f(gradAbsSum[i]! + scale[i]!), f(alpha * scale[i]!)];
          const share = f(f(finite(scale[i]! + reward[i]!)) / (sum > least ? sum : least));
          return initialParam[i]! + f(f(gradSum[i]! / scale[i]!) * finite(share));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link COCOB}. @interface */
export type COCOBOptions = OptionsOf<typeof cocob>;
type Resolved = ResolvedOf<typeof cocob>;

/**
 * COCOB: an optimizer without a learning rate to tune. It bets on the sign of each element's next gradient. The wealth
 * that it has won limits how far the weight may move from its initial value.
 *
 * ```
 * g ← η·g;   L ← max(L, |g|), from ε;   G ← G + |g|;   R ← max(R − g·(w − w₀), 0);   θ ← θ − g
 * w ← w₀ + θ/(L·max(G + L, α·L))·(L + R)
 * ```
 * w₀ is the weight before its first step. A weight whose gradient was always 0 stays there.
 *
 * Options: `lr` (η, 1, [0, ∞)), `alpha` (α, 100, [0, ∞)), `eps` (ε, 1e-8, (0, ∞), not a Schedule), `weightDecay` (0,
 * [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `scale` (L), `gradAbsSum` (G), `reward` (R), `gradSum` (θ), `initialParam` (w₀). A step updates the params and
 * the state in place.
 *
 * @remarks
 * **When:** A network without any search for a learning rate.
 *
 * **Pitfalls:** It keeps five numbers per weight. The first steps are tiny, about |g|/(α·L) each, and grow as the bets
 * win. Each update computes w anew from w₀ and the state: a value that you write into the params in between is lost.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { COCOB } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const cocob = new COCOB(w);
 * for (let step = 0; step < 100; step++) cocob.step(w.slice()); // the gradient of w²/2
 * ```
 * @see Orabona & Tommasi 2017, Algorithm 2, https://arxiv.org/abs/1705.07795
 */
export class COCOB<const P extends ParamsOf<typeof cocob> = AnyParams> extends Optimizer<typeof cocob, P> {
  static readonly optimizerName: string = cocob.name;
  static readonly defaults: DefaultsOf<typeof cocob> = defaultsOf(cocob);

  constructor(params: Given<P, typeof cocob>, options: COCOBOptions = {}) {
    super(cocob, params, options);
  }

  protected override initial(name: string, { eps }: Resolved): number {
    return name === 'scale' ? eps : 0;
  }

  protected override start(
    _options: Resolved,
    param: Float32Array,
    { initialParam }: Readonly<Record<'initialParam', Float32Array>>,
  ): void {
    copyInto(initialParam, param);
  }

  protected override constants({ lr, alpha }: Resolved): number[] {
    return [lr, alpha];
  }
}
