import type { KernelDeclaration, Norms } from './declaration.js';
import { type Blocks, Control, chunkLength, type Engine, Pass, type Plan, pieceLength, type Rows } from './engine.js';
import { bufferOf, byteOffsetOf, firstBadRow, floatsOf, isFloat32, lengthOf } from './validate.js';

// The executable specification of native/: the same operations in the same order. A double holds the exact product of
// two floats and twice their digits, so rounding each result with Math.fround is float32 arithmetic, to the bit.
const f = Math.fround;
const virtualLanes = 16;

interface Tensor {
  readonly kernel: KernelDeclaration;
  readonly param: Float32Array;
  readonly state: readonly Float32Array[];
  readonly ema: Float32Array | null;
  readonly columns: number;
}

/** The gradient of a step for one tensor, or for some of its rows. */
type Grad = Float32Array | { readonly rows: Rows; readonly values: Float32Array };

/** The gradient of one row. */
interface RowGrad {
  readonly row: number;
  readonly grad: Float32Array;
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

/** Rows in the order in which they are first named; one that is named twice has the sum of its values. */
function gather({ rows, values }: { rows: Rows; values: Float32Array }): RowGrad[] {
  const count = lengthOf(rows);
  const length = rowLength({ rows, values });
  const gathered = new Map<number, { grad: Float32Array; isSum: boolean }>();
  for (let i = 0; i < count; i++) {
    const grad = floatsOf(values, i * length, (i + 1) * length);
    const first = gathered.get(rows[i]!);
    if (first === undefined) {
      gathered.set(rows[i]!, { grad, isSum: false });
      continue;
    }
    if (!first.isSum) Object.assign(first, { grad: first.grad.slice(), isSum: true });
    for (let k = 0; k < length; k++) first.grad[k] = first.grad[k]! + grad[k]!;
  }
  return [...gathered].map(([row, { grad }]) => ({ row, grad }));
}

function rowLength({ rows, values }: { rows: Rows; values: Float32Array }): number {
  const count = lengthOf(rows);
  return count === 0 ? 0 : lengthOf(values) / count;
}

/** A partial sum covers as many whole rows as fit in a chunk, one at least. */
function sumSquaresOfRows(grads: readonly RowGrad[]): number {
  const length = grads[0]?.grad.length ?? 0;
  const together = length < chunkLength ? Math.floor(chunkLength / length) : 1;
  let sum = 0;
  for (let begin = 0; begin < grads.length; begin += together) {
    sum += grads.slice(begin, begin + together).reduce((partial, { grad }) => partial + sumSquares(grad), 0);
  }
  return sum;
}

/** What a step does to one tensor, or to some of its rows, apart from the gradient itself. */
interface Work {
  readonly row: Float32Array;
  readonly gradScale: number;
  readonly zeroGrad: boolean;
}

/** Prologue of native/kernels/loop.h. */
function prologue({ row, gradScale }: Work, param: number, grad: number): number {
  const clipValue = row[Pass.clipValue]!;
  const l2 = row[Pass.l2]!;
  let g = f(gradScale * grad);
  if (clipValue !== Number.POSITIVE_INFINITY) {
    const raised = -clipValue > g ? -clipValue : g;
    g = clipValue < raised ? clipValue : raised;
  }
  return l2 !== 0 ? f(g + f(l2 * param)) : g;
}

/** Elements in a row of memory: prologue, formula and epilogue of native/kernels/loop.h. */
function walk(tensor: Tensor, grad: Float32Array, work: Work): void {
  const { kernel, param, state, ema } = tensor;
  const { row, zeroGrad } = work;
  const keep = row[Pass.keep]!;
  const emaRate = row[Pass.emaRate]!;
  const emaStart = row[Pass.emaStart] !== 0;
  const given = Array.from(row.subarray(Pass.length, Pass.length + kernel.constants.length));
  const constants = kernel.norms === undefined ? given : resolved(kernel.norms, given, tensor, grad, work);
  const update = kernel.reference(constants, state);
  for (let i = 0, length = lengthOf(param); i < length; i++) {
    const before = param[i]!;
    const after = f(update(i, f(keep * before), prologue(work, before, grad[i]!)));
    param[i] = after;
    if (zeroGrad) grad[i] = 0;
    if (ema !== null) {
      const old = emaStart ? before : ema[i]!;
      ema[i] = old + f(emaRate * f(after - old));
    }
  }
}

/** The first walk of a kernel that needs norms of its tensor, `walkNorms` of native/kernels/loop.h, and what follows. */
function resolved(
  { measure, resolve }: Norms,
  constants: readonly number[],
  { param, state }: Tensor,
  grad: Float32Array,
  work: Work,
): number[] {
  const at = measure(constants, state);
  const both = [new Float32Array(lengthOf(param)), new Float32Array(lengthOf(param))] as const;
  const out = new Float64Array(2);
  for (let i = 0; i < both[0].length; i++) {
    at(i, param[i]!, prologue(work, param[i]!, grad[i]!), out);
    both[0][i] = out[0]!;
    both[1][i] = out[1]!;
  }
  const [first, second] = both.map((x) => Math.sqrt(sumSquaresInPieces(x))) as [number, number];
  return resolve(constants, first, second).map(f);
}

/** A chunk's partial sum is that of its pieces. */
function sumSquaresInPieces(x: Float32Array): number {
  const lanes = new Float64Array(virtualLanes);
  let sum = 0;
  for (let chunk = 0; chunk < x.length; chunk += chunkLength) {
    const end = Math.min(chunk + chunkLength, x.length);
    let ofChunk = 0;
    for (let begin = chunk; begin < end; begin += pieceLength)
      ofChunk += sumSquaresOfChunk(x, begin, Math.min(begin + pieceLength, end), lanes);
    sum += ofChunk;
  }
  return sum;
}

/** `walkRow` of native/kernels/loop.h: the mean square of the row's gradient goes into its state first. */
function walkRow(tensor: Tensor, grad: Float32Array, work: Work): void {
  const { param, state, kernel } = tensor;
  const seen = grad.map((g, i) => prologue(work, param[i]!, g));
  const lanes = new Float64Array(virtualLanes);
  let sum = 0;
  for (let begin = 0; begin < seen.length; begin += pieceLength)
    sum += sumSquaresOfChunk(seen, begin, Math.min(begin + pieceLength, seen.length), lanes);
  kernel.accumulate?.(f(sum / seen.length), state);
  walk(tensor, grad, work);
}

/** One row of a tensor. */
function rowOf({ kernel, param, state, ema, columns }: Tensor, row: number, length: number): Tensor {
  const part = (array: Float32Array): Float32Array => floatsOf(array, row * length, (row + 1) * length);
  return {
    kernel,
    param: part(param),
    state: kernel.accumulate === undefined ? state.map(part) : state.map((array) => array.subarray(row, row + 1)),
    ema: ema === null ? null : part(ema),
    columns,
  };
}

class ReferencePlan implements Plan {
  readonly #tensors: Tensor[] = [];
  readonly #grads: Grad[] = [];
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
    columns: number,
  ): void {
    this.#tensors[index] = { kernel, param, state, ema, columns };
  }

  setGrad(index: number, grad: Float32Array): number {
    this.#grads[index] = grad;
    return address(grad);
  }

  setRowGrad(index: number, rows: Rows, values: Float32Array): number {
    this.#grads[index] = { rows, values };
    return address(values);
  }

  step(): void {
    const { control, rows, stride, rowOf } = this.#blocks;
    const zeroGrads = control[Control.zeroGrads] !== 0;
    const active = this.#tensors.map((_, i) => i).filter((i) => rowOf[i]! >= 0);
    control[Control.badTensor] = -1;
    const gathered = new Map<number, RowGrad[]>();
    for (const i of active) {
      const grad = this.#grads[i]!;
      if (isFloat32(grad)) continue;
      const limit = lengthOf(this.#tensors[i]!.param) / rowLength(grad);
      const bad = firstBadRow(grad.rows, limit);
      if (bad >= 0) {
        control[Control.badTensor] = i;
        control[Control.badRow] = bad;
        return;
      }
      gathered.set(i, gather(grad));
    }
    const zero = (): void => {
      for (const i of active) floatsOf(valuesOf(this.#grads[i]!)).fill(0);
    };

    let scale = control[Control.gradScale]!;
    control[Control.applied] = 1;
    if (control[Control.measureNorm] !== 0) {
      const sum = active.reduce((total, i) => {
        const some = gathered.get(i);
        return total + (some === undefined ? sumSquares(this.#grads[i] as Float32Array) : sumSquaresOfRows(some));
      }, 0);
      const norm = Math.sqrt(sum) * Math.abs(scale);
      control[Control.gradNorm] = norm;
      if (control[Control.skipNonFinite] !== 0 && !Number.isFinite(sum)) {
        control[Control.applied] = 0;
        if (zeroGrads) zero();
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
      const work = { row, gradScale: f(gradScale * row[Pass.gradScale]!), zeroGrad: zeroGrads };
      this.#update(this.#tensors[i]!, this.#grads[i]!, gathered.get(i), work);
    }
    if (zeroGrads && gathered.size > 0) zero();
  }

  #update(tensor: Tensor, grad: Grad, gathered: readonly RowGrad[] | undefined, work: Work): void {
    const perRow = tensor.kernel.accumulate === undefined ? walk : walkRow;
    if (gathered !== undefined) {
      // Rows that have no gradient yet have an average too.
      if (work.row[Pass.emaStart] !== 0) tensor.ema?.set(tensor.param);
      for (const { row, grad } of gathered) perRow(rowOf(tensor, row, grad.length), grad, work);
    } else if (perRow === walk) {
      walk(tensor, grad as Float32Array, work);
    } else {
      const { columns } = tensor;
      for (let begin = 0; begin < lengthOf(tensor.param); begin += columns) {
        const part = floatsOf(grad as Float32Array, begin, begin + columns);
        walkRow(rowOf(tensor, begin / columns, columns), part, work);
      }
    }
  }

  /** There is no other thread here: the step is done at once, and said later. */
  stepAsync(done: () => void): void {
    this.step();
    setImmediate(done);
  }
}

function valuesOf(grad: Grad): Float32Array {
  return isFloat32(grad) ? grad : grad.values;
}

// Each buffer gets a range of numbers of its own; within a buffer, offsets are true.
const bases = new WeakMap<ArrayBufferLike, number>();
let nextBase = 0;

function address(array: Float32Array): number {
  const buffer = bufferOf(array);
  let base = bases.get(buffer);
  if (base === undefined) {
    base = nextBase;
    bases.set(buffer, base);
    const { byteLength, maxByteLength = byteLength } = buffer as ArrayBufferLike & {
      readonly maxByteLength?: number;
    };
    nextBase += maxByteLength + 1;
  }
  return base + byteOffsetOf(array);
}

const owned = new WeakSet<ArrayBufferLike>();

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
  add(target, source) {
    for (let i = 0, length = lengthOf(target); i < length; i++) target[i] = target[i]! + source[i]!;
  },
  scale(x, factor) {
    const by = f(factor);
    for (let i = 0, length = lengthOf(x); i < length; i++) x[i] = by * x[i]!;
  },
  owns: (array) => owned.has(bufferOf(array)),
  address,
  threads: () => 1,
  setThreads: () => {},
  allocate(length) {
    const array = new Float32Array(length);
    owned.add(array.buffer);
    return array;
  },
};
