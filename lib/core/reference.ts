import type { KernelDeclaration } from './declaration.js';
import { type Blocks, Control, chunkLength, type Engine, Pass, type Plan } from './engine.js';
import { lengthOf } from './validate.js';

// The executable specification of native/: the same operations in the same order. A double holds the exact product of
// two floats and twice their digits, so rounding each result with Math.fround is float32 arithmetic, to the bit.
const f = Math.fround;
const virtualLanes = 16;

interface Tensor {
  readonly kernel: KernelDeclaration;
  readonly param: Float32Array;
  readonly state: readonly Float32Array[];
  readonly ema: Float32Array | null;
}

function sumSquaresOfChunk(x: Float32Array, begin: number, end: number, lanes: Float64Array): number {
  lanes.fill(0);
  for (let i = begin; i < end; i++) {
    const lane = (i - begin) % virtualLanes;
    lanes[lane] = lanes[lane]! + x[i]! * x[i]!;
  }
  for (let half = virtualLanes / 2; half >= 1; half /= 2) {
    for (let lane = 0; lane < half; lane++) lanes[lane] = lanes[lane]! + lanes[lane + half]!;
  }
  return lanes[0]!;
}

function sumSquares(x: Float32Array): number {
  const lanes = new Float64Array(virtualLanes);
  let sum = 0;
  const length = lengthOf(x);
  for (let begin = 0; begin < length; begin += chunkLength) {
    sum += sumSquaresOfChunk(x, begin, Math.min(begin + chunkLength, length), lanes);
  }
  return sum;
}

/** One tensor's step: prologue, formula and epilogue of native/kernels/loop.h. */
function walk(
  { kernel, param, state, ema }: Tensor,
  grad: Float32Array,
  gradScale: number,
  row: Float32Array,
  zeroGrad: boolean,
): void {
  const clipValue = row[Pass.clipValue]!;
  const l2 = row[Pass.l2]!;
  const keep = row[Pass.keep]!;
  const emaRate = row[Pass.emaRate]!;
  const emaStart = row[Pass.emaStart] !== 0;
  const update = kernel.reference(Array.from(row.subarray(Pass.length, Pass.length + kernel.constants.length)), state);
  for (let i = 0, length = lengthOf(param); i < length; i++) {
    const before = param[i]!;
    let g = f(gradScale * grad[i]!);
    if (clipValue !== Number.POSITIVE_INFINITY) {
      const raised = -clipValue > g ? -clipValue : g;
      g = clipValue < raised ? clipValue : raised;
    }
    if (l2 !== 0) g = f(g + f(l2 * before));
    const after = f(update(i, f(keep * before), g));
    param[i] = after;
    if (zeroGrad) grad[i] = 0;
    if (ema !== null) {
      const old = emaStart ? before : ema[i]!;
      ema[i] = old + f(emaRate * f(after - old));
    }
  }
}

class ReferencePlan implements Plan {
  readonly #tensors: Tensor[] = [];
  readonly #grads: Float32Array[] = [];
  readonly #blocks: Blocks;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  setTensor(
    index: number,
    _name: string,
    kernel: KernelDeclaration,
    param: Float32Array,
    state: readonly Float32Array[],
    ema: Float32Array | null,
  ): void {
    this.#tensors[index] = { kernel, param, state, ema };
  }

  setGrad(index: number, grad: Float32Array): number {
    this.#grads[index] = grad;
    return address(grad);
  }

  step(): void {
    const { control, rows, stride, rowOf } = this.#blocks;
    const zeroGrads = control[Control.zeroGrads] !== 0;
    const active = this.#tensors.map((_, i) => i).filter((i) => rowOf[i]! >= 0);
    let scale = control[Control.gradScale]!;
    control[Control.applied] = 1;
    if (control[Control.measureNorm] !== 0) {
      const sum = active.reduce((total, i) => total + sumSquares(this.#grads[i]!), 0);
      const norm = Math.sqrt(sum) * Math.abs(scale);
      control[Control.gradNorm] = norm;
      if (control[Control.skipNonFinite] !== 0 && !Number.isFinite(sum)) {
        control[Control.applied] = 0;
        if (zeroGrads) for (const i of active) this.#grads[i]!.fill(0);
        return;
      }
      if (control[Control.maxNorm] !== Number.POSITIVE_INFINITY) {
        const coefficient = control[Control.maxNorm]! / (norm + 1e-6);
        scale *= coefficient > 1 ? 1 : coefficient;
      }
    }
    const gradScale = f(scale);
    for (const i of active) {
      const row = rows.subarray(rowOf[i]! * stride, (rowOf[i]! + 1) * stride);
      walk(this.#tensors[i]!, this.#grads[i]!, f(gradScale * row[Pass.gradScale]!), row, zeroGrads);
    }
  }
}

// Each buffer gets a range of numbers of its own; within a buffer, offsets are true.
const bases = new WeakMap<ArrayBufferLike, number>();
let nextBase = 0;

function address(array: Float32Array): number {
  let base = bases.get(array.buffer);
  if (base === undefined) {
    base = nextBase;
    bases.set(array.buffer, base);
    const { byteLength, maxByteLength = byteLength } = array.buffer as ArrayBufferLike & {
      readonly maxByteLength?: number;
    };
    nextBase += maxByteLength + 1;
  }
  return base + array.byteOffset;
}

/** The JavaScript engine: what runs where there is no addon, and what the addon is tested against. */
export const referenceEngine: Engine = {
  name: 'js',
  isa: 'scalar',
  confirm: () => {},
  createPlan: (_count, blocks) => new ReferencePlan(blocks),
  sumSquares,
  lerp(target, source, rate) {
    const r = f(rate);
    for (let i = 0, length = lengthOf(target); i < length; i++)
      target[i] = target[i]! + f(r * f(source[i]! - target[i]!));
  },
  address,
  threads: () => 1,
  setThreads: () => {},
  allocate: (length) => new Float32Array(length),
};
