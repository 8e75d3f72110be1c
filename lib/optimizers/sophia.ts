import { checkFloat } from '../check/options.js';
import { checkFloat32, checkLength, floatsOf } from '../check/typed-array.js';
import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, GradsOf, ParamsOf } from '../core/params-of.js';
import { type StepOptions, type StepResult, unscale } from '../core/stepper.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import type { Block } from '../engine/block.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const sophia = {
  name: 'Sophia',
  reference:
    'Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", 2023, Algorithm 3, https://arxiv.org/abs/2305.14342',
  formula: [
    'w ← w·(1 − η·λ)',
    'with an estimate h of the Hessian’s diagonal: H ← β₂·H + (1−β₂)·h',
    'm ← β₁·m + (1−β₁)·g;  w ← w − η·clip(m/max(γ·H, ε), ±1)',
  ],
  decay: 'decoupled',
  float32State: 'the hessian of a step changes its state before the formula does',
  hyperParameters: {
    /** Learning rate: upper bound on how far a step moves an element. */
    lr: { default: 1e-4, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and of the estimates of the Hessian's diagonal. */
    betas: { default: [0.965, 0.99], range: '[0, 1)' },
    /** γ: with a larger value, fewer elements are clipped. */
    gamma: { default: 0.05, range: '[0, inf)' },
    /** Lower bound on the divisor of m. */
    eps: { default: 1e-12, range: '(0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0.1, range: '[0, inf)' },
  },
  kernels: {
    sophia: kernel({
      state: ['expAvg', 'hessian'],
      constants: ['lr', 'beta1', 'oneMinusBeta1', 'gamma', 'eps'],
      reference:
        ([lr, beta1, oneMinusBeta1, gamma, eps], [expAvg, hessian]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          const curvature = f(gamma * hessian[i]!);
          const newton = f(expAvg[i]! / (curvature > eps ? curvature : eps));
          const raised = -1 > newton ? -1 : newton;
          return param - f(lr * (1 < raised ? 1 : raised));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Sophia}. @interface */
export type SophiaOptions = OptionsOf<typeof sophia>;
type Resolved = ResolvedOf<typeof sophia>;

/** Options of a step of {@link Sophia}. */
export interface SophiaStepOptions<P = AnyParams> extends StepOptions {
  /**
   * An estimate of the Hessian's diagonal for each param, in the structure of the gradients. It is a `Float32Array` of
   * the param's length, or `null` to keep the average as it is. A param whose gradient is null also keeps its average.
   * Leave `hessian` out in most steps.
   */
  readonly hessian?: GradsOf<P> | undefined;
  /**
   * Multiplies every estimate. If the estimate is a weighted sum, pass 1 / Σ weight. Default 1. Only with `hessian`.
   */
  readonly hessianScale?: number | undefined;
}

/**
 * Sophia: divides the averaged gradient by an average of the Hessian's diagonal, which you estimate every few steps,
 * and clips the quotient to ±1.
 *
 * ```
 * w ← w·(1 − η·λ)
 * with an estimate h   H ← β₂·H + (1−β₂)·h
 * m ← β₁·m + (1−β₁)·g;   w ← w − η·clip(m/max(γ·H, ε), ±1)
 * ```
 * Pass h to about every tenth step: `step(grads, { hessian })`. Two estimates are common. Gauss-Newton (SophiaG): h is
 * the batch size times g_s², where g_s is the mean gradient for labels drawn from the model's own output. Hutchinson
 * (SophiaH): h is u·(Hessian·u), with random signs u. `hessianScale` multiplies h; `gradScale`, clipping and `maximize`
 * do not change it. With `skipNonFinite`, an estimate that is not finite skips the step, and the `gradNorm` of its
 * result is NaN. In distributed training, `step` of `DataParallel` and `ShardedOptimizer` takes the mean of the
 * estimates of all ranks.
 *
 * Options: `lr` (η, 1e-4, [0, ∞)), `betas` ([0.965, 0.99], each in [0, 1)), `gamma` (γ, 0.05, [0, ∞)), `eps` (ε, 1e-12,
 * (0, ∞)), `weightDecay` (λ, 0.1, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `hessian` (H). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Pre-training of language models, where it needs fewer steps than {@link AdamW}.
 *
 * **Pitfalls:** Without estimates H stays 0, and every element moves by lr, as with {@link Signum}. Choose `gamma` so
 * that 10 to 50 percent of the elements are not clipped. `stepAsync` takes no `hessian`. The published SophiaG divides
 * by ρ·batch·H + 1e-15; optax corrects the bias of m, and uses H before its update.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Sophia } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new Sophia(w, { lr: 0.1 });
 * const curvature = Float32Array.of(1, 10, 100); // of the loss Σ cᵢ·wᵢ²/2
 * for (let step = 0; step < 100; step++) {
 *   const grad = w.map((x, i) => curvature[i] * x);
 *   optimizer.step(grad, step % 10 === 0 ? { hessian: curvature } : {});
 * }
 * ```
 * @see Liu et al. 2023, Algorithm 3, https://arxiv.org/abs/2305.14342
 */
export class Sophia<const P extends ParamsOf<typeof sophia> = AnyParams> extends Optimizer<typeof sophia, P> {
  static readonly optimizerName: string = sophia.name;
  static readonly defaults: DefaultsOf<typeof sophia> = defaultsOf(sophia);

  constructor(params: Given<P, typeof sophia>, options: SophiaOptions = {}) {
    super(sophia, params, options);
  }

  /**
   * Steps as every optimizer does. With `hessian`, it first updates the average H.
   *
   * @param options `hessian`: the estimate, in the structure of the gradients, or null for params without one.
   *   `hessianScale` (1) multiplies it.
   * @throws as the step of every optimizer; nothing has changed then, H included
   */
  override step(grads: GradsOf<P>, options: SophiaStepOptions<P> = {}): StepResult {
    if (typeof options !== 'object' || options === null || !('hessian' in options)) return super.step(grads, options);
    const { hessian, hessianScale = 1, ...rest } = options;
    if (hessian === undefined) return super.step(grads, rest);
    checkFloat(sophia.name, 'hessianScale', hessianScale);
    checkFloat(sophia.name, 'gradScale', rest.gradScale ?? 1);
    const { store, options: global } = Optimizer.internals(this as unknown as Optimizer);
    const count = this.stepCount;
    const taken = this.#takeUp(hessian, hessianScale);
    const skips = global.set['skipNonFinite'] === true && !taken.every(({ canBeTaken }) => canBeTaken);
    try {
      return super.step(grads, skips ? ({ ...rest, [unscale]: Number.NaN } as StepOptions) : rest);
    } finally {
      const isRefused = this.stepCount === count; // or skipped
      const { rowOf } = store.stepConstants;
      for (const { index, block, before } of taken) if (isRefused || rowOf[index]! < 0) block.write(before);
    }
  }

  protected override constants({ lr, betas: [beta1], gamma, eps }: Resolved): number[] {
    return [lr, beta1, 1 - beta1, gamma, eps];
  }

  /** Takes an estimate into the averages. Returns what they were. @throws TypeError, RangeError */
  #takeUp(hessian: unknown, scale: number): readonly Taken[] {
    const { stepper, store } = Optimizer.internals(this as unknown as Optimizer);
    stepper.checkNotBusy();
    stepper.checkNoPendingStep();
    const { params, groups } = store;
    const structure = new Structure(sophia.name, params, 'hessian');
    const given: unknown[] = [];
    stepper.exclusively(() => {
      structure.read(hessian, given);
      for (const { settings } of groups) settings.resolve(stepper.stepCount + 1);
    });
    const changes = groups.flatMap(({ settings, begin, end }) => {
      const { betas } = settings.resolved as unknown as Resolved;
      return params.slice(begin, end).flatMap((param, i) => {
        const estimate = given[begin + i];
        if (estimate === null) return [];
        const path = structure.gradPath(param);
        checkFloat32(sophia.name, path, estimate, 'a Float32Array or null');
        checkLength(sophia.name, path, estimate as Float32Array, param.length);
        const block = param.state.get('hessian')!;
        const before = block.read();
        const after = before.slice();
        const scaled = scale === 1 ? (estimate as Float32Array) : floatsOf(estimate as Float32Array).slice();
        if (scale !== 1) store.engine.scale(scaled, scale);
        store.engine.lerp(after, scaled, 1 - betas[1]);
        const canBeTaken = isFiniteEstimate(estimate as Float32Array, scale);
        return [{ index: begin + i, block, before, after, canBeTaken }];
      });
    });
    for (const { block, after } of changes) block.write(after);
    return changes;
  }
}

/** An average that has taken up an estimate. */
interface Taken {
  /** Of the param. */
  readonly index: number;
  readonly block: Block;
  readonly before: Float32Array;
  /** Whether the estimate is finite. */
  readonly canBeTaken: boolean;
}

/** Whether scale·h is finite in float32 for every number h of an estimate. */
export function isFiniteEstimate(estimate: Float32Array, scale: number): boolean {
  const { sumSquares, linalg } = engine();
  return Number.isFinite(sumSquares(estimate)) && Number.isFinite(f(f(scale) * linalg.maxAbs(estimate)));
}
