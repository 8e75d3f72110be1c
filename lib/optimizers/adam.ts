import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

const momentConstants = [
  'beta1',
  'oneMinusBeta1',
  'beta2',
  'oneMinusBeta2',
  'stepSize',
  'inverseBiasCorrection2Sqrt',
  'eps',
] as const;
const rowStepsConstants = ['beta1', 'oneMinusBeta1', 'beta2', 'oneMinusBeta2', 'lr', 'eps'] as const;

const kernels = {
  ...withCautious({
    adam: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: momentConstants,
      reference:
        ([beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          return (
            param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps))
          );
        },
    }),
    'adam-amsgrad': kernel({
      state: ['expAvg', 'expAvgSq', 'maxExpAvgSq'],
      constants: momentConstants,
      reference:
        (
          [beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps],
          [expAvg, expAvgSq, maxExpAvgSq],
        ) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          maxExpAvgSq[i] = maxExpAvgSq[i]! > expAvgSq[i]! ? maxExpAvgSq[i]! : expAvgSq[i]!;
          return (
            param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(maxExpAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps))
          );
        },
    }),
  }),
  'adam-row-wise': kernel({
    state: ['expAvg', 'expAvgSq'],
    constants: momentConstants,
    layout: { expAvgSq: 'row' },
    updateRow:
      ([, , beta2, oneMinusBeta2]) =>
      (meanSquare, [, expAvgSq]) => {
        expAvgSq[0] = f(beta2 * expAvgSq[0]!) + f(oneMinusBeta2 * meanSquare());
      },
    reference:
      ([beta1, oneMinusBeta1, , , stepSize, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
      (i, param, grad) => {
        expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
        return (
          param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(expAvgSq[0]!)) * inverseBiasCorrection2Sqrt) + eps))
        );
      },
  }),
  'adam-row-steps': kernel({
    state: ['expAvg', 'expAvgSq', 'biasCorrection1', 'biasCorrection2'],
    constants: rowStepsConstants,
    layout: { biasCorrection1: 'row', biasCorrection2: 'row' },
    updateRow:
      ([beta1, oneMinusBeta1, beta2, oneMinusBeta2]) =>
      (_meanSquare, [, , biasCorrection1, biasCorrection2]) => {
        biasCorrection1[0] = f(beta1 * biasCorrection1[0]!) + oneMinusBeta1;
        biasCorrection2[0] = f(beta2 * biasCorrection2[0]!) + oneMinusBeta2;
      },
    reference:
      ([beta1, oneMinusBeta1, beta2, oneMinusBeta2, lr, eps], [expAvg, expAvgSq, biasCorrection1, biasCorrection2]) =>
      (i, param, grad) => {
        const stepSize = f(lr / biasCorrection1[0]!);
        const inverse = f(1 / f(Math.sqrt(biasCorrection2[0]!)));
        expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
        expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
        return param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverse) + eps));
      },
  }),
  'adam-row-wise-steps': kernel({
    state: ['expAvg', 'expAvgSq', 'biasCorrection1', 'biasCorrection2'],
    constants: rowStepsConstants,
    layout: { expAvgSq: 'row', biasCorrection1: 'row', biasCorrection2: 'row' },
    updateRow:
      ([beta1, oneMinusBeta1, beta2, oneMinusBeta2]) =>
      (meanSquare, [, expAvgSq, biasCorrection1, biasCorrection2]) => {
        expAvgSq[0] = f(beta2 * expAvgSq[0]!) + f(oneMinusBeta2 * meanSquare());
        biasCorrection1[0] = f(beta1 * biasCorrection1[0]!) + oneMinusBeta1;
        biasCorrection2[0] = f(beta2 * biasCorrection2[0]!) + oneMinusBeta2;
      },
    reference:
      ([beta1, oneMinusBeta1, , , lr, eps], [expAvg, expAvgSq, biasCorrection1, biasCorrection2]) =>
      (i, param, grad) => {
        const stepSize = f(lr / biasCorrection1[0]!);
        const inverse = f(1 / f(Math.sqrt(biasCorrection2[0]!)));
        expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
        return param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(expAvgSq[0]!)) * inverse) + eps));
      },
  }),
};

export const adam = {
  name: 'Adam',
  reference:
    'Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; amsgrad: Reddi, Kale & Kumar 2018, https://arxiv.org/abs/1904.09237',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²',
    'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
    'amsgrad: ŝ ← max(ŝ, s) in place of s in the denominator',
    'rowWise: s ← β₂·s + (1−β₂)·mean(g²), one a row',
    'rowSteps: t counts the updates of each row',
    cautiousFormula,
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Use the running maximum of s in the denominator (AMSGrad). */
    amsgrad: { default: false },
    /** Apply bias correction to both averages. */
    biasCorrection: { default: true },
    /** Keep one s per matrix row: the average of the mean of g². Needs params with a shape, and no amsgrad. */
    rowWise: { default: false },
    /** Count t separately for each matrix row. Needs params with a shape, biasCorrection, and no amsgrad. */
    rowSteps: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels,
} as const satisfies Declaration;

export const adamw = {
  ...adam,
  name: 'AdamW',
  reference:
    'Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, Algorithm 2, https://arxiv.org/abs/1711.05101',
  formula: ['w ← w·(1 − η·λ)', ...adam.formula],
  decay: 'decoupled',
  hyperParameters: {
    ...adam.hyperParameters,
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 1e-2, range: '[0, inf)' },
  },
} as const satisfies Declaration;

/** Options of {@link Adam}. @interface */
export type AdamOptions = OptionsOf<typeof adam>;
/** Options of {@link AdamW}. @interface */
export type AdamWOptions = OptionsOf<typeof adamw>;
type Resolved = ResolvedOf<typeof adam>;

function kernelOf({ amsgrad, rowWise, rowSteps, cautious }: Resolved): string {
  if (amsgrad) return cautious ? 'adam-amsgrad-cautious' : 'adam-amsgrad';
  if (cautious) return 'adam-cautious';
  if (rowSteps) return rowWise ? 'adam-row-wise-steps' : 'adam-row-steps';
  return rowWise ? 'adam-row-wise' : 'adam';
}

function conflictOf({
  amsgrad,
  biasCorrection,
  rowWise,
  rowSteps,
  cautious,
}: Resolved): [string, string, string] | undefined {
  if (amsgrad && rowWise) return ['rowWise', 'true', 'false with amsgrad'];
  if (amsgrad && rowSteps) return ['rowSteps', 'true', 'false with amsgrad'];
  if (cautious && rowWise) return ['rowWise', 'true', 'false with cautious'];
  if (cautious && rowSteps) return ['rowSteps', 'true', 'false with cautious'];
  if (rowSteps && !biasCorrection) return ['rowSteps', 'true', 'false without biasCorrection'];
  return undefined;
}

/**
 * The bias corrections of a row that has taken `t` updates; 1 if a schedule has not given its β yet. Other state starts
 * at 0.
 */
function initialOf(name: string, { betas }: Resolved, t: number): number {
  if (t === 0 || (name !== 'biasCorrection1' && name !== 'biasCorrection2')) return 0;
  const beta = betas[name === 'biasCorrection1' ? 0 : 1];
  return Number.isNaN(beta) ? 1 : 1 - power(beta, t);
}

export function constantsOf(
  {
    lr,
    betas,
    eps,
    biasCorrection,
    rowSteps = false,
  }: Pick<Resolved, 'lr' | 'betas' | 'eps' | 'biasCorrection'> & { readonly rowSteps?: boolean },
  t: number,
): number[] {
  // Array destructuring would run an iterator, which takes as long as the rest of this function.
  const beta1 = betas[0];
  const beta2 = betas[1];
  if (rowSteps) return [beta1, 1 - beta1, beta2, 1 - beta2, lr, eps];
  const biasCorrection1 = biasCorrection ? 1 - power(beta1, t) : 1;
  const biasCorrection2 = biasCorrection ? 1 - power(beta2, t) : 1;
  return [beta1, 1 - beta1, beta2, 1 - beta2, lr / biasCorrection1, 1 / Math.sqrt(biasCorrection2), eps];
}

/**
 * Adam: divides a moving average of the gradient by the square root of a moving average of its square.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * `amsgrad: true` computes `ŝ ← max(ŝ, s)` and uses ŝ instead of s in the denominator. `biasCorrection: false` uses m
 * and s without the divisions by 1−βᵗ. `cautious: true` updates only the elements whose step has the opposite sign of
 * their gradient. It divides their steps by the fraction of such elements in the whole param, at least 1e-3 (Liang et
 * al. 2024). So `cautious` rejects sparse gradients.
 *
 * Two options are for embedding tables with sparse gradients. With `rowWise`, each matrix row (index of `shape[0]`) has
 * one s, the average of mean(g²), which saves a third of the memory. With `rowSteps`, t counts the updates of each row
 * separately, so the first update of a row is as large as that of a new optimizer. Each row then keeps 1−β₁ᵗ and 1−β₂ᵗ
 * as averages of 1, c ← β·c + (1−β), which are also correct if a schedule changes β. You can assign both options later:
 * the state is converted.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `amsgrad` (false),
 * `biasCorrection` (true), `rowWise` (false) and `rowSteps` (false), both without `amsgrad` and `cautious`,
 * `weightDecay` (0, [0, ∞), L2), `cautious` (false).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s, one number per row with `rowWise`), `maxExpAvgSq` (ŝ) with `amsgrad`, and
 * `biasCorrection1` (1−β₁ᵗ) and `biasCorrection2` (1−β₂ᵗ), one number per row, with `rowSteps`. A step updates the
 * params and the state in place.
 *
 * @remarks
 * **When:** Most networks, if you want no weight decay.
 *
 * **Pitfalls:** `weightDecay` is L2 here: it is divided by the root, like the gradient. For decoupled decay, use
 * {@link AdamW}. After one huge gradient, the steps of its element stay small for about 1/(1−β₂) steps, 1000 by
 * default. If the loss has spikes, lower β₂ to 0.95 or 0.99, or set `clipNorm`. In a table with sparse gradients, t
 * counts the steps of the whole table. So the first step of a row that first occurs late can be √(1−β₂)⁻¹·(1−β₁) ≈ 3
 * times as large as lr. Set `rowSteps` for such tables.
 *
 * @throws TypeError for an unknown option, a wrong type, or `rowWise` or `rowSteps` without a shape; RangeError for a
 *   value out of range, options that exclude each other, or overlapping params
 * @example
 * ```ts
 * import { Adam, cosine } from 'schuss';
 * const w = new Float32Array(784 * 100), b = new Float32Array(100);
 * const adam = new Adam({ 'fc.weight': w, 'fc.bias': b }, { lr: cosine(1e-3, { steps: 1000 }), clipNorm: 1 });
 * const { gradNorm } = adam.step({ 'fc.weight': w.map(() => 0.1), 'fc.bias': b.map(() => 0.1) });
 *
 * const users = { data: new Float32Array(1000 * 32), shape: [1000, 32] };
 * const sparse = new Adam({ users }, { rowSteps: true, rowWise: true });
 * sparse.step({ users: { rows: Int32Array.of(7), values: new Float32Array(32).fill(0.1) } });
 * ```
 * @see Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; amsgrad: Reddi, Kale & Kumar 2018, Algorithm 2,
 *   https://arxiv.org/abs/1904.09237
 */
export class Adam<const P extends ParamsOf<typeof adam> = AnyParams> extends Optimizer<typeof adam, P> {
  static readonly optimizerName: string = adam.name;
  static readonly defaults: DefaultsOf<typeof adam> = defaultsOf(adam);

  constructor(params: Given<P, typeof adam>, options: AdamOptions = {}) {
    super(adam, params, options);
  }

  protected override kernel(resolved: Resolved): string {
    return kernelOf(resolved);
  }

  protected override conflict(resolved: Resolved): [string, string, string] | undefined {
    return conflictOf(resolved);
  }

  protected override initial(name: string, resolved: Resolved, t: number): number {
    return initialOf(name, resolved, t);
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}

/**
 * AdamW: {@link Adam} with decoupled weight decay, which shrinks the weights directly instead of adding to the
 * gradient.
 *
 * ```
 * w ← w·(1 − η·λ), then the update of Adam
 * ```
 * Options: those of {@link Adam}, except that `weightDecay` (λ, 1e-2, [0, ∞)) is decoupled. State: that of
 * {@link Adam}.
 *
 * @remarks
 * **When:** The first choice for transformers and most other networks, with a short warm-up and a decaying lr.
 *
 * **Pitfalls:** A step shrinks the weights by lr · weightDecay, so the decay follows the schedule of lr. Use `groupBy`
 * to set `weightDecay: 0` for biases and the scales of normalization layers. Without a warm-up, every weight moves by
 * about lr in the first steps, even if its gradient is small.
 *
 * @throws TypeError for an unknown option, a wrong type, or `rowWise` or `rowSteps` without a shape; RangeError for a
 *   value out of range, options that exclude each other, or overlapping params
 * @example
 * ```ts
 * import { AdamW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new AdamW(w, { lr: 3e-4, weightDecay: 0.1 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101
 */
export class AdamW<const P extends ParamsOf<typeof adamw> = AnyParams> extends Optimizer<typeof adamw, P> {
  static readonly optimizerName: string = adamw.name;
  static readonly defaults: DefaultsOf<typeof adamw> = defaultsOf(adamw);

  constructor(params: Given<P, typeof adamw>, options: AdamWOptions = {}) {
    super(adamw, params, options);
  }

  protected override kernel(resolved: Resolved): string {
    return kernelOf(resolved);
  }

  protected override conflict(resolved: Resolved): [string, string, string] | undefined {
    return conflictOf(resolved);
  }

  protected override initial(name: string, resolved: Resolved, t: number): number {
    return initialOf(name, resolved, t);
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}
