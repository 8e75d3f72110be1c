import type { Bfloat16 } from './bfloat16.js';
import type { Block } from './block.js';
import type { Eigen } from './eigen.js';
import type { KernelDeclaration } from './kernel.js';
import type { Linalg } from './linalg.js';
import type { Matmul } from './matmul.js';
import type { Rows, TableRows } from './table-rows.js';

export type { Rows };

/** Instruction sets that the kernels are compiled for. */
export type Isa = 'avx512' | 'avx2' | 'sse2' | 'neon' | 'scalar';

/** Index of each number in the control block: the order of `struct Control` in native/engine/plan.h. */
export const Control = {
  gradScale: 0,
  maxNorm: 1,
  measureNorm: 2,
  skipNonFinite: 3,
  zeroGrads: 4,
  flushDenormals: 5,
  gradNorm: 6,
  applied: 7,
  fault: 8,
  faultTensor: 9,
  faultDetail: 10,
  length: 11,
} as const;

/** When a step is skipped: the numbers of `enum Skip` in native/engine/plan.h. */
export const Skip = { never: 0, nonFinite: 1, always: 2 } as const;

/** Why a step was refused before it wrote anything: the numbers of `enum Fault` in native/engine/plan.h. */
export const Fault = {
  none: 0,
  /** A sparse row out of range. `faultDetail` is its position in the gradient. */
  badRow: 1,
  /** An array was detached or resized since it was registered. */
  memoryGone: 2,
  /** A sparse gradient needs more temporary memory than there is. `faultDetail` is the number of bytes. */
  noMemory: 3,
} as const;

/** Index of each number at the start of a constants row: the order of `struct Pass` in native/kernel.h. */
export const Pass = {
  gradScale: 0,
  clipValue: 1,
  l2: 2,
  decayFactor: 3,
  emaRate: 4,
  emaStart: 5,
  update: 6,
  length: 7,
} as const;

/**
 * Number of elements in one partial sum. It determines the bits of a sum, so native/kernel.h has the same number.
 */
export const chunkLength = 16384;

/** The same for sums over one matrix row and for Gram matrices: native/kernel.h has the same number. */
export const pieceLength = 1024;

/** The most sums that a kernel with numbers measures over a tensor: native/kernel.h has the same number. */
export const maxSums = 3;

/** Memory shared by a plan and its optimizer. A step reads it, and writes the outputs of `control` and the numbers. */
export interface StepConstants {
  /** All of it: the control block, the numbers, the constants rows, `rowOf` and `scopeOf`. */
  readonly memory: Float32Array;
  readonly control: Float64Array;
  /** Constants rows of `stride` floats: a Pass, then the kernel's constants. */
  readonly rows: Float32Array;
  readonly stride: number;
  /** The constants row of each tensor. Negative: the tensor has no gradient in this step. */
  readonly rowOf: Int32Array;
  readonly numberCount: number;
  /** The numbers of each scope, `numberCount` each. A scope is named by the index of a tensor. */
  readonly numbers: readonly Float64Array[];
  /** The scope of each tensor; empty without numbers. */
  readonly scopeOf: Int32Array;
}

/** The step constants of `count` tensors, in memory of the engine. */
export function allocateStepConstants(
  engine: Engine,
  count: number,
  stride: number,
  numberCount: number,
): StepConstants {
  const scopes = numberCount === 0 ? 0 : count;
  const numberFloats = 2 * numberCount;
  const rowsAt = 2 * Control.length + scopes * numberFloats;
  const rowOfAt = rowsAt + count * stride;
  const memory = engine.allocate(rowOfAt + count + scopes);
  const { buffer, byteOffset } = memory;
  const at = (floats: number): number => byteOffset + floats * Float32Array.BYTES_PER_ELEMENT;
  return {
    memory,
    control: new Float64Array(buffer, byteOffset, Control.length),
    rows: new Float32Array(buffer, at(rowsAt), count * stride),
    stride,
    rowOf: new Int32Array(buffer, at(rowOfAt), count),
    numberCount,
    numbers: Array.from(
      { length: scopes },
      (_, scope) => new Float64Array(buffer, at(2 * Control.length + scope * numberFloats), numberCount),
    ),
    scopeOf: new Int32Array(buffer, at(rowOfAt + count), scopes),
  };
}

/**
 * A fixed set of tensors, registered once. A step is one call. The optimizer checks types, lengths and overlap. At each
 * step the plan checks that every array still has the length it had, and the row numbers of sparse gradients.
 */
export interface Plan {
  setTensor(
    index: number,
    kernel: string,
    declaration: KernelDeclaration,
    param: Float32Array,
    state: readonly Block[],
    ema: Block | null,
    columns: number,
    side: number,
  ): void;
  /** Registers a gradient and returns its address. */
  setGrad(index: number, grad: Float32Array): number;
  /** Registers a sparse gradient and returns the address of `values`. */
  setRowGrad(index: number, rows: Rows, values: Float32Array): number;
  /**
   * @param haveLengths Whether the caller has just seen that all params and gradients have the lengths that they were registered
   *   with, and no user code has run since. Without it the plan looks, which takes longer.
   */
  step(haveLengths?: true): void;
  /**
   * The first half of a step whose tensors share numbers with those of other plans: writes `maxSums` sums for each tensor. It
   * does not look at the norm of the gradients.
   */
  measureSums(sums: Float64Array): void;
  /** The second half, with the sums of all plans: decides the numbers and updates. */
  stepWithSums(sums: Float64Array): void;
  /** Runs the step on another thread if the engine has one. Calls `done` afterwards, never before this call returns. */
  stepAsync(done: () => void): void;
  /** Drops all references to memory. */
  free(): void;
}

/** Runs the kernels: one instruction set of the addon, or the JavaScript reference. All give the same bits. */
export interface Engine {
  readonly name: 'native' | 'js';
  readonly isa: Isa;
  /** Compares a declared kernel with its C++ twin. @throws Error if they differ */
  confirm(kernel: string, declaration: KernelDeclaration): void;
  createPlan(count: number, constants: StepConstants): Plan;
  /** Sum of squares in float64, in a fixed order. */
  sumSquares(x: Float32Array): number;
  /** target ← target + rate·(source − target), in float32. */
  lerp(target: Float32Array, source: Float32Array, rate: number): void;
  /** target ← target + source, in float32. */
  add(target: Float32Array, source: Float32Array): void;
  /** x ← factor·x, in float32. */
  scale(x: Float32Array, factor: number): void;
  /** Conversions between float32 and bfloat16. */
  readonly bfloat16: Bfloat16;
  /** Vector operations in float64, on float32 or float64 arrays. */
  readonly linalg: Linalg;
  /** Reads of rows of tables. */
  readonly tables: TableRows;
  /** Products of matrices in float32. */
  readonly multiply: Matmul;
  /** Decompositions of square matrices. */
  readonly eigen: Eigen;
  /** Whether `allocate` made the array's memory. Such memory stays valid as long as a step uses it. */
  owns(array: Float32Array): boolean;
  /** Address of an array's memory in bytes. Addresses of arrays on the same memory are comparable. */
  address(array: Float32Array | Rows): number;
  /** Upper bound on the threads of a step, for the whole process. */
  threads(): number;
  /** @param always For tests: use all threads wherever there is work for them, even if that is slower. */
  setThreads(n: number, always?: boolean): void;
  allocate(length: number): Float32Array;
  /**
   * A new block of zeros.
   * @param param The param that the block is state of: the block is placed so that a step walks both at full speed.
   * @param place Its place among the blocks of the param.
   * @throws RangeError if there is not enough memory
   */
  createBlock(length: number, param: Float32Array, place: number): Block;
  /** Zeros in an ordinary ArrayBuffer, which can be transferred. Large ones are in memory that is quick to fill. */
  zeros(length: number): Float32Array;
}
