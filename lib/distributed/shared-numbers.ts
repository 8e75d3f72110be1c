import type { ParamStore } from '../core/param-store.js';
import { maxSums } from '../engine/engine.js';
import type { World } from './world.js';

/**
 * Runs the step of a plan whose params share numbers: measures the own params, adds the sums of all ranks, then decides and
 * updates. The plan adds the sums of the params in their order, so the bits are those of one plan of all params.
 *
 * @param isActive Whether this rank steps. One that has failed brings zeros, because the others wait for its sums.
 */
export async function stepWithSharedNumbers(
  world: World,
  { params, plan }: ParamStore,
  isActive: boolean,
): Promise<void> {
  const sums = new Float64Array(maxSums * params.length);
  if (isActive) plan.measureSums(sums);
  if (world.size > 1) await world.allReduce(sums); // one rank has the whole of a param, so the sum is exact
  if (isActive) plan.stepWithSums(sums);
}
