import { onAbort, reasonOf } from '../../core/step-queue.js';
import { exitAborted, warn } from '../exit.js';
import type { Call, Outcome, Transport } from '../transport.js';
import { Collectives, type Steps } from './collectives.js';
import { Interruption } from './interruption.js';
import { Mailbox } from './mailbox.js';
import { Rendezvous } from './rendezvous.js';
import { Shared, type SharedBuffers, Status } from './shared.js';

/** Milliseconds after which a rank that waits says for whom. */
const patience = 60_000;
/** The longest sleep without a look at the clock. */
const longestSleep = 1000;

/** A call in the queue. */
class Task {
  readonly call: Call;
  readonly deadline: number;
  readonly settle: (error: unknown, outcome: Outcome) => void;
  /** Undefined until it begins. */
  steps: Steps | undefined;
  number = 0;
  begun = 0;
  hasWarned = false;
  ignoreSignal = (): void => {};

  constructor(call: Call, settle: (error: unknown, outcome: Outcome) => void) {
    this.call = call;
    this.deadline = performance.now() + call.timeout;
    this.settle = settle;
  }
}

/** A rank that is a worker thread. Its calls run one after the other, whoever waits for them. */
export class ThreadTransport implements Transport {
  readonly name = 'workers';
  readonly rank: number;
  readonly size: number;
  readonly mail: Mailbox;
  readonly #shared: Shared;
  readonly #rendezvous: Rendezvous;
  readonly #collectives: Collectives;
  readonly #interruption: Interruption;
  readonly #queue: Task[] = [];
  #number = 0;
  #isPumping = false;

  constructor(buffers: SharedBuffers, rank: number) {
    this.rank = rank;
    this.size = buffers.size;
    this.#shared = new Shared(buffers);
    this.#rendezvous = new Rendezvous(this.#shared);
    this.#collectives = new Collectives(this.#shared, this.#rendezvous, rank);
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
    return new Promise((resolve, reject) => {
      const task = new Task(call, (error, outcome) => (error === undefined ? resolve(outcome) : reject(error)));
      this.#queue.push(task);
      if (call.signal !== undefined) this.#obey(call.signal, task);
      if (this.#isPumping) this.#advance();
      else void this.#pump();
    });
  }

  runSync(call: Call): Outcome {
    let settled: { readonly error: unknown; readonly outcome: Outcome } | undefined;
    const task = new Task(call, (error, outcome) => {
      settled = { error, outcome };
    });
    this.#queue.push(task);
    for (;;) {
      const turn = this.#advance();
      if (settled !== undefined || turn === undefined) break;
      if (this.#rendezvous.spin(turn)) continue;
      this.#rendezvous.block(turn, this.#sleep());
      this.#look(turn);
    }
    const { error, outcome } = settled as unknown as { error: unknown; outcome: Outcome };
    if (error !== undefined) throw error;
    return outcome;
  }

  abort(code: number, reason: string | undefined): never {
    const text = `abort(${code})${reason === undefined ? '' : `: ${reason}`}`;
    this.#shared.setStatus(this.rank, Status.aborted);
    this.#rendezvous.break({ rank: this.rank, exitCode: code, reason: text });
    return exitAborted(this.rank, code, reason);
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (let turn = this.#advance(); turn !== undefined; turn = this.#advance()) {
      if (this.#rendezvous.spin(turn)) continue;
      await this.#rendezvous.wait(turn, this.#sleep());
      this.#look(turn);
    }
    this.#isPumping = false;
  }

  /** Runs the calls until one waits for a meeting. Returns its turn, or undefined if the queue is empty. */
  #advance(): number | undefined {
    for (let task = this.#queue[0]; task !== undefined; task = this.#queue[0]) {
      try {
        task.steps ??= this.#begin(task);
        const step = task.steps.next();
        if (step.done !== true) return step.value;
        this.#queue.shift();
        if (task.call.kind === 'close' || task.call.kind === 'leave') this.#shared.setStatus(this.rank, Status.closed);
        task.settle(undefined, step.value);
      } catch (error) {
        this.#queue.shift();
        task.settle(error, []);
      }
    }
    return undefined;
  }

  #begin(task: Task): Steps {
    task.ignoreSignal();
    task.begun = performance.now();
    task.number = ++this.#number;
    return this.#collectives.run(task.call, task.number);
  }

  /** Takes the call back if its signal is aborted before it begins. */
  #obey(signal: AbortSignal, task: Task): void {
    task.ignoreSignal = onAbort(signal, () => {
      task.ignoreSignal();
      this.#queue.splice(this.#queue.indexOf(task), 1);
      task.settle(reasonOf(signal), []);
    });
  }

  /** Milliseconds until the next deadline or warning. */
  #sleep(): number {
    const now = performance.now();
    const next = this.#queue.reduce((least, { deadline }) => Math.min(least, deadline), now + longestSleep);
    return Math.max(0, Math.ceil(next - now));
  }

  /** Looks at the clock while a meeting is pending: warns, and breaks the world at a deadline. */
  #look(turn: number): void {
    const [head] = this.#queue;
    if (head === undefined || !this.#rendezvous.isNow(turn)) return;
    const missing = this.#rendezvous.missing(turn);
    const now = performance.now();
    const { kind } = head.call;
    const ranks = `${missing.length === 1 ? 'rank' : 'ranks'} ${missing.join(', ')}`;
    const where = `${kind === 'leave' ? 'close' : kind} #${head.number}`;
    const late = this.#queue.find(({ deadline }) => now >= deadline);
    if (late !== undefined) {
      const message = `World: ${where}: ${ranks} did not come within ${late.call.timeout} ms`;
      this.#rendezvous.break({ message, ranks: missing }, turn);
    } else if (!head.hasWarned && kind !== 'leave' && now - head.begun >= patience) {
      head.hasWarned = true;
      warn(`World: rank ${this.rank} has waited ${patience / 1000} s in ${where} for ${ranks}`);
    }
  }
}
