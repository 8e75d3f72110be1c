import type { Tensor } from './params.js';

/** One param inside an optimizer: its memory, its state, and how often it was updated. */
export interface Slot extends Tensor {
  readonly length: number;
  step: number;
  /** The declaration's scalars, in their order. */
  scalars: readonly number[];
  /** What they become if the step at hand is applied. */
  nextScalars: readonly number[];
  /** By name: those of its kernel. */
  readonly arrays: Map<string, Float32Array>;
  ema: Float32Array | null;
  /** The gradient that the plan knows: the same array again needs no second look. */
  grad: Float32Array | null;
}

/** What a param keeps under a name; `ema` is the moving average. */
export function arrayOf(slot: Slot, name: string): Float32Array {
  return (name === 'ema' ? slot.ema : slot.arrays.get(name)) as Float32Array;
}
