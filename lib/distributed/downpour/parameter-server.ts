import { show, typeError } from '../../check/errors.js';
import { refuseFixed } from '../../check/members.js';
import { checkFunction, checkInteger, checkOneOf, checkOptions } from '../../check/options.js';
import { bufferOf, byteOffsetOf, lengthOf } from '../../check/typed-array.js';
import type { AnyOptimizer } from '../../core/any-optimizer.js';
import { partsOf } from '../../core/internals.js';
import type { AnyParams, GivenTree } from '../../core/params-of.js';
import { inspect, print } from '../../core/print.js';
import { innerOptimizer } from '../../training/param-groups.js';
import { differ, type Facts } from '../differences.js';
import { floatsIn } from '../world/numbers.js';
import { OwnWorld } from '../world/own-world.js';
import type { Letter, Mail } from '../world/transport.js';
import type { World } from '../world/world.js';
import { checkServers, Deadline, mailOf } from './mail-of.js';
import { Parts } from './parts.js';
import { decode, encode, Flag, Kind } from './protocol.js';

const who = 'ParameterServer';
const orders = ['arrival', 'roundRobin'] as const;

/** Options of {@link ParameterServer}. */
export interface ParameterServerOptions<P = AnyParams> {
  /**
   * Creates the optimizer that steps with each push. The function gets this server's part of the params, in their structure.
   * With several servers, each param is a plain array without a shape.
   */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  readonly optimizer: (params: P) => AnyOptimizer<any, any, any>;
  /** The number of servers: ranks 0 to servers − 1, each with its part of every param. In [1, world.size); default 1. */
  readonly servers?: number | undefined;
  /** Number of pushes of the first worker before the other workers are served, an integer in [0, ∞); default 0. */
  readonly warmStart?: number | undefined;
  /**
   * A push is dropped if more than this number of pushes were applied since its worker fetched the params, an integer in
   * [0, ∞). Default: no push is dropped.
   */
  readonly maxStaleness?: number | undefined;
  /**
   * `'arrival'`, the default: pushes are applied as they arrive. `'roundRobin'`: one push of each worker, in the order of the
   * ranks. Then each run gives the same bits, but all workers wait for the slowest one.
   */
  readonly order?: 'arrival' | 'roundRobin' | undefined;
}

/** Result of {@link ParameterServer.serve}. */
export interface ParameterServerStatistics {
  /** Pushes that were applied. */
  readonly pushes: number;
  /** Number of fetches by workers, including the first ones. */
  readonly fetches: number;
  /** `staleness[k]`: number of pushes before which k others were applied since their worker had fetched the params. */
  readonly staleness: readonly number[];
  /** Pushes that were dropped because of `maxStaleness`. */
  readonly stale: number;
  /** Pushes that were dropped because of a value that is not finite. */
  readonly nonFinite: number;
  /** The ranks of the workers that were lost; under MPI those that were refused. */
  readonly lost: readonly number[];
}

const known = ['optimizer', 'servers', 'warmStart', 'maxStaleness', 'order'] satisfies (keyof ParameterServerOptions)[];

/** A push as the optimizer takes it. It is kept while the same memory comes again. */
interface Push {
  readonly buffer: ArrayBufferLike;
  readonly arrays: readonly Float32Array[];
}

/**
 * A parameter server of Downpour SGD (asynchronous training). It has the params, and steps with the gradients that workers push.
 * Ranks below `servers` create a server, all other ranks a {@link DownpourWorker}.
 *
 * ```
 * on a push of Δ:   w ← optimizer.step(Δ)
 * on a fetch:       w goes to the worker
 * ```
 * Gradients are stale: between the fetch and the push of a worker, the pushes of others are applied. Adagrad with a warm start
 * removes nearly all instability that this causes (Dean et al.).
 *
 * With several servers, each one steps its part of every param: `partition(param.length)` over the servers. They do not wait
 * for each other, so an optimizer with a norm over all params uses only its part.
 *
 * With `order: 'arrival'`, a run is not reproducible. With `'roundRobin'`, it is reproducible to the bit: the server handles
 * one push of each rank in turn. A worker that is lost or closed is left out.
 *
 * A worker that is a thread may die: see {@link DownpourWorker}. A server that dies ends the job.
 *
 * @typeParam P The type of the params.
 * @param world What `init` returned, on worker threads or under MPI.
 * @param params The params of the model, with the same names and lengths on all ranks. Training starts from those of
 *   the servers. `serve` changes them in place. Afterwards they are the final params of all servers.
 * @param options `optimizer`, `servers` (1), `warmStart` (0), `maxStaleness`, `order` ('arrival'):
 *   {@link ParameterServerOptions}
 * @throws TypeError for a wrong type, an unknown option, or an optimizer of other params; RangeError for a value out of range,
 *   and on a rank from `servers` on; Error in a world of one
 * @see Dean et al. 2012, "Large Scale Distributed Deep Networks", section 4.1,
 *   https://papers.nips.cc/paper/4687-large-scale-distributed-deep-networks
 * @example
 * ```ts
 * import { Adagrad } from 'schuss';
 * import { ParameterServer, type World } from 'schuss/distributed';
 *
 * export async function serve(world: World): Promise<void> {
 *   const w = new Float32Array(1000);
 *   const server = new ParameterServer(world, w, { optimizer: (params) => new Adagrad(params, { lr: 0.1 }) });
 *   const { pushes, lost } = await server.serve();
 *   console.log(`${pushes} pushes; lost workers: ${lost.join(', ') || 'none'}`);
 * }
 * ```
 */
export class ParameterServer<const P extends object = AnyParams> {
  readonly #world: World;
  readonly #mail: Mail;
  readonly #parts: Parts;
  readonly #facts: Facts;
  readonly #servers: number;
  readonly #workers: readonly number[];
  readonly #optimizer: AnyOptimizer;
  readonly #warmStart: number;
  readonly #maxStaleness: number;
  readonly #order: (typeof orders)[number];
  /** This server's part of each param. */
  readonly #own: readonly Float32Array[];
  readonly #pushesOf = new Map<number, Push>();
  readonly #staleness: number[] = [];
  readonly #lost = new Set<number>();
  readonly #closed: number[] = [];
  #hasFailed = false;
  /** Pushes applied: the number of the params. */
  #version = 0;
  #fetches = 0;
  #stale = 0;
  #nonFinite = 0;
  #serving: Promise<ParameterServerStatistics> | undefined;

  constructor(world: World, params: GivenTree<P>, options: ParameterServerOptions<P>) {
    const mail = mailOf(who, world);
    checkOptions(who, options, known);
    refuseFixed(ParameterServer, who, known);
    const {
      optimizer,
      servers = 1,
      warmStart = 0,
      maxStaleness,
      order = 'arrival',
    } = options as ParameterServerOptions;
    checkFunction(who, 'optimizer', optimizer, 'a function of the params, such as (params) => new Adagrad(params)');
    this.#servers = checkServers(who, world, servers, true);
    this.#warmStart = checkInteger(who, 'warmStart', warmStart, '[0, inf)');
    this.#maxStaleness =
      maxStaleness === undefined
        ? Number.POSITIVE_INFINITY
        : checkInteger(who, 'maxStaleness', maxStaleness, '[0, inf)');
    this.#order = checkOneOf(who, 'order', order, orders);
    this.#world = world;
    this.#mail = mail;
    this.#workers = Array.from({ length: world.size - this.#servers }, (_, i) => this.#servers + i);
    this.#parts = new Parts(who, params, this.#servers);
    this.#facts = this.#parts.facts(this.#servers);
    this.#own = this.#parts.of(world.rank);
    this.#optimizer = optimizer(this.#servers === 1 ? params : this.#parts.structure.assemble(this.#own));
    this.#checkOptimizer();
  }

  /** The optimizer of this server's part. */
  get optimizer(): AnyOptimizer {
    return this.#optimizer;
  }

  /**
   * Serves until every worker has closed or is lost, and all servers have finished. A second call returns the same promise.
   *
   * @returns a Promise of counts of pushes and fetches: {@link ParameterServerStatistics}
   * @throws (rejects) what the optimizer throws; `TimeoutError` if a rank has not created a worker before the deadline of the world;
   *   `RankError` if another server is lost; Error if the world is closed
   */
  serve(): Promise<ParameterServerStatistics> {
    this.#serving ??= this.#serve();
    return this.#serving;
  }

  /** The rank, the options and the optimizer. */
  toString(): string {
    return this[inspect]();
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    const { rank, size } = this.#world;
    const maxStaleness = Number.isFinite(this.#maxStaleness) ? this.#maxStaleness : undefined;
    const options = { servers: this.#servers, warmStart: this.#warmStart, maxStaleness, order: this.#order };
    return print(who, { rank, size, ...options, optimizer: this.#optimizer });
  }

  async #serve(): Promise<ParameterServerStatistics> {
    OwnWorld.checkOpen(`${who}: serve`, this.#world);
    const waiting = new Set(this.#workers);
    const deadline = new Deadline(`${who}: serve`, this.#world, this.#mail, () => [...waiting]);
    const admissions = this.#workers.map(async (worker) => {
      const isAdmitted = await this.#admit(worker);
      waiting.delete(worker);
      if (waiting.size === 0) deadline.clear();
      return isAdmitted;
    });
    for (const admission of admissions) admission.catch(() => {}); // where one rejects, nobody awaits the others
    try {
      await (this.#order === 'arrival' ? this.#serveAll(admissions) : this.#serveRounds(admissions));
    } catch (error) {
      this.#hasFailed = true;
      // Workers must not wait for ever. If nobody catches the error, the job ends before.
      const { rank } = this.#world;
      setTimeout(() => this.#mail.giveUp(`${who}: rank ${rank} serves no more: ${error}`, [rank]), 1000);
      throw error;
    } finally {
      deadline.clear();
    }
    await this.#finish();
    return {
      pushes: this.#version,
      fetches: this.#fetches,
      staleness: Array.from(this.#staleness, (count) => count ?? 0), // without holes
      stale: this.#stale,
      nonFinite: this.#nonFinite,
      lost: [...this.#lost].sort((a, b) => a - b),
    };
  }

  /** Serves each worker on its own; the others begin when the first one has warmed up. */
  async #serveAll(admissions: readonly Promise<boolean>[]): Promise<void> {
    let open = (): void => {};
    const isWarm = new Promise<void>((resolve) => {
      open = resolve;
    });
    await Promise.all(
      this.#workers.map(async (worker, i) => {
        if (i > 0) await isWarm;
        if (await admissions[i]) {
          this.#give(worker, Kind.params);
          let goesOn = true;
          while (i === 0 && goesOn && this.#version < this.#warmStart) goesOn = await this.#turn(worker);
          if (i === 0) open();
          while (goesOn) goesOn = await this.#turn(worker);
        }
        open(); // it was not admitted
      }),
    );
  }

  async #serveRounds(admissions: readonly Promise<boolean>[]): Promise<void> {
    const admitted = await Promise.all(admissions);
    let round = this.#workers.filter((_, i) => admitted[i]);
    const [first] = this.#workers;
    if (round[0] === first && first !== undefined) {
      this.#give(first, Kind.params);
      let goesOn = true;
      while (goesOn && this.#version < this.#warmStart) goesOn = await this.#turn(first);
      if (!goesOn) round = round.slice(1);
    }
    for (const worker of round) if (worker !== first) this.#give(worker, Kind.params);
    while (round.length > 0) {
      const left: number[] = [];
      for (const worker of round) if (await this.#turn(worker)) left.push(worker);
      round = left;
    }
  }

  /** Waits for a worker's first message, and compares its params with those here. Returns whether it takes part. */
  async #admit(worker: number): Promise<boolean> {
    const letter = await this.#mail.receive(worker);
    const refusal = letter === undefined ? undefined : this.#compare(decode(letter.data) as Facts, worker);
    if (letter === undefined || refusal !== undefined) {
      this.#lost.add(worker);
      if (refusal !== undefined) this.#mail.send(worker, Kind.refused, [], [encode(refusal)]);
      return false;
    }
    this.#mail.send(worker, Kind.welcome, [], []);
    return true;
  }

  #compare(theirs: Facts, worker: number): string | undefined {
    for (let f = 0; f < Math.max(this.#facts.length, theirs.length); f++) {
      const [our, their] = [this.#facts[f], theirs[f]];
      if (our?.[1] === their?.[1]) continue;
      const name = (our ?? their)![0];
      const message = differ('DownpourWorker', name, our?.[1] ?? 'none', worker, their?.[1] ?? 'none').message;
      return message.replace('rank 0 ', `rank ${this.#world.rank} `);
    }
    return undefined;
  }

  /** Does what a worker asks for up to and including its next push. Returns whether it goes on. */
  async #turn(worker: number): Promise<boolean> {
    for (;;) {
      const letter = await this.#mail.receive(worker);
      if (this.#hasFailed) return false;
      if (letter === undefined) {
        this.#lost.add(worker);
        this.#pushesOf.delete(worker);
        return false;
      }
      if (letter.kind === Kind.close) {
        this.#closed.push(worker);
        return false;
      }
      const isPush = letter.kind === Kind.push;
      if (isPush) {
        this.#apply(worker, letter);
        this.#mail.send(worker, Kind.settled, [], []);
      }
      if (!isPush || (letter.numbers[1]! & Flag.fetch) !== 0) this.#give(worker, Kind.params);
      if (isPush) return true;
    }
  }

  #apply(worker: number, { numbers, data }: Letter): void {
    const [version, flags, ...without] = numbers as [number, number, ...number[]];
    const staleness = this.#version - version;
    if ((flags & Flag.nonFinite) !== 0) this.#nonFinite++;
    else if (staleness > this.#maxStaleness) this.#stale++;
    else if (!this.#step(worker, data, new Set(without)))
      this.#nonFinite++; // an overflow of its norm
    else {
      this.#version++;
      this.#staleness[staleness] = (this.#staleness[staleness] ?? 0) + 1;
    }
  }

  #step(worker: number, data: Uint8Array, without: ReadonlySet<number>): boolean {
    const arrays =
      without.size === 0 ? this.#whole(worker, data) : this.#parts.cut(this.#world.rank, floatsIn(data), without);
    const grads = this.#parts.structure.assemble(arrays as Float32Array[]);
    return this.#optimizer.step(grads).applied;
  }

  /** The gradients of a push for every param. */
  #whole(worker: number, data: Uint8Array): readonly Float32Array[] {
    const known = this.#pushesOf.get(worker);
    if (known?.buffer === data.buffer) return known.arrays;
    const arrays = this.#parts.cut(this.#world.rank, floatsIn(data)) as Float32Array[];
    this.#pushesOf.set(worker, { buffer: data.buffer, arrays });
    return arrays;
  }

  #give(worker: number, kind: number): void {
    if (kind === Kind.params) this.#fetches++;
    this.#mail.send(worker, kind, [this.#version], this.#own);
  }

  /** Gives the final params to all. */
  async #finish(): Promise<void> {
    const others = Array.from({ length: this.#servers }, (_, server) => server).filter((s) => s !== this.#world.rank);
    for (const rank of [...this.#closed, ...others]) this.#give(rank, Kind.final);
    for (const server of others) {
      const letter = await this.#mail.receive(server);
      if (letter === undefined) throw new Error(`${who}: rank ${server}, a server, is lost`);
      this.#parts.write(server, letter.data);
    }
    await Promise.all(this.#closed.map((worker) => this.#mail.handedOver(worker)));
  }

  /** @throws TypeError, RangeError unless it steps the part that it was given */
  #checkOptimizer(): void {
    const { store, stepper } = partsOf(innerOptimizer(who, this.#optimizer));
    if (stepper.needsLoss)
      throw typeError(who, 'optimizer', show(this.#optimizer), 'an optimizer whose steps need no loss');
    const byKey = new Map(store.params.map(({ key, data }) => [key, data]));
    const isOwn = this.#parts.tensors.every(({ key }, i) => {
      const [part, data] = [this.#own[i]!, byKey.get(key)];
      if (data === undefined || lengthOf(data) !== lengthOf(part)) return false;
      return lengthOf(part) === 0 || (bufferOf(data) === bufferOf(part) && byteOffsetOf(data) === byteOffsetOf(part));
    });
    if (!isOwn || byKey.size !== this.#own.length)
      throw typeError(who, 'optimizer', show(this.#optimizer), 'an optimizer of the params that the function is given');
  }
}
