import { show, typeError } from '../check/errors.js';
import { type Extent, sharing } from './extents.js';

/** A step that waits in the queue. */
interface Job {
  /** The memory of its gradients. */
  readonly grads: readonly Extent[];
  /** Starts the step. It must call `done` when it has ended. @throws the error that the step is rejected with */
  readonly start: (done: () => void) => void;
  readonly reject: (reason: unknown) => void;
}

/** The params of all pending steps of this JavaScript thread. */
const pending = new Set<readonly Extent[]>();
/** Whether `pending` has any. Every step looks. */
let isAnyPending = false;

/** The gradients of each pending step of this JavaScript thread. */
const pendingGrads = new Set<readonly Extent[]>();

/**
 * Refuses memory that a pending step reads or changes: its params and gradients. `extentsOf` is called only if a step is
 * pending.
 * @throws TypeError
 */
export function checkNotInFlight(who: string, extentsOf: () => readonly Extent[]): void {
  if (pendingGrads.size === 0) return;
  const extents = extentsOf();
  checkSettled(who, extents);
  for (const grads of pendingGrads) refuseShared(who, extents, grads);
}

/** Refuses params that a pending step of another optimizer changes. @throws TypeError */
export function checkSettled(who: string, params: readonly Extent[], own?: readonly Extent[]): void {
  if (!isAnyPending) return;
  for (const others of pending) if (others !== own) refuseShared(who, params, others);
}

function refuseShared(who: string, extents: readonly Extent[], others: readonly Extent[]): void {
  const shared = sharing(extents, others);
  if (shared !== undefined)
    throw typeError(who, shared.path, 'the memory of a step in flight', 'to await the pending stepAsync() first');
}

// Captured once, so that properties that user code defines on a signal have no effect.
const abortedOfAny = getter('aborted');
const reasonOfAny = getter('reason');
const { addEventListener, removeEventListener } = EventTarget.prototype;

function getter(name: 'aborted' | 'reason'): (this: unknown) => unknown {
  return Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)?.get as (this: unknown) => unknown;
}

/** Returns `value` if it is an AbortSignal. @throws TypeError */
export function checkSignal(who: string, value: unknown): AbortSignal {
  try {
    abortedOfAny.call(value);
  } catch {
    throw typeError(who, 'signal', show(value), 'an AbortSignal');
  }
  return value as AbortSignal;
}

/** Whether a signal is aborted. */
export function isAborted(signal: AbortSignal): boolean {
  return abortedOfAny.call(signal) as boolean;
}

/** The reason with which a signal was aborted. */
export function reasonOf(signal: AbortSignal): unknown {
  return reasonOfAny.call(signal);
}

/** @throws the signal's reason if it is aborted */
export function checkNotAborted(signal: AbortSignal): void {
  if (isAborted(signal)) throw reasonOf(signal);
}

/**
 * The cancellations of a signal's waiting steps. One listener calls them all, because Node warns about many listeners.
 */
const waitingWith = new WeakMap<AbortSignal, { readonly all: Set<() => void>; readonly listen: () => void }>();

/** Calls `cancel` when the signal is aborted. Returns a function that stops listening. */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  let waiting = waitingWith.get(signal);
  if (waiting === undefined) {
    const all = new Set<() => void>();
    const listen = (): void => {
      // User code can dispatch the event on a signal that is not aborted.
      if (abortedOfAny.call(signal)) for (const each of all) each();
    };
    waiting = { all, listen };
    waitingWith.set(signal, waiting);
  }
  const { all, listen } = waiting;
  if (all.size === 0) addEventListener.call(signal, 'abort', listen);
  all.add(cancel);
  return () => {
    all.delete(cancel);
    if (all.size === 0) removeEventListener.call(signal, 'abort', listen);
  };
}

/** Runs the asynchronous steps of one optimizer, one at a time and in the order of the calls. */
export class StepQueue {
  readonly #waiting: Job[] = [];
  #isRunning = false;
  #params: readonly Extent[] = [];

  /** Whether no step waits or runs. */
  get isEmpty(): boolean {
    return !this.#isRunning && this.#waiting.length === 0;
  }

  /** The optimizer's params while a step is pending, else undefined. */
  get params(): readonly Extent[] | undefined {
    return this.isEmpty ? undefined : this.#params;
  }

  /** Refuses params that a pending step of another optimizer changes. @throws TypeError */
  checkOthersSettled(who: string, params: readonly Extent[]): void {
    if (isAnyPending) checkSettled(who, params, this.params);
  }

  /** Starts a step when all earlier ones have ended. Aborting `signal` cancels it until then. */
  add(params: readonly Extent[], job: Job, signal: AbortSignal | undefined): void {
    let waiting = job;
    if (signal !== undefined) {
      const ignore = onAbort(signal, () => {
        ignore();
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        pendingGrads.delete(job.grads);
        this.#settle();
        job.reject(reasonOfAny.call(signal));
      });
      const start = (done: () => void): void => {
        ignore();
        job.start(done);
      };
      waiting = { ...job, start };
    }
    pendingGrads.add(job.grads);
    if (this.isEmpty) {
      this.#params = params;
      pending.add(params);
      isAnyPending = true;
    }
    this.#waiting.push(waiting);
    this.#next();
  }

  #next(): void {
    while (!this.#isRunning) {
      const job = this.#waiting.shift();
      if (job === undefined) break;
      this.#isRunning = true;
      try {
        job.start(() => {
          this.#isRunning = false;
          pendingGrads.delete(job.grads);
          this.#next();
        });
      } catch (error) {
        this.#isRunning = false;
        pendingGrads.delete(job.grads);
        job.reject(error);
      }
    }
    this.#settle();
  }

  #settle(): void {
    if (!this.isEmpty) return;
    pending.delete(this.#params);
    isAnyPending = pending.size > 0;
  }
}
