import { deserialize, serialize } from 'node:v8';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import { actFor } from '../../checkpoint/world.js';
import { inspect, print } from '../../core/print.js';
import { checkNotAborted, checkSignal } from '../../core/step-queue.js';
import { soon } from '../../engine/soon.js';
import { isOfAllRanks } from '../errors.js';
import { refuseMethods, refuseProperties } from '../foreign-names.js';
import type { Caller } from './callers.js';
import { firstLine } from './exit.js';
import { checkNumbers, slice } from './numbers.js';
import { partition, rankSeed } from './partition.js';
import { type Call, type Kind, type Numbers, type Op, type Outcome, ops, type Transport } from './transport.js';
import type { CallOptions, ReduceOptions, RootOptions, World } from './world.js';

const nothing = new Uint8Array(0);
/** Milliseconds after which the event loop gets a turn, if calls follow each other without a wait. */
const longestTurn = 10;
/** Frames of a stack from a collective to the user's call, and some of the user's. */
const framesBetween = 20;
/** The longest time that a timer takes, in ms. */
export const longestTimer: number = 2 ** 31 - 1;

/** Names that other libraries give to the operations. */
const opsOfOthers: Readonly<Record<string, Op>> = { avg: 'mean', average: 'mean', maximum: 'max', minimum: 'min' };

function checkOp(who: string, value: unknown): Op {
  const name = typeof value === 'string' ? value.toLowerCase() : '';
  const meant = ops.find((op) => op === name) ?? opsOfOthers[name];
  if (meant === undefined || meant === value) return checkOneOf(who, 'op', value, ops);
  throw rangeError(who, 'op', show(value), `"${meant}"`, `it has ${ops.join(', ')}`);
}

/** The options that every collective takes, and those of its kind. @throws TypeError, RangeError */
function checkCall(
  who: string,
  options: CallOptions,
  known: readonly string[],
  timeout: number,
): { timeout: number; readonly signal: AbortSignal | undefined } {
  checkOptions(who, options, known);
  const { timeout: given = timeout, signal } = options;
  return {
    timeout: checkNumber(who, 'timeout', given, '(0, inf]'),
    signal: signal === undefined ? undefined : checkSignal(who, signal),
  };
}

const ofAll = ['timeout', 'signal'];
const ofSync = ['timeout'];

/** The world over any transport: checks the arguments of each call and hands it on. */
export class OwnWorld implements World {
  readonly timeout: number;
  /** What the user has called, if it is not the collective itself. @internal */
  caller: Caller | undefined;
  readonly #transport: Transport;
  /** The world that `init` returned: this one, or the one that it acts for. */
  readonly #origin: OwnWorld;
  readonly #closers = new Set<() => Promise<void>>();
  #closing: Promise<void> | undefined;
  /** When the event loop had a turn. */
  #turned = performance.now();

  constructor(transport: Transport, timeout: number, origin?: OwnWorld) {
    this.#transport = transport;
    this.#origin = origin ?? this;
    this.timeout = timeout;
  }

  /** The same world, for collectives that belong to a larger call. @internal */
  [actFor](caller: string): OwnWorld {
    const world = new OwnWorld(this.#transport, this.timeout, this.#origin);
    world.caller = caller as Caller;
    return world;
  }

  /** What carries a world; undefined for one that is not ours. @internal */
  static transportOf(world: World): Transport | undefined {
    return world instanceof OwnWorld ? world.#transport : undefined;
  }

  /** Refuses a world that is closed, or about to be. @throws Error @internal */
  static checkOpen(who: string, world: World): void {
    if (world instanceof OwnWorld && world.#origin.#closing !== undefined)
      throw new Error(`${who}: the world is closed`);
  }

  /** Calls a function before the world closes, until the function that it returns is called. @internal */
  static beforeClose(world: World, close: () => Promise<void>): () => void {
    if (!(world instanceof OwnWorld)) return () => {};
    world.#closers.add(close);
    return () => world.#closers.delete(close);
  }

  /**
   * Sends the r-th of `size` equal parts of x to rank r, and puts the part that comes from rank r in its place.
   *
   * @param x Its length is a multiple of the number of ranks, and the same on all.
   * @internal
   */
  static async allToAll(world: OwnWorld, x: Uint8Array): Promise<void> {
    await world.#run(world.#collective('allToAll', x, {}));
  }

  /**
   * Runs what all ranks do together: all come to its end, or none. Where a rank throws, the others get an error that names it, in
   * place of their next collective. So `action` ends with a collective, and waits for each before it makes the next.
   *
   * @internal
   */
  static async allOrNone<T>(world: World, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!isOfAllRanks(error)) await world.fail?.(error);
      throw error;
    }
  }

  get rank(): number {
    return this.#transport.rank;
  }

  get size(): number {
    return this.#transport.size;
  }

  get localRank(): number {
    return this.#transport.localRank;
  }

  get transport(): 'mpi' | 'workers' | 'single' {
    return this.#transport.name;
  }

  get interrupted(): AbortSignal {
    return this.#transport.interrupted;
  }

  /** Why the world is broken, or undefined. @internal */
  get broken(): Error | undefined {
    return this.#transport.broken;
  }

  seed(base: number): number {
    return rankSeed(checkInteger('World: seed', 'base', base, '[0, inf)'), this.rank);
  }

  partition(length: number): [begin: number, end: number][] {
    return partition(checkInteger('World: partition', 'length', length, '[0, inf)'), this.size);
  }

  async allReduce<X extends Numbers>(x: X, options: ReduceOptions = {}): Promise<X> {
    await this.#run(this.#reduction('allReduce', x, options));
    return x;
  }

  allReduceSync<X extends Numbers>(x: X, options: ReduceOptions = {}): X {
    this.#transport.runSync(this.#reduction('allReduce', x, options, ofSync));
    return x;
  }

  async reduceScatter<X extends Numbers>(x: X, options: ReduceOptions = {}): Promise<X> {
    const call = this.#reduction('reduceScatter', x, options);
    await this.#run(call);
    return this.#ownPart(x, call);
  }

  reduceScatterSync<X extends Numbers>(x: X, options: ReduceOptions = {}): X {
    const call = this.#reduction('reduceScatter', x, options, ofSync);
    this.#transport.runSync(call);
    return this.#ownPart(x, call);
  }

  async allGather<X extends Numbers>(x: X, options: CallOptions = {}): Promise<X> {
    await this.#run(this.#collective('allGather', x, options));
    return x;
  }

  allGatherSync<X extends Numbers>(x: X, options: CallOptions = {}): X {
    this.#transport.runSync(this.#collective('allGather', x, options, ofSync));
    return x;
  }

  async broadcast<X extends Numbers>(x: X, options: RootOptions = {}): Promise<X> {
    await this.#run(this.#rooted('broadcast', x, options));
    return x;
  }

  broadcastSync<X extends Numbers>(x: X, options: RootOptions = {}): X {
    this.#transport.runSync(this.#rooted('broadcast', x, options, ofSync));
    return x;
  }

  async barrier(options: CallOptions = {}): Promise<void> {
    await this.#run(this.#collective('barrier', nothing, options));
  }

  barrierSync(options: CallOptions = {}): void {
    this.#transport.runSync(this.#collective('barrier', nothing, options, ofSync));
  }

  async broadcastObject<T>(value: T, options: RootOptions = {}): Promise<T> {
    const call = this.#rooted('broadcastObject', nothing, options);
    const isRoot = call.root === this.rank;
    const x = isRoot ? bytesOfObject('World: broadcastObject', value) : nothing;
    const parts = await this.#run({ ...call, x, length: x.length });
    return isRoot ? value : deserialize(parts[call.root as number] as Uint8Array);
  }

  async allGatherObject<T>(value: T, options: CallOptions = {}): Promise<T[]> {
    const call = this.#collective('allGatherObject', nothing, options);
    const x = bytesOfObject('World: allGatherObject', value);
    const parts = await this.#run({ ...call, x, length: x.length });
    return parts.map((part, rank) => (rank === this.rank ? value : deserialize(part)));
  }

  async fail(error: unknown): Promise<void> {
    const { size, broken } = this.#transport;
    if (size === 1 || broken !== undefined || this.#origin.#closing !== undefined) return;
    const x = new TextEncoder().encode(firstLine(error));
    const { timeout, caller } = this;
    // What goes wrong here is known to the others, too, and is not why this rank fails.
    await this.#transport
      .run({ kind: 'failure', x, type: 'Uint8Array', length: x.length, timeout, caller })
      .catch(() => {});
  }

  abort(code = 1, reason?: string): never {
    checkInteger('World: abort', 'code', code, '[1, 255]');
    if (reason !== undefined && typeof reason !== 'string')
      throw typeError('World: abort', 'reason', show(reason), 'a string');
    return this.#transport.abort(code, reason);
  }

  close(options: CallOptions = {}): Promise<void> {
    this.#closing ??= this.#close('close', options).catch((error: unknown) => {
      this.#closing = undefined; // the ranks differed: the world goes on
      throw error;
    });
    return this.#closing;
  }

  /**
   * The natural end of the script: waits for the others without a deadline. It says nothing of a broken world, which was said.
   * @internal
   */
  async leave(): Promise<void> {
    if (this.#closing !== undefined) return;
    this.#closing = this.#close('leave', { timeout: Number.POSITIVE_INFINITY });
    try {
      await this.#closing;
    } catch (error) {
      if (this.#transport.broken === undefined) throw error;
    }
  }

  async #close(kind: 'close' | 'leave', options: CallOptions): Promise<void> {
    const call = { kind, x: nothing, type: 'Uint8Array', length: 0 } as const;
    const checked = checkCall('World: close', options, ofAll, this.timeout);
    if (this.#transport.broken !== undefined) return;
    if (checked.signal !== undefined) checkNotAborted(checked.signal);
    if (this.#closers.size > 0) {
      const begin = performance.now();
      await this.#runClosers(checked.timeout);
      checked.timeout = Math.max(1, Math.ceil(checked.timeout - (performance.now() - begin)));
    }
    await this.#run({ ...call, ...checked });
  }

  /** Ends what talks to other ranks by messages. Past the deadline the world is broken, as in a collective. */
  async #runClosers(timeout: number): Promise<void> {
    const { mail } = this.#transport;
    const giveUp = (): void => mail?.giveUp(`World: close: servers and workers were not done within ${timeout} ms`, []);
    const timer = timeout <= longestTimer ? setTimeout(giveUp, timeout) : undefined;
    try {
      for (const closer of this.#closers) await closer();
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(call: Call): Promise<Outcome> {
    if (call.signal !== undefined) checkNotAborted(call.signal);
    const outcome = await this.#outcomeOf(call);
    // A short call may be over at once. If many follow each other, no timer and no signal would get a turn.
    if (performance.now() - this.#turned > longestTurn) {
      await new Promise((resolve) => soon(resolve));
      this.#turned = performance.now();
    }
    return outcome;
  }

  /** An error is made where ranks meet. Its stack is to show who has called. */
  async #outcomeOf(call: Call): Promise<Outcome> {
    try {
      return await this.#transport.run(call);
    } catch (error) {
      if (error instanceof Error && (error === this.#transport.broken || isOfAllRanks(error))) {
        const { stackTraceLimit } = Error;
        Error.stackTraceLimit = Math.max(stackTraceLimit, framesBetween);
        Error.captureStackTrace(error);
        Error.stackTraceLimit = stackTraceLimit;
      }
      throw error;
    }
  }

  /** @throws the error that broke the world, or Error if it is closed */
  #check(kind: Kind): string {
    const { broken } = this.#transport;
    if (broken !== undefined) throw broken;
    const who = `World: ${kind}`;
    OwnWorld.checkOpen(who, this);
    return who;
  }

  #collective(kind: Kind, x: Numbers, options: CallOptions, common = ofAll, own: readonly string[] = []): Call {
    const who = this.#check(kind);
    const type = checkNumbers(who, x);
    const { caller } = this;
    return {
      kind,
      x,
      type,
      length: lengthOf(x),
      caller,
      ...checkCall(who, options, [...own, ...common], this.timeout),
    };
  }

  #reduction(kind: Kind, x: Numbers, options: ReduceOptions, common = ofAll): Call {
    const call = this.#collective(kind, x, options, common, ['op']);
    const op = checkOp(`World: ${kind}`, options.op ?? 'sum');
    if (op === 'mean' && !call.type.startsWith('Float'))
      throw typeError(`World: ${kind}`, 'x', show(x), 'a Float32Array or Float64Array', 'op "mean" is for floats');
    return { ...call, op };
  }

  #rooted(kind: Kind, x: Numbers, options: RootOptions, common = ofAll): Call {
    const call = this.#collective(kind, x, options, common, ['root']);
    const { root = 0 } = options;
    return { ...call, root: checkInteger(`World: ${kind}`, 'root', root, `[0, ${this.size})`) };
  }

  #ownPart<X extends Numbers>(x: X, { type, length }: Call): X {
    const [begin, end] = partition(length, this.size)[this.rank] as [number, number];
    return slice(type, x, begin, end) as X;
  }

  [inspect](): string {
    const { rank, size, localRank, transport, timeout } = this;
    return print('World', { rank, size, localRank, transport, timeout });
  }

  toString(): string {
    return this[inspect]();
  }
}

/** @throws TypeError for what has no copy, as a function */
function bytesOfObject(who: string, value: unknown): Uint8Array {
  try {
    return serialize(value);
  } catch (error) {
    throw typeError(who, 'value', show(value), 'plain data and typed arrays', (error as Error).message);
  }
}

/** Methods of other libraries, and ours. */
const methodsOfOthers: Readonly<Record<string, string>> = {
  all_reduce: 'allReduce',
  allreduce: 'allReduce',
  Allreduce: 'allReduce',
  reduce_scatter: 'reduceScatter',
  reduce_scatter_tensor: 'reduceScatter',
  Reduce_scatter: 'reduceScatter',
  all_gather: 'allGather',
  all_gather_into_tensor: 'allGather',
  allgather: 'allGather',
  Allgather: 'allGather',
  bcast: 'broadcast',
  Bcast: 'broadcast',
  Barrier: 'barrier',
  broadcast_object_list: 'broadcastObject',
  broadcast_object: 'broadcastObject',
  all_gather_object: 'allGatherObject',
  allgather_object: 'allGatherObject',
  Abort: 'abort',
  shutdown: 'close',
  finalize: 'close',
  destroy_process_group: 'close',
  reduce: 'allReduce',
  Reduce: 'allReduce',
  gather: 'allGather, or allGatherObject',
  Gather: 'allGather',
  scatter: 'broadcast, of which each rank takes its part',
  Scatter: 'broadcast, of which each rank takes its part',
  send: 'a collective: ranks send no messages of their own',
  recv: 'a collective: ranks send no messages of their own',
  isend: 'a collective: ranks send no messages of their own',
  irecv: 'a collective: ranks send no messages of their own',
  new_group: 'one world of all ranks: there are no groups',
  get_rank: 'rank',
  Get_rank: 'rank',
  get_world_size: 'size',
  Get_size: 'size',
  local_rank: 'localRank',
};

refuseMethods(OwnWorld.prototype, 'World', methodsOfOthers);
refuseProperties(OwnWorld.prototype, 'World', { world_size: 'size', worldSize: 'size' });
