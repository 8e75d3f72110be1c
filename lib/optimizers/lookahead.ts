import { rangeError, show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, copyInto, floatsOf, lengthOf } from '../check/typed-array.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { ClassWrapper } from '../core/class-wrapper.js';
import { refuseOptionsOf, watch } from '../core/internals.js';
import type { Optimizer } from '../core/optimizer.js';
import type { ParamState } from '../core/param-state.js';
import { inspect, print } from '../core/print.js';
import type { LoadOptions, StateDict } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import type { Watcher } from '../core/watcher.js';
import { engine } from '../engine/backend.js';
import type { Engine } from '../engine/engine.js';
import { copyFloats } from '../engine/memory.js';
import { ScheduleFreeAdamW, ScheduleFreeSGD } from './schedule-free.js';

const who = 'Lookahead';

/** Options of {@link Lookahead}. */
export interface LookaheadOptions {
  /** Synchronization period: applied steps between two updates of the slow weights. An integer in [1, ∞), default 5. */
  readonly k?: number | undefined;
  /** Step size of the slow weights: the fraction of the way they move toward the fast weights. (0, 1], default 0.5. */
  readonly alpha?: number | undefined;
}

/** State of a {@link Lookahead}: that of the inner optimizer, and the slow weights of the params it has updated. */
export interface LookaheadState {
  readonly version: 1;
  readonly optimizer: 'Lookahead';
  readonly k: number;
  readonly alpha: number;
  readonly inner: StateDict;
  readonly slow: { readonly [param: string]: Float32Array };
  /**
   * The rounding errors that a distributed optimizer with `compression` has not applied yet. Other optimizers leave
   * this out.
   */
  readonly residuals?: unknown;
}

/**
 * Lookahead: wraps an optimizer. After every k steps, moves slow weights toward the params and resets the params to
 * them.
 *
 * ```
 * every k applied steps: slow ← slow + α·(w − slow);  w ← slow
 * ```
 * The slow weights start as a copy of each param, at its first step, or at construction if it already has steps. They
 * need one array per param, and every k-th step needs one more pass over memory. The inner optimizer keeps its own
 * state. All members except `stateDict` and `loadStateDict` are those of the inner optimizer. Hooks that run after a
 * step see the updated slow weights.
 *
 * ScheduleFreeSGD and ScheduleFreeAdamW are rejected, because they rewrite the params from their own state.
 *
 * Options: `k` (5, an integer in [1, ∞)), `alpha` (α, 0.5, (0, 1]).
 *
 * @typeParam O The class of the inner optimizer.
 * @throws TypeError if `optimizer` is not an optimizer or is a ScheduleFree class, or for an unknown option; RangeError
 *   for k or alpha out of range
 * @example
 * ```ts
 * import { Adam, Lookahead } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const lookahead = new Lookahead(new Adam(w, { lr: 0.1 }), { k: 2 });
 * for (let step = 0; step < 2; step++) lookahead.step(new Float32Array([1, 1, 1]));
 * w[0]; // 0.9: two steps of 0.1, then half of the way back
 * ```
 * @see Zhang, Lucas, Hinton & Ba 2019, Algorithm 1, https://arxiv.org/abs/1907.08610
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export class Lookahead<O extends AnyOptimizer<any, any, any> = AnyOptimizer>
  extends ClassWrapper<O>
  implements AnyOptimizer
{
  /** The same object. */
  readonly #base: Optimizer;
  readonly #k: number;
  readonly #alpha: number;
  readonly #slow = new Map<ParamState, Float32Array>();
  readonly #engine: Engine = engine();
  readonly #watcher: Watcher;

  constructor(optimizer: O, options: LookaheadOptions = {}) {
    super(who, optimizer);
    this.#base = optimizer as unknown as Optimizer;
    // ScheduleFree rewrites the params from z and x in each step, which would discard what the slow weights wrote.
    const scheduleFree = [ScheduleFreeSGD, ScheduleFreeAdamW].find((Class) => (optimizer as unknown) instanceof Class);
    if (scheduleFree !== undefined)
      throw typeError(
        who,
        'optimizer',
        `a ${scheduleFree.optimizerName}`,
        'an optimizer that does not rewrite its params from its own state',
      );
    checkOptions(who, options, ['k', 'alpha']);
    refuseFixed(Lookahead, who, ['k', 'alpha']);
    refuseOptionsOf(Lookahead, who, this.#base);
    const { k = 5, alpha = 0.5 } = options as LookaheadOptions;
    this.#k = checkInteger(who, 'k', k, '[1, inf)');
    this.#alpha = checkNumber(who, 'alpha', alpha, '(0, 1]');
    this.#watcher = {
      name: who,
      started: (param) => copyInto(this.#slowOf(param), param.data),
      applied: (stepCount, params) => this.#synchronize(stepCount, params),
    };
    for (const param of watch(this.#base, this.#watcher)) if (param.step > 0) copyInto(this.#slowOf(param), param.data);
  }

  /**
   * Steps the inner optimizer; every k-th applied step also updates the slow weights and copies them into the params.
   *
   * @throws as the inner optimizer does
   */
  step(grads: Parameters<O['step']>[0], options?: Parameters<O['step']>[1]): StepResult {
    return this.inner.step(grads, options);
  }

  /**
   * As {@link step}, on another thread; only the slow weights are updated on this thread.
   *
   * @throws (rejects) as the inner optimizer does
   */
  async stepAsync(grads: Parameters<O['step']>[0], options?: Parameters<O['stepAsync']>[1]): Promise<StepResult> {
    return this.inner.stepAsync(grads, options);
  }

  /** Plain data that survives `structuredClone`: the inner optimizer's state, and copies of the slow weights. */
  stateDict(): LookaheadState {
    const slow = watch(this.#base, this.#watcher).flatMap((param) => {
      const array = this.#slow.get(param);
      // Before the first applied step, the slow weights are those of a step that was refused.
      return array === undefined || param.step === 0 ? [] : [[param.key, copyFloats(this.#engine, array)]];
    });
    const inner = this.inner.stateDict();
    return { version: 1, optimizer: who, k: this.#k, alpha: this.#alpha, inner, slow: Object.fromEntries(slow) };
  }

  /**
   * Loads a state that {@link stateDict} returned, all or nothing. Arrays are copied.
   *
   * @throws TypeError, RangeError for a state of another optimizer, of other params, or of another k or alpha
   */
  loadStateDict(dict: LookaheadState, options?: LoadOptions): void {
    const method = `${who}.loadStateDict`;
    checkOptions(method, dict, ['version', 'optimizer', 'k', 'alpha', 'inner', 'slow', 'residuals']);
    const { version, optimizer, k, alpha, inner, slow } = dict as unknown as LookaheadState;
    if (version !== 1) throw rangeError(method, 'version', show(version), '1');
    if (optimizer !== who) throw typeError(method, 'optimizer', show(optimizer), `"${who}"`);
    if (k !== this.#k) throw rangeError(method, 'k', show(k), String(this.#k));
    if (alpha !== this.#alpha) throw rangeError(method, 'alpha', show(alpha), String(this.#alpha));
    const params = watch(this.#base, this.#watcher);
    checkOptions(
      `${method}: slow`,
      slow,
      params.map(({ key }) => String(key)),
    );
    const loaded = params.flatMap((param): [ParamState, Float32Array][] => {
      const array: unknown = slow[param.key];
      if (array === undefined && !hasSteps(inner, param.key)) return [];
      const path = `slow[${JSON.stringify(param.key)}]`;
      checkLength(method, path, checkFloat32(method, path, array), param.length);
      return [[param, new Float32Array(array as Float32Array)]];
    });
    this.inner.loadStateDict(inner, options);
    this.#slow.clear();
    for (const [param, array] of loaded) this.#slow.set(param, array);
  }

  /** Disposes of the inner optimizer and drops the slow weights. */
  override dispose(): void {
    super.dispose();
    this.#slow.clear();
  }

  #slowOf(param: ParamState): Float32Array {
    let slow = this.#slow.get(param);
    if (slow === undefined) {
      slow = this.#engine.zeros(param.length);
      this.#slow.set(param, slow);
    }
    return slow;
  }

  /** Every k steps: moves the slow weights toward the params, and copies them into the params. */
  #synchronize(stepCount: number, params: readonly ParamState[]): void {
    if (stepCount % this.#k !== 0) return;
    for (const param of params) {
      // The next step throws for a param that was detached.
      if (param.step === 0 || lengthOf(param.data) !== param.length) continue;
      const [slow, fast] = [this.#slowOf(param), floatsOf(param.data)];
      this.#engine.lerp(slow, fast, this.#alpha);
      fast.set(slow);
    }
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  override [inspect](): string {
    return print(who, { k: this.#k, alpha: this.#alpha, optimizer: this.inner });
  }
}

/** Whether a saved state counts updates of a param: then it must have slow weights too. */
function hasSteps(dict: unknown, key: string | number): boolean {
  const { step } = ((dict as Partial<StateDict> | undefined)?.state?.[key] ?? {}) as { step?: unknown };
  return typeof step === 'number' && step > 0;
}
