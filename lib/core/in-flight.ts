import { typeError } from './errors.js';
import { type Extent, sharing } from './extents.js';

/** A step that waits for its turn. */
interface Job {
  /** Begins it; `done` must be called when it has ended. @throws what the step is refused for */
  readonly begin: (done: () => void) => void;
  readonly refuse: (reason: unknown) => void;
}

/** The params of all steps in flight in this thread of JavaScript. */
const inFlight = new Set<readonly Extent[]>();

/** Refuses params that a step in flight of another optimizer changes. @throws TypeError */
export function checkSettled(who: string, params: readonly Extent[], own?: readonly Extent[]): void {
  if (inFlight.size === 0) return;
  for (const others of inFlight) {
    const shared = others === own ? undefined : sharing(params, others);
    if (shared !== undefined)
      throw typeError(who, shared.path, 'the memory of a step in flight', 'that its promise is awaited first');
  }
}

/** The steps of one optimizer on other threads: one at a time, in the order in which they came. */
export class InFlight {
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
    if (this.isEmpty) {
      this.#params = params;
      inFlight.add(params);
    }
    const abort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.#settle();
      job.refuse(signal?.reason);
    };
    const waiting: Job = {
      begin: (done) => {
        signal?.removeEventListener('abort', abort);
        job.begin(done);
      },
      refuse: job.refuse,
    };
    this.#waiting.push(waiting);
    signal?.addEventListener('abort', abort, { once: true });
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
    if (this.isEmpty) inFlight.delete(this.#params);
  }
}
