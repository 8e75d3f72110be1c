import { floatsOf, lengthOf } from '../check/typed-array.js';
import type { Tensor } from './params.js';

/** One param inside an optimizer: its memory, its state arrays, and the number of updates it has taken. */
export class ParamState implements Tensor {
  readonly key: string | number;
  readonly path: string;
  data: Float32Array;
  readonly shape: readonly [number, number] | undefined;
  readonly length: number;
  /** The updates taken so far: t of the next update is `step + 1`. */
  step = 0;
  /** The values of the declaration's `scalars`, in their order. */
  scalars: readonly number[];
  /** What `scalars` become if the current step is applied. */
  nextScalars: readonly number[];
  /** The state arrays of its kernel, by name. */
  arrays: ReadonlyMap<string, Float32Array> = new Map();
  /** The moving average of the param; null without the option `ema`. */
  ema: Float32Array | null;
  /** The kernel that its group's settings select. */
  kernel: string;
  /** The gradient that is registered in the plan. The same array is not checked a second time. */
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

/** The state arrays by name, as views of ours: user code may have redefined properties of the arrays that it sees. */
export function viewsOf({ arrays }: ParamState): Readonly<Record<string, Float32Array>> {
  return Object.fromEntries([...arrays].map(([name, array]) => [name, floatsOf(array)]));
}

/** The state array called `name`; `'ema'` is the moving average. */
export function stateArray(param: ParamState, name: string): Float32Array {
  return (name === 'ema' ? param.ema : param.arrays.get(name)) as Float32Array;
}
