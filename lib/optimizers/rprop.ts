import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const rprop = {
  name: 'Rprop',
  reference:
    'Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993, https://doi.org/10.1109/ICNN.1993.298623; the form without weight-backtracking: Igel & Hüsken 2000 (iRprop−)',
  formula: [
    'sign(g)·sign(previous g) > 0: step ← step·η⁺;  < 0: step ← step·η⁻, g ← 0',
    'step ← min(max(step, smallest), largest);  w ← w − sign(g)·step',
  ],
  decay: 'none',
  hyperParameters: {
    /** Initial step size of every element. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Factors of the step size: η⁻ when the sign of the gradient changes, η⁺ when it stays the same. */
    etas: { default: [0.5, 1.2], range: '(0, inf)' },
    /** Smallest and largest step size. */
    stepSizes: { default: [1e-6, 50], range: '[0, inf)' },
  },
  kernels: {
    rprop: kernel({
      state: ['prev', 'stepSize'],
      constants: ['etaMinus', 'etaPlus', 'minStep', 'maxStep'],
      reference:
        ([etaMinus, etaPlus, minStep, maxStep], [prev, stepSize]) =>
        (i, param, grad) => {
          const agreement = Math.sign(grad) * Math.sign(prev[i]!);
          const step = f((agreement > 0 ? etaPlus : agreement < 0 ? etaMinus : 1) * stepSize[i]!);
          const raised = minStep > step ? minStep : step;
          stepSize[i] = maxStep < raised ? maxStep : raised;
          prev[i] = agreement < 0 ? 0 : grad;
          return param - Math.sign(prev[i]!) * stepSize[i]!;
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Rprop}. @interface */
export type RpropOptions = OptionsOf<typeof rprop>;
type Resolved = ResolvedOf<typeof rprop>;

/**
 * Rprop: uses only the signs of the gradient. Each element has its own step size, which grows while the sign stays the
 * same.
 *
 * ```
 * sign(g)·sign(previous g) > 0   step ← step·η⁺
 *                          < 0   step ← step·η⁻,  g ← 0
 * step ← min(max(step, smallest), largest);   w ← w − sign(g)·step
 * ```
 * Use it with gradients of the full data set: the noise of mini-batches makes all step sizes shrink.
 *
 * Options: `lr` (1e-2, [0, ∞): the step size at a param's first update), `etas` ([0.5, 1.2]: η⁻ in (0, 1), η⁺ in
 * (1, ∞)), `stepSizes` ([1e-6, 50], each in [0, ∞): smallest, largest).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `prev`, `stepSize`. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Full batches: small data sets, fits, gradients without noise.
 *
 * **Pitfalls:** With minibatches the signs change by chance and all step sizes shrink. `lr` sets the first step sizes
 * only; a later change has no effect. It has no weight decay.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range, a pair in the wrong
 *   order or overlapping params
 * @example
 * ```ts
 * import { Rprop } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Rprop(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Riedmiller & Braun 1993, https://doi.org/10.1109/ICNN.1993.298623; without weight-backtracking: Igel & Hüsken
 *   2000 (iRprop−)
 */
export class Rprop<const P extends ParamsOf<typeof rprop> = AnyParams> extends Optimizer<typeof rprop, P> {
  static readonly optimizerName: string = rprop.name;
  static readonly defaults: DefaultsOf<typeof rprop> = defaultsOf(rprop);

  constructor(params: Given<P, typeof rprop>, options: RpropOptions = {}) {
    super(rprop, params, options);
  }

  protected override conflict({
    etas: [minus, plus],
    stepSizes: [min, max],
  }: Resolved): [string, string, string] | undefined {
    if (minus >= 1) return ['etas[0]', String(minus), 'less than 1'];
    if (plus <= 1) return ['etas[1]', String(plus), 'more than 1'];
    if (min > max) return ['stepSizes', `[${min}, ${max}]`, 'the smaller first'];
    return undefined;
  }

  protected override start(
    { lr }: Resolved,
    _param: Float32Array,
    state: Readonly<Record<'stepSize', Float32Array>>,
  ): void {
    state.stepSize.fill(lr);
  }

  protected override constants({ etas: [minus, plus], stepSizes: [min, max] }: Resolved): number[] {
    return [minus, plus, min, max];
  }
}
