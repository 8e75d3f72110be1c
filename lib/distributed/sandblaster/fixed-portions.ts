import type { World } from '../world.js';
import type { EvaluatePortion, PortionSum } from './portion.js';
import { TreeSum, treeSumOf } from './tree.js';
import type { Turns } from './turns.js';

/**
 * The sum of all portions, each rank having the same ones in each evaluation. For ranks that share no memory, and for a
 * world of one.
 *
 * Each rank has 2^k neighbours, a whole branch of the tree, so the tree over the ranks completes it. A rank without
 * portions brings −0, which changes no bit.
 */
export class FixedPortions implements PortionSum {
  readonly #world: World;
  readonly #begin: number;
  readonly #end: number;
  readonly #sum: TreeSum;
  readonly #turns: Turns;

  constructor(world: World, portions: number, length: number, turns: Turns) {
    this.#world = world;
    let each = 1;
    while (each * world.size < portions) each *= 2;
    this.#begin = Math.min(portions, world.rank * each);
    this.#end = Math.min(portions, this.#begin + each);
    this.#sum = new TreeSum(length);
    this.#turns = turns;
  }

  async evaluate(portion: EvaluatePortion, grad: Float32Array): Promise<number> {
    const losses = new Float64Array(Math.max(1, this.#end - this.#begin)).fill(-0);
    for (let p = this.#begin; p < this.#end; p++) {
      const own = this.#sum.next();
      losses[p - this.#begin] = portion(p, own);
      this.#sum.add(own);
      await this.#turns.give();
    }
    this.#sum.finish(grad);
    const loss = Float64Array.of(treeSumOf(losses));
    await Promise.all([this.#world.allReduce(grad), this.#world.allReduce(loss)]);
    return loss[0]!;
  }
}
