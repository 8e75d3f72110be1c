import { bufferOf, byteOffsetOf, firstBadRow, floatsOf, isFloat32, lengthOf } from '../check/typed-array.js';
import {
  Control,
  chunkLength,
  type Engine,
  Pass,
  type Plan,
  pieceLength,
  type Rows,
  type StepConstants,
} from './engine.js';
import type { KernelDeclaration, Norms } from './kernel.js';
import { dot, dotOfChunk, referenceLinalg } from './reference-linalg.js';

// The executable specification of native/: the same operations in the same order. A double holds the exact product of
// two floats and twice their digits, so rounding each result with Math.fround is float32 arithmetic, to the bit.
const f = Math.fround;

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

function sumSquares(x: Float32Array): number {
  return dot(x, x, lengthOf(x));
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

function constantsOf({ constants }: KernelDeclaration, { row }: Work): readonly number[] {
  return Array.from(row.subarray(Pass.length, Pass.length + constants.length));
}

/** Elements in a row of memory: prologue, formula and epilogue of native/kernels/loop.h. */
function walk(
  { kernel, param, state, ema }: Tensor,
  grad: Float32Array,
  work: Work,
  constants: readonly number[] = constantsOf(kernel, work),
): void {
  const { row, zeroGrad } = work;
  const decayFactor = row[Pass.decayFactor]!;
  const emaRate = row[Pass.emaRate]!;
  const emaStart = row[Pass.emaStart] !== 0;
  const update = kernel.reference(constants, state);
  for (let i = 0, length = lengthOf(param); i < length; i++) {
    const before = param[i]!;
    const after = f(update(i, f(decayFactor * before), prologue(work, before, grad[i]!)));
    param[i] = after;
    if (zeroGrad) grad[i] = 0;
    if (ema !== null) {
      const old = emaStart ? before : ema[i]!;
      ema[i] = old + f(emaRate * f(after - old));
    }
  }
}

/** A kernel that needs norms of its tensor: all walks. Where it has state of rows or columns, each goes row by row. */
function walkWithNorms(norms: Norms, tensor: Tensor, grad: Float32Array, work: Work): void {
  const { kernel, param, columns } = tensor;
  const length = lengthOf(param);
  if (length === 0) return;
  const rowLength = kernel.layout === undefined ? length : columns;
  const rows = Array.from({ length: length / rowLength }, (_, row) =>
    kernel.layout === undefined ? tensor : rowOf(tensor, row, columns),
  );
  const gradOf = (row: number): Float32Array => floatsOf(grad, row * rowLength, (row + 1) * rowLength);

  let constants = constantsOf(kernel, work);
  if (kernel.accumulate !== undefined) {
    const mean = accumulateMeans(tensor, kernel.accumulate(constants), grad, work);
    constants = norms.resolveMean!(constants, mean).map(f);
  }

  const both = [new Float32Array(length), new Float32Array(length)] as const;
  const out = new Float64Array(2);
  for (const [row, part] of rows.entries()) {
    const at = norms.measure(constants, part.state);
    const seen = gradOf(row);
    for (let i = 0; i < rowLength; i++) {
      at(i, part.param[i]!, prologue(work, part.param[i]!, seen[i]!), out);
      both[0][row * rowLength + i] = out[0]!;
      both[1][row * rowLength + i] = out[1]!;
    }
  }
  const [first, second] = both.map((x) => Math.sqrt(sumSquaresInPieces(x, rowLength))) as [number, number];
  constants = norms.resolve(constants, first, second, length).map(f);
  for (const [row, part] of rows.entries()) walk(part, gradOf(row), work, constants);
}

/** Takes the mean squares of all rows and columns into their state; returns the mean over the rows. */
function accumulateMeans(
  { param, state, columns }: Tensor,
  accumulate: (meanSquare: number, before: number) => number,
  grad: Float32Array,
  work: Work,
): number {
  const [rowState, columnState] = state as [Float32Array, Float32Array];
  const seen = Float32Array.from({ length: lengthOf(param) }, (_, i) => prologue(work, param[i]!, grad[i]!));
  const rows = seen.length / columns;
  const sums = new Float64Array(columns);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const part = seen.subarray(row * columns, (row + 1) * columns);
    for (let i = 0; i < columns; i++) sums[i] = sums[i]! + part[i]! * part[i]!;
    rowState[row] = accumulate(meanSquare(part), rowState[row]!);
    total += rowState[row]!;
  }
  for (let i = 0; i < columns; i++) columnState[i] = accumulate(f(sums[i]! / rows), columnState[i]!);
  return total / rows;
}

/** A chunk's partial sum is that of its pieces, which end with their row. */
function sumSquaresInPieces(x: Float32Array, rowLength: number): number {
  let sum = 0;
  for (let chunk = 0; chunk < x.length; chunk += chunkLength) {
    const end = Math.min(chunk + chunkLength, x.length);
    let ofChunk = 0;
    for (let begin = chunk; begin < end; ) {
      const next = Math.min(begin + pieceLength, begin - (begin % rowLength) + rowLength, end);
      ofChunk += dotOfChunk(x, x, begin, next);
      begin = next;
    }
    sum += ofChunk;
  }
  return sum;
}

/** The mean square of a row, in pieces. */
function meanSquare(row: Float32Array): number {
  let sum = 0;
  for (let begin = 0; begin < row.length; begin += pieceLength)
    sum += dotOfChunk(row, row, begin, Math.min(begin + pieceLength, row.length));
  return f(sum / row.length);
}

/** `walkRow` of native/kernels/loop.h: the mean square of the row's gradient goes into its state first. */
function walkRow(tensor: Tensor, grad: Float32Array, work: Work): void {
  const { param, kernel } = tensor;
  const state = tensor.state[0] as Float32Array;
  const mean = meanSquare(grad.map((g, i) => prologue(work, param[i]!, g)));
  state[0] = kernel.accumulate!(constantsOf(kernel, work))(mean, state[0]!);
  walk(tensor, grad, work);
}

/** One row of a tensor. */
function rowOf({ kernel, param, state, ema, columns }: Tensor, row: number, length: number): Tensor {
  const part = (array: Float32Array): Float32Array => floatsOf(array, row * length, (row + 1) * length);
  return {
    kernel,
    param: part(param),
    state: state.map((array, s) => {
      const layout = kernel.layout?.[kernel.state[s]!];
      if (layout === undefined) return part(array);
      return layout === 'row' ? floatsOf(array, row, row + 1) : array;
    }),
    ema: ema === null ? null : part(ema),
    columns,
  };
}

class ReferencePlan implements Plan {
  readonly #tensors: Tensor[] = [];
  readonly #grads: Grad[] = [];
  readonly #constants: StepConstants;

  constructor(blocks: StepConstants) {
    this.#constants = blocks;
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
    const { control, rows, stride, rowOf } = this.#constants;
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
    const { norms, accumulate } = tensor.kernel;
    if (norms !== undefined) {
      walkWithNorms(norms, tensor, grad as Float32Array, work); // such a class takes no rows
      return;
    }
    const perRow = accumulate === undefined ? walk : walkRow;
    if (gathered !== undefined) {
      // Rows that have no gradient yet have an average too.
      if (work.row[Pass.emaStart] !== 0) tensor.ema?.set(tensor.param);
      for (const { row, grad } of gathered) perRow(rowOf(tensor, row, grad.length), grad, work);
    } else if (accumulate === undefined) {
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
  linalg: referenceLinalg,
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
