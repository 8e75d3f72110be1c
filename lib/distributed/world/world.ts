/** Options of a collective. */
export interface CallOptions {
  /** Milliseconds until the call rejects with {@link TimeoutError}, in (0, ∞]; default: that of the world. */
  readonly timeout?: number;
  /** Abort it to cancel a collective that has not started. Every rank must cancel it. */
  readonly signal?: AbortSignal;
}

/** Options of a reduction. */
export interface ReduceOptions extends CallOptions {
  /** Default `'sum'`. `'mean'` divides the sum by the number of ranks, and takes floats only. */
  readonly op?: 'sum' | 'mean' | 'max' | 'min';
}

/** Options of a broadcast. */
export interface RootOptions extends CallOptions {
  /** The rank whose values all ranks get, in [0, size); default 0. */
  readonly root?: number;
}

/** Options of a collective that blocks. */
export interface SyncOptions {
  /** Milliseconds until the call throws {@link TimeoutError}, in (0, ∞]; default: that of the world. */
  readonly timeout?: number;
}

/**
 * The ranks of a job, and the collectives between them. {@link init} returns it.
 *
 * Every rank must call the same collectives in the same order. The ranks compare kind, type, length, `op` and `root` before
 * they send data. If these differ, every rank throws the same RangeError, and you can make further calls. Several pending
 * collectives run in the order of the calls.
 *
 * **Sums** have a fixed order: part i += part i+d for d = 1, 2, 4, … and every i that is a multiple of 2d with i + d < size,
 * in the type of the array. So the same number of ranks gives the same bits on any transport.
 *
 * **Arrays** are a Float32Array, Float64Array, Int32Array or Uint8Array over any memory. They are changed in place. Do not use
 * an array until the promise of its collective settles. Integer sums wrap. `max` and `min` return NaN if an element is NaN.
 *
 * @throws TypeError for a wrong type, or if an array was transferred or shrunk during the call; RangeError for a value out of
 *   range, or if ranks differ; {@link TimeoutError} and {@link RankError} if a rank does not make the call. After these two
 *   the world is broken, and every later call throws the same error.
 * @example
 * ```ts
 * import { init } from 'schuss/distributed';
 *
 * const world = await init();
 * const losses = await world.allReduce(Float64Array.of(0.5), { op: 'mean' });
 * console.log(`rank ${world.rank} of ${world.size}: mean loss ${losses[0]}`);
 * ```
 */
export interface World {
  /** This rank, in [0, size). */
  readonly rank: number;
  /** The number of ranks. */
  readonly size: number;
  /** This rank among those of the same machine. */
  readonly localRank: number;
  /** What carries the data. */
  readonly transport: 'mpi' | 'workers' | 'single';
  /** Default deadline of a collective, in milliseconds. */
  readonly timeout: number;
  /**
   * Aborted when the launcher receives SIGINT or SIGTERM. In a loop that blocks, read `world.interrupted.aborted`.
   *
   * Ranks can see it at different steps. So do not make a collective call because of it: one rank would save a checkpoint while
   * another one steps. `interrupted` in the result of a distributed step is the same on every rank. Without such a step, let
   * the ranks agree first: `allReduce(Int32Array.of(Number(world.interrupted.aborted)), { op: 'max' })`.
   */
  readonly interrupted: AbortSignal;

  /**
   * Returns a seed for a random generator, an integer in [0, 2³²). It depends only on base and rank, and differs on every rank.
   *
   * @param base An integer in [0, 2⁵³).
   */
  seed(base: number): number;
  /**
   * The part `[begin, end)` of each rank in an array. Parts begin at multiples of 16 elements; the first ranks have one
   * block of 16 more.
   */
  partition(length: number): [begin: number, end: number][];

  /** Sum, mean, maximum or minimum over all ranks, in place. Returns x. */
  allReduce<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: ReduceOptions): Promise<X>;
  /** Like {@link allReduce}, but only for this rank's part of {@link partition}. Returns this part of x; the rest is undefined. */
  reduceScatter<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: ReduceOptions,
  ): Promise<X>;
  /** Each rank brings its part of {@link partition} in x. Afterwards all ranks have all parts. Returns x. */
  allGather<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: CallOptions): Promise<X>;
  /** All ranks get the values of rank `root`, in place. Returns x. */
  broadcast<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: RootOptions): Promise<X>;
  /** Waits until every rank has called it. */
  barrier(options?: CallOptions): Promise<void>;
  /** All ranks get the value of rank `root`: plain data and typed arrays that `structuredClone` can copy. */
  broadcastObject<T>(value: T, options?: RootOptions): Promise<T>;
  /** The values of all ranks, by rank. */
  allGatherObject<T>(value: T, options?: CallOptions): Promise<T[]>;

  /** Blocking form of {@link allReduce}. It first completes the pending calls. */
  allReduceSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<ReduceOptions, 'op' | 'timeout'>,
  ): X;
  /** Blocking form of {@link reduceScatter}. */
  reduceScatterSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<ReduceOptions, 'op' | 'timeout'>,
  ): X;
  /** Blocking form of {@link allGather}. */
  allGatherSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: SyncOptions): X;
  /** Blocking form of {@link broadcast}. */
  broadcastSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<RootOptions, 'root' | 'timeout'>,
  ): X;
  /** Blocking form of {@link barrier}. */
  barrierSync(options?: SyncOptions): void;

  /**
   * Tells the other ranks, in place of this rank's next collective, that it cannot go on with what all do together. Their
   * collective rejects with an Error that names the rank, and the world goes on. It settles when they know, and never rejects.
   *
   * `DataParallel` and `ShardedOptimizer` call it. A world of your own may lack it: then the others wait until
   * their deadline. It may be called on several ranks at once, and with the error of a collective, which the others have, too.
   */
  fail?(error: unknown): Promise<void>;
  /**
   * Ends all ranks of the job at once.
   *
   * @param code The exit code of the job, in [1, 255]; default 1.
   * @param reason Printed on stderr.
   */
  abort(code?: number, reason?: string): never;
  /** Waits for the other ranks, then leaves the job. You can call it twice. Any other call after it throws an Error. */
  close(options?: CallOptions): Promise<void>;
}
