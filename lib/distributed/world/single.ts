import { checkNotAborted } from '../../core/step-queue.js';
import { exitAborted } from './exit.js';
import type { Call, Outcome, Transport } from './transport.js';

/** A world of one: every collective gives back what it was given. */
export class SingleTransport implements Transport {
  readonly name = 'single';
  readonly rank = 0;
  readonly size = 1;
  readonly localRank = 0;
  readonly localSize = 1;
  readonly broken = undefined;
  /** Never aborted: the process has its signals itself. */
  readonly interrupted: AbortSignal = new AbortController().signal;

  async run(call: Call): Promise<Outcome> {
    return this.runSync(call);
  }

  runSync({ kind, x, signal }: Call): Outcome {
    if (signal !== undefined) checkNotAborted(signal);
    return kind === 'broadcastObject' || kind === 'allGatherObject' ? [x as Uint8Array] : [];
  }

  abort(code: number, reason: string | undefined): never {
    return exitAborted(this.rank, code, reason);
  }
}
