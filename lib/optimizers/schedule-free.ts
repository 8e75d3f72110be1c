import { typeError } from '../check/errors.js';
import { copyInto } from '../check/typed-array.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, ArraysOf, Given, GradsOf, ParamsOf } from '../core/params-of.js';
import { power, rememberedPow } from '../core/power.js';
import type { StepAsyncOptions, StepOptions, StepResult } from '../core/stepper.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

const reference =
  'Defazio et al., "The Road Less Scheduled", NeurIPS 2024, eq. 3–5 and Algorithm 1, https://arxiv.org/abs/2405.15682';

const averagingFormula = [
  'c = ω/Σω with ω = t^r·(largest η)^p;  x ← (1−c)·x + c·z;  y ← (1−β)·z + β·x',
  'y: the params while training, x: averagedParams, and the params after eval(); β: momentum, or betas[0]',
];

const averagingParameters = {
  /** Steps over which lr grows linearly from 0; 0 disables the warm-up. */
  warmupSteps: { default: 0, range: '[0, inf)', integer: true, fixed: true },
  /** Exponent of t in the weights of the average. */
  r: { default: 0, range: '[0, inf)' },
  /** Exponent of the largest lr so far in the weights of the average. */
  weightLrPower: { default: 2, range: '[0, inf)' },
} as const;

// The largest lr so far, the sum of the weights ω so far, and the β of the last update, which train() needs for y.
const scalars = { lrMax: 0, weightSum: 0, interpolation: 0 } as const;
type Scalars = readonly [lrMax: number, weightSum: number, interpolation: number];

/**
 * (1 − share)·from + share·to, in float32. Exact where both are equal, so that a weight without a gradient does not
 * drift, and for a share of 0.
 */
function between(from: number, to: number, share: number): number {
  return f(from + f(share * f(to - from)));
}

export const scheduleFreeSgd = {
  name: 'ScheduleFreeSGD',
  reference,
  formula: ['z ← z − η·(g + λ·y)', ...averagingFormula],
  decay: 'l2',
  float32State: 'its state has weights',
  hyperParameters: {
    /** Learning rate. Use a larger one than for SGD. */
    lr: { default: 1, range: '[0, inf)' },
    /** β: gradients are evaluated at (1 − β) · z + β · x, where x is the average of z. */
    momentum: { default: 0.9, range: '[0, 1)' },
    ...averagingParameters,
    /** L2 penalty: adds weightDecay · y to the gradient, which is evaluated at y. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'schedule-free-sgd': kernel({
      state: ['z', 'x'],
      constants: ['lr', 'weight', 'momentum'],
      reference:
        ([lr, weight, momentum], [z, x]) =>
        (i, _param, grad) => {
          z[i] = z[i]! - f(lr * grad);
          x[i] = between(x[i]!, z[i]!, weight);
          return between(z[i]!, x[i]!, momentum);
        },
    }),
  },
  scalars,
} as const satisfies Declaration;

export const scheduleFreeAdamw = {
  name: 'ScheduleFreeAdamW',
  reference,
  formula: ['s ← β₂·s + (1−β₂)·g²;  z ← z − η·(g/(√(s/(1−β₂ᵗ)) + ε) + λ·y)', ...averagingFormula],
  // The formula applies weightDecay itself, at y.
  decay: 'none',
  float32State: 'its state has weights',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 2.5e-3, range: '[0, inf)' },
    /**
     * β₁: gradients are evaluated at (1 − β₁) · z + β₁ · x, where x is the average of z. β₂: decay rate of the moving
     * average of g².
     */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    ...averagingParameters,
    /** Weight decay inside the formula: subtracts lr · weightDecay · y from z. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'schedule-free-adamw': kernel({
      state: ['z', 'x', 'expAvgSq'],
      constants: [
        'lr',
        'weight',
        'beta1',
        'beta2',
        'oneMinusBeta2',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'weightDecay',
      ],
      reference:
        ([lr, weight, beta1, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps, weightDecay], [z, x, expAvgSq]) =>
        (i, param, grad) => {
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const direction = f(grad / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
          z[i] = z[i]! - f(lr * f(direction + f(weightDecay * param)));
          x[i] = between(x[i]!, z[i]!, weight);
          return between(z[i]!, x[i]!, beta1);
        },
    }),
  },
  scalars,
} as const satisfies Declaration;

/** Options of {@link ScheduleFreeSGD}. @interface */
export type ScheduleFreeSGDOptions = OptionsOf<typeof scheduleFreeSgd>;
/** Options of {@link ScheduleFreeAdamW}. @interface */
export type ScheduleFreeAdamWOptions = OptionsOf<typeof scheduleFreeAdamw>;
type ResolvedSGD = ResolvedOf<typeof scheduleFreeSgd>;
type ResolvedAdamW = ResolvedOf<typeof scheduleFreeAdamw>;

/** The lr of update t and the weight of its z in the average; the largest lr and the sum of weights after it. */
function averaging(
  { lr, warmupSteps, r, weightLrPower }: Pick<ResolvedSGD, 'lr' | keyof typeof averagingParameters>,
  t: number,
  scalars: Scalars,
): { warmedLr: number; weight: number; lrMax: number; weightSum: number } {
  const warmedLr = t < warmupSteps ? (lr * t) / warmupSteps : lr;
  const lrMax = Math.max(warmedLr, scalars[0]);
  const omega = rememberedPow(t, r) * rememberedPow(lrMax, weightLrPower);
  const weightSum = scalars[1] + omega;
  // While every lr so far was 0, x keeps its value.
  return { warmedLr, weight: weightSum === 0 ? 0 : omega / weightSum, lrMax, weightSum };
}

/** Base class of both: keeps the average x. The params hold y in training mode and x in evaluation mode. */
abstract class ScheduleFree<D extends Declaration, P> extends Optimizer<D, P> {
  readonly #name: string;
  #isEvaluating = false;

  protected constructor(declaration: D, params: object, options: DefaultsOf<D>) {
    super(declaration, params, options);
    this.#name = declaration.name;
  }

  /**
   * The averaged weights x: live arrays in the structure of the gradients. For a param that has had no update yet, they
   * are its current weights.
   */
  get averagedParams(): ArraysOf<P> {
    return this.stateArrays('x', { startsAsParam: true });
  }

  /**
   * Switches to evaluation mode: copies the averaged weights x into the params, to evaluate or save them.
   * `step` throws until {@link train} is called.
   *
   * @throws TypeError after `dispose()`, for a pending `stepAsync()`, or a detached param
   */
  eval(): void {
    this.forEachParam((param, state) => {
      const { x } = state as Record<'x', Float32Array>;
      for (let i = 0; i < x.length; i++) param[i] = x[i]!; // not `set`, which the user's array may override
    });
    this.#isEvaluating = true;
  }

  /**
   * Switches to training mode: writes y, where gradients are evaluated, into the params. Call it after {@link eval},
   * and after loading params that were saved in evaluation mode. The result is bit for bit what the last step wrote.
   *
   * @throws TypeError after `dispose()`, for a pending `stepAsync()`, or a detached param
   */
  train(): void {
    this.forEachParam((param, state, [, , interpolation]) => {
      const { z, x } = state as Record<'z' | 'x', Float32Array>;
      const beta = f(interpolation as number);
      for (let i = 0; i < x.length; i++) param[i] = between(z[i]!, x[i]!, beta);
    });
    this.#isEvaluating = false;
  }

  override step(grads: GradsOf<P>, options?: StepOptions): StepResult {
    this.#checkTraining();
    return super.step(grads, options);
  }

  override async stepAsync(grads: GradsOf<P>, options?: StepAsyncOptions): Promise<StepResult> {
    this.#checkTraining();
    return super.stepAsync(grads, options);
  }

  protected override start(
    _options: unknown,
    param: Float32Array,
    { z, x }: Readonly<Record<'z' | 'x', Float32Array>>,
  ): void {
    copyInto(z, param);
    copyInto(x, param);
  }

  protected override get mode(): 'train' | 'eval' {
    return this.#isEvaluating ? 'eval' : 'train';
  }

  protected override loadMode(mode: 'train' | 'eval'): void {
    this.#isEvaluating = mode === 'eval';
  }

  #checkTraining(): void {
    if (this.#isEvaluating)
      throw typeError(this.#name, 'this', 'an optimizer in evaluation mode', 'train() before a step');
  }
}

/**
 * Schedule-Free SGD: takes plain SGD steps z, and evaluates gradients between z and its running average x. The average
 * replaces a learning rate schedule, so the length of the run need not be known.
 *
 * ```
 * z ← z − η·(g + λ·y)
 * c = ω/Σω with ω = t^r·(largest η)^p;   x ← (1−c)·x + c·z;   y ← (1−β)·z + β·x
 * ```
 * In training mode the params hold y. {@link ScheduleFreeSGD.eval} replaces it with x for evaluation, and
 * {@link ScheduleFreeSGD.train} restores y. `averagedParams` returns x at any time.
 *
 * Options: `lr` (η, 1, [0, ∞)), `momentum` (β, 0.9, [0, 1)), `warmupSteps` (0, an integer in [0, ∞): steps over which
 * lr grows linearly from 0), `r` (0, [0, ∞)), `weightLrPower` (p, 2, [0, ∞)), `weightDecay` (λ, 0, [0, ∞), L2, at y).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `z`, `x`, and the numbers `lrMax`, `weightSum`, `interpolation`. A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** Runs of unknown length, without a learning rate schedule.
 *
 * **Pitfalls:** Call `eval()` before you measure or export the weights, and `train()` before the next step; a step in
 * eval mode is an error. The default `lr` of 1 is large. Search from 0.1 to 10, use `warmupSteps`, and do not add a
 * decaying schedule. Recompute the statistics of batch normalisation after `eval()`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ScheduleFreeSGD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new ScheduleFreeSGD(w, { lr: 0.5, warmupSteps: 10 });
 * for (let step = 0; step < 100; step++) optimizer.step(w.slice()); // the gradient of w²/2
 * optimizer.eval(); // w holds the average: measure its loss, save it
 * optimizer.train(); // continue training
 * ```
 * @see Defazio et al. 2024, eq. 3–5, https://arxiv.org/abs/2405.15682
 */
export class ScheduleFreeSGD<const P extends ParamsOf<typeof scheduleFreeSgd> = AnyParams> extends ScheduleFree<
  typeof scheduleFreeSgd,
  P
> {
  static readonly optimizerName: string = scheduleFreeSgd.name;
  static readonly defaults: DefaultsOf<typeof scheduleFreeSgd> = defaultsOf(scheduleFreeSgd);

  constructor(params: Given<P, typeof scheduleFreeSgd>, options: ScheduleFreeSGDOptions = {}) {
    super(scheduleFreeSgd, params, options);
  }

  protected override constants(resolved: ResolvedSGD, t: number, scalars: Scalars): number[] {
    const { warmedLr, weight } = averaging(resolved, t, scalars);
    return [warmedLr, weight, resolved.momentum];
  }

  protected override scalarsAfter(resolved: ResolvedSGD, t: number, scalars: Scalars): readonly number[] {
    const { lrMax, weightSum } = averaging(resolved, t, scalars);
    return [lrMax, weightSum, resolved.momentum];
  }
}

/**
 * Schedule-Free AdamW: {@link ScheduleFreeSGD} whose steps z are divided by the root of a moving average of g², as in
 * Adam.
 *
 * ```
 * s ← β₂·s + (1−β₂)·g²;   z ← z − η·(g/(√(s/(1−β₂ᵗ)) + ε) + λ·y)
 * c = ω/Σω with ω = t^r·(largest η)^p;   x ← (1−c)·x + c·z;   y ← (1−β₁)·z + β₁·x
 * ```
 * Options: `lr` (η, 2.5e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `warmupSteps` (0,
 * an integer in [0, ∞): steps over which lr grows linearly from 0), `r` (0, [0, ∞)), `weightLrPower` (p, 2, [0, ∞)),
 * `weightDecay` (λ, 0, [0, ∞), in the formula, at y).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `z`, `x`, `expAvgSq` (s), and the numbers `lrMax`, `weightSum`, `interpolation`. A step updates the params and
 * the state in place.
 *
 * @remarks
 * **When:** As {@link AdamW}, for runs of unknown length and without a learning rate schedule.
 *
 * **Pitfalls:** Call `eval()` before you measure or export the weights, and `train()` before the next step; a step in
 * eval mode is an error. The best `lr` is 1 to 10 times that of AdamW. Use `warmupSteps`, and do not add a decaying
 * schedule. Recompute the statistics of batch normalisation after `eval()`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ScheduleFreeAdamW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new ScheduleFreeAdamW(w, { lr: 0.01, warmupSteps: 10, weightDecay: 0.1 });
 * optimizer.step(new Float32Array([0.5, 0, -0.5]));
 * const averaged = optimizer.averagedParams as Float32Array;
 * ```
 * @see Defazio et al. 2024, Algorithm 1, https://arxiv.org/abs/2405.15682
 */
export class ScheduleFreeAdamW<const P extends ParamsOf<typeof scheduleFreeAdamw> = AnyParams> extends ScheduleFree<
  typeof scheduleFreeAdamw,
  P
> {
  static readonly optimizerName: string = scheduleFreeAdamw.name;
  static readonly defaults: DefaultsOf<typeof scheduleFreeAdamw> = defaultsOf(scheduleFreeAdamw);

  constructor(params: Given<P, typeof scheduleFreeAdamw>, options: ScheduleFreeAdamWOptions = {}) {
    super(scheduleFreeAdamw, params, options);
  }

  protected override constants(resolved: ResolvedAdamW, t: number, scalars: Scalars): number[] {
    const { warmedLr, weight } = averaging(resolved, t, scalars);
    const beta1 = resolved.betas[0];
    const beta2 = resolved.betas[1];
    return [
      warmedLr,
      weight,
      beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - power(beta2, t)),
      resolved.eps,
      resolved.weightDecay,
    ];
  }

  protected override scalarsAfter(resolved: ResolvedAdamW, t: number, scalars: Scalars): readonly number[] {
    const { lrMax, weightSum } = averaging(resolved, t, scalars);
    return [lrMax, weightSum, resolved.betas[0]];
  }
}
