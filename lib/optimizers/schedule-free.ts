import { typeError } from '../check/errors.js';
import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Arrays, Grads, Params } from '../core/params.js';
import { power } from '../core/power.js';
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
  /** The steps in which lr grows from 0; 0: none. */
  warmupSteps: {
    default: 0,
    range: '[0, inf)',
    integer: true,
    fixed: true,
  },
  /** Power of t in the weights of the average. */
  r: { default: 0, range: '[0, inf)' },
  /** Power of the largest lr so far in the weights of the average. */
  weightLrPower: {
    default: 2,
    range: '[0, inf)',
  },
} as const;

// The largest lr and the sum of the weights so far, and the β by which the params follow from z and x.
const scalars = { lrMax: 0, weightSum: 0, interpolation: 0 } as const;
type Scalars = readonly [lrMax: number, weightSum: number, interpolation: number];

export const scheduleFreeSgd = {
  name: 'ScheduleFreeSGD',
  reference,
  formula: ['z ← z − η·(g + λ·y)', ...averagingFormula],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate: larger than SGD's. */
    lr: { default: 1, range: '[0, inf)' },
    /** β: how near to the average x, rather than to z, gradients are taken. */
    momentum: {
      default: 0.9,
      range: '[0, 1)',
    },
    ...averagingParameters,
    /** L2 penalty, at y. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'schedule-free-sgd': kernel({
      state: ['z', 'x'],
      constants: ['lr', 'weight', 'oneMinusWeight', 'momentum', 'oneMinusMomentum'],
      reference:
        ([lr, weight, oneMinusWeight, momentum, oneMinusMomentum], [z, x]) =>
        (i, _param, grad) => {
          z[i] = z[i]! - f(lr * grad);
          x[i] = f(oneMinusWeight * x[i]!) + f(weight * z[i]!);
          return f(oneMinusMomentum * z[i]!) + f(momentum * x[i]!);
        },
    }),
  },
  scalars,
} as const satisfies Declaration;

export const scheduleFreeAdamw = {
  name: 'ScheduleFreeAdamW',
  reference,
  formula: ['s ← β₂·s + (1−β₂)·g²;  z ← z − η·(g/(√(s/(1−β₂ᵗ)) + ε) + λ·y)', ...averagingFormula],
  // In the formula, at y.
  decay: 'none',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 2.5e-3, range: '[0, inf)' },
    /** β: how near to the average x, rather than to z, gradients are taken; and the decay rate of the average of g². */
    betas: {
      default: [0.9, 0.999],
      range: '[0, 1)',
    },
    /** Added to the denominator, outside the root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    ...averagingParameters,
    /** Weight decay, at y, scaled by lr. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'schedule-free-adamw': kernel({
      state: ['z', 'x', 'expAvgSq'],
      constants: [
        'lr',
        'weight',
        'oneMinusWeight',
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'weightDecay',
      ],
      reference:
        (
          [
            lr,
            weight,
            oneMinusWeight,
            beta1,
            oneMinusBeta1,
            beta2,
            oneMinusBeta2,
            inverseBiasCorrection2Sqrt,
            eps,
            weightDecay,
          ],
          [z, x, expAvgSq],
        ) =>
        (i, param, grad) => {
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(oneMinusBeta2 * f(grad * grad));
          const direction = f(grad / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
          z[i] = z[i]! - f(lr * f(direction + f(weightDecay * param)));
          x[i] = f(oneMinusWeight * x[i]!) + f(weight * z[i]!);
          return f(oneMinusBeta1 * z[i]!) + f(beta1 * x[i]!);
        },
    }),
  },
  scalars,
} as const satisfies Declaration;

/** Options of {@link ScheduleFreeSGD}. @interface */
export type ScheduleFreeSGDOptions = OptionsOf<typeof scheduleFreeSgd>;
/** Options of {@link ScheduleFreeAdamW}. @interface */
export type ScheduleFreeAdamWOptions = OptionsOf<typeof scheduleFreeAdamw>;
type NowOfSgd = ResolvedOf<typeof scheduleFreeSgd>;
type NowOfAdamw = ResolvedOf<typeof scheduleFreeAdamw>;

/** The lr of update t, the weight of its z in the average, and the largest lr and the sum of weights after it. */
function averaging(
  { lr, warmupSteps, r, weightLrPower }: Pick<NowOfSgd, 'lr' | keyof typeof averagingParameters>,
  t: number,
  [largest, sum]: Scalars,
): { rate: number; weight: number; lrMax: number; weightSum: number } {
  const rate = t < warmupSteps ? (lr * t) / warmupSteps : lr;
  const lrMax = Math.max(rate, largest);
  const own = t ** r * lrMax ** weightLrPower;
  const weightSum = sum + own;
  // Without a step of any length so far x is what it was.
  return { rate, weight: weightSum === 0 ? 0 : own / weightSum, lrMax, weightSum };
}

/** What the two classes share: x, the average, beside the params, which are y while training. */
abstract class ScheduleFree<D extends Declaration> extends Optimizer<D> {
  readonly #name: string;
  #isEvaluating = false;

  protected constructor(declaration: D, params: Params<GroupOptionsOf<D>>, options: OptionsOf<D>) {
    super(declaration, params, options);
    this.#name = declaration.name;
  }

  /** The averaged weights x: live arrays, in the structure in which gradients are given; 0 before a param's first update. */
  get averagedParams(): Arrays {
    return this.stateArrays('x');
  }

  /** Puts the averaged weights into the params, to evaluate or to save them; a step needs {@link train} first. */
  eval(): void {
    this.forEachParam((param, state) => {
      const { x } = state as Record<'x', Float32Array>;
      for (let i = 0; i < x.length; i++) param[i] = x[i]!; // the user's array may have a `set` of its own
    });
    this.#isEvaluating = true;
  }

  /**
   * Puts the weights at which gradients are to be taken back into the params: after {@link eval}, and after loading params
   * that were saved in evaluation mode. To the bit what the last step left there.
   */
  train(): void {
    this.forEachParam((param, state, [, , interpolation]) => {
      const { z, x } = state as Record<'z' | 'x', Float32Array>;
      const [beta, oneMinusBeta] = [f(interpolation as number), f(1 - (interpolation as number))];
      for (let i = 0; i < x.length; i++) param[i] = f(oneMinusBeta * z[i]!) + f(beta * x[i]!);
    });
    this.#isEvaluating = false;
  }

  override step(grads: Grads, options?: StepOptions): StepResult {
    this.#checkTraining();
    return super.step(grads, options);
  }

  override async stepAsync(grads: Grads, options?: StepAsyncOptions): Promise<StepResult> {
    this.#checkTraining();
    return super.stepAsync(grads, options);
  }

  protected override start(
    _options: unknown,
    param: Float32Array,
    { z, x }: Readonly<Record<'z' | 'x', Float32Array>>,
  ): void {
    z.set(param);
    x.set(param);
  }

  #checkTraining(): void {
    if (this.#isEvaluating)
      throw typeError(this.#name, 'this', 'an optimizer in evaluation mode', 'train() before a step');
  }
}

/**
 * Schedule-Free SGD: plain steps z, gradients taken between z and its average x. The average takes the place of a falling
 * learning rate, and the length of the run need not be known.
 *
 * ```
 * z ← z − η·(g + λ·y)
 * c = ω/Σω with ω = t^r·(largest η)^p;   x ← (1−c)·x + c·z;   y ← (1−β)·z + β·x
 * ```
 * The params hold y. {@link ScheduleFreeSGD.eval} puts x into them for evaluation, {@link ScheduleFreeSGD.train} y back;
 * `averagedParams` holds x at any time.
 *
 * Options: `lr` (1, [0, ∞)), `momentum` (β, 0.9, [0, 1)), `warmupSteps` (0: steps in which lr grows linearly from 0), `r`
 * (0, [0, ∞)), `weightLrPower` (p, 2, [0, ∞)), `weightDecay` (0, L2, at y), `maximize` (false), `clipValue`; for all
 * groups together `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`, `gradNorm`, `flushDenormals`. State: `z`, `x`, and the
 * numbers `lrMax`, `weightSum`, `interpolation`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ScheduleFreeSGD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new ScheduleFreeSGD(w, { lr: 0.5, warmupSteps: 10 });
 * for (let step = 0; step < 100; step++) optimizer.step(w.slice()); // the gradient of w²/2
 * optimizer.eval(); // w holds the average: measure its loss, save it
 * optimizer.train(); // and go on
 * ```
 * @see Defazio et al. 2024, https://arxiv.org/abs/2405.15682
 */
export class ScheduleFreeSGD extends ScheduleFree<typeof scheduleFreeSgd> {
  static readonly optimizerName: string = scheduleFreeSgd.name;
  static readonly defaults: ScheduleFreeSGDOptions = defaultsOf(scheduleFreeSgd);

  constructor(params: Params<GroupOptionsOf<typeof scheduleFreeSgd>>, options: ScheduleFreeSGDOptions = {}) {
    super(scheduleFreeSgd, params, options);
  }

  protected override constants(now: NowOfSgd, t: number, scalars: Scalars): number[] {
    const { rate, weight } = averaging(now, t, scalars);
    return [rate, weight, 1 - weight, now.momentum, 1 - now.momentum];
  }

  protected override scalarsAfter(now: NowOfSgd, t: number, scalars: Scalars): readonly number[] {
    const { lrMax, weightSum } = averaging(now, t, scalars);
    return [lrMax, weightSum, now.momentum];
  }
}

/**
 * Schedule-Free AdamW: {@link ScheduleFreeSGD} with steps that are divided by the root of an average of squared gradients.
 *
 * ```
 * s ← β₂·s + (1−β₂)·g²;   z ← z − η·(g/(√(s/(1−β₂ᵗ)) + ε) + λ·y)
 * c = ω/Σω with ω = t^r·(largest η)^p;   x ← (1−c)·x + c·z;   y ← (1−β₁)·z + β₁·x
 * ```
 * Options: `lr` (2.5e-3, [0, ∞)), `betas` ([0.9, 0.999], each [0, 1)), `eps` (1e-8), `warmupSteps` (0), `r` (0, [0, ∞)),
 * `weightLrPower` (p, 2, [0, ∞)), `weightDecay` (0, in the formula, at y), `maximize` (false), `clipValue`; for all groups
 * together `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`, `gradNorm`, `flushDenormals`. State: `z`, `x`, `expAvgSq`, and
 * the numbers `lrMax`, `weightSum`, `interpolation`.
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
export class ScheduleFreeAdamW extends ScheduleFree<typeof scheduleFreeAdamw> {
  static readonly optimizerName: string = scheduleFreeAdamw.name;
  static readonly defaults: ScheduleFreeAdamWOptions = defaultsOf(scheduleFreeAdamw);

  constructor(params: Params<GroupOptionsOf<typeof scheduleFreeAdamw>>, options: ScheduleFreeAdamWOptions = {}) {
    super(scheduleFreeAdamw, params, options);
  }

  protected override constants(now: NowOfAdamw, t: number, scalars: Scalars): number[] {
    const { rate, weight } = averaging(now, t, scalars);
    const [beta1, beta2] = now.betas;
    return [
      rate,
      weight,
      1 - weight,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - power(beta2, t)),
      now.eps,
      now.weightDecay,
    ];
  }

  protected override scalarsAfter(now: NowOfAdamw, t: number, scalars: Scalars): readonly number[] {
    const { lrMax, weightSum } = averaging(now, t, scalars);
    return [lrMax, weightSum, now.betas[0]];
  }
}
