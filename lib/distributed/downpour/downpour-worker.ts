import { show, typeError } from '../../check/errors.js';
import { refuseFixed } from '../../check/members.js';
import { checkFloat, checkInteger, checkOptions } from '../../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../../check/typed-array.js';
import { extentOf } from '../../core/extents.js';
import { isSparseGrad } from '../../core/params.js';
import type { AnyParams, GivenTree, GradsOf } from '../../core/params-of.js';
import { inspect, print, printedParams } from '../../core/print.js';
import type { Schedule } from '../../core/schedule.js';
import { checkNotInFlight } from '../../core/step-queue.js';
import { engine } from '../../engine/backend.js';
import { SGD } from '../../optimizers/sgd.js';
import { GradSum } from '../../training/grad-sum.js';
import { OwnWorld } from '../world/own-world.js';
import type { Letter, Mail } from '../world/transport.js';
import type { World } from '../world/world.js';
import { checkServers, Deadline, mailOf } from './mail-of.js';
import { Parts } from './parts.js';
import { decode, encode, Flag, Kind } from './protocol.js';

const who = 'DownpourWorker';
/** The ranks with a worker that is not closed: messages do not say to which of two they belong. */
const working = new WeakSet<object>();

/** Options of {@link DownpourWorker}. */
export interface DownpourWorkerOptions {
  /** Learning rate of the local steps, [0, ∞), or a Schedule. The optimizers of the servers have their own. */
  readonly lr: number | Schedule;
  /** The number of servers, the same on all ranks, in [1, world.size); default 1. */
  readonly servers?: number | undefined;
  /** Number of steps between two fetches of the params, a positive integer; default 1. */
  readonly fetchEvery?: number | undefined;
  /** Number of steps whose gradients are summed in one push, a positive integer; default 1. */
  readonly pushEvery?: number | undefined;
}

const known = ['lr', 'servers', 'fetchEvery', 'pushEvery'] satisfies (keyof DownpourWorkerOptions)[];

/**
 * A worker of Downpour SGD (asynchronous training). It computes gradients on its own data, pushes them to the ranks that run a
 * {@link ParameterServer}, and fetches the params from them. It does not wait for other workers.
 *
 * ```
 * w ← w − η·g,   Δ ← Δ + g
 * every pushEvery steps:    the servers step with Δ, and Δ ← 0
 * every fetchEvery steps:   w ← the servers' params
 * ```
 *
 * The sum Δ is in float32. A fetch replaces all local params; gradients that have not been pushed stay in Δ for the next push.
 * A push with a value that is not finite is dropped, and the servers count it. A local step with such a gradient is skipped.
 *
 * **The first fetch.** Workers start from the params of the servers. Call `fetch()` before the first gradient, unless all
 * ranks have the same initial params. Otherwise the first `step` fetches the params, and then subtracts the gradient.
 *
 * **A worker may die** until `close()` has settled. If it throws, exits or is ended, the servers and the other workers continue,
 * and the exit code of the job is theirs. The launcher prints on stderr which rank was lost, and why. Under MPI, a process
 * that dies ends the job.
 *
 * Await each call before the next one. At the end of the script, `close()` is called for you.
 *
 * @param world What `init` returned, on worker threads or under MPI.
 * @param params The params of the model, with the same names and lengths on all ranks. They are changed in place.
 * @param options `lr`, `servers` (1), `fetchEvery` (1), `pushEvery` (1): {@link DownpourWorkerOptions}
 * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range, and on a rank below `servers`;
 *   Error in a world of one
 * @see Dean et al. 2012, "Large Scale Distributed Deep Networks", section 4.1,
 *   https://papers.nips.cc/paper/4687-large-scale-distributed-deep-networks
 * @example
 * ```ts
 * import { DownpourWorker, type World } from 'schuss/distributed';
 *
 * export async function work(world: World): Promise<void> {
 *   const [w, grad] = [new Float32Array(1), new Float32Array(1)];
 *   const worker = new DownpourWorker(world, w, { lr: 0.1 });
 *   await worker.fetch();
 *   for (let step = 0; step < 100; step++) {
 *     grad[0] = w[0] - 1; // of this worker's next batch
 *     await worker.step(grad);
 *   }
 *   await worker.close();
 * }
 * ```
 */
export class DownpourWorker<const P extends object = AnyParams> {
  readonly #world: World;
  readonly #mail: Mail;
  readonly #parts: Parts;
  readonly #servers: readonly number[];
  readonly #fetchEvery: number;
  readonly #pushEvery: number;
  readonly #local: SGD;
  readonly #sum: GradSum;
  readonly #paths: readonly string[];
  readonly #ignoreClose: () => void;
  /** What each server's params were numbered when they were fetched. */
  readonly #versions: number[];
  #steps = 0;
  #hasJoined = false;
  /** Whether a push is under way. */
  #isPushing = false;
  #pending: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #error: Error | undefined;

  constructor(world: World, params: GivenTree<P>, options: DownpourWorkerOptions) {
    const mail = mailOf(who, world);
    checkOptions(who, options, known);
    refuseFixed(DownpourWorker, who, known);
    const { lr, servers = 1, fetchEvery = 1, pushEvery = 1 } = options as DownpourWorkerOptions;
    if (typeof lr !== 'function' && typeof lr !== 'number')
      throw typeError(who, 'lr', show(lr), 'a number in [0, inf) or a Schedule');
    if (typeof lr === 'number') checkFloat(who, 'lr', lr, '[0, inf)');
    const count = checkServers(who, world, servers, false);
    this.#fetchEvery = checkInteger(who, 'fetchEvery', fetchEvery, '[1, inf)');
    this.#pushEvery = checkInteger(who, 'pushEvery', pushEvery, '[1, inf)');
    this.#world = world;
    this.#mail = mail;
    this.#parts = new Parts(who, params, count);
    this.#local = new SGD(params as object, { lr, skipNonFinite: true });
    const { tensors, structure } = this.#parts;
    this.#paths = tensors.map((tensor) => structure.gradPath(tensor));
    const { allocate } = engine();
    this.#sum = new GradSum('sequential', tensors.length, (param) => allocate(lengthOf(tensors[param]!.data)));
    this.#servers = Array.from({ length: count }, (_, server) => server);
    this.#versions = this.#servers.map(() => 0);
    if (working.has(mail))
      throw typeError(who, 'world', 'a rank with a DownpourWorker that is not closed', 'close() of that one first');
    working.add(mail);
    mail.setExpendable(true);
    this.#ignoreClose = OwnWorld.beforeClose(world, () => this.close());
    for (const server of this.#servers) mail.send(server, Kind.join, [], [encode(this.#parts.facts(count))]);
  }

  /**
   * Takes a local step, then pushes and fetches if `pushEvery` and `fetchEvery` say so. It resolves when the servers have the
   * push and the params are fetched. At most one push is pending; the next one waits until the servers have applied it.
   *
   * @param grads The gradients of this worker's batch, in the structure of the params. They do not change. Do not
   *   write to them until the promise settles. `null` leaves a param and its state on the servers unchanged.
   * @throws (rejects) TypeError for another structure, a wrong type or a sparse gradient, and for a call while another one is
   *   pending; RangeError for another length, and where the servers' params have other names or lengths; `RankError` if a
   *   server is lost, `TimeoutError` if one does not come. After TypeError and RangeError for gradients nothing has changed.
   */
  step(grads: GradsOf<P>): Promise<void> {
    return this.#run('step', () => {
      const read = this.#read(grads);
      return async () => {
        await this.#join();
        this.#local.step(grads as never);
        this.#sum.add(read, 1);
        this.#steps++;
        const fetches = this.#steps % this.#fetchEvery === 0;
        const pushes = this.#steps % this.#pushEvery === 0;
        if (pushes) await this.#push(fetches);
        if (fetches) await (pushes ? this.#receiveParams(Kind.params) : this.#fetch());
      };
    });
  }

  /** Takes the servers' params. @throws (rejects) as {@link step} */
  fetch(): Promise<void> {
    return this.#run('fetch', () => async () => {
      if (this.#hasJoined) await this.#fetch();
      else await this.#join();
    });
  }

  /** Pushes the gradients since the last push, if there are any. @throws (rejects) as {@link step} */
  push(): Promise<void> {
    return this.#run('push', () => async () => {
      await this.#join();
      if (this.#sum.count > 0) await this.#push(false);
    });
  }

  /**
   * Pushes the remaining gradients, and waits until every worker has closed or is lost. Then the params are final. You can call
   * it twice. Any other call after it throws an Error.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The rank, the options and the params. */
  toString(): string {
    return this[inspect]();
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    const { rank, size } = this.#world;
    const options = { lr: this.#local.paramGroups[0]!.lr, servers: this.#servers.length };
    const every = { fetchEvery: this.#fetchEvery, pushEvery: this.#pushEvery };
    return print(who, { rank, size, ...options, ...every, ...printedParams(this.#parts.tensors) });
  }

  /** Runs one call after its arguments were checked. */
  async #run(method: string, check: () => () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) throw new Error(`${who}: ${method}: the worker is closed`);
    if (this.#error !== undefined) throw this.#error;
    if (this.#pending !== undefined)
      throw typeError(who, method, 'a call while another one is pending', 'to await that one first');
    const call = check();
    this.#pending = call();
    try {
      await this.#pending;
    } finally {
      this.#pending = undefined;
    }
  }

  async #close(): Promise<void> {
    await this.#pending?.catch(() => {}); // its caller has the error
    try {
      if (this.#error !== undefined) return;
      await this.#join();
      if (this.#sum.count > 0) await this.#push(false);
      for (const server of this.#servers) this.#mail.send(server, Kind.close, [], []);
      await this.#receiveParams(Kind.final);
      this.#mail.setExpendable(false);
    } finally {
      this.#ignoreClose();
      working.delete(this.#mail);
    }
  }

  /** Waits until all servers have let this worker in, and have sent their params. */
  async #join(): Promise<void> {
    if (this.#hasJoined) return;
    const waiting = new Set(this.#servers);
    const deadline = new Deadline(`${who}: fetch`, this.#world, this.#mail, () => [...waiting]);
    try {
      for (const server of this.#servers) {
        const { kind, data } = await this.#receive(server);
        if (kind === Kind.refused) throw this.#refused(decode(data) as string);
        waiting.delete(server);
      }
    } finally {
      deadline.clear();
    }
    this.#hasJoined = true;
    await this.#receiveParams(Kind.params);
  }

  /** A mistake in the script is no accident of one worker: the job may end with it. */
  #refused(message: string): Error {
    this.#mail.setExpendable(false);
    this.#error = new RangeError(message);
    working.delete(this.#mail);
    return this.#error;
  }

  async #push(fetches: boolean): Promise<void> {
    await this.#settle();
    const { totals } = this.#sum;
    const arrays = totals.filter((total) => total !== null) as Float32Array[];
    // Squares of floats do not overflow a double, so a sum is finite if and only if every element is.
    const isWhole = arrays.every((array) => Number.isFinite(engine().sumSquares(array)));
    const without = [...totals.keys()].filter((i) => totals[i] === null);
    const flags = (fetches ? Flag.fetch : 0) | (isWhole ? 0 : Flag.nonFinite);
    for (const server of this.#servers) {
      const data = totals.flatMap((total, i) =>
        total === null || !isWhole ? [] : [this.#parts.slice(server, i, total as Float32Array)],
      );
      this.#mail.send(server, Kind.push, [this.#versions[server]!, flags, ...without], data);
    }
    this.#isPushing = true;
    this.#sum.reset();
    await Promise.all(this.#servers.map((server) => this.#mail.handedOver(server)));
  }

  async #fetch(): Promise<void> {
    for (const server of this.#servers) this.#mail.send(server, Kind.fetch, [], []);
    await this.#receiveParams(Kind.params);
  }

  /** Waits until the push under way was applied. */
  async #settle(): Promise<void> {
    if (!this.#isPushing) return;
    for (const server of this.#servers) await this.#receive(server);
    this.#isPushing = false;
  }

  async #receiveParams(kind: number): Promise<void> {
    await this.#settle();
    for (const server of this.#servers) {
      const letter = await this.#receive(server);
      if (letter.kind !== kind) throw new Error(`${who}: message ${letter.kind} of rank ${server}, expected ${kind}`);
      this.#parts.write(server, letter.data);
      this.#versions[server] = letter.numbers[0]!;
    }
  }

  async #receive(server: number): Promise<Letter> {
    const letter = await this.#mail.receive(server);
    if (letter === undefined) throw new Error(`${who}: rank ${server}, a server, is lost`);
    return letter;
  }

  #read(grads: unknown): (Float32Array | null)[] {
    const given: unknown[] = [];
    const { structure, tensors } = this.#parts;
    structure.read(grads, given);
    const read = tensors.map(({ key, data }, i) => {
      const [grad, path] = [given[i], this.#paths[i]!];
      if (grad === null) return null;
      if (isSparseGrad(grad)) throw typeError(who, path, 'a sparse gradient', 'a Float32Array or null');
      const array = checkFloat32(who, path, grad, 'a Float32Array or null');
      checkLength(who, path, array, lengthOf(data), typeof key === 'string' ? key : undefined);
      return array;
    });
    checkNotInFlight(who, () =>
      read.flatMap((array, i) => (array === null ? [] : [extentOf(engine(), array, this.#paths[i]!)])),
    );
    return read;
  }
}
