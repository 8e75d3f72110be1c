import { show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkBoolean, checkFloat, checkFunction, checkNumber, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, copyInto, floatsOf, lengthOf } from '../check/typed-array.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { ClassWrapper } from '../core/class-wrapper.js';
import { checkApart, extentOf } from '../core/extents.js';
import { Gradients } from '../core/gradients.js';
import { optionsOf, partsOf, refuseOptionsOf } from '../core/internals.js';
import type { Optimizer } from '../core/optimizer.js';
import type { ParamState } from '../core/param-state.js';
import { inspect, print } from '../core/print.js';
import type { ReadGrad } from '../core/read-grad.js';
import type { LoadOptions, StateDict } from '../core/state-dict.js';
import type { StepOptions, StepResult } from '../core/stepper.js';
import { engine } from '../engine/backend.js';
import type { Engine } from '../engine/engine.js';

const who = 'SAM';

/** Options of {@link SAM}. */
export interface SAMOptions<G = unknown> {
  /** Radius of the neighbourhood: length of the first step, uphill. [0, ∞), default 0.05. */
  readonly rho?: number | undefined;
  /** Measure the neighbourhood relative to each weight (ASAM). Default false. Use a rho about ten times as large. */
  readonly adaptive?: boolean | undefined;
  /** The gradients that the closure of `step` fills. */
  readonly grads?: G | undefined;
}

/** State of a {@link SAM}: the state of the base optimizer and, between the two steps, the params before the climb. */
export interface SAMState {
  readonly version: 1;
  readonly optimizer: 'SAM';
  readonly inner: StateDict;
  /** The params before the climb. Present only between `firstStep` and `secondStep`. */
  readonly before?: { readonly [param: string]: Float32Array };
  /**
   * The rounding errors that a distributed optimizer with `compression` has not applied yet. Other optimizers leave
   * this out.
   */
  readonly residuals?: unknown;
}

/** What a distributed optimizer needs of a SAM. */
interface Internals {
  readonly rho: number;
  readonly adaptive: boolean;
  /** The option `grads`. */
  readonly grads: unknown;
  /** Whether the next step must be the second. */
  readonly hasClimbed: boolean;
  /** Puts the params back, if they have climbed. */
  putBack(): void;
  /** Makes the memory for the climb of some params, by their indices. */
  reserve(params: readonly number[]): void;
}

/** The arrays that a param needs for the climb. */
interface Memory {
  /** The param before the climb. */
  readonly before: Float32Array;
  /** With `adaptive`: |w|·g, then w²·g. */
  readonly direction: Float32Array;
}

/** A gradient that is not null, and its param. */
interface Pair {
  readonly param: ParamState;
  readonly grad: Float32Array;
  /** −1 where the optimizer maximizes. */
  readonly sign: number;
}

/**
 * SAM (sharpness-aware minimization): wraps an optimizer. It steps with the gradient at the worst point nearby, which
 * leads to flat minima.
 *
 * ```
 * k = ρ/(‖g‖ + 1e-12), over all params;  g' = the gradient at w + k·g
 * the optimizer's step from w, by g'
 * adaptive: k = ρ/(‖|w|·g‖ + 1e-12);  g' at w + k·w²·g
 * ```
 * Each step needs two gradients. Call `firstStep` with the gradient at w: it moves the params uphill. Compute the
 * gradient there, and call `secondStep` with it: it restores the params bit for bit, and the base optimizer steps. Or
 * pass the option `grads`, and call `step` with a closure that fills them. Between the two steps, `step` of the base
 * optimizer throws. All other members are those of the base optimizer.
 *
 * The copy of the params needs one array per param, two with `adaptive`. A `null` gradient leaves its param unchanged.
 * `firstStep` rejects sparse gradients. Hooks run around the second step. Options such as `clipNorm` act only in the
 * second step. With `maximize`, the first step goes downhill. `zeroGrads` sets the gradients of both steps to 0. An
 * optimizer that needs the loss gets the loss at the point that the first step reached.
 *
 * Options: `rho` (ρ, 0.05, [0, ∞)), `adaptive` (false), `grads` (for `step`).
 *
 * In distributed training, `DataParallel.create(sam, world)` uses the mean gradient of all ranks in both steps.
 *
 * @typeParam O The class of the optimizer.
 * @throws TypeError if `optimizer` is not an optimizer, for an unknown option or a wrong type; RangeError for rho out
 *   of range
 * @example
 * ```ts
 * import { SAM, SGD } from 'schuss';
 * const w = new Float32Array([3, 4]), g = new Float32Array(2);
 * const sam = new SAM(new SGD(w, { lr: 0.1 }), { rho: 0.05, grads: g });
 * const loss = () => {
 *   g.set(w); // the gradient of ‖w‖²/2
 *   return (w[0]! ** 2 + w[1]! ** 2) / 2;
 * };
 * sam.step(loss); // the gradient at [3.03, 4.04]: w is [2.697, 3.596]
 * ```
 * @see Foret, Kleiner, Mobahi & Neyshabur 2021, Algorithm 1, https://arxiv.org/abs/2010.01412; adaptive: Kwon et al.
 *   2021, https://arxiv.org/abs/2102.11600
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export class SAM<O extends AnyOptimizer<any, any, any> = AnyOptimizer> extends ClassWrapper<O> {
  /** The same object as `inner`. */
  readonly #base: Optimizer;
  readonly #rho: number;
  readonly #adaptive: boolean;
  readonly #grads: Parameters<O['step']>[0] | undefined;
  readonly #engine: Engine = engine();
  readonly #memory = new Map<ParamState, Memory>();
  /** The params that have climbed; undefined between steps. */
  #climbed: readonly ParamState[] | undefined;
  /**
   * Whether they climbed in the run that saved the state: no step of this one has moved them, so a load may replace it.
   */
  #isLoaded = false;
  #isInSecondStep = false;
  readonly #removeHook: () => void;

  constructor(optimizer: O, options: SAMOptions<Parameters<O['step']>[0]> = {}) {
    super(who, optimizer);
    this.#base = optimizer as unknown as Optimizer;
    checkOptions(who, options, ['rho', 'adaptive', 'grads']);
    refuseFixed(SAM, who, ['rho', 'adaptive', 'grads']);
    refuseOptionsOf(SAM, who, this.#base);
    const { rho = 0.05, adaptive = false, grads } = options as SAMOptions<Parameters<O['step']>[0]>;
    this.#rho = checkNumber(who, 'rho', rho, '[0, inf)');
    this.#adaptive = checkBoolean(who, 'adaptive', adaptive);
    this.#grads = grads;
    this.#removeHook = this.#base.registerStepPreHook(() => {
      if (this.#climbed !== undefined && !this.#isInSecondStep)
        throw typeError(
          who,
          'optimizer',
          'a step between firstStep and secondStep',
          'secondStep',
          'the params have climbed',
        );
    });
  }

  /** @internal */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static internals(sam: SAM<any>): Internals {
    return {
      rho: sam.#rho,
      adaptive: sam.#adaptive,
      grads: sam.#grads,
      hasClimbed: sam.#climbed !== undefined,
      putBack: () => sam.#putBack(),
      reserve: (params) => {
        for (const i of params) sam.#memoryOf(partsOf(sam.#base).store.params[i]!);
      },
    };
  }

  /** Adds a param group to the base optimizer. @throws as the base optimizer does, and between the two steps */
  override addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.#checkAtRest();
    super.addParamGroup(group);
  }

  /**
   * Moves the params to the worst point nearby. The next call must be {@link secondStep}, with the gradients there.
   *
   * @param grads The gradients at the params, as the optimizer takes them; no sparse ones.
   * @param options `gradScale` multiplies every gradient. Default 1.
   * @returns The norm that the climb was divided by.
   * @throws TypeError, RangeError for gradients that do not fit, or if the params have climbed. Nothing has changed
   *   then.
   */
  firstStep(grads: Parameters<O['step']>[0], options: StepOptions = {}): { readonly gradNorm: number } {
    checkOptions(`${who}.firstStep`, options, ['gradScale']);
    const scale = checkFloat(who, 'gradScale', options.gradScale ?? 1);
    this.#checkAtRest(); // after the options, whose getters may step
    const pairs = this.#read(grads, 'SAM needs the norm of the whole gradient');
    let sum = 0;
    for (const { param, grad } of pairs) {
      const { before, direction } = this.#memoryOf(param);
      copyInto(before, param.data);
      if (this.#adaptive) multiplyByAbs(before, grad, direction);
      sum += this.#engine.sumSquares(this.#adaptive ? direction : grad);
    }
    const gradNorm = Math.sqrt(sum) * Math.abs(scale);
    const k = (this.#rho / (gradNorm + 1e-12)) * scale;
    partsOf(this.#base).stepper.exclusively(() => {
      for (const { param, grad, sign } of pairs) {
        const { before, direction } = this.#memoryOf(param);
        if (this.#adaptive) multiplyByAbs(before, direction, direction);
        this.#engine.linalg.axpby(1, before, sign * k, this.#adaptive ? direction : grad, floatsOf(param.data));
      }
      this.#climbed = pairs.map(({ param }) => param);
    });
    if (optionsOf(this.#base)['zeroGrads'] === true) for (const { grad } of pairs) grad.fill(0);
    return { gradNorm };
  }

  /**
   * Restores the params and steps the base optimizer.
   *
   * @param grads The gradients at the point that {@link firstStep} has climbed to.
   * @param options As for the optimizer's `step`.
   * @returns What the optimizer's `step` returns.
   * @throws TypeError without a `firstStep` before, in a hook, or while a step of another optimizer changes the params;
   *   nothing has changed then. Otherwise as the optimizer's `step`; the params are restored then.
   */
  secondStep(grads: Parameters<O['step']>[0], options?: Parameters<O['step']>[1]): StepResult {
    if (this.#climbed === undefined)
      throw typeError(`${who}.secondStep`, 'this', 'params that have not climbed', 'firstStep(grads) before');
    partsOf(this.#base).stepper.checkNotHeld();
    return this.#descend(() => this.inner.step(grads, options));
  }

  /**
   * Runs both steps. Calls the closure twice; each call fills the `grads` given at construction and returns the loss.
   *
   * @returns What the optimizer's `step` returns, and the loss at the params before the step.
   * @throws TypeError without `grads`, for a closure that is no function or returns no number; otherwise as
   *   {@link firstStep} and {@link secondStep}, and what the closure throws. The params are restored then.
   */
  step(closure: () => number): StepResult & { readonly loss: number } {
    const method = `${who}.step`;
    checkFunction(method, 'closure', closure, 'a function that fills the gradients and returns the loss');
    if (this.#grads === undefined)
      throw typeError(
        method,
        'grads',
        'undefined',
        'the option grads',
        'the closure fills them; or call firstStep and secondStep',
      );
    this.#checkAtRest();
    partsOf(this.#base).stepper.checkNotHeld();
    const loss = lossOf(method, closure());
    let worst: number;
    try {
      this.firstStep(this.#grads);
      worst = lossOf(method, closure());
    } catch (error) {
      this.#putBack();
      throw error;
    }
    const { needsLoss } = partsOf(this.#base).stepper;
    const options = needsLoss ? { loss: worst } : {};
    return { ...this.secondStep(this.#grads, options as Parameters<O['step']>[1]), loss };
  }

  /** A copy of the state of the base optimizer and, between the two steps, of the params before the climb. */
  stateDict(): SAMState {
    const inner = this.inner.stateDict();
    // In a hook of the second step the params are back.
    if (this.#climbed === undefined || this.#isInSecondStep) return { version: 1, optimizer: who, inner };
    const before = this.#climbed.map((param) => [param.key, floatsOf(this.#memoryOf(param).before).slice()]);
    return { version: 1, optimizer: who, inner, before: Object.fromEntries(before) };
  }

  /**
   * Loads a state that {@link stateDict} returned, all or nothing. The params are not part of it, so restore them too.
   * If the state was saved between the two steps, continue with {@link secondStep}.
   *
   * @throws TypeError, RangeError for a state of another optimizer or of other params, and between `firstStep` and
   *   `secondStep`
   */
  loadStateDict(dict: SAMState, options?: LoadOptions): void {
    const method = `${who}.loadStateDict`;
    if (!this.#isLoaded) this.#checkAtRest();
    checkOptions(method, dict, ['version', 'optimizer', 'inner', 'before', 'residuals']);
    const { version, optimizer, inner, before } = dict as unknown as SAMState;
    if (version !== 1 || optimizer !== who)
      throw typeError(method, 'dict', show(optimizer), 'what stateDict() of a SAM returned');
    const loaded = before === undefined ? undefined : this.#readBefore(method, before);
    this.inner.loadStateDict(inner, options);
    for (const [param, array] of loaded ?? []) copyInto(this.#memoryOf(param).before, array);
    this.#climbed = loaded?.map(([param]) => param);
    this.#isLoaded = loaded !== undefined;
  }

  #readBefore(method: string, before: NonNullable<SAMState['before']>): (readonly [ParamState, Float32Array])[] {
    const { params } = partsOf(this.#base).store;
    const keys = params.map(({ key }) => String(key));
    checkOptions(`${method}: before`, before, keys);
    return params.flatMap((param): [ParamState, Float32Array][] => {
      const array: unknown = before[param.key];
      if (array === undefined) return [];
      const path = `before[${JSON.stringify(param.key)}]`;
      checkLength(method, path, checkFloat32(method, path, array), param.length);
      return [[param, floatsOf(array as Float32Array).slice()]]; // a copy: a getter that is read later may change it
    });
  }

  /** Restores the params if they have climbed, drops the copies, and disposes of the base optimizer. */
  override dispose(): void {
    const { stepper } = partsOf(this.#base);
    if (!stepper.isDisposed) {
      stepper.checkNotBusy();
      stepper.checkNoPendingStep();
    }
    this.#putBack();
    this.#removeHook();
    this.#memory.clear();
    super.dispose();
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  override [inspect](): string {
    return print(who, { rho: this.#rho, adaptive: this.#adaptive, optimizer: this.inner });
  }

  #checkAtRest(): void {
    if (this.#climbed !== undefined)
      throw typeError(who, 'this', 'params that have climbed', 'secondStep(grads) first');
  }

  /** The gradients that are not null, checked. */
  #read(grads: Parameters<O['step']>[0], reason: string): Pair[] {
    const { stepper, store } = partsOf(this.#base);
    return stepper.exclusively(() => {
      stepper.checkNotHeld();
      stepper.checkNoPendingStep();
      stepper.checkParamsSettled();
      const gradients = new Gradients(store, reason);
      const read: ReadGrad[] = [];
      gradients.read(grads, read);
      gradients.checkAgain(read);
      store.checkParams();
      return store.groups.flatMap(({ settings, begin, end }) =>
        store.params.slice(begin, end).flatMap((param, i): Pair[] => {
          const grad = read[begin + i] as Float32Array | null;
          if (grad === null) return [];
          checkApart(who, extentOf(store.engine, grad, store.structure.gradPath(param)), store.extents);
          return [{ param, grad: floatsOf(grad), sign: settings.resolved['maximize'] ? -1 : 1 }];
        }),
      );
    });
  }

  #memoryOf(param: ParamState): Memory {
    let memory = this.#memory.get(param);
    if (memory === undefined) {
      const { length } = param;
      memory = { before: this.#engine.zeros(length), direction: this.#engine.zeros(this.#adaptive ? length : 0) };
      this.#memory.set(param, memory);
    }
    return memory;
  }

  #putBack(): void {
    if (this.#climbed !== undefined) this.#descend(() => undefined);
  }

  /** Puts the params back, then runs `step`. @throws TypeError during another call or step; nothing has changed then */
  #descend<T>(step: () => T): T {
    const { stepper } = partsOf(this.#base);
    if (!stepper.isDisposed) {
      stepper.checkNotBusy();
      stepper.checkParamsSettled();
    }
    try {
      // The optimizer's step refuses a param that was detached since.
      for (const param of this.#climbed ?? [])
        if (lengthOf(param.data) === param.length) copyInto(param.data, this.#memoryOf(param).before);
      this.#isInSecondStep = true;
      return step();
    } finally {
      this.#isInSecondStep = false;
      this.#climbed = undefined;
      this.#isLoaded = false;
    }
  }
}

/** out = |w|·g, in float32 */
function multiplyByAbs(w: Float32Array, g: Float32Array, out: Float32Array): void {
  for (let i = 0; i < w.length; i++) out[i] = Math.abs(w[i]!) * g[i]!;
}

/** What a closure has returned, if it is a number. @throws TypeError */
export function lossOf(method: string, loss: unknown): number {
  if (typeof loss !== 'number')
    throw typeError(method, 'closure', `a closure that returned ${show(loss)}`, 'the loss, a number');
  return loss;
}
