import { CallQueue } from '../world/call-queue.js';
import { exitAborted } from '../world/exit.js';
import type { Call, Outcome, Transport } from '../world/transport.js';
import { Collectives } from './collectives.js';
import { Interruption } from './interruption.js';
import { Mailbox } from './mailbox.js';
import { Rendezvous } from './rendezvous.js';
import { Shared, type SharedBuffers, Status } from './shared.js';

/** A rank that is a worker thread. */
export class ThreadTransport implements Transport {
  readonly name = 'workers';
  readonly rank: number;
  readonly size: number;
  readonly mail: Mailbox;
  readonly #shared: Shared;
  readonly #rendezvous: Rendezvous;
  readonly #interruption: Interruption;
  readonly #queue: CallQueue;

  constructor(buffers: SharedBuffers, rank: number) {
    this.rank = rank;
    this.size = buffers.size;
    this.#shared = new Shared(buffers);
    this.#rendezvous = new Rendezvous(this.#shared);
    this.#queue = new CallQueue(rank, this.#rendezvous, new Collectives(this.#shared, this.#rendezvous, rank));
    this.#interruption = new Interruption(this.#shared.words);
    this.mail = new Mailbox(this.#shared, this.#rendezvous, rank);
    this.#shared.setStatus(rank, Status.joined);
  }

  get localRank(): number {
    return this.rank;
  }

  get localSize(): number {
    return this.size;
  }

  get interrupted(): AbortSignal {
    return this.#interruption.signal;
  }

  get broken(): Error | undefined {
    return this.#rendezvous.broken;
  }

  /** Whether this rank may end. */
  get isClosed(): boolean {
    return this.#shared.status(this.rank) === Status.closed;
  }

  run(call: Call): Promise<Outcome> {
    return this.#queue.run(call);
  }

  runSync(call: Call): Outcome {
    return this.#queue.runSync(call);
  }

  abort(code: number, reason: string | undefined): never {
    const text = `abort(${code})${reason === undefined ? '' : `: ${reason}`}`;
    this.#shared.setStatus(this.rank, Status.aborted);
    this.#rendezvous.break({ rank: this.rank, exitCode: code, reason: text });
    return exitAborted(this.rank, code, reason);
  }
}
