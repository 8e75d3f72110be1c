import { setImmediate } from 'node:timers/promises';
import { Deadline } from '../downpour/mail-of.js';
import { Channel } from '../world/channel.js';
import { floatsIn } from '../world/numbers.js';
import type { OwnWorld } from '../world/own-world.js';
import type { Letter, Mail } from '../world/transport.js';
import type { World } from '../world/world.js';
import { type Branch, beginOf, Dealing, sizeOf } from './dealing.js';
import { endWith, keptEvaluations, lateness, longestSleep } from './patience.js';
import type { EvaluatePortion, PortionSum } from './portion.js';
import { TreeSum, treeSumOf } from './tree.js';
import type { Turns } from './turns.js';

const who = 'SandblasterLBFGS';

/** The meaning of a message. The first of its numbers is the evaluation. */
const Kind = {
  /** To rank 0: this rank has begun the evaluation. It sends no more of earlier ones. */
  here: 1,
  /** From rank 0: a branch to compute. [evaluation, level, index] */
  deal: 2,
  /** To rank 0: the gradient of a branch. [evaluation, level, index, loss, milliseconds] */
  result: 3,
  /** From rank 0: the gradient of all portions. [evaluation, loss] */
  total: 4,
  /** To rank 0, and from it to all: f threw on a rank. [evaluation, rank] */
  failed: 5,
  /** To rank 0: this rank has the total, and sends no more of the evaluation. */
  bye: 6,
} as const;

/** Branches that a rank has: one that it computes, and one to go on with while rank 0 computes, too. */
const branchesOfRank = 2;
/** If rank 0 takes so many times as long as the others, it only deals while they go on: they would wait for it. */
const slowness = 2;

/** Tells who waits that something has happened. */
class Bell {
  #ring = (): void => {};
  #hasRung = false;

  ring(): void {
    this.#hasRung = true;
    this.#ring();
  }

  /** Waits until it rings, at most `ms` milliseconds. */
  async wait(ms: number): Promise<void> {
    if (!this.#hasRung)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#ring = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#hasRung = false;
  }
}

/** A rank as rank 0 sees it. */
class Other {
  /** The portions of each branch that it has. */
  readonly branches: number[] = [];
  isHere = false;
  isReading = false;
  /** The evaluation that it has ended last. */
  ended = -1;

  get portions(): number {
    return this.branches.reduce((sum, count) => sum + count, 0);
  }
}

/** Milliseconds in portions, and their number. */
class Pace {
  #spent = 0;
  #count = 0;

  add(ms: number, portions: number): void {
    this.#spent += ms;
    this.#count += portions;
  }

  /** Milliseconds for a portion; 0 if none is known. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#spent / this.#count;
  }
}

/**
 * The sum of all portions, for ranks that share no memory. Rank 0 deals branches of the tree by messages, long ones first, and
 * computes portions itself meanwhile. A rank sums its branch and sends the gradient to rank 0, which adds the branches where they
 * meet: so the order of the sum is fixed. Portions that are late are dealt a second time, one by one.
 *
 * No rank waits for a late one: rank 0 sends it the totals that it misses, and it takes them one after the other.
 */
export class MailedPortions implements PortionSum {
  readonly #world: World;
  readonly #mail: Mail;
  readonly #portions: number;
  readonly #turns: Turns;
  readonly #own: Float32Array;
  readonly #branch: TreeSum;
  readonly #bell = new Bell();
  /** What rank 0 needs to deal. */
  readonly #others: readonly Other[];
  readonly #vectors: Float32Array[] = [];
  readonly #pace = { own: new Pace(), others: new Pace() };
  #dealing: Dealing | undefined;
  #evaluation = -1;
  #failedRank: number | undefined;
  /** When rank 0 got a message, or had computed a portion. */
  #movedAt = 0;
  /** Runs while this rank waits for others. */
  #deadline: Deadline | undefined;
  /** What ended the messages. */
  #error: { readonly error: unknown } | undefined;

  constructor(world: World, mail: Mail, portions: number, length: number, turns: Turns) {
    this.#world = world;
    this.#mail = Channel.open(mail);
    this.#portions = portions;
    this.#turns = turns;
    this.#own = new Float32Array(length);
    this.#branch = new TreeSum(length);
    this.#others = world.rank === 0 ? Array.from({ length: world.size }, () => new Other()) : [];
  }

  async evaluate(portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    const evaluation = ++this.#evaluation;
    if (evaluation > 0 && evaluation % keptEvaluations === 0) await this.#world.barrier();
    try {
      return await (this.#world.rank === 0 ? this.#deal(portion, grad) : this.#work(evaluation, portion, grad));
    } finally {
      this.#moved();
    }
  }

  // Ranks from 1 on.

  async #work(evaluation: number, portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    const branches: Branch[] = [];
    let total: number | undefined;
    const read = async (): Promise<void> => {
      while (total === undefined && this.#failedRank === undefined) {
        const { kind, numbers, data } = (await this.#mail.receive(0)) as Letter;
        if (kind === Kind.deal) branches.push({ level: numbers[1]!, index: numbers[2]! });
        else if (kind === Kind.failed) this.#failedRank = numbers[1]!;
        else {
          grad.set(floatsIn(data));
          total = numbers[1]!;
        }
        this.#bell.ring();
      }
      this.#mail.send(0, Kind.bye, [evaluation], []);
    };
    this.#mail.send(0, Kind.here, [evaluation], []);
    const isRead = this.#guard(read);
    const isOver = (): boolean => total !== undefined || this.#failedRank !== undefined;
    while (!isOver()) {
      this.#check();
      const branch = branches.shift();
      if (branch === undefined) {
        await this.#wait(longestSleep, () => [0]);
        continue;
      }
      this.#moved();
      await this.#compute(branch, portion, isOver);
    }
    await this.#checkFailed();
    await isRead;
    return total!;
  }

  /** Computes a branch, unless the evaluation is over before. */
  async #compute(branch: Branch, portion: EvaluatePortion, isOver: () => boolean): Promise<void> {
    const losses = new Float64Array(sizeOf(branch));
    let spent = 0;
    for (let i = 0; i < losses.length && !isOver(); i++) {
      const part = this.#branch.next();
      spent += this.#time(() => {
        losses[i] = portion(beginOf(branch) + i, part);
      });
      this.#branch.add(part);
      await this.#turns.give();
    }
    this.#branch.finish(this.#own);
    if (isOver()) return;
    const numbers = [this.#evaluation, branch.level, branch.index, treeSumOf(losses), spent];
    this.#mail.send(0, Kind.result, numbers, [this.#own]);
  }

  /** Runs f. Returns the milliseconds that it took. */
  #time(run: () => void): number {
    const begun = performance.now();
    try {
      run();
    } catch (error) {
      const { rank } = this.#world;
      void this.#guard(async () => {
        if (rank === 0) this.#fail(rank);
        else this.#mail.send(0, Kind.failed, [this.#evaluation, rank], []);
      });
      throw error;
    }
    return performance.now() - begun;
  }

  // Rank 0.

  async #deal(portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    const { size } = this.#world;
    const dealing = new Dealing(this.#portions, size, grad.length, this.#vectors);
    this.#dealing = dealing;
    for (let rank = 1; rank < size; rank++) {
      const other = this.#others[rank]!;
      other.isHere = false;
      other.branches.length = 0;
      if (!other.isReading) void this.#guard(() => this.#read(rank, other));
    }
    this.#moved();
    while (dealing.total === undefined) {
      this.#check();
      await this.#checkFailed();
      const own = this.#ownBranch(dealing);
      if (own !== undefined) {
        let loss = 0;
        const spent = this.#time(() => {
          loss = portion(own.index, this.#own);
        });
        this.#pace.own.add(spent, 1);
        dealing.accept(own, loss, this.#own);
        this.#moved();
        await setImmediate(); // for the messages of others
      } else {
        const ms = Math.ceil(dealing.nextDealAgain(this.#patience) - performance.now());
        // Ranks that it deals to meanwhile count, too.
        const holders = () => this.#others.flatMap(({ branches }, rank) => (branches.length > 0 ? [rank] : []));
        await this.#wait(Math.min(longestSleep, Math.max(1, ms)), holders);
      }
      this.#dealToOthers();
    }
    const { loss, grad: total } = dealing.total;
    for (let rank = 1; rank < size; rank++) this.#mail.send(rank, Kind.total, [this.#evaluation, loss], [total]);
    grad.set(total);
    dealing.free();
    this.#dealing = undefined;
    return loss;
  }

  /** Milliseconds for each portion that a rank has to compute, after which it is late. */
  get #patience(): number {
    const { own, others } = this.#pace;
    return lateness * Math.max(others.mean, others.mean === 0 ? own.mean : 0);
  }

  /** The portion that rank 0 computes next, if any. */
  #ownBranch(dealing: Dealing): Branch | undefined {
    const { own, others } = this.#pace;
    const now = performance.now();
    const isSlow = others.mean > 0 && own.mean > slowness * others.mean;
    const fresh = isSlow && now - this.#movedAt < own.mean ? undefined : dealing.dealLast();
    return fresh ?? dealing.dealAgain(now, this.#patience);
  }

  /** Gives branches to the ranks that can take some. */
  #dealToOthers(): void {
    const dealing = this.#dealing;
    if (dealing === undefined) return;
    for (const [rank, other] of this.#others.entries())
      while (other.isHere && other.branches.length < branchesOfRank) {
        const now = performance.now();
        let branch = dealing.deal(now, other.portions);
        if (branch === undefined && other.branches.length === 0) branch = dealing.dealAgain(now, this.#patience);
        if (branch === undefined) break;
        other.branches.push(sizeOf(branch));
        this.#mail.send(rank, Kind.deal, [this.#evaluation, branch.level, branch.index], []);
      }
  }

  /** Reads what a rank sends, until it has ended the evaluation: a message that is awaited holds the event loop. */
  async #read(rank: number, other: Other): Promise<void> {
    other.isReading = true;
    while (other.ended < this.#evaluation) this.#take(rank, other, (await this.#mail.receive(rank)) as Letter);
    other.isReading = false;
  }

  #take(rank: number, other: Other, { kind, numbers, data }: Letter): void {
    const [evaluation, level, index, loss, ms] = numbers as [number, number, number, number, number];
    this.#moved();
    if (kind === Kind.bye) other.ended = Math.max(other.ended, evaluation);
    if (kind === Kind.failed) {
      other.ended = Number.POSITIVE_INFINITY; // it begins no other evaluation
      this.#fail(rank);
    }
    if (evaluation !== this.#evaluation || this.#dealing === undefined) return;
    if (kind === Kind.here) other.isHere = true;
    if (kind === Kind.result) {
      other.branches.shift();
      this.#pace.others.add(ms, 2 ** level);
      this.#dealing.accept({ level, index }, loss, floatsIn(data));
    }
    this.#dealToOthers();
    this.#bell.ring();
  }

  #fail(failed: number): void {
    if (this.#failedRank !== undefined) return;
    this.#failedRank = failed;
    for (let rank = 1; rank < this.#world.size; rank++)
      this.#mail.send(rank, Kind.failed, [this.#evaluation, failed], []);
    this.#bell.ring();
  }

  // All ranks.

  /** Reads messages. What breaks that off is thrown where the rank waits. */
  async #guard(read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      this.#error ??= { error };
      this.#bell.ring();
    }
  }

  /** @throws the error that ended the messages */
  #check(): void {
    const { broken } = this.#world as OwnWorld;
    if (broken !== undefined) throw broken;
    if (this.#error !== undefined) throw this.#error.error;
  }

  /** @throws (rejects) Error if a portion has failed on another rank */
  async #checkFailed(): Promise<void> {
    if (this.#failedRank === undefined || this.#failedRank === this.#world.rank) return;
    await endWith(who, this.#failedRank, () => this.#check());
  }

  /** Waits for other ranks, until the deadline of the world. */
  async #wait(ms: number, missing: () => readonly number[]): Promise<void> {
    this.#deadline ??= new Deadline(who, this.#world, this.#mail, missing);
    await this.#bell.wait(ms);
  }

  #moved(): void {
    this.#movedAt = performance.now();
    this.#deadline?.clear();
    this.#deadline = undefined;
  }
}
