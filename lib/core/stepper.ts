import { rangeError, show, typeError } from '../check/errors.js';
import { checkFloat, checkOptions } from '../check/options.js';
import { floatsOf, isFloat32 } from '../check/typed-array.js';
import type { Block } from '../engine/block.js';
import { Control, Fault, Skip } from '../engine/engine.js';
import { isPinned, notPinned } from '../engine/memory.js';
import type { Declaration, Formula } from './declaration.js';
import { Gradients } from './gradients.js';
import { Hooks } from './hooks.js';
import type { ParamStore } from './param-store.js';
import type { ReadGrad } from './read-grad.js';
import type { Settings } from './settings.js';
import { type Measured, measured } from './shard.js';
import { checkNotAborted, checkSettled, checkSignal, StepQueue } from './step-queue.js';
import type { Watcher } from './watcher.js';

/** Options of a step. */
export interface StepOptions {
  /** Multiplies every gradient before anything else, for example 1 / lossScale. Default 1. */
  readonly gradScale?: number | undefined;
}

/** Options of a step on another thread. */
export interface StepAsyncOptions extends StepOptions {
  /** Abort the signal to cancel a step that has not started. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a step of a class that needs the loss. */
export interface LossStepOptions extends StepOptions {
  /**
   * The loss at the current params, whose gradient the step gets (after `gradScale`). With `skipNonFinite`, a loss that is
   * NaN or infinite skips the step.
   */
  readonly loss: number;
}

/** Options of a step on another thread of a class that needs the loss. */
export interface LossStepAsyncOptions extends StepAsyncOptions, LossStepOptions {}

/**
 * Key of a step option that only the library sets, instead of `gradScale`: a factor of every gradient, which may be
 * infinite. The step is skipped if a gradient is not finite then, whatever `skipNonFinite` says.
 */
export const unscale: unique symbol = Symbol('unscale');

/** What a step takes beside its gradients. */
interface Inputs {
  /** A factor of every gradient. */
  readonly gradScale: number;
  /** Whether the step requires finite products. */
  readonly mustBeFinite: boolean;
  /** NaN in a class that takes none. */
  readonly loss: number;
}

// Constants of this module, whose values V8 compiles into the code of a step.
const { fault: faultAt, applied: appliedAt, measureNorm: measureNormAt } = Control;
const { none: noFault } = Fault;

const noInputs: Inputs = { gradScale: 1, mustBeFinite: false, loss: Number.NaN };

/** The options of each method, and those of a class that needs the loss. */
const optionNames = { step: ['gradScale'], stepAsync: ['gradScale', 'signal'] };
const lossOptionNames = { step: ['gradScale', 'loss'], stepAsync: ['gradScale', 'signal', 'loss'] };

/** The result of a step. */
export interface StepResult {
  /** False if `skipNonFinite` or a `LossScale` skipped the step. */
  readonly applied: boolean;
  /**
   * The L2 norm of all gradients after `gradScale` and before clipping. Present with `clipNorm`, `skipNonFinite` or
   * `gradNorm`, and in a step of a `LossScale`.
   */
  readonly gradNorm?: number;
}

/**
 * Performs the steps of one optimizer: reads and checks the gradients, has the constants rows written, and runs the
 * plan. A dense step allocates nothing but its result.
 *
 * It is separate from `Optimizer`, so that V8 sees one object shape for all optimizer classes.
 */
export class Stepper {
  stepCount = 0;
  skippedSteps = 0;
  watcher: Watcher | undefined = undefined;
  /** What alone may step, such as a `DataParallel`, by its class. */
  holder: { readonly who: string } | undefined = undefined;
  /** Whether the hooks before the next step have run, because ranks agree or measure after them. */
  haveHooksRun = false;
  readonly preHooks = new Hooks<unknown>();
  readonly postHooks = new Hooks<StepResult>();
  readonly #name: string;
  /** Whether each step needs the loss. */
  readonly needsLoss: boolean;
  readonly #store: ParamStore;
  readonly #global: Settings;
  readonly #start: Formula['start'];
  readonly #gradients: Gradients;
  readonly #queue = new StepQueue();
  /** What the control block was written for, if the options are the same since. */
  #written: Inputs | undefined = undefined;
  /** The gradients of the current synchronous step, as read. Kept, so that a step allocates no list. */
  readonly #grads: ReadGrad[] = [];
  /** State that `start` filled in the current step, with its old contents, for a step that is not applied. */
  readonly #started: (readonly [block: Block, before: Float32Array])[] = [];
  /**
   * Busy: during a call that runs user code (a schedule, a getter) or changes params. Nothing else may change meanwhile. It
   * stays so if vm's timeout ends the call, because `finally` does not run then. In a hook: it may assign options, and
   * nothing else.
   */
  #phase: 'idle' | 'busy' | 'in a hook' | 'disposed' = 'idle';

  constructor(declaration: Declaration, store: ParamStore, global: Settings, start: Formula['start']) {
    this.#name = declaration.name;
    this.needsLoss = declaration.needsLoss === true;
    this.#store = store;
    this.#global = global;
    this.#start = start;
    this.#gradients = new Gradients(store);
  }

  step(grads: unknown, options?: StepOptions): StepResult {
    const whole = (options as { readonly [measured]?: Measured } | undefined)?.[measured];
    if (whole !== undefined) return this.#stepPart(grads, whole);
    this.checkNotBusy();
    this.checkNoPendingStep();
    this.checkNotHeld();
    if (!this.preHooks.isEmpty && !this.haveHooksRun) this.#runHooks(this.preHooks, grads);
    const result = this.#step(grads, options);
    if (!this.postHooks.isEmpty) this.#runHooks(this.postHooks, result);
    return result;
  }

  #step(grads: unknown, options: StepOptions | undefined): StepResult {
    this.#phase = 'busy';
    try {
      // User code runs first, so that it cannot change what was checked.
      const inputs = options === undefined && !this.needsLoss ? noInputs : this.#inputsOf('step', options);
      this.#resolve();
      const areKnown = this.#gradients.read(grads, this.#grads);
      if (!areKnown) this.#register(this.#grads);
      this.#prepare(this.#grads, inputs);
      // A user's subclass may compute the constants. So this look at the lengths comes after them: no user code runs between it and
      // the step.
      if (this.#gradients.haveLengths()) this.#store.plan.step(true);
      else this.#store.plan.step();
      return this.#finish(this.#grads);
    } finally {
      this.#phase = 'idle';
    }
  }

  /** Runs the hooks before the step to come, which does not run them again while `haveHooksRun` is set. */
  runPreHooks(grads: unknown): void {
    this.checkNotBusy();
    this.checkNoPendingStep();
    this.#runHooks(this.preHooks, grads);
    this.checkParamsSettled();
    this.haveHooksRun = true;
  }

  #stepPart(grads: unknown, whole: Measured): StepResult {
    const { end } = this.beginPart(grads, whole);
    if (whole.applied) this.#store.plan.step();
    return end();
  }

  /**
   * Begins a step of a part of the params, whose gradients were measured with all others. `end` ends it, after the plan has
   * run, and `drop` if it will not run. It does not if the step is not applied. `check` throws what the plan has refused.
   */
  beginPart(
    grads: unknown,
    { factor, applied, gradNorm, loss }: Measured,
  ): { readonly end: () => StepResult; readonly drop: () => void; readonly check: () => void } {
    this.checkNotBusy();
    this.checkNoPendingStep();
    this.#whileBusy(() => {
      this.#resolve();
      this.#gradients.read(grads, this.#grads);
      if (!applied) return;
      this.#register(this.#grads);
      this.#prepare(this.#grads, { gradScale: factor, mustBeFinite: false, loss }, true);
    });
    const end = (): StepResult => {
      if (applied) this.#whileBusy(() => this.#finish(this.#grads));
      else this.skippedSteps++;
      const result = gradNorm === undefined ? { applied } : { applied, gradNorm };
      this.#runHooks(this.postHooks, result);
      return result;
    };
    const check = (): void => {
      if (this.#store.stepConstants.control[faultAt] !== noFault) this.#refuse(this.#grads);
    };
    return { end, check, drop: () => this.#settleStarted(false) };
  }

  stepAsync(grads: unknown, options?: StepAsyncOptions): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      this.checkNotBusy();
      this.checkNotHeld();
      const { inputs, signal, read } = this.exclusively(() => this.#readAhead(grads, options));
      const start = (done: () => void): void => {
        this.#runHooks(this.preHooks, grads);
        this.exclusively(() => {
          this.#resolve();
          this.#register(read);
          this.#prepare(read, inputs);
        });
        this.#store.plan.stepAsync(() => {
          // Settles before `done`, which may reject the next step at once: promises settle in order.
          try {
            const result = this.#finish(read);
            this.#runHooks(this.postHooks, result);
            resolve(result);
          } catch (error) {
            reject(error);
          }
          done();
        });
      };
      this.#queue.add(this.#store.extents, { grads: this.#gradients.extentsOf(read), start, reject }, signal);
    });
  }

  #runHooks<T>(hooks: Hooks<T>, value: T): void {
    const before = this.#phase;
    if (before === 'idle') this.#phase = 'in a hook';
    try {
      hooks.run(value);
    } finally {
      this.#phase = before;
    }
  }

  /** Reads and checks the arguments of a step that runs later. */
  #readAhead(
    grads: unknown,
    options: StepAsyncOptions | undefined,
  ): { inputs: Inputs; signal: AbortSignal | undefined; read: readonly ReadGrad[] } {
    let inputs = noInputs;
    let signal: AbortSignal | undefined;
    if (options !== undefined || this.needsLoss) {
      inputs = this.#inputsOf('stepAsync', options);
      const given: unknown = options?.signal;
      if (given !== undefined) signal = checkSignal(`${this.#name}.stepAsync`, given);
    }
    const read: ReadGrad[] = [];
    const { engine, params, extents } = this.#store;
    this.#gradients.read(grads, read);
    this.#gradients.checkAhead(read);
    this.#store.checkParams();
    for (const { path, data } of params) if (!isPinned(engine, data)) throw notPinned(this.#name, path, data);
    this.#queue.checkOthersSettled(this.#name, extents);
    if (signal !== undefined) checkNotAborted(signal);
    return { inputs, signal, read };
  }

  /** Reads and checks the options of a step. */
  #inputsOf(
    method: 'step' | 'stepAsync',
    options: (StepOptions & { [unscale]?: number; loss?: unknown }) | undefined,
  ): Inputs {
    if (options === undefined) throw this.#noLoss(options);
    const own = options?.[unscale];
    checkOptions(`${this.#name}.${method}`, options, (this.needsLoss ? lossOptionNames : optionNames)[method]);
    const mustBeFinite = own !== undefined;
    const loss = this.needsLoss ? this.checkLoss(options['loss'], mustBeFinite) : Number.NaN;
    if (mustBeFinite) return { gradScale: own, mustBeFinite, loss };
    const given: unknown = options['gradScale'];
    const gradScale = given === undefined ? 1 : checkFloat(this.#name, 'gradScale', given);
    return { gradScale, mustBeFinite, loss };
  }

  /** Returns the loss, which may be non-finite only if the step is skipped then. @throws TypeError, RangeError */
  checkLoss(loss: unknown, mustBeFinite = false): number {
    if (typeof loss !== 'number') throw this.#noLoss(loss);
    if (!Number.isFinite(loss) && !mustBeFinite && this.#global.set['skipNonFinite'] !== true)
      throw rangeError(this.#name, 'loss', show(loss), 'a finite number', 'skipNonFinite skips such a step');
    return loss;
  }

  #noLoss(given: unknown): TypeError {
    return typeError(this.#name, 'loss', show(given), 'a number: the loss at the params, as step(grads, { loss })');
  }

  /** Evaluates the schedules at the next step. */
  #resolve(): void {
    const next = this.stepCount + 1;
    if (next > Number.MAX_SAFE_INTEGER)
      throw rangeError(this.#name, 'stepCount', String(this.stepCount), 'fewer steps: float64 counts no further');
    this.#global.resolve(next);
    const { groups } = this.#store;
    for (let g = 0; g < groups.length; g++) groups[g]!.settings.resolve(next);
  }

  #register(grads: readonly ReadGrad[]): void {
    this.#gradients.register(grads, this.#global.resolved['zeroGrads'] as boolean);
  }

  /**
   * Checks that no other step touches the memory of this one, then writes the control block and the constants rows.
   * @param isMeasured Whether the norm is known, and the factor includes clipping.
   */
  #prepare(grads: readonly ReadGrad[], inputs: Inputs, isMeasured = false): void {
    const store = this.#store;
    this.#queue.checkOthersSettled(this.#name, store.extents);
    if (inputs !== this.#written || this.#global.hasChanged) this.#writeControl(inputs, isMeasured);
    store.constantsRows.write(this.stepCount + 1, inputs.loss);
    this.#global.hasChanged = false;
    if (this.#start !== undefined || this.watcher !== undefined) this.#startParams(grads, isMeasured);
  }

  #writeControl(inputs: Inputs, isMeasured: boolean): void {
    const { gradScale, mustBeFinite, loss } = inputs;
    const { control } = this.#store.stepConstants;
    const {
      clipNorm,
      skipNonFinite: isSet,
      zeroGrads,
      gradNorm,
      flushDenormals,
    } = this.#global.resolved as {
      clipNorm?: number;
      skipNonFinite: boolean;
      zeroGrads: boolean;
      gradNorm: boolean;
      flushDenormals: boolean;
    };
    const skipNonFinite = mustBeFinite || (isSet && !isMeasured);
    control[Control.gradScale] = gradScale;
    const needsNorm = !isMeasured && (clipNorm !== undefined || skipNonFinite || gradNorm);
    control[Control.maxNorm] = isMeasured ? Number.POSITIVE_INFINITY : (clipNorm ?? Number.POSITIVE_INFINITY);
    control[Control.measureNorm] = needsNorm ? 1 : 0;
    const isLost = this.needsLoss && !Number.isFinite(loss);
    control[Control.skipNonFinite] = isLost ? Skip.always : skipNonFinite ? Skip.nonFinite : Skip.never;
    control[Control.zeroGrads] = zeroGrads ? 1 : 0;
    control[Control.flushDenormals] = flushDenormals ? 1 : 0;
    this.#written = inputs;
  }

  /** Counts the step that the plan has run, and returns its result. @throws RangeError if the plan refused it */
  #finish(grads: readonly ReadGrad[]): StepResult {
    const { control } = this.#store.stepConstants;
    const fault = control[faultAt];
    const applied = fault === noFault && control[appliedAt] !== 0;
    if (this.#started.length > 0) this.#settleStarted(applied);
    if (fault !== noFault) this.#refuse(grads);
    if (applied) {
      this.stepCount++;
      this.#store.constantsRows.advance();
      this.watcher?.applied(this.stepCount, this.#store.params);
    } else {
      this.skippedSteps++;
    }
    return control[measureNormAt] === 0 ? { applied } : { applied, gradNorm: control[Control.gradNorm]! };
  }

  /** Throws the error for the fault that the plan has found. */
  #refuse(grads: readonly ReadGrad[]): never {
    const { control } = this.#store.stepConstants;
    const tensor = control[Control.faultTensor]!;
    const detail = control[Control.faultDetail]!;
    if (control[Control.fault] === Fault.badRow) throw this.#gradients.badRow(tensor, detail, grads);
    if (control[Control.fault] === Fault.noMemory) throw this.#gradients.noMemory(tensor, detail);
    this.#store.checkParams();
    this.#gradients.checkAgain(grads);
    throw typeError(this.#name, 'this', 'memory that was detached', 'memory that stays');
  }

  /** Prepares the state of params before their first update. `mayDrop`: it may be dropped then. */
  #startParams(grads: readonly ReadGrad[], mayDrop: boolean): void {
    const start = this.#start;
    if (!this.#store.constantsRows.hasNewParams) return;
    this.#store.checkParams();
    this.#gradients.checkAgain(grads);
    this.#started.length = 0;
    const { groups, params, stepConstants } = this.#store;
    const started: [block: Block, value: Float32Array][] = [];
    for (const group of groups) {
      for (let i = group.begin; i < group.end; i++) {
        const param = params[i]!;
        if (param.step > 0 || stepConstants.rowOf[i]! < 0) continue;
        this.watcher?.started(param);
        if (start === undefined) continue;
        const copies = Object.fromEntries([...param.state].map(([name, block]) => [name, block.read()]));
        start(group.settings.resolved, floatsOf(param.data), copies);
        for (const [name, block] of param.state) started.push([block, copies[name]!]);
      }
    }
    const maySkip = stepConstants.control[Control.skipNonFinite] !== Skip.never;
    const mayRefuse = mayDrop || maySkip || grads.some((grad) => grad !== null && !isFloat32(grad));
    for (const [block, value] of started) {
      if (mayRefuse) this.#started.push([block, block.read()]);
      block.write(value);
    }
  }

  #settleStarted(applied: boolean): void {
    if (!applied) for (const [block, before] of this.#started) block.write(before);
    this.#started.length = 0;
  }

  // ---- When a call is allowed ----

  get isDisposed(): boolean {
    return this.#phase === 'disposed';
  }

  checkNotDisposed(): void {
    if (this.isDisposed) throw typeError(this.#name, 'this', 'a disposed optimizer', 'one that is not disposed');
  }

  checkNotBusy(): void {
    if (this.#phase !== 'idle') this.#refuseCall();
  }

  #refuseCall(): never {
    this.checkNotInCall();
    const expected = 'to wait until that hook has returned';
    const hint = 'a hook may assign options and change gradients, but not step';
    throw typeError(this.#name, 'this', 'an optimizer in the middle of a hook', expected, hint);
  }

  checkNotHeld(): void {
    if (this.holder !== undefined)
      throw typeError(
        this.#name,
        'this',
        `an optimizer inside a ${this.holder.who}`,
        `the step() of the ${this.holder.who}, which create() returned`,
        'unwrap() gives the optimizer back',
      );
  }

  /** A hook may assign options, and read or save the state. */
  checkNotInCall(): void {
    this.checkNotDisposed();
    if (this.#phase === 'busy')
      throw typeError(
        this.#name,
        'this',
        'an optimizer in the middle of a call',
        'to wait until that call has returned',
        "or vm's timeout interrupted the call: the params may be half updated, so load a checkpoint into a new optimizer",
      );
  }

  get hasPendingStep(): boolean {
    return !this.#queue.isEmpty;
  }

  checkNoPendingStep(): void {
    if (this.hasPendingStep)
      throw typeError(
        this.#name,
        'this',
        'an optimizer with a step in flight',
        'to await the pending stepAsync() first',
      );
  }

  /** Refuses params that a pending step of another optimizer changes. @throws TypeError */
  checkParamsSettled(): void {
    checkSettled(this.#name, this.#store.extents);
  }

  /** Runs `action`, which may run user code (getters, proxies). That code cannot change the optimizer meanwhile. */
  exclusively<T>(action: () => T): T {
    this.checkNotBusy();
    return this.#whileBusy(action);
  }

  /** Like {@link exclusively}, for the assignment of an option, which a hook may do too. */
  assign(action: () => void): void {
    this.checkNotInCall();
    this.#whileBusy(action);
  }

  #whileBusy<T>(action: () => T): T {
    const before = this.#phase;
    this.#phase = 'busy';
    try {
      return action();
    } finally {
      this.#phase = before;
    }
  }

  /** Releases all memory. */
  dispose(): void {
    this.#phase = 'disposed';
    this.#grads.length = 0;
    this.#store.release();
  }
}
