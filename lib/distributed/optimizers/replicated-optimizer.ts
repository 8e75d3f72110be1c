import { floatsOf, isFloat32, lengthOf } from '../../check/typed-array.js';
import type { RankPart } from '../../checkpoint/world.js';
import type { AnyOptimizer } from '../../core/any-optimizer.js';
import { checkIdle } from '../../core/internals.js';
import { Optimizer } from '../../core/optimizer.js';
import type { LoadOptions } from '../../core/state-dict.js';
import { checkAlike, hashOf } from '../differences.js';
import type { Ranges } from '../gradients/divide.js';
import type { Exchanged } from '../gradients/exchange.js';
import type { LocalGradients } from '../gradients/local-gradients.js';
import { partition } from '../world/partition.js';
import { DistributedOptimizer, type Wrapped } from './distributed-optimizer.js';
import { together } from './share-state.js';

/**
 * Base class of the optimizers of many ranks of which each has all params and the whole state.
 *
 * @typeParam O The class of the optimizer.
 * @typeParam G The type of the gradients.
 */
export abstract class ReplicatedOptimizer<
  O extends Wrapped = AnyOptimizer,
  G = Parameters<O['step']>[0],
> extends DistributedOptimizer<O, G> {
  /**
   * Runs the hooks before the step, if any rank has some, and agrees that all ranks step.
   * @throws an error of a hook, on its rank; Error that names the rank, on the others
   */
  protected async runHooks(grads: unknown, { mayFail }: Exchanged): Promise<void> {
    const { stepper } = Optimizer.internals(this.made.base);
    // One that was registered meanwhile runs from the next step on.
    stepper.haveHooksRun = true;
    if (!mayFail) return;
    stepper.runPreHooks(grads);
    checkIdle(this.made.base);
    await this.made.world.barrier();
  }

  /** All ranks have the same state: each saves its part of every array. */
  protected override rankState(): Pick<RankPart, 'stateDict' | 'loadStateDict' | 'placeOf' | 'owned'> {
    const { optimizer, world } = this.made;
    const wholes = new Map<string, number>();
    const cut = (value: unknown, path: readonly string[]): unknown => {
      if (isFloat32(value)) {
        const [begin, end] = partition(lengthOf(value), world.size)[world.rank]!;
        wholes.set(path.slice(-2).join('\0'), lengthOf(value));
        return floatsOf(value, begin, end);
      }
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
      if (Array.isArray(value)) return value.map((each, i) => cut(each, [...path, String(i)]));
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cut(each, [...path, key])]));
    };
    return {
      stateDict: () => cut(optimizer.stateDict(), []),
      loadStateDict: (whole, options) => optimizer.loadStateDict(whole as Parameters<O['loadStateDict']>[0], options),
      placeOf: (path, length) => {
        const whole = wholes.get(path.slice(-2).join('\0'));
        if (whole === undefined) return world.rank === 0 ? { begin: 0, whole: length } : undefined;
        return { begin: partition(whole, world.size)[world.rank]![0], whole };
      },
      owned: [],
    };
  }

  protected override async sumDense({ buckets }: LocalGradients, params: readonly number[]): Promise<void> {
    for (const run of buckets.runs(params)) await this.made.world.allReduce(run);
  }

  protected override readonly needsAllSums = true;

  protected override rangesOf(_param: number, length: number): Ranges {
    return partition(length, this.made.world.size);
  }

  /**
   * The state of the optimizer, in the form of its class. Every rank must call it.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ
   */
  override async stateDict(): Promise<ReturnType<O['stateDict']>> {
    return this.exclusively(async () => {
      const dict = { ...this.made.optimizer.stateDict(), ...(await this.residuals()) };
      await this.#checkDict('stateDict', dict);
      return dict;
    });
  }

  /**
   * Loads a state of the optimizer's class, all or nothing. Every rank must call it with the same.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ; and as the optimizer does
   */
  override async loadStateDict(dict: Parameters<O['loadStateDict']>[0], options?: LoadOptions): Promise<void> {
    const who = `${this.made.who}.loadStateDict`;
    const { world, optimizer } = this.made;
    await this.exclusively(async () => {
      await this.#checkDict('loadStateDict', dict);
      const load = (): void => this.loadWithResiduals(who, dict, () => optimizer.loadStateDict(dict, options));
      await together(world, load, this.remember());
    });
  }

  async #checkDict(method: string, dict: unknown): Promise<void> {
    const hash = `one with SHA-256 ${hashOf(dict).slice(0, 16)}…`;
    await checkAlike(`${this.made.who}.${method}`, this.made.world, [['dict', hash]]);
  }
}
