import { floatsOf, lengthOf } from '../check/typed-array.js';
import { chunkLength, Pass, pieceLength } from './engine.js';
import type { KernelDeclaration, Norms, Numbers } from './kernel.js';
import { dotOfChunk } from './reference-linalg.js';

// The executable specification of native/kernels/loop.h and measured_loop.h: the same operations in the same order.
// Math.fround after each operation gives exact float32 arithmetic. The product of two floats is exact in float64. For
// sums, quotients and roots, rounding to float64 first does not change the float32 result.
const f = Math.fround;

/** A tensor registered in a plan, or one matrix row of it. */
export interface Tensor {
  readonly kernel: KernelDeclaration;
  readonly param: Float32Array;
  readonly state: readonly Float32Array[];
  readonly ema: Float32Array | null;
  readonly columns: number;
  /** For matrix kernels: see `MatrixShape`. */
  readonly side: number;
}

/** What a step does to a tensor, apart from the gradient itself. */
export interface Work {
  /** The constants row of the tensor. */
  readonly row: Float32Array;
  readonly gradScale: number;
  readonly zeroGrad: boolean;
}

/** The gradient that the formula sees, after scaling, clipping and L2 decay. */
export function prologue({ row, gradScale }: Work, param: number, grad: number): number {
  const clipValue = row[Pass.clipValue]!;
  const l2 = row[Pass.l2]!;
  let g = f(gradScale * grad);
  if (clipValue !== Number.POSITIVE_INFINITY) {
    const raised = -clipValue > g ? -clipValue : g;
    g = clipValue < raised ? clipValue : raised;
  }
  return l2 !== 0 ? f(g + f(l2 * param)) : g;
}

/** The constants of a kernel in a constants row. */
export function constantsOf({ constants }: KernelDeclaration, { row }: Work): readonly number[] {
  // Each walk over a matrix row reads them. A loop takes a tenth of the time of Array.from.
  const found: number[] = [];
  for (let i = 0; i < constants.length; i++) found.push(row[Pass.length + i]!);
  return found;
}

/** Updates consecutive elements: prologue, formula, epilogue. */
export function walk(
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

/** Runs a kernel that needs norms of its tensor. A kernel with state per matrix row or column walks row by row. */
export function walkWithNorms(norms: Norms, tensor: Tensor, grad: Float32Array, work: Work): void {
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
  const [first, second] = both.map((x) => Math.sqrt(dotInPieces(x, x, rowLength))) as [number, number];
  constants = norms.resolve(constants, first, second, length).map(f);
  for (const [row, part] of rows.entries()) walk(part, gradOf(row), work, constants);
}

/** The first walk of a kernel with numbers: returns its sums over a tensor. */
export function measureSums(
  { sums, measure }: Numbers,
  { kernel, param, state }: Tensor,
  grad: Float32Array,
  work: Work,
): number[] {
  const length = lengthOf(param);
  const factors = Array.from({ length: sums }, () => [new Float32Array(length), new Float32Array(length)] as const);
  const at = measure(constantsOf(kernel, work), state);
  for (let i = 0; i < length; i++)
    at(i, param[i]!, prologue(work, param[i]!, grad[i]!), (k, x, y) => {
      factors[k]![0][i] = x;
      factors[k]![1][i] = y;
    });
  return factors.map(([x, y]) => dotInPieces(x, y, Math.max(length, 1)));
}

/** The second walk of a kernel with numbers. */
export function walkWithNumbers(numbers: readonly number[], tensor: Tensor, grad: Float32Array, work: Work): void {
  const { kernel } = tensor;
  walk(tensor, grad, work, kernel.numbers!.resolve(constantsOf(kernel, work), numbers).map(f));
}

/** Updates the row and column state with the mean squares of the gradient. Returns the mean of the row state. */
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

/** xᵀy over a tensor: a chunk's partial sum adds up pieces, and a piece ends where its matrix row ends. */
function dotInPieces(x: Float32Array, y: Float32Array, rowLength: number): number {
  let sum = 0;
  for (let chunk = 0; chunk < x.length; chunk += chunkLength) {
    const end = Math.min(chunk + chunkLength, x.length);
    let ofChunk = 0;
    for (let begin = chunk; begin < end; ) {
      const next = Math.min(begin + pieceLength, begin - (begin % rowLength) + rowLength, end);
      ofChunk += dotOfChunk(x, y, begin, next);
      begin = next;
    }
    sum += ofChunk;
  }
  return sum;
}

/** The mean square of one matrix row, summed in pieces. */
function meanSquare(row: Float32Array): number {
  let sum = 0;
  for (let begin = 0; begin < row.length; begin += pieceLength)
    sum += dotOfChunk(row, row, begin, Math.min(begin + pieceLength, row.length));
  return f(sum / row.length);
}

/** Updates one matrix row: first its state numbers, because the formula reads them. */
export function walkRow(tensor: Tensor, grad: Float32Array, work: Work): void {
  const { param, kernel, state } = tensor;
  const mean = (): number => meanSquare(grad.map((g, i) => prologue(work, param[i]!, g)));
  const constants = constantsOf(kernel, work);
  kernel.updateRow!(constants)(mean, state);
  walk(tensor, grad, work, constants);
}

/** Runs a kernel whose state of rows and columns are maxima: row by row, with those from before the step. */
export function walkWithMaxima(
  accumulated: NonNullable<KernelDeclaration['accumulated']>,
  tensor: Tensor,
  grad: Float32Array,
  work: Work,
): void {
  const { kernel, param, state, columns } = tensor;
  const [rowMax, colMax] = state as [Float32Array, Float32Array];
  const numberOf = accumulated(constantsOf(kernel, work));
  // They begin with the old ones, so that a NaN gradient does not lower them.
  const [ofRows, ofColumns] = [rowMax.map((x) => (x > 0 ? x : 0)), colMax.map((x) => (x > 0 ? x : 0))];
  for (let i = 0, length = lengthOf(param); i < length; i++) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const number = f(numberOf(prologue(work, param[i]!, grad[i]!), rowMax[row]!, colMax[column]!));
    // So written, a NaN is no maximum.
    if (number > ofRows[row]!) ofRows[row] = number;
    if (number > ofColumns[column]!) ofColumns[column] = number;
  }
  if (lengthOf(param) === 0) return;
  for (let row = 0; row < rowMax.length; row++)
    walk(rowOf(tensor, row, columns), floatsOf(grad, row * columns, (row + 1) * columns), work);
  rowMax.set(ofRows);
  colMax.set(ofColumns);
}

/** One matrix row of a tensor. */
export function rowOf({ kernel, param, state, ema, columns, side }: Tensor, row: number, length: number): Tensor {
  const part = (array: Float32Array): Float32Array => floatsOf(array, row * length, (row + 1) * length);
  return {
    kernel,
    param: part(param),
    state: state.map((array, s) => {
      const layout = kernel.layout?.[kernel.state[s]!];
      if (layout === undefined) return part(array);
      return layout === 'row' || layout === 'block' ? floatsOf(array, row, row + 1) : array;
    }),
    ema: ema === null ? null : part(ema),
    columns,
    side,
  };
}
