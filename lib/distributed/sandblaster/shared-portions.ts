import { Deadline } from '../downpour/mail-of.js';
import { shareFromRoot } from '../shared-memory.js';
import { OwnWorld } from '../world/own-world.js';
import type { Mail } from '../world/transport.js';
import type { World } from '../world/world.js';
import { Board, createBoard, type Sheet } from './board.js';
import { endWith, keptEvaluations, lateness, longestSleep } from './patience.js';
import type { EvaluatePortion, PortionSum } from './portion.js';
import { addTo, levelsOf, treeSumOf } from './tree.js';
import type { Turns } from './turns.js';

const who = 'SandblasterLBFGS';

/** Milliseconds, on one clock for all threads. */
const now = (): number => performance.timeOrigin + performance.now();

/**
 * The sum of all portions, for ranks that are threads of one process. Portions go to whoever is free, and late ones a
 * second time. The ranks add gradients where two branches of the tree meet, so the order of the sum is fixed.
 *
 * No rank waits for a late one: it computes its portion itself and goes on to the next evaluation. The late rank takes
 * the sums that it has missed, one after the other. So the ranks are at different evaluations, and the only collective is
 * the meeting after {@link keptEvaluations} of them, to which all come at the same one.
 */
export class SharedPortions implements PortionSum {
  readonly #world: World;
  readonly #mail: Mail;
  readonly #board: Board;
  /** The number of nodes of each level of the tree, from the portions to the root. */
  readonly #levels: readonly number[];
  readonly #turns: Turns;
  readonly #own: Float32Array;
  #evaluation = 0;
  /** Milliseconds in portions, and their number. */
  #spent = 0;
  #count = 0;

  private constructor(world: World, board: Board, length: number, turns: Turns) {
    this.#world = world;
    this.#mail = OwnWorld.transportOf(world)?.mail as Mail; // threads have one
    this.#board = board;
    this.#levels = levelsOf(board.portions);
    this.#own = new Float32Array(length);
    this.#turns = turns;
  }

  static async create(world: World, portions: number, length: number, turns: Turns): Promise<SharedPortions> {
    const buffers = await shareFromRoot(
      world,
      world.rank === 0 ? createBoard(portions, length, world.size) : undefined,
    );
    return new SharedPortions(world, new Board(buffers as NonNullable<typeof buffers>), length, turns);
  }

  async evaluate(portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    const evaluation = this.#evaluation++;
    if (evaluation > 0 && evaluation % keptEvaluations === 0) await this.#world.barrier();
    const { rank } = this.#world;
    const sheet = this.#board.sheet(evaluation);
    let idle: Deadline | undefined;
    try {
      while (!sheet.isDone) {
        await this.#checkOthers();
        const next = sheet.deal(rank, now()) ?? sheet.dealAgain(rank, now(), this.#patience);
        if (next === undefined) {
          idle ??= new Deadline(who, this.#world, this.#mail, () => sheet.holders());
          await this.#wait(sheet);
          continue;
        }
        idle?.clear();
        idle = undefined;
        const loss = this.#compute(sheet, portion, next);
        if (sheet.accept(next)) this.#add(evaluation, sheet, next, loss);
        await this.#turns.give();
      }
    } finally {
      idle?.clear();
    }
    grad.set(sheet.sum);
    return treeSumOf(sheet.losses);
  }

  /** Milliseconds until a portion counts as late. */
  get #patience(): number {
    return this.#count === 0 ? 0 : (lateness * this.#spent) / this.#count;
  }

  #compute(sheet: Sheet, portion: EvaluatePortion, index: number): number {
    const begun = now();
    try {
      return portion(index, this.#own);
    } catch (error) {
      this.#board.setFailed(this.#world.rank);
      sheet.notify();
      throw error;
    } finally {
      this.#spent += now() - begun;
      this.#count++;
    }
  }

  /** Adds the own gradient to the tree: climbs until a neighbour is missing, which then goes on. */
  #add(evaluation: number, sheet: Sheet, portion: number, loss: number): void {
    const { vectors } = this.#board;
    sheet.losses[portion] = loss;
    let vector = this.#board.take();
    vectors[vector]!.set(this.#own);
    let [branch, firstNode] = [portion, 0];
    for (let level = 0; level + 1 < this.#levels.length; level++) {
      const isLeft = branch % 2 === 0;
      const isAlone = isLeft && branch + 1 === this.#levels[level];
      branch = (branch - (branch % 2)) / 2;
      if (!isAlone) {
        const other = sheet.meet(firstNode + branch, vector);
        if (other === undefined) return;
        const [left, right] = isLeft ? [vector, other] : [other, vector];
        addTo(vectors[left]!, vectors[right]!);
        this.#board.giveBack(right);
        vector = left;
      }
      firstNode += this.#levels[level + 1]!;
    }
    sheet.sum.set(vectors[vector]!);
    this.#board.giveBack(vector);
    this.#board.sheetToClear(evaluation).clear();
    sheet.setDone();
  }

  /** Waits for other ranks. */
  async #wait(sheet: Sheet): Promise<void> {
    const left = Math.ceil(sheet.nextDealAgain(this.#patience) - now());
    await sheet.wait(Math.min(longestSleep, Math.max(1, left)));
  }

  /** @throws (rejects) the error of a broken world, or Error if a portion has failed on another rank */
  async #checkOthers(): Promise<void> {
    this.#checkNotBroken();
    const { failedRank } = this.#board;
    if (failedRank !== undefined) await endWith(who, failedRank, () => this.#checkNotBroken());
  }

  #checkNotBroken(): void {
    const { broken } = this.#world as OwnWorld;
    if (broken !== undefined) throw broken;
  }
}
