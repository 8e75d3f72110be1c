import { lengthOf } from '../check/typed-array.js';
import type { Block } from '../engine/block.js';
import { columnsOf, type Place, type Shape, type Tensor } from './params.js';
import { type ReadGrad, ReadSparseGrad } from './read-grad.js';
import type { Shard } from './shard.js';

/** One param inside an optimizer: its memory, its state, and the number of updates it has taken. */
export class ParamState implements Tensor {
  readonly key: string | number;
  readonly place: Place;
  readonly path: string;
  data: Float32Array;
  readonly shape: Shape;
  /** Elements of a row; 0 without a shape. */
  readonly columns: number;
  readonly length: number;
  /** The updates taken so far: t of the next update is `step + 1`. */
  step = 0;
  /** The values of the declaration's `scalars`, in their order. */
  scalars: readonly number[];
  /** The state of its kernel, by name. */
  state: ReadonlyMap<string, Block> = new Map();
  /** The moving average of the param; null without the option `ema`. */
  ema: Block | null;
  /** The kernel that its group's settings select. */
  kernel: string;
  /** Of what this is a part, in an optimizer that updates parts of the params. */
  readonly shard: Shard | undefined;
  /** The most rows or columns of a matrix that its kernel decomposes, or the elements of a block; 0 without both. */
  side: number;
  /** The length with which the plan has `data`, or −1 if it is not known to have it. */
  plannedLength = -1;
  /** The dense gradient that is registered in the plan. The same array is not checked a second time. */
  grad: Float32Array | null = null;
  /** The sparse gradient that is registered in the plan. */
  sparseGrad: ReadSparseGrad | null = null;

  constructor(
    { key, place, path, data, shape }: Tensor,
    scalars: readonly number[],
    ema: Block | null,
    kernel: string,
    side: number,
    shard?: Shard,
  ) {
    this.key = key;
    this.place = place;
    this.path = path;
    this.data = data;
    this.shape = shape;
    this.columns = shape === undefined ? 0 : columnsOf(shape);
    this.length = lengthOf(data);
    this.scalars = scalars;
    this.ema = ema;
    this.kernel = kernel;
    this.side = side;
    this.shard = shard;
  }

  /** Remembers the gradient that the plan has. */
  setGrad(grad: ReadGrad): void {
    const isSparse = grad instanceof ReadSparseGrad;
    this.grad = isSparse ? null : grad;
    this.sparseGrad = isSparse ? grad : null;
  }
}

/** The state called `name`; `'ema'` is the moving average. */
export function stateBlock(param: ParamState, name: string): Block {
  return (name === 'ema' ? param.ema : param.state.get(name)) as Block;
}

/** Whether a param has a state array of a name. A param that is not added yet has none. */
export function hasArray(tensor: Tensor): (name: string) => boolean {
  return (name) => tensor instanceof ParamState && tensor.state.has(name);
}
