import { show, typeError } from '../check/errors.js';
import { checkNumber, checkOptions } from '../check/options.js';
import { checkLength, isFloat32, lengthOf } from '../check/typed-array.js';
import { Control, type Engine, Pass, type Plan, type StepConstants } from '../engine/engine.js';
import { isPinned, pinned } from '../engine/memory.js';
import type { Declaration } from './declaration.js';
import type { Extent } from './extents.js';
import { type Given, Gradients } from './gradients.js';
import type { Group } from './param-group.js';
import type { Slot } from './param-state.js';
import type { Grads, Structure } from './params.js';
import type { Settings } from './settings.js';
import { checkNotAborted, checkSettled, checkSignal, StepQueue } from './step-queue.js';

/** What a step may be told. */
export interface StepOptions {
  /** Multiplies every gradient before anything else, such as 1 / lossScale. Default 1. */
  readonly gradScale?: number | undefined;
}

/** What a step on another thread may be told. */
export interface StepAsyncOptions extends StepOptions {
  /** Takes the step back as long as it has not begun. */
  readonly signal?: AbortSignal | undefined;
}

/** What a step reports. */
export interface StepResult {
  /** False if `skipNonFinite` skipped the step. */
  readonly applied: boolean;
  /** The L2 norm of all gradients after `gradScale` and before clipping; with `clipNorm`, `skipNonFinite` or `gradNorm`. */
  readonly gradNorm?: number;
}

/** What a wrapper is told of the steps of the optimizer inside, those on other threads too, in their order. */
export interface Watcher {
  readonly name: string;
  /** Before a param's first update; again if that was skipped. */
  started(slot: Slot): void;
  /** After an applied step and before the next one begins. */
  applied(stepCount: number, slots: readonly Slot[]): void;
}

const none: readonly number[] = [];

type Options = Readonly<Record<string, unknown>>;

/** What a class brings to each step; see the methods of Optimizer. */
export interface Formula {
  constants(options: Options, t: number, scalars: readonly number[]): readonly number[];
  scalarsAfter(options: Options, t: number, scalars: readonly number[]): readonly number[];
  readonly start:
    | ((options: Options, param: Float32Array, state: Readonly<Record<string, Float32Array>>) => void)
    | undefined;
}

/** The memory that a plan of so many tensors shares with its optimizer. */
export function stepConstantsFor(count: number, constants: number): StepConstants {
  const stride = Pass.length + constants;
  return {
    control: new Float64Array(Control.length),
    rows: new Float32Array(count * stride),
    stride,
    rowOf: new Int32Array(count),
  };
}

/**
 * The steps of one optimizer: what they need at hand, checked and written with nothing allocated. It stands beside the
 * classes and not in them so that V8 sees objects of one shape, however many classes a program uses.
 */
export class Stepper {
  readonly name: string;
  readonly engine: Engine;
  groups: readonly Group[] = [];
  slots: readonly Slot[] = [];
  /** Where the params lie. */
  extents: readonly Extent[] = [];
  plan!: Plan;
  stepCount = 0;
  skippedSteps = 0;
  watcher: Watcher | undefined = undefined;
  /** Disposed of. */
  isEnded = false;
  readonly queue = new StepQueue();
  readonly #decay: Declaration['decay'];
  readonly #denseOnly: string | undefined;
  readonly #global: Settings;
  readonly #formula: Formula;
  #constants!: StepConstants;
  #gradients!: Gradients;
  /** Filled anew in each step: the gradients as read, before they are looked at. */
  readonly #given: Given[] = [];
  /** State that began in the step at hand, with what it was before: for a step that may be skipped or refused. */
  readonly #begun: (readonly [array: Float32Array, before: Float32Array])[] = [];
  /** Set while the user's code may run in the middle of a call (a schedule, a getter): nothing may change meanwhile. */
  #busy = false;

  constructor(declaration: Declaration, engine: Engine, global: Settings, formula: Formula) {
    this.name = declaration.name;
    this.engine = engine;
    this.#decay = declaration.decay;
    this.#denseOnly = declaration.denseOnly;
    this.#global = global;
    this.#formula = formula;
  }

  /** Takes over params, and the plan that knows them. */
  take(
    groups: readonly Group[],
    slots: readonly Slot[],
    extents: readonly Extent[],
    structure: Structure,
    blocks: StepConstants,
    plan: Plan,
  ): void {
    this.groups = groups;
    this.slots = slots;
    this.extents = extents;
    this.#constants = blocks;
    this.plan = plan;
    this.#gradients = new Gradients(this.name, this.#denseOnly, this.engine, structure, slots);
    this.#given.length = slots.length;
  }

  /** Lets go of all memory. */
  end(): void {
    this.isEnded = true;
    this.groups = [];
    this.slots = [];
    this.extents = [];
    this.#given.length = 0;
    this.#constants = undefined as unknown as StepConstants;
    this.plan = undefined as unknown as Plan;
    this.#gradients = undefined as unknown as Gradients;
  }

  step(grads: Grads, options?: StepOptions): StepResult {
    this.checkIdle();
    this.checkLanded();
    this.#busy = true;
    try {
      // All that may run the user's code comes first: nothing that is checked can change behind a check.
      const gradScale = options === undefined ? 1 : this.#gradScaleOf('step', options, ['gradScale']);
      this.#resolve();
      this.#gradients.read(grads, this.#given);
      this.#prepare(this.#given, gradScale);
    } finally {
      this.#busy = false;
    }
    this.plan.step();
    return this.#finish(this.#given);
  }

  stepAsync(grads: Grads, options?: StepAsyncOptions): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      this.checkIdle();
      let gradScale = 1;
      let signal: AbortSignal | undefined;
      const given: Given[] = [];
      this.exclusively(() => {
        if (options !== undefined) {
          gradScale = this.#gradScaleOf('stepAsync', options, ['gradScale', 'signal']);
          const given: unknown = options.signal;
          if (given !== undefined) signal = checkSignal(`${this.name}.stepAsync`, given);
        }
        this.#gradients.read(grads, given);
        this.#gradients.checkAhead(given);
        this.checkParams();
        for (const { path, data, ema } of this.slots) {
          if (!isPinned(this.engine, data)) throw typeError(this.name, path, show(data), pinned);
          if (ema !== null && !isPinned(this.engine, ema))
            throw typeError(this.name, `emaParams of ${path}`, show(ema), pinned);
        }
        checkSettled(this.name, this.extents, this.queue.params);
        if (signal !== undefined) checkNotAborted(signal);
      });
      const begin = (done: () => void): void => {
        this.exclusively(() => {
          this.#resolve();
          this.#prepare(given, gradScale);
        });
        this.plan.stepAsync(() => {
          // Before `done`, which refuses the next step at once if it must: promises settle in order.
          try {
            resolve(this.#finish(given));
          } catch (error) {
            reject(error);
          }
          done();
        });
      };
      this.queue.add(this.extents, { begin, refuse: reject }, signal);
    });
  }

  #gradScaleOf(method: string, options: StepOptions, known: readonly string[]): number {
    checkOptions(`${this.name}.${method}`, options, known);
    const given: unknown = options.gradScale;
    return given === undefined ? 1 : checkNumber(this.name, 'gradScale', given);
  }

  /** Asks the schedules for the next step. */
  #resolve(): void {
    const next = this.stepCount + 1;
    this.#global.resolve(next);
    for (const group of this.groups) group.settings.resolve(next);
  }

  /** Checks all memory of a step, then writes what the plan is told of it. */
  #prepare(given: readonly Given[], gradScale: number): void {
    const { control, rowOf } = this.#constants;
    const { clipNorm, skipNonFinite, zeroGrads, gradNorm, flushDenormals } = this.#global.resolved as {
      clipNorm?: number;
      skipNonFinite: boolean;
      zeroGrads: boolean;
      gradNorm: boolean;
      flushDenormals: boolean;
    };
    this.#gradients.register(given, this.plan, rowOf, this.extents, zeroGrads);
    this.checkParams();
    checkSettled(this.name, this.extents, this.queue.params);
    control[Control.gradScale] = gradScale;
    control[Control.maxNorm] = clipNorm ?? Number.POSITIVE_INFINITY;
    control[Control.measureNorm] = clipNorm !== undefined || skipNonFinite || gradNorm ? 1 : 0;
    control[Control.skipNonFinite] = skipNonFinite ? 1 : 0;
    control[Control.zeroGrads] = zeroGrads ? 1 : 0;
    control[Control.flushDenormals] = flushDenormals ? 1 : 0;
    this.#startParams(given, skipNonFinite);
    this.#writeRows();
  }

  /** Counts a step that the plan has done, and reports it. @throws RangeError if the plan has refused it */
  #finish(given: readonly Given[]): StepResult {
    const { control } = this.#constants;
    const bad = control[Control.badTensor]!;
    if (this.#begun.length > 0) this.#settleBegun(bad < 0 && control[Control.applied] !== 0);
    if (bad >= 0) throw this.#gradients.badRow(bad, control[Control.badRow]!, given);
    const applied = control[Control.applied] !== 0;
    if (applied) this.#advance();
    else this.skippedSteps++;
    return control[Control.measureNorm] === 0 ? { applied } : { applied, gradNorm: control[Control.gradNorm]! };
  }

  /** Refuses params whose memory is gone or has changed its size. */
  checkParams(): void {
    const slots = this.slots;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (lengthOf(slot.data) !== slot.length) checkLength(this.name, slot.path, slot.data, slot.length);
      this.checkEma(slot);
    }
  }

  checkEma({ ema, length, path }: Slot): void {
    if (ema !== null && lengthOf(ema) !== length) checkLength(this.name, `emaParams of ${path}`, ema, length);
  }

  #startParams(given: readonly Given[], maySkip: boolean): void {
    const { start } = this.#formula;
    if (start === undefined && this.watcher === undefined) return;
    this.#begun.length = 0;
    for (const group of this.groups) {
      for (let i = group.begin; i < group.end; i++) {
        const slot = this.slots[i]!;
        if (slot.step > 0 || this.#constants.rowOf[i]! < 0) continue;
        this.watcher?.started(slot);
        if (start === undefined) continue;
        if (maySkip || given.some((grad) => grad !== null && !isFloat32(grad)))
          for (const array of slot.arrays.values()) this.#begun.push([array, array.slice()]);
        start(group.settings.resolved, slot.data, Object.fromEntries(slot.arrays));
      }
    }
  }

  #settleBegun(isApplied: boolean): void {
    if (!isApplied) for (const [array, before] of this.#begun) array.set(before);
    this.#begun.length = 0;
  }

  /** Writes the constants of this step: a row for each run of params of a group that have the same t and scalars. */
  #writeRows(): void {
    const { rows, stride, rowOf } = this.#constants;
    const ema = this.#global.resolved['ema'] as number | undefined;
    let row = -1;
    for (const group of this.groups) {
      const now = group.settings.resolved;
      group.share(this.#decay);
      let last: Slot | undefined;
      let scalars = none;
      for (let i = group.begin; i < group.end; i++) {
        if (rowOf[i]! < 0) continue;
        const slot = this.slots[i]!;
        if (last === undefined || last.step !== slot.step || !sameNumbers(last.scalars, slot.scalars)) {
          row++;
          const t = slot.step + 1;
          const at = row * stride;
          rows[at + Pass.gradScale] = group.gradScale;
          rows[at + Pass.clipValue] = group.clipValue;
          rows[at + Pass.l2] = group.l2;
          rows[at + Pass.decayFactor] = group.decayFactor;
          rows[at + Pass.emaRate] = ema === undefined ? 0 : 1 - ema;
          rows[at + Pass.emaStart] = t === 1 ? 1 : 0;
          const constants = this.#formula.constants(now, t, slot.scalars);
          for (let c = 0; c < constants.length; c++) rows[at + Pass.length + c] = constants[c] as number;
          scalars = slot.scalars.length > 0 ? this.#formula.scalarsAfter(now, t, slot.scalars) : slot.scalars;
          last = slot;
        }
        rowOf[i] = row;
        slot.nextScalars = scalars;
      }
    }
  }

  /** Counts an applied step. */
  #advance(): void {
    const { rowOf } = this.#constants;
    const slots = this.slots;
    this.stepCount++;
    for (let i = 0; i < slots.length; i++) {
      if (rowOf[i]! < 0) continue;
      const slot = slots[i]!;
      slot.step++;
      slot.scalars = slot.nextScalars;
    }
    this.watcher?.applied(this.stepCount, slots);
  }

  checkAlive(): void {
    if (this.isEnded) throw typeError(this.name, 'this', 'a disposed optimizer', 'one in use');
  }

  checkIdle(): void {
    this.checkAlive();
    if (this.#busy) throw typeError(this.name, 'this', 'an optimizer in the middle of a call', 'a call after that one');
  }

  checkLanded(): void {
    if (!this.queue.isEmpty)
      throw typeError(this.name, 'this', 'an optimizer with a step in flight', 'that its promise is awaited first');
  }

  /** Runs a change that may run the user's code (getters, proxies), which must not change the optimizer meanwhile. */
  exclusively(change: () => void): void {
    this.checkIdle();
    this.#busy = true;
    try {
      change();
    } finally {
      this.#busy = false;
    }
  }
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
