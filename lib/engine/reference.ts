import { bufferOf, byteOffsetOf, firstBadRow, floatsOf, isFloat32, lengthOf } from '../check/typed-array.js';
import { referenceBfloat16 } from './bfloat16.js';
import { Bfloat16Block, type Halves, halvesOf, walkHalves } from './bfloat16-state.js';
import { ArrayBlock, type Block } from './block.js';
import {
  Control,
  chunkLength,
  type Engine,
  Fault,
  maxSums,
  Pass,
  type Plan,
  type Rows,
  Skip,
  type StepConstants,
} from './engine.js';
import type { KernelDeclaration, Numbers } from './kernel.js';
import { referenceEigen } from './reference-eigen.js';
import { dot, referenceLinalg } from './reference-linalg.js';
import { multiply, walkMatrix } from './reference-matmul.js';
import { referenceTableRows } from './reference-table-rows.js';
import {
  measureSums,
  rowOf,
  type Tensor,
  type Work,
  walk,
  walkRow,
  walkWithMaxima,
  walkWithNorms,
  walkWithNumbers,
} from './reference-walk.js';
import { soon } from './soon.js';

// The executable specification of native/engine/plan.cpp: the same operations in the same order.
const f = Math.fround;
/** The largest float32. */
const maxFloat = (2 - 2 ** -23) * 2 ** 127;

/** The gradient of one tensor, dense or sparse. */
type Grad = Float32Array | { readonly rows: Rows; readonly values: Float32Array };

/** The gradient of one sparse row. */
interface RowGrad {
  readonly row: number;
  readonly grad: Float32Array;
}

function sumSquares(x: Float32Array): number {
  return dot(x, x, lengthOf(x));
}

/** The sparse rows in the order of their first appearance. The values of a repeated row are summed. */
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

/** The sum of squares of sparse rows. A partial sum covers as many whole rows as fit in a chunk, but at least one. */
function sumSquaresOfRows(grads: readonly RowGrad[]): number {
  const length = grads[0]?.grad.length ?? 0;
  const together = length < chunkLength ? Math.floor(chunkLength / length) : 1;
  let sum = 0;
  for (let begin = 0; begin < grads.length; begin += together) {
    sum += grads.slice(begin, begin + together).reduce((partial, { grad }) => partial + sumSquares(grad), 0);
  }
  return sum;
}

/** An array, and its length when it was registered. */
interface Watch {
  readonly array: Float32Array | Rows;
  readonly length: number;
}

interface Watches {
  readonly param: readonly Watch[];
  grad: readonly Watch[];
}

const watch = (array: Float32Array | Rows): Watch => ({ array, length: lengthOf(array) });
const isGone = ({ array, length }: Watch): boolean => lengthOf(array) !== length;

/** Writes the norm. Returns gradScale, times the coefficient of clipNorm. */
function clip(control: Float64Array, sumSquares: number): number {
  const scale = control[Control.gradScale]!;
  const norm = Math.sqrt(sumSquares) * Math.abs(scale);
  control[Control.gradNorm] = norm;
  if (control[Control.maxNorm] === Number.POSITIVE_INFINITY) return scale;
  const coefficient = control[Control.maxNorm]! / (norm + 1e-6);
  return scale * (coefficient > 1 ? 1 : coefficient);
}

/** Whether gradScale·g, which the kernels compute in float32, is finite for every gradient g. */
function staysFinite(sumSquares: number, gradScale: number, grads: () => readonly Float32Array[]): boolean {
  if (!Number.isFinite(sumSquares)) return false;
  // No element exceeds the norm, so the largest one is rarely needed.
  if (Math.sqrt(sumSquares) * Math.abs(gradScale) <= maxFloat) return true;
  return Number.isFinite(f(gradScale * grads().reduce((most, g) => Math.max(most, referenceLinalg.maxAbs(g)), 0)));
}

class ReferencePlan implements Plan {
  readonly #tensors: Tensor[] = [];
  readonly #grads: Grad[] = [];
  readonly #halves: (Halves | undefined)[] = [];
  readonly #watches: Watches[] = [];
  readonly #constants: StepConstants;

  constructor(constants: StepConstants) {
    this.#constants = constants;
  }

  setTensor(
    index: number,
    _name: string,
    kernel: KernelDeclaration,
    param: Float32Array,
    state: readonly Block[],
    ema: Block | null,
    columns: number,
    side: number,
  ): void {
    const halves = halvesOf(state);
    const arrays = state.map((block) => (block instanceof Bfloat16Block ? block.memory : block).view());
    this.#halves[index] = halves;
    this.#tensors[index] = {
      kernel,
      param,
      state: halves === undefined ? arrays : [],
      ema: ema === null ? null : ema.view(),
      columns,
      side,
    };
    this.#watches[index] = {
      param: [param, ...arrays, ...(ema === null ? [] : [ema.view()])].map(watch),
      grad: [],
    };
  }

  free(): void {
    this.#tensors.length = this.#halves.length = this.#grads.length = this.#watches.length = 0;
  }

  setGrad(index: number, grad: Float32Array): number {
    this.#grads[index] = grad;
    this.#watches[index]!.grad = [watch(grad)];
    return address(grad);
  }

  setRowGrad(index: number, rows: Rows, values: Float32Array): number {
    this.#grads[index] = { rows, values };
    this.#watches[index]!.grad = [watch(values), watch(rows)];
    return address(values);
  }

  step(): void {
    const { control } = this.#constants;
    const zeroGrads = control[Control.zeroGrads] !== 0;
    const active = this.#begin();
    if (active === undefined) return;
    const gathered = new Map<number, RowGrad[]>();
    for (const i of active) {
      const grad = this.#grads[i]!;
      if (isFloat32(grad)) continue;
      const limit = lengthOf(this.#tensors[i]!.param) / rowLength(grad);
      const bad = firstBadRow(grad.rows, limit);
      if (bad >= 0) {
        control[Control.fault] = Fault.badRow;
        control[Control.faultTensor] = i;
        control[Control.faultDetail] = bad;
        return;
      }
      gathered.set(i, gather(grad));
    }
    const zero = (): void => {
      for (const i of active) floatsOf(valuesOf(this.#grads[i]!)).fill(0);
    };

    let gradScale = f(control[Control.gradScale]!);
    control[Control.applied] = 1;
    if (control[Control.measureNorm] !== 0) {
      const sum = active.reduce((total, i) => {
        const some = gathered.get(i);
        return total + (some === undefined ? sumSquares(this.#grads[i] as Float32Array) : sumSquaresOfRows(some));
      }, 0);
      gradScale = f(clip(control, sum));
      const seen = (): Float32Array[] =>
        active.flatMap((i) => gathered.get(i)?.map(({ grad }) => grad) ?? [this.#grads[i] as Float32Array]);
      const skip = control[Control.skipNonFinite];
      if (skip === Skip.always || (skip !== Skip.never && !staysFinite(sum, gradScale, seen))) {
        control[Control.applied] = 0;
        if (zeroGrads) zero();
        return;
      }
    }
    const works = this.#worksOf(active, gradScale);
    const sums = new Float64Array(maxSums * this.#tensors.length);
    this.#measure(works, sums);
    this.#decide(active, sums);
    for (const [i, work] of works) this.#update(i, gathered.get(i), work);
    if (zeroGrads && gathered.size > 0) zero();
  }

  measureSums(sums: Float64Array): void {
    const active = this.#begin();
    sums.fill(0);
    if (active !== undefined)
      this.#measure(this.#worksOf(active, f(this.#constants.control[Control.gradScale]!)), sums);
  }

  stepWithSums(sums: Float64Array): void {
    const active = this.#begin();
    if (active === undefined) return;
    this.#constants.control[Control.applied] = 1;
    this.#decide(active, sums);
    const works = this.#worksOf(active, f(this.#constants.control[Control.gradScale]!));
    for (const [i, work] of works) this.#update(i, undefined, work);
  }

  /** The tensors that take part in the step; undefined if the memory of one is gone. */
  #begin(): number[] | undefined {
    const { control, rowOf } = this.#constants;
    control[Control.fault] = Fault.none;
    const gone = this.#watches.findIndex(
      ({ param, grad }, i) => param.some(isGone) || (rowOf[i]! >= 0 && grad.some(isGone)),
    );
    if (gone < 0) return this.#tensors.map((_, i) => i).filter((i) => rowOf[i]! >= 0);
    control[Control.fault] = Fault.memoryGone;
    control[Control.faultTensor] = gone;
    return undefined;
  }

  #worksOf(active: readonly number[], gradScale: number): (readonly [index: number, work: Work])[] {
    const { control, rows, stride, rowOf } = this.#constants;
    const zeroGrad = control[Control.zeroGrads] !== 0;
    return active.map((i) => {
      const row = rows.subarray(rowOf[i]! * stride, (rowOf[i]! + 1) * stride);
      return [i, { row, gradScale: f(gradScale * row[Pass.gradScale]!), zeroGrad }];
    });
  }

  /** Measures the sums of each tensor whose kernel needs numbers. */
  #measure(works: readonly (readonly [index: number, work: Work])[], sums: Float64Array): void {
    for (const [i, work] of works) {
      const tensor = this.#tensors[i]!;
      const own = tensor.kernel.numbers;
      if (own !== undefined) sums.set(measureSums(own, tensor, this.#grads[i] as Float32Array, work), i * maxSums);
    }
  }

  /** Adds the sums of each scope in the order of tensors, and decides its numbers. */
  #decide(active: readonly number[], sums: Float64Array): void {
    const { numbers, scopeOf } = this.#constants;
    const scopes = new Map<number, { readonly decide: Numbers['decide']; readonly total: number[] }>();
    for (const i of active) {
      const own = this.#tensors[i]!.kernel.numbers;
      if (own === undefined) continue;
      const scope = scopes.get(scopeOf[i]!) ?? { decide: own.decide, total: Array<number>(own.sums).fill(0) };
      scopes.set(scopeOf[i]!, scope);
      for (let k = 0; k < own.sums; k++) scope.total[k]! += sums[i * maxSums + k]!;
    }
    for (const [scope, { decide, total }] of scopes) numbers[scope]!.set(decide([...numbers[scope]!], total));
  }

  #update(index: number, gathered: readonly RowGrad[] | undefined, work: Work): void {
    const tensor = this.#tensors[index]!;
    const grad = this.#grads[index]!;
    const halves = this.#halves[index];
    if (halves !== undefined) {
      updateHalves(tensor, halves, gathered ?? [{ row: 0, grad: grad as Float32Array }], work);
      return;
    }
    const { norms, numbers, matrix, updateRow, accumulated } = tensor.kernel;
    if (accumulated !== undefined) {
      walkWithMaxima(accumulated, tensor, grad as Float32Array, work); // no sparse gradients, either
      return;
    }
    if (matrix !== undefined) {
      walkMatrix(tensor, grad as Float32Array, work); // no sparse gradients, either
      return;
    }
    if (numbers !== undefined) {
      const { numbers: all, scopeOf } = this.#constants;
      walkWithNumbers([...all[scopeOf[index]!]!], tensor, grad as Float32Array, work);
      return;
    }
    if (norms !== undefined) {
      walkWithNorms(norms, tensor, grad as Float32Array, work); // such a class takes no sparse gradients
      return;
    }
    const perRow = updateRow === undefined ? walk : walkRow;
    if (gathered !== undefined) {
      startEma(tensor, work);
      for (const { row, grad } of gathered) perRow(rowOf(tensor, row, grad.length), grad, work);
    } else if (updateRow === undefined) {
      walk(tensor, grad as Float32Array, work);
    } else {
      const { columns } = tensor;
      for (let begin = 0; begin < lengthOf(tensor.param); begin += columns) {
        const part = floatsOf(grad as Float32Array, begin, begin + columns);
        walkRow(rowOf(tensor, begin / columns, columns), part, work);
      }
    }
  }

  /** There is no other thread: the step runs at once and is reported later. */
  stepAsync(done: () => void): void {
    this.step();
    soon(done);
  }
}

/** Starts the moving average of every row, also of those without a gradient. */
function startEma({ param, ema }: Tensor, { row }: Work): void {
  if (row[Pass.emaStart] !== 0) ema?.set(param);
}

/** Updates rows of a tensor whose state is in bfloat16. A dense gradient is one row. */
function updateHalves(tensor: Tensor, halves: Halves, rows: readonly RowGrad[], work: Work): void {
  const { param, ema } = tensor;
  startEma(tensor, work);
  const update = work.row[Pass.update]!;
  for (const { row, grad } of rows) {
    const begin = row * grad.length;
    walkHalves(halves, { begin, length: grad.length, update }, (at, end, state) => {
      const part = {
        ...tensor,
        param: floatsOf(param, at, end),
        ema: ema === null ? null : floatsOf(ema, at, end),
        state,
      };
      walk(part, floatsOf(grad, at - begin, end - begin), work);
    });
  }
}

function valuesOf(grad: Grad): Float32Array {
  return isFloat32(grad) ? grad : grad.values;
}

// Each buffer gets its own range of numbers. Offsets within a buffer are true.
const bases = new WeakMap<ArrayBufferLike, number>();
let nextBase = 0;

function address(array: Float32Array | Rows): number {
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

/** The JavaScript backend. It runs where there is no addon, and the addon is tested against it. */
export const referenceEngine: Engine = {
  name: 'js',
  isa: 'scalar',
  confirm: () => {},
  createPlan: (_count, constants) => new ReferencePlan(constants),
  bfloat16: referenceBfloat16,
  linalg: referenceLinalg,
  tables: referenceTableRows,
  multiply,
  eigen: referenceEigen,
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
  zeros: (length) => new Float32Array(length),
  createBlock: (length) => new ArrayBlock(new Float32Array(length)),
  allocate(length) {
    const array = new Float32Array(length);
    owned.add(array.buffer);
    return array;
  },
};
