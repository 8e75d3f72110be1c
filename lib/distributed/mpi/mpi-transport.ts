import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { leaveEndingNote } from '../launch/ending-note.js';
import { CallQueue } from '../world/call-queue.js';
import { exitAborted } from '../world/exit.js';
import type { Call, Outcome, Transport } from '../world/transport.js';
import { Collectives } from './collectives.js';
import type { Cause, Exchanges } from './exchanges.js';
import type { MpiMail } from './mpi-mail.js';

/** A rank that is a process of an MPI job. */
export class MpiTransport implements Transport {
  readonly name = 'mpi';
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly mail: MpiMail;
  readonly #exchanges: Exchanges;
  readonly #queue: CallQueue;
  readonly #interruption = new AbortController();
  #isClosed = false;

  constructor(exchanges: Exchanges, mail: MpiMail) {
    this.rank = exchanges.rank;
    this.size = exchanges.size;
    this.localRank = exchanges.localRank;
    this.localSize = exchanges.localSize;
    this.mail = mail;
    this.#exchanges = exchanges;
    this.#queue = new CallQueue(this.rank, exchanges, new Collectives(exchanges));
  }

  /** A loop that blocks never gets to the event: so each reading looks at the signal. */
  get interrupted(): AbortSignal {
    const { signal } = this.#exchanges;
    if (signal !== 0) this.interrupt(signal === constants.signals.SIGINT ? 'SIGINT' : 'SIGTERM');
    return this.#interruption.signal;
  }

  get broken(): Error | undefined {
    return this.#isClosed ? undefined : this.#exchanges.broken;
  }

  /** Whether this rank may end: it has left MPI. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether another rank has said that it ends the job. */
  get isEnding(): boolean {
    return this.#exchanges.isEnding;
  }

  async run(call: Call): Promise<Outcome> {
    const outcome = await this.#queue.run(call);
    if (call.kind === 'close' || call.kind === 'leave') {
      this.#isClosed = true;
      this.mail.end();
    }
    return outcome;
  }

  runSync(call: Call): Outcome {
    return this.#queue.runSync(call);
  }

  watchSignals(): void {
    this.#exchanges.watchSignals();
  }

  /** Fires `interrupted`. */
  interrupt(signal: NodeJS.Signals): void {
    if (!this.#interruption.signal.aborted) this.#interruption.abort(new Error(`the launcher got ${signal}`));
  }

  /** Breaks the world for all ranks. */
  tell(cause: Cause): void {
    this.#exchanges.tell(cause);
  }

  abort(code: number, reason: string | undefined): never {
    if (this.#isClosed) return exitAborted(this.rank, code, reason);
    const text = `abort(${code})${reason === undefined ? '' : `: ${reason}`}`;
    writeSync(2, `rank ${this.rank}: ${text}\n`);
    leaveEndingNote({ rank: this.rank, exitCode: code, reason: text });
    return this.end(code);
  }

  /** Ends the job at once, without a word. */
  end(code: number): never {
    return this.#exchanges.abort(code);
  }
}
