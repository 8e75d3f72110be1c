import { show, typeError } from '../../check/errors.js';
import { refuseMembers } from '../../check/members.js';
import { checkFunction, checkInteger, checkOptions } from '../../check/options.js';
import { floatsOf, lengthOf } from '../../check/typed-array.js';
import type { Scalar } from '../../core/declaration.js';
import { heldParams } from '../../core/held-params.js';
import type { Tensor } from '../../core/params.js';
import type { AnyParams, ArraysOf, GivenTree, Known } from '../../core/params-of.js';
import { inspect, print, printed } from '../../core/print.js';
import type { LoadOptions, StateDict } from '../../core/state-dict.js';
import { Structure } from '../../core/structure.js';
import { FlatParams } from '../../second-order/flat-params.js';
import { LBFGS, type LBFGSResult, stepWith } from '../../second-order/lbfgs/lbfgs.js';
import {
  type LBFGSOptions,
  lrAt,
  optionNames,
  type ResolvedOptions,
  resolveOptions,
} from '../../second-order/lbfgs/options.js';
import type { Vector } from '../../second-order/linalg.js';
import type { Task } from '../../second-order/task.js';
import { Waits } from '../../second-order/waits.js';
import { checkMade, checkWorld } from '../check-world.js';
import { checkAlike, hashOf, tensorFacts } from '../differences.js';
import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';
import { inTurn } from './in-turn.js';
import { MailedPortions } from './mailed-portions.js';
import { OwnPortions } from './own-portions.js';
import { checkLoss, type PortionSum } from './portion.js';
import { SharedPortions } from './shared-portions.js';
import { Turns } from './turns.js';

const who = 'SandblasterLBFGS';

/** Portions for each rank below which ranks wait for each other too long. */
const fewPortions = 2;

/** Options of {@link SandblasterLBFGS.create}: those of {@link LBFGSOptions} without `grads`, and two of its own. */
export interface SandblasterOptions<P = AnyParams> extends Omit<LBFGSOptions, 'grads'> {
  /** The number of portions that the data are divided into: many times the number of ranks. An integer in [1, inf). */
  readonly portions: number;
  /**
   * Evaluates one portion: overwrites `grad` with the gradient of the portion at x, and returns its loss. x and grad have
   * the structure of the params. It must depend on portion and x alone, because a portion may be computed by any rank, and
   * by two. The loss and gradient of a step are the sums over all portions.
   */
  readonly f: (portion: number, x: P, grad: ArraysOf<P>) => number;
}

/**
 * Distributed L-BFGS for a whole data set or one large batch. Each loss and gradient is a sum over many portions of the data,
 * which the ranks compute in parallel. Every rank has all params and takes the same steps.
 *
 * ```
 * loss = Σ f(portion, x, grad),   gradient = Σ grad,   over portion = 0, 1, …, portions − 1
 * ```
 * Losses are added in float64 and gradients in float32, in the order of {@link World} with portions instead of ranks. So
 * **the iterates are the same bits on any number of ranks**, and those of a plain `LBFGS` over the same sum.
 *
 * A rank that is free gets the next portion. If a portion is late, a second rank computes it, too; it counts once. So a slow
 * rank delays the others only little, if there are about ten times as many portions as ranks.
 *
 * Each rank keeps the state of an LBFGS. The threads also share 8 gradients and some partial sums: at most one per portion,
 * usually a few per rank. Under MPI, rank 0 has these. It assigns the portions, receives the gradients, and sends the sum.
 *
 * Create it with {@link create}.
 *
 * @typeParam P The type of the params.
 * @example
 * ```ts
 * import { init, SandblasterLBFGS } from 'schuss/distributed';
 *
 * const [a, b] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(3, 5, 7, 9)]; // b = 2·a + 1
 * const world = await init();
 * const params = { slope: new Float32Array(1), offset: new Float32Array(1) };
 * const lbfgs = await SandblasterLBFGS.create(world, params, {
 *   portions: 4,
 *   f(portion, x, grad) {
 *     const error = x.slope[0] * a[portion] + x.offset[0] - b[portion];
 *     grad.slope[0] = error * a[portion];
 *     grad.offset[0] = error;
 *     return error ** 2 / 2;
 *   },
 * });
 * const { loss, reason } = await lbfgs.step();
 * console.log(params, loss, reason); // slope 2, offset 1, about 0, 'gradient'
 * ```
 * @see Dean et al. 2012, section 4.2, https://papers.nips.cc/paper/4687-large-scale-distributed-deep-networks; {@link LBFGS}
 */
export class SandblasterLBFGS<const P extends object = AnyParams> {
  readonly #world: World;
  readonly #lbfgs: LBFGS;
  readonly #flat: FlatParams;
  readonly #sum: PortionSum;
  readonly #f: SandblasterOptions<P>['f'];
  readonly #x: P;
  readonly #grads: ArraysOf<P>;
  readonly #gradArrays: readonly Float32Array[];
  readonly #portions: number;
  #isPending = false;
  #isDisposed = false;
  #wasLoaded = false;
  /** What ended a step halfway. The ranks may be at different points then. */
  #failure: { readonly error: unknown } | undefined;

  private constructor(parts: Parts<P>, world: World, sum: PortionSum) {
    checkMade(who, parts, 'flat', 'world, params, options');
    this.#world = world;
    this.#sum = sum;
    this.#x = parts.params;
    this.#f = parts.f;
    this.#portions = parts.portions;
    this.#flat = parts.flat;
    this.#grads = parts.grads;
    this.#gradArrays = parts.gradArrays;
    this.#lbfgs = new LBFGS(parts.params as AnyParams, { ...parts.options, grads: parts.grads });
    refuseMembers(
      SandblasterLBFGS,
      who,
      ['portions', 'f', ...optionNames],
      (option) => `${who}.create(…, { ${option} })`,
    );
  }

  /**
   * Creates the optimizer. Every rank must call it with the same options and params. All ranks get the params of rank 0.
   *
   * @param world What `init` returned.
   * @param params a `Float32Array`, `{ data, shape }`, or a tree of them; no param groups. They change in place.
   * @param options `portions`, `f`; and of {@link LBFGSOptions} `lr` (1), `historySize` (10), `lineSearch`
   *   ('strong-wolfe'), `maxIterations` (20), `maxEvaluations` (max(21, ⌊1.25·maxIterations⌋)), `gradTol` (1e-7), `funTol`
   *   (1e-9), `stepTol` (1e-9): {@link SandblasterOptions}. Fewer than two portions per rank emit a warning.
   * @throws (rejects) TypeError for a wrong type, an unknown option or param groups; RangeError for a value out of range,
   *   where params share memory, and where ranks differ. Then nothing has changed.
   */
  static async create<const P extends object>(
    world: World,
    params: GivenTree<P>,
    options: SandblasterOptions<Known<P>>,
  ): Promise<SandblasterLBFGS<P>> {
    checkWorld(who, world);
    if (!(world instanceof OwnWorld)) throw typeError(who, 'world', show(world), 'the World that init() returned');
    const parts = checkParts<P>(params as P, options as SandblasterOptions<P>);
    return inTurn(world, () => SandblasterLBFGS.#joined(world, parts));
  }

  /** Compares the ranks, gives rank 0's params to all, and makes what sums the portions. */
  static async #joined<P extends object>(world: World, parts: Parts<P>): Promise<SandblasterLBFGS<P>> {
    const { portions, flat } = parts;
    const { lr, ...others } = parts.options;
    await checkAlike(who, world, [
      ...Object.entries({ portions, lr: lrAt(who, lr, 1), ...others }).map(
        ([key, value]) => [key, printed(value)] as const,
      ),
      ...tensorFacts(flat.tensors),
    ]);
    if (world.rank === 0 && portions < fewPortions * world.size) warnOfFew(portions, world.size);
    for (const { data } of flat.tensors) await world.broadcast(floatsOf(data));
    const turns = new Turns();
    return new SandblasterLBFGS<P>(parts, world, await sumOf(world, portions, flat.length, turns));
  }

  /**
   * The lr of the next `step`, in (0, ∞): a Schedule is evaluated at that step. Assign a number or a Schedule to change it,
   * on every rank alike.
   *
   * @throws TypeError, RangeError for an invalid value; TypeError if disposed, or during a step
   */
  get lr(): number {
    this.#checkIdle();
    return this.#lbfgs.lr;
  }

  set lr(value: Scalar) {
    this.#checkIdle();
    resolveOptions(who, { lr: value });
    this.#lbfgs.lr = value;
  }

  /** Number of steps that have changed the params. */
  get stepCount(): number {
    this.#checkAlive();
    return this.#lbfgs.stepCount;
  }

  /**
   * Runs up to `maxIterations` iterations, as a step of `LBFGS` does. The params change in place. Every rank must call it.
   * Steps of several in one world run one after the other, in the order of the calls, which must be the same on all ranks.
   *
   * @returns a Promise of whether the params have changed, the final loss and gradient norm, and counts, the same on every
   *   rank; `evaluations` are sums over all portions
   * @throws (rejects) RangeError, the same on every rank, where params or lr differ, or if the loss or the gradient is not
   *   finite at the start of the step, or everywhere along a line: the params are then at the last good point; TypeError if
   *   f does not return a number; whatever f throws, on that rank, and on the others an Error that names it; and the errors of
   *   the world. After an error of f or of the world, every later step rejects with it.
   */
  async step(): Promise<LBFGSResult> {
    this.#checkIdle();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#flat.check();
    this.#isPending = true;
    try {
      return await inTurn(this.#world, () => this.#step());
    } finally {
      this.#isPending = false;
    }
  }

  async #step(): Promise<LBFGSResult> {
    const { lr, stepCount } = this.#lbfgs;
    const facts = { lr, stepCount, ...(this.#wasLoaded ? { state: hashed(this.#lbfgs.stateDict()) } : {}) };
    await checkAlike(who, this.#world, [
      ...Object.entries(facts).map(([name, value]) => [name, String(value)] as const),
      ...this.#flat.tensors.map(({ path, data }) => [path, hashed(floatsOf(data))] as const),
    ]);
    this.#wasLoaded = false;
    const names = { who, loss: 'f', grad: 'grad' };
    return await new Waits().run(stepWith(this.#lbfgs, (x, grad) => this.#evaluate(x, grad), names));
  }

  *#evaluate(x: Vector, grad: Vector): Task<number> {
    this.#flat.write(x);
    const portion = (index: number, out: Float32Array): number => this.#evaluatePortion(index, out);
    const loss = this.#sum.evaluate(portion, grad as Float32Array).catch((error: unknown) => {
      this.#failure = { error };
      throw error;
    });
    return (yield loss) as number;
  }

  #evaluatePortion(index: number, out: Float32Array): number {
    for (const grad of this.#gradArrays) if (lengthOf(grad) > 0) grad.fill(0);
    const loss = checkLoss(who, this.#f(index, this.#x, this.#grads));
    this.#flat.check();
    this.#flat.readGrads(out);
    return loss;
  }

  /**
   * The state, in the form of `LBFGS`: it is the same on every rank, and loads into either class.
   *
   * @throws TypeError if disposed, or during a step
   */
  stateDict(): StateDict {
    this.#checkIdle();
    return this.#lbfgs.stateDict();
  }

  /**
   * Loads a state of this class or of `LBFGS`, all or nothing. Call it on every rank with the same state; the next `step`
   * checks that they are equal.
   *
   * @param options `schedules: 'keep'` keeps the live lr where only one of both is a Schedule.
   * @throws as `LBFGS` does; TypeError during a step
   */
  loadStateDict(dict: StateDict, options: LoadOptions = {}): void {
    this.#checkIdle();
    this.#lbfgs.loadStateDict(dict, options);
    this.#wasLoaded = true;
  }

  /**
   * Frees the curvature pairs. A second call does nothing; every other method throws a TypeError from then on.
   *
   * @throws TypeError during a step
   */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#checkIdle();
    this.#isDisposed = true;
    this.#lbfgs.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The rank, the size of the world, the number of portions, and the LBFGS. */
  toString(): string {
    this.#checkAlive();
    const { rank, size } = this.#world;
    return print(who, { rank, size, portions: this.#portions, optimizer: this.#lbfgs });
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return this.#lbfgs[heldParams];
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    return this.#isDisposed ? `${who} (disposed)` : this.toString();
  }

  #checkAlive(): void {
    if (this.#isDisposed) throw typeError(who, 'this', 'a disposed optimizer', 'one that is not disposed');
  }

  #checkIdle(): void {
    this.#checkAlive();
    if (this.#isPending)
      throw typeError(who, 'this', 'an optimizer with a step under way', 'to await the pending step() first');
  }
}

/** What a rank was given, checked. */
interface Parts<P> {
  readonly params: P;
  readonly portions: number;
  readonly f: SandblasterOptions<P>['f'];
  readonly options: ResolvedOptions;
  readonly flat: FlatParams;
  /** Gradients in the structure of the params, over `gradArrays`. */
  readonly grads: ArraysOf<P>;
  readonly gradArrays: readonly Float32Array[];
}

function checkParts<P extends object>(params: P, given: SandblasterOptions<P>): Parts<P> {
  checkOptions(who, given, ['portions', 'f', ...optionNames]);
  const { portions, f, ...others } = given as SandblasterOptions<P>;
  checkInteger(who, 'portions', portions, '[1, inf)');
  checkFunction(who, 'f', f, 'a function, (portion, x, grad) => loss');
  const options = resolveOptions(who, others as Partial<ResolvedOptions>);
  const tensors = FlatParams.tensorsOf(who, params);
  const gradArrays = tensors.map(({ data }) => new Float32Array(lengthOf(data)));
  const grads = new Structure(who, tensors).assemble(gradArrays) as ArraysOf<P>;
  return { params, portions, f, options, flat: new FlatParams(who, params, grads), grads, gradArrays };
}

/** How the ranks share the portions: in shared memory, by messages, or not at all. */
async function sumOf(world: World, portions: number, length: number, turns: Turns): Promise<PortionSum> {
  if (world.transport === 'workers') return SharedPortions.create(world, portions, length, turns);
  const mail = world.size === 1 ? undefined : OwnWorld.transportOf(world)?.mail;
  if (mail === undefined) return new OwnPortions(portions, length, turns);
  return new MailedPortions(world, mail, portions, length, turns);
}

const hashed = (value: unknown): string => `with SHA-256 ${hashOf(value).slice(0, 16)}…`;

function warnOfFew(portions: number, size: number): void {
  process.emitWarning(
    `${who}: portions: ${portions}, fewer than ${fewPortions} × the number of ranks, ${size}: ranks will wait for each other`,
    { type: 'SchussWarning', code: 'SCHUSS_FEW_PORTIONS' },
  );
}
