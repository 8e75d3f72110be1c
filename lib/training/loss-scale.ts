import { show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkFloat, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import type { Grads } from '../core/params.js';
import { inspect, print } from '../core/print.js';
import { type StepOptions, type StepResult, unscale } from '../core/stepper.js';
import { innerOptimizer } from './param-groups.js';

const who = 'LossScale';

/** Options of {@link LossScale}. */
export interface LossScaleOptions {
  /** The first scale, rounded to float32. (0, inf), default 65536. */
  readonly initScale?: number | undefined;
  /** Factor of the scale after `growthInterval` applied updates in a row. (1, inf), default 2. */
  readonly growthFactor?: number | undefined;
  /** Factor of the scale after a skipped step. (0, 1), default 0.5. */
  readonly backoffFactor?: number | undefined;
  /** Number of updates in a row without a skipped step before the scale grows. An integer in [1, inf), default 2000. */
  readonly growthInterval?: number | undefined;
}

/** Everything that a resumed {@link LossScale} needs: plain data that survives JSON. */
export interface LossScaleState {
  readonly scale: number;
  readonly growthFactor: number;
  readonly backoffFactor: number;
  readonly growthInterval: number;
  /** Number of updates in a row without a skipped step. */
  readonly growthTracker: number;
}

/** The part of an optimizer that steps. */
interface Steppable {
  step(grads: Grads, options?: StepOptions): StepResult;
}

/** Options of {@link LossScale.step}. */
export interface LossScaleStepOptions {
  /** The loss before `scale`, for an optimizer that needs it. If it is not finite, the step is skipped. */
  readonly loss?: number | undefined;
}

const f = Math.fround;

/**
 * Scales the loss so that small gradients do not become 0 in float16 (loss scaling, PyTorch's `GradScaler`). The scale
 * shrinks after a step with a NaN or an infinity, and grows after many steps without one.
 *
 * ```
 * scale(loss) = scale · loss;   step: g ← g / scale, skipped if a g is not finite
 * update, after a skipped step:       scale ← scale · backoffFactor, tracker ← 0
 * update, else:                       tracker ← tracker + 1
 *   and at tracker = growthInterval:  scale ← scale · growthFactor if that is finite, tracker ← 0
 * ```
 * The scale is float32, as in PyTorch, and the gradients are multiplied by 1/scale rounded to float32. If the scale has
 * shrunk to 0, 1/scale is infinite, so every step with a gradient is skipped. Several optimizers may step before an
 * `update`. One skipped step is enough to shrink the scale, but the steps of the others are applied.
 *
 * @param options `initScale` (65536, (0, ∞)), `growthFactor` (2, (1, ∞)), `backoffFactor` (0.5, (0, 1)),
 *   `growthInterval` (2000, an integer in [1, ∞)): {@link LossScaleOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Micikevicius et al. 2018, section 3.2, https://arxiv.org/abs/1710.03740; PyTorch's `GradScaler`, which follows
 *   the same rules
 * @example
 * ```ts
 * import { LossScale, SGD } from 'schuss';
 *
 * const w = new Float32Array([3]);
 * const sgd = new SGD(w, { lr: 0.25 });
 * const lossScale = new LossScale({ initScale: 1024 });
 * lossScale.scale(w[0] ** 2); // 9216
 * lossScale.step(sgd, new Float32Array([1024 * 2 * w[0]])).applied; // true
 * lossScale.update();
 * w[0]; // 1.5
 * lossScale.step(sgd, new Float32Array([Infinity])).applied; // false
 * lossScale.update();
 * lossScale.value; // 512
 * ```
 */
export class LossScale {
  #scale: number;
  #growthFactor: number;
  #backoffFactor: number;
  #growthInterval: number;
  #growthTracker = 0;
  /** The optimizers that have stepped since the last update. */
  readonly #stepped = new Set<Steppable>();
  #hasSkipped = false;

  constructor(options: LossScaleOptions = {}) {
    const names = ['initScale', 'growthFactor', 'backoffFactor', 'growthInterval'] satisfies (keyof LossScaleOptions)[];
    checkOptions(who, options, names);
    refuseFixed(LossScale, who, names);
    const {
      initScale = 65536,
      growthFactor = 2,
      backoffFactor = 0.5,
      growthInterval = 2000,
    } = options as LossScaleOptions;
    this.#scale = checkScale(who, 'initScale', initScale, '(0, inf)');
    this.#growthFactor = checkNumber(who, 'growthFactor', growthFactor, '(1, inf)');
    this.#backoffFactor = checkNumber(who, 'backoffFactor', backoffFactor, '(0, 1)');
    this.#growthInterval = checkInteger(who, 'growthInterval', growthInterval, '[1, inf)');
  }

  /** The current scale. */
  get value(): number {
    return this.#scale;
  }

  /**
   * Returns scale · loss. Compute the gradients of this product, or multiply the gradient of the loss by `value` before
   * you propagate it back.
   *
   * @throws TypeError for anything but a number
   */
  scale(loss: number): number {
    if (typeof loss !== 'number') throw typeError(who, 'loss', show(loss), 'a number');
    return loss * this.#scale;
  }

  /**
   * Steps an optimizer with `gradScale: 1 / scale`. The step is skipped if a gradient is then NaN or infinite, whatever
   * the optimizer's option `skipNonFinite` says. A skipped step counts in its `skippedSteps`.
   *
   * @param optimizer the optimizer to step, at most once between two calls of `update`
   * @param grads the gradients of the scaled loss, as for the optimizer's `step`. They do not change, unless the
   *   optimizer has `zeroGrads`.
   * @param options `loss`, before `scale`, for an optimizer that needs it: {@link LossScaleStepOptions}
   * @returns whether the step was applied, and the norm of the gradients after 1 / scale
   * @throws TypeError if it is not an optimizer or has stepped since the last `update`, and whatever its `step` throws.
   *   Nothing has changed then.
   */
  step(optimizer: Steppable, grads: Grads, options: LossScaleStepOptions = {}): StepResult {
    const inner = innerOptimizer(who, optimizer);
    if (this.#stepped.has(inner))
      throw typeError(who, 'optimizer', 'one that has stepped since the last update', 'a call of update() first');
    checkOptions(`${who}.step`, options, ['loss']);
    const { loss } = options;
    // Rounded to float32 as in PyTorch. Infinite if the scale is 0 or almost.
    const all = { [unscale]: f(1 / this.#scale), ...(loss === undefined ? {} : { loss }) };
    const { stepCount, skippedSteps } = inner;
    try {
      return optimizer.step(grads, all as StepOptions);
    } finally {
      // The counts show what has happened, also where a hook throws after the step.
      const hasSkipped = inner.skippedSteps > skippedSteps;
      if (hasSkipped || inner.stepCount > stepCount) this.#stepped.add(inner);
      if (hasSkipped) this.#hasSkipped = true;
    }
  }

  /**
   * Adapts the scale to the steps since the last update. Call it once per iteration, after the step of each optimizer.
   *
   * @throws TypeError without a step since the last update
   */
  update(): void {
    if (this.#stepped.size === 0)
      throw typeError(who, 'update', 'no step since the last update', 'a call of step() first');
    if (this.#hasSkipped) {
      this.#scale = f(this.#scale * this.#backoffFactor);
      this.#growthTracker = 0;
    } else if (++this.#growthTracker >= this.#growthInterval) {
      const grown = f(this.#scale * this.#growthFactor);
      if (Number.isFinite(grown)) this.#scale = grown;
      this.#growthTracker = 0;
    }
    this.#stepped.clear();
    this.#hasSkipped = false;
  }

  /** Returns a copy of everything that a resumed run needs: the scale, the options and the tracker. */
  stateDict(): LossScaleState {
    return {
      scale: this.#scale,
      growthFactor: this.#growthFactor,
      backoffFactor: this.#backoffFactor,
      growthInterval: this.#growthInterval,
      growthTracker: this.#growthTracker,
    };
  }

  /**
   * Loads a state that {@link stateDict} returned, options included. Steps since the last `update` are forgotten.
   *
   * @throws TypeError for a wrong type, a missing or an unknown entry; RangeError for a value out of range. Nothing has
   *   changed then.
   */
  loadStateDict(dict: LossScaleState): void {
    const where = `${who}.loadStateDict`;
    checkOptions(where, dict, [
      'scale',
      'growthFactor',
      'backoffFactor',
      'growthInterval',
      'growthTracker',
    ] satisfies (keyof LossScaleState)[]);
    const { scale, growthFactor, backoffFactor, growthInterval, growthTracker } = dict as Record<string, unknown>;
    const loaded = {
      scale: checkScale(where, 'scale', scale, '[0, inf)'),
      growthFactor: checkNumber(where, 'growthFactor', growthFactor, '(1, inf)'),
      backoffFactor: checkNumber(where, 'backoffFactor', backoffFactor, '(0, 1)'),
      growthInterval: checkInteger(where, 'growthInterval', growthInterval, '[1, inf)'),
      growthTracker: checkInteger(where, 'growthTracker', growthTracker, '[0, inf)'),
    };
    this.#scale = loaded.scale;
    this.#growthFactor = loaded.growthFactor;
    this.#backoffFactor = loaded.backoffFactor;
    this.#growthInterval = loaded.growthInterval;
    this.#growthTracker = loaded.growthTracker;
    this.#stepped.clear();
    this.#hasSkipped = false;
  }

  /** The class, the scale and the options. */
  toString(): string {
    return print(who, { ...this.stateDict() });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }
}

/** Returns the scale in float32, where it must be in range too. @throws TypeError, RangeError */
function checkScale(where: string, argument: string, value: unknown, range: '(0, inf)' | '[0, inf)'): number {
  return checkNumber(where, argument, f(checkFloat(where, argument, value, range)), range);
}
