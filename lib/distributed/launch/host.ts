// The process of the worker threads. The launcher starts it with an IPC channel, so that the end of either is known to the other.
import { constants } from 'node:os';
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RankError } from '../errors.js';
import { Rendezvous } from '../threads/rendezvous.js';
import { createShared, Shared, type SharedBuffers, Status, Word } from '../threads/shared.js';
import { exitedEarly, firstLine, uncaughtText, warn } from '../world/exit.js';
import { RankOutput } from './output.js';
import type { Ending, Seat, ToHost } from './seat.js';

/** Milliseconds that the other ranks get when one has failed. */
const lastWords = 1000;

class Host {
  readonly #buffers: SharedBuffers;
  readonly #shared: Shared;
  readonly #rendezvous: Rendezvous;
  readonly #uncaught = new Map<number, unknown>();
  #running = 0;
  #failure: Ending | undefined;
  /** The expendable rank that was lost first. */
  #loss: Ending | undefined;
  readonly #codes: number[] = [];

  constructor(size: number) {
    this.#buffers = createShared(size);
    this.#shared = new Shared(this.#buffers);
    this.#rendezvous = new Rendezvous(this.#shared);
  }

  start(script: string, argv: readonly string[]): void {
    const { size } = this.#buffers;
    this.#running = size;
    for (let rank = 0; rank < size; rank++) {
      const schussSeat: Seat = { rank, buffers: this.#buffers, script, argv };
      const worker = new Worker(join(__dirname, `rank${extname(__filename)}`), {
        workerData: { schussSeat },
        env: {
          ...process.env,
          RANK: `${rank}`,
          WORLD_SIZE: `${size}`,
          LOCAL_RANK: `${rank}`,
          LOCAL_WORLD_SIZE: `${size}`,
        },
      });
      worker.on('error', (error) => this.#noteError(rank, error));
      worker.on('exit', (code) => this.#ended(rank, code));
    }
  }

  /** Tells the ranks that the launcher has got a signal. */
  interrupt(signal: NodeJS.Signals): void {
    Atomics.compareExchange(this.#shared.words, Word.interrupted, 0, constants.signals[signal]);
    Atomics.notify(this.#shared.words, Word.interrupted);
  }

  #noteError(rank: number, error: unknown): void {
    this.#uncaught.set(rank, error);
    const stderr = new RankOutput(2, rank);
    stderr.write(Buffer.from(uncaughtText(error)));
    stderr.flush();
  }

  #ended(rank: number, code: number): void {
    this.#running--;
    this.#codes[rank] = code;
    const status = this.#shared.status(rank);
    const isClosed = status === Status.closed;
    if (status === Status.expendable && this.#rendezvous.broken === undefined) this.#lose(rank, code);
    else if (this.#uncaught.has(rank)) this.#fail(rank, code || 1, firstLine(this.#uncaught.get(rank)));
    else if (code !== 0) this.#fail(rank, code, this.#reasonOf(code, status));
    else if (!isClosed) this.#rendezvous.break({ rank, exitCode: 0, reason: 'ended without taking part' });
    if (this.#running === 0 || status === Status.aborted) this.#finish();
  }

  /** An expendable rank is gone: the others go on. */
  #lose(rank: number, code: number): void {
    const error = this.#uncaught.get(rank);
    const [exitCode, reason] =
      error === undefined ? [code, this.#reasonOf(code, Status.joined)] : [code || 1, firstLine(error)];
    warn(`schuss launch: rank ${rank} was lost: exit code ${exitCode}: ${reason}; the others go on`);
    this.#loss ??= { rank, exitCode: exitCode || 1, reason };
    this.#shared.setLost(rank, exitCode);
    this.#shared.letters.ringAll();
    void this.#rendezvous.standInFor(rank);
  }

  #reasonOf(code: number, status: number): string {
    if (code === exitedEarly && status === Status.joined) return 'called process.exit(0) before close()';
    return `exited with code ${code}${status === Status.joined ? ' before close()' : ''}`;
  }

  /** The first failure is the job's. The others learn of it at once, and have a second to say their last words. */
  #fail(rank: number, exitCode: number, reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#aborted() ?? { rank, exitCode, reason };
    this.#rendezvous.break({ rank, exitCode, reason });
    setTimeout(() => this.#finish(), lastWords);
  }

  /** A rank that has called abort(), although another one may end before it. */
  #aborted(): Ending | undefined {
    const { broken } = this.#rendezvous;
    if (!(broken instanceof RankError) || this.#shared.status(broken.rank) !== Status.aborted) return undefined;
    return { rank: broken.rank, exitCode: broken.exitCode ?? 1, reason: broken.reason };
  }

  /** A rank that ended with a code of its own while others waited for it. They fail because of it, perhaps before it has ended. */
  #left(): Ending | undefined {
    const { broken } = this.#rendezvous;
    const exitCode = broken instanceof RankError ? this.#codes[broken.rank] : undefined;
    if (!(broken instanceof RankError) || !exitCode || this.#failure?.rank === broken.rank) return undefined;
    return { rank: broken.rank, exitCode, reason: broken.reason };
  }

  /** No worker has come to its end: nothing was trained, perhaps. */
  #lostAll(): Ending | undefined {
    return Atomics.load(this.#shared.words, Word.finished) === 0 ? this.#loss : undefined;
  }

  #finish(): void {
    const ending: Ending = this.#left() ?? this.#failure ?? this.#lostAll() ?? { exitCode: 0 };
    process.send?.(ending, () => process.exit(ending.exitCode));
  }
}

// A terminal sends SIGINT to all processes of the job. The launcher tells what to do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(1)); // the launcher is gone

let host: Host | undefined;
process.on('message', (message: ToHost) => {
  if ('signal' in message) host?.interrupt(message.signal);
  else {
    const { script, argv, size } = message.job;
    host = new Host(size);
    host.start(script, argv);
  }
});
