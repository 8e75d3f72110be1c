import { show, typeError } from '../check/errors.js';
import { type Extent, sharing } from './extents.js';

/** A step that waits for its turn. */
interface Job {
  /** Begins it; `done` must be called when it has ended. @throws what the step is refused for */
  readonly begin: (done: () => void) => void;
  readonly refuse: (reason: unknown) => void;
}

/** The params of all steps in flight in this thread of JavaScript. */
const queue = new Set<readonly Extent[]>();

/** Refuses params that a step in flight of another optimizer changes. @throws TypeError */
export function checkSettled(who: string, params: readonly Extent[], own?: readonly Extent[]): void {
  if (queue.size === 0) return;
  for (const others of queue) {
    const shared = others === own ? undefined : sharing(params, others);
    if (shared !== undefined)
      throw typeError(who, shared.path, 'the memory of a step in flight', 'that its promise is awaited first');
  }
}

// Captured once: what a user defines on a signal can't deceive these.
const abortedOfAny = getter('aborted');
const reasonOfAny = getter('reason');
const { addEventListener, removeEventListener } = EventTarget.prototype;

function getter(name: 'aborted' | 'reason'): (this: unknown) => unknown {
  return Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)?.get as (this: unknown) => unknown;
}

/** `value` if it is an AbortSignal. @throws TypeError */
export function checkSignal(who: string, value: unknown): AbortSignal {
  try {
    abortedOfAny.call(value);
  } catch {
    throw typeError(who, 'signal', show(value), 'an AbortSignal');
  }
  return value as AbortSignal;
}

/** @throws the signal's reason once it is aborted */
export function checkNotAborted(signal: AbortSignal): void {
  if (abortedOfAny.call(signal)) throw reasonOfAny.call(signal);
}

/** What takes back the steps that wait with a signal; one listener calls them all, for Node warns of more than a few. */
const waitingWith = new WeakMap<AbortSignal, { readonly all: Set<() => void>; readonly listen: () => void }>();

/** Calls `takeBack` when the signal is aborted, until the function that it returns is called. */
function onAbort(signal: AbortSignal, takeBack: () => void): () => void {
  let waiting = waitingWith.get(signal);
  if (waiting === undefined) {
    const all = new Set<() => void>();
    const listen = (): void => {
      // Anyone can send the event.
      if (abortedOfAny.call(signal)) for (const each of all) each();
    };
    waiting = { all, listen };
    waitingWith.set(signal, waiting);
  }
  const { all, listen } = waiting;
  if (all.size === 0) addEventListener.call(signal, 'abort', listen);
  all.add(takeBack);
  return () => {
    all.delete(takeBack);
    if (all.size === 0) removeEventListener.call(signal, 'abort', listen);
  };
}

/** The steps of one optimizer on other threads: one at a time, in the order in which they came. */
export class StepQueue {
  readonly #waiting: Job[] = [];
  #isRunning = false;
  #params: readonly Extent[] = [];

  /** Whether no step waits or runs. */
  get isEmpty(): boolean {
    return !this.#isRunning && this.#waiting.length === 0;
  }

  /** The params that are in flight: those of the optimizer, until all of its steps have ended. */
  get params(): readonly Extent[] | undefined {
    return this.isEmpty ? undefined : this.#params;
  }

  /** Begins a step as soon as those before it have ended; `signal` takes it back until then. */
  add(params: readonly Extent[], job: Job, signal: AbortSignal | undefined): void {
    let waiting = job;
    if (signal !== undefined) {
      const ignore = onAbort(signal, () => {
        ignore();
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#settle();
        job.refuse(reasonOfAny.call(signal));
      });
      waiting = {
        begin: (done) => {
          ignore();
          job.begin(done);
        },
        refuse: job.refuse,
      };
    }
    if (this.isEmpty) {
      this.#params = params;
      queue.add(params);
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
        job.begin(() => {
          this.#isRunning = false;
          this.#next();
        });
      } catch (error) {
        this.#isRunning = false;
        job.refuse(error);
      }
    }
    this.#settle();
  }

  #settle(): void {
    if (this.isEmpty) queue.delete(this.#params);
  }
}
