import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../check/typed-array.js';
import { inspect, Optimizer, watch } from '../core/optimizer.js';
import type { ParamState } from '../core/param-state.js';
import type { Grads } from '../core/params.js';
import type { Schedule } from '../core/schedule.js';
import type { StateDict } from '../core/state-dict.js';
import type { StepAsyncOptions, StepOptions, StepResult, Watcher } from '../core/stepper.js';
import { engine } from '../engine/backend.js';
import type { Engine } from '../engine/engine.js';
import { ScheduleFreeAdamW, ScheduleFreeSGD } from './schedule-free.js';

const who = 'Lookahead';

/** Options of {@link Lookahead}. */
export interface LookaheadOptions {
  /** Steps between two looks back. An integer in [1, ∞), default 5. */
  readonly k?: number | undefined;
  /** How far the slow weights go towards the fast ones. (0, 1], default 0.5. */
  readonly alpha?: number | undefined;
}

/** The state of a {@link Lookahead}: that of the optimizer inside, and the slow weights of the params that it has stepped. */
export interface LookaheadState {
  readonly version: 1;
  readonly optimizer: 'Lookahead';
  readonly k: number;
  readonly alpha: number;
  readonly inner: StateDict;
  readonly slow: { readonly [param: string]: Float32Array };
}

/**
 * Lookahead: lets any optimizer take k steps, then moves slow weights a part of the way to where it got, and lets it go on
 * from there. Not ScheduleFreeSGD and ScheduleFreeAdamW, which write the params from their own state.
 *
 * ```
 * every k applied steps: slow ← slow + α·(w − slow);  w ← slow
 * ```
 * The slow weights start as a copy of a param at its first step, or at the wrapping if it has taken some. They cost one array a param, and each k-th step one more
 * pass over memory. The optimizer inside keeps its state; everything but `stateDict` is its own.
 *
 * @typeParam O The class of the optimizer inside.
 * @throws TypeError for what is no optimizer, a ScheduleFree class, or an unknown option; RangeError for k or alpha out of range
 * @example
 * ```ts
 * import { Adam, Lookahead } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const lookahead = new Lookahead(new Adam(w, { lr: 0.1 }), { k: 2 });
 * for (let step = 0; step < 2; step++) lookahead.step(new Float32Array([1, 1, 1]));
 * w[0]; // 0.9: two steps of 0.1, and half of the way back
 * ```
 * @see Zhang, Lucas, Hinton & Ba 2019, Algorithm 1, https://arxiv.org/abs/1907.08610
 */
export class Lookahead<O extends Optimizer = Optimizer> {
  readonly #inner: O;
  readonly #k: number;
  readonly #alpha: number;
  readonly #slow = new Map<ParamState, Float32Array>();
  readonly #engine: Engine = engine();
  readonly #watcher: Watcher;

  constructor(optimizer: O, options: LookaheadOptions = {}) {
    if (!((optimizer as unknown) instanceof Optimizer))
      throw typeError(who, 'optimizer', show(optimizer), 'an optimizer');
    // It writes the params from z and x in each step: slow weights would be overwritten unseen.
    const averaging = [ScheduleFreeSGD, ScheduleFreeAdamW].find((Class) => (optimizer as Optimizer) instanceof Class);
    if (averaging !== undefined)
      throw typeError(
        who,
        'optimizer',
        `a ${averaging.optimizerName}`,
        'one whose params do not follow from its state alone',
      );
    checkOptions(who, options, ['k', 'alpha']);
    const { k = 5, alpha = 0.5 } = options as LookaheadOptions;
    this.#inner = optimizer;
    this.#k = checkInteger(who, 'k', k, '[1, inf)');
    this.#alpha = checkNumber(who, 'alpha', alpha, '(0, 1]');
    this.#watcher = {
      name: who,
      started: (slot) => this.#slowOf(slot).set(slot.data),
      applied: (stepCount, slots) => this.#lookBack(stepCount, slots),
    };
    for (const slot of watch(optimizer, this.#watcher)) if (slot.step > 0) this.#slowOf(slot).set(slot.data);
  }

  /** The optimizer inside. */
  get optimizer(): O {
    return this.#inner;
  }

  /** As the optimizer's. */
  get paramGroups(): O['paramGroups'] {
    return this.#inner.paramGroups;
  }

  /** As the optimizer's. */
  get lr(): number {
    return this.#inner.lr;
  }

  set lr(value: number | Schedule) {
    this.#inner.lr = value;
  }

  /** As the optimizer's. */
  get stepCount(): number {
    return this.#inner.stepCount;
  }

  /** As the optimizer's. */
  get skippedSteps(): number {
    return this.#inner.skippedSteps;
  }

  /** As the optimizer's. */
  get emaParams(): O['emaParams'] {
    return this.#inner.emaParams;
  }

  /** As the optimizer's. @throws as it does */
  addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.#inner.addParamGroup(group);
  }

  /** As the optimizer's; every k-th applied step looks back. @throws as it does */
  step(grads: Grads, options?: StepOptions): StepResult {
    return this.#inner.step(grads, options);
  }

  /** As the optimizer's; looking back is done on this thread. @throws (rejects) as it does */
  async stepAsync(grads: Grads, options?: StepAsyncOptions): Promise<StepResult> {
    return this.#inner.stepAsync(grads, options);
  }

  /** Plain data that survives `structuredClone`: the optimizer's state, and the slow weights as copies. */
  stateDict(): LookaheadState {
    const slow = watch(this.#inner, this.#watcher).flatMap((slot) => {
      const array = this.#slow.get(slot);
      return array === undefined ? [] : [[slot.key, array.slice()]];
    });
    const inner = this.#inner.stateDict();
    return { version: 1, optimizer: who, k: this.#k, alpha: this.#alpha, inner, slow: Object.fromEntries(slow) };
  }

  /**
   * Takes over a state that {@link stateDict} made, all or nothing.
   * @throws TypeError, RangeError for a state of another optimizer, of other params, or of another k or alpha
   */
  loadStateDict(dict: LookaheadState): void {
    const of = `${who}.loadStateDict`;
    checkOptions(of, dict, ['version', 'optimizer', 'k', 'alpha', 'inner', 'slow']);
    const { version, optimizer, k, alpha, inner, slow } = dict as unknown as LookaheadState;
    if (version !== 1) throw rangeError(of, 'version', show(version), '1');
    if (optimizer !== who) throw typeError(of, 'optimizer', show(optimizer), `"${who}"`);
    if (k !== this.#k) throw rangeError(of, 'k', show(k), String(this.#k));
    if (alpha !== this.#alpha) throw rangeError(of, 'alpha', show(alpha), String(this.#alpha));
    const slots = watch(this.#inner, this.#watcher);
    checkOptions(
      `${of}: slow`,
      slow,
      slots.map(({ key }) => String(key)),
    );
    const loaded = slots.flatMap((slot): [ParamState, Float32Array][] => {
      const given: unknown = slow[slot.key];
      if (given === undefined) return [];
      const path = `slow[${JSON.stringify(slot.key)}]`;
      checkLength(of, path, checkFloat32(of, path, given), slot.length);
      return [[slot, new Float32Array(given as Float32Array)]];
    });
    this.#inner.loadStateDict(inner);
    this.#slow.clear();
    for (const [slot, array] of loaded) this.#slow.set(slot, array);
  }

  /** Lets the state go, the optimizer's too. */
  dispose(): void {
    this.#inner.dispose();
    this.#slow.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #slowOf(slot: ParamState): Float32Array {
    let slow = this.#slow.get(slot);
    if (slow === undefined) {
      slow = this.#engine.allocate(slot.length);
      this.#slow.set(slot, slow);
    }
    return slow;
  }

  #lookBack(stepCount: number, slots: readonly ParamState[]): void {
    if (stepCount % this.#k !== 0) return;
    for (const slot of slots) {
      // A param whose memory is gone is refused by the next step.
      if (slot.step === 0 || lengthOf(slot.data) !== slot.length) continue;
      const slow = this.#slowOf(slot);
      this.#engine.lerp(slow, slot.data, this.#alpha);
      slot.data.set(slow);
    }
  }

  toString(): string {
    return `${who} (k: ${this.#k}, alpha: ${this.#alpha})\n${this.#inner.toString()}`;
  }

  /** @internal */
  [inspect](): string {
    return `${who} (k: ${this.#k}, alpha: ${this.#alpha})\n${this.#inner[inspect]()}`;
  }
}
