import { Optimizer } from '../../core/optimizer.js';
import type { Measured } from '../../core/shard.js';
import type { StepResult } from '../../core/stepper.js';
import { maxSums } from '../../engine/engine.js';
import type { World } from '../world/world.js';

/**
 * Begins a step whose params share numbers: measures the own params, and adds the sums of all ranks. Returns what decides and
 * updates. What this rank may still do wrong, such as a lack of memory, all ranks hear in place of the sums: params have not
 * changed then, but averages that the first half of a step updates may have. The plan adds the sums of the params in their order, so the bits are those of one plan of all params.
 */
export async function beginWithSharedNumbers(
  world: World,
  base: Optimizer,
  grads: unknown,
  whole: Measured,
): Promise<() => StepResult> {
  const { stepper, store } = Optimizer.internals(base);
  const sums = new Float64Array(maxSums * store.params.length);
  const begun = stepper.beginPart(grads, whole);
  try {
    store.plan.measureSums(sums);
    begun.check();
    if (world.size > 1) await world.allReduce(sums); // one rank has the whole of a param, so the sum is exact
  } catch (error) {
    begun.drop();
    throw error;
  }
  return () => {
    store.plan.stepWithSums(sums);
    return begun.end();
  };
}
