import { partsOf } from './internals.js';
import { Optimizer } from './optimizer.js';
import type { Tensor } from './params.js';

/** Key under which what is no {@link Optimizer} names the params that it updates. */
export const heldParams: unique symbol = Symbol('heldParams');

/** What updates params. */
export interface HoldsParams {
  readonly [heldParams]?: readonly Tensor[];
}

/** The params that an object updates: as a whole, if it updates a part of each. None of an object that is no optimizer. */
export function heldParamsOf(object: unknown): readonly Tensor[] {
  if (object instanceof Optimizer) return partsOf(object).store.params.map((param) => param.shard?.whole ?? param);
  return (object as HoldsParams | null | undefined)?.[heldParams] ?? [];
}
