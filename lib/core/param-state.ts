import { lengthOf } from '../check/typed-array.js';
import type { Tensor } from './params.js';

/** One param inside an optimizer: its memory, its state, and how often it was updated. */
export class Slot implements Tensor {
  readonly key: string | number;
  readonly path: string;
  data: Float32Array;
  readonly shape: readonly [number, number] | undefined;
  readonly length: number;
  step = 0;
  /** The declaration's scalars, in their order. */
  scalars: readonly number[];
  /** What they become if the step at hand is applied. */
  nextScalars: readonly number[];
  /** By name: those of its kernel. */
  readonly arrays = new Map<string, Float32Array>();
  readonly ema: Float32Array | null;
  /** The kernel that its group's settings choose for it. */
  kernel: string;
  /** The gradient that the plan knows: the same array again needs no second look. */
  grad: Float32Array | null = null;

  constructor(
    { key, path, data, shape }: Tensor,
    scalars: readonly number[],
    ema: Float32Array | null,
    kernel: string,
  ) {
    this.key = key;
    this.path = path;
    this.data = data;
    this.shape = shape;
    this.length = lengthOf(data);
    this.scalars = scalars;
    this.nextScalars = scalars;
    this.ema = ema;
    this.kernel = kernel;
  }
}

/** What a param keeps under a name; `ema` is the moving average. */
export function arrayOf(slot: Slot, name: string): Float32Array {
  return (name === 'ema' ? slot.ema : slot.arrays.get(name)) as Float32Array;
}
