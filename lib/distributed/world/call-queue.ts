import { onAbort, reasonOf } from '../../core/step-queue.js';
import { lateHintOf, nameOf } from './callers.js';
import { warn } from './exit.js';
import type { Call, Outcome } from './transport.js';

/** A collective under way: yields the turn of the meeting that it waits for. */
export type Steps = Generator<number, Outcome, void>;

/** Where ranks wait for each other, turn after turn. */
export interface Meetings {
  /** Whether the meeting is over after a short look. */
  spin(turn: number): boolean;
  /** Blocks until the meeting is over, at most `ms` milliseconds. */
  block(turn: number, ms: number): void;
  /** As `block`, while the event loop goes on and is held. */
  wait(turn: number, ms: number): Promise<void>;
  /** Whether the meeting is the one that the ranks wait for. */
  isNow(turn: number): boolean;
  /** The ranks that have not come to a meeting, where they are known. */
  missing(turn: number): number[];
  /** Breaks the world if the meeting is pending. */
  late(turn: number, message: string, ranks: readonly number[]): void;
}

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

/** The calls of a rank. They run one after the other, whoever waits for them. */
export class CallQueue {
  readonly #rank: number;
  readonly #meetings: Meetings;
  readonly #collectives: { run(call: Call, number: number): Steps };
  readonly #queue: Task[] = [];
  #number = 0;
  #isPumping = false;

  constructor(rank: number, meetings: Meetings, collectives: { run(call: Call, number: number): Steps }) {
    this.#rank = rank;
    this.#meetings = meetings;
    this.#collectives = collectives;
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
      if (this.#meetings.spin(turn)) continue;
      this.#meetings.block(turn, this.#sleep());
      this.#look(turn);
    }
    const { error, outcome } = settled as unknown as { error: unknown; outcome: Outcome };
    if (error !== undefined) throw error;
    return outcome;
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (let turn = this.#advance(); turn !== undefined; turn = this.#advance()) {
      if (this.#meetings.spin(turn)) continue;
      await this.#meetings.wait(turn, this.#sleep());
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
    if (head === undefined || !this.#meetings.isNow(turn)) return;
    const missing = this.#meetings.missing(turn);
    const now = performance.now();
    const { kind, caller } = head.call;
    const ranks = namesOf(missing);
    const where = nameOf(`${kind === 'leave' ? 'close' : kind} #${head.number}`, caller);
    const late = this.#queue.find(({ deadline }) => now >= deadline);
    if (late !== undefined) {
      const prefix = caller === undefined ? 'World: ' : '';
      const message = `${prefix}${where}: ${ranks} did not come within ${late.call.timeout} ms${lateHintOf(caller)}`;
      this.#meetings.late(turn, message, missing);
    } else if (!head.hasWarned && kind !== 'leave' && now - head.begun >= patience) {
      head.hasWarned = true;
      warn(`World: rank ${this.#rank} has waited ${patience / 1000} s in ${where} for ${ranks}`);
    }
  }
}

function namesOf(ranks: readonly number[]): string {
  if (ranks.length === 0) return 'other ranks';
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;
}
