/** Options of a collective. */
export interface CallOptions {
  /** Milliseconds until the call rejects with {@link TimeoutError}, in (0, ∞]; default: that of the world. */
  readonly timeout?: number;
  /** Cancels the collective if it has not begun. Every rank must cancel it. */
  readonly signal?: AbortSignal;
}

/** Options of a reduction. */
export interface ReduceOptions extends CallOptions {
  /** Default `'sum'`. `'mean'` divides the sum by the number of ranks, and takes floats only. */
  readonly op?: 'sum' | 'mean' | 'max' | 'min';
}

/** Options of a broadcast. */
export interface RootOptions extends CallOptions {
  /** The rank whose values all get, in [0, size); default 0. */
  readonly root?: number;
}

/** Options of a collective that blocks. */
export interface SyncOptions {
  /** Milliseconds until the call throws {@link TimeoutError}, in (0, ∞]; default: that of the world. */
  readonly timeout?: number;
}

/**
 * The ranks of a job and what they do together. {@link init} gives it.
 *
 * Every rank calls the same collectives in the same order. Kind, type, length, `op` and `root` of the n-th collective are
 * compared before data move; a difference is the same RangeError on every rank, and the world goes on. Several at once run
 * in the order of the calls.
 *
 * **Sums** have a fixed order: part i += part i+d for d = 1, 2, 4, … and every i that is a multiple of 2d with i + d < size,
 * in the type of the array. So the same number of ranks gives the same bits on any transport.
 *
 * **Arrays** are a Float32Array, Float64Array, Int32Array or Uint8Array over any memory, and are changed in place. An
 * array belongs to the collective until its promise settles. Integer sums wrap. `max` and `min` let NaN through.
 *
 * @throws TypeError for a wrong type, and where an array was transferred or shrunk meanwhile; RangeError for a value out of
 *   range and where ranks differ; {@link TimeoutError} and {@link RankError} for a rank that does not come. After those two
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
   * Aborted when the launcher gets SIGINT or SIGTERM. A loop that blocks reads `world.interrupted.aborted`.
   *
   * Ranks see it at different times, so do not branch to a collective by it: one rank would save a checkpoint while another
   * steps. `interrupted` in the result of a distributed step is the same on every rank. Elsewhere agree first:
   * `allReduce(Int32Array.of(Number(world.interrupted.aborted)), { op: 'max' })`.
   */
  readonly interrupted: AbortSignal;

  /**
   * An integer in [0, 2³²) to seed a generator with: a pure function of base and rank, different for every rank.
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
  /** As {@link allReduce}, for this rank's part of {@link partition}. Returns that part of x; the rest is unspecified. */
  reduceScatter<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: ReduceOptions,
  ): Promise<X>;
  /** Each rank has its part of {@link partition} in place; afterwards all have all parts. Returns x. */
  allGather<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: CallOptions): Promise<X>;
  /** All ranks get the values of rank `root`, in place. Returns x. */
  broadcast<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: RootOptions): Promise<X>;
  /** Waits until every rank is here. */
  barrier(options?: CallOptions): Promise<void>;
  /** All ranks get the value of rank `root`: plain data and typed arrays, as `structuredClone` copies them. */
  broadcastObject<T>(value: T, options?: RootOptions): Promise<T>;
  /** The values of all ranks, by rank. */
  allGatherObject<T>(value: T, options?: CallOptions): Promise<T[]>;

  /** {@link allReduce}, blocking. It first completes the calls that are pending. */
  allReduceSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<ReduceOptions, 'op' | 'timeout'>,
  ): X;
  /** {@link reduceScatter}, blocking. */
  reduceScatterSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<ReduceOptions, 'op' | 'timeout'>,
  ): X;
  /** {@link allGather}, blocking. */
  allGatherSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(x: X, options?: SyncOptions): X;
  /** {@link broadcast}, blocking. */
  broadcastSync<X extends Float32Array | Float64Array | Int32Array | Uint8Array>(
    x: X,
    options?: Pick<RootOptions, 'root' | 'timeout'>,
  ): X;
  /** {@link barrier}, blocking. */
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
   * Ends the job, all ranks, from any state.
   *
   * @param code The exit code of the job, in [1, 255]; default 1.
   * @param reason Said on stderr.
   */
  abort(code?: number, reason?: string): never;
  /** Waits for the other ranks, then leaves. Twice is fine; any other call after it is an Error. */
  close(options?: CallOptions): Promise<void>;
}
