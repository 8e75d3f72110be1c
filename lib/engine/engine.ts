import type { KernelDeclaration } from './kernel.js';
import type { Linalg } from './linalg.js';

/** The instruction sets that kernels are compiled for. */
export type Isa = 'avx512' | 'avx2' | 'sse2' | 'neon' | 'scalar';

/** Where each number of a step stands in the control block; the order of `struct Control` in native/plan.h. */
export const Control = {
  gradScale: 0,
  maxNorm: 1,
  measureNorm: 2,
  skipNonFinite: 3,
  zeroGrads: 4,
  flushDenormals: 5,
  gradNorm: 6,
  applied: 7,
  badTensor: 8,
  badRow: 9,
  length: 10,
} as const;

/** What each row of constants begins with; the order of `struct Pass` in native/kernel.h. */
export const Pass = { gradScale: 0, clipValue: 1, l2: 2, decayFactor: 3, emaRate: 4, emaStart: 5, length: 6 } as const;

/** Elements a partial sum covers: a part of what a sum is, the same in native/plan.cpp. */
export const chunkLength = 16384;

/** The same within a row, for kernels whose state is one number a row, and where columns meet; in native/kernels/loop.h. */
export const pieceLength = 1024;

/** Row numbers of a sparse gradient. @inline */
export type Rows = Int32Array | Uint32Array;

/** The memory that a plan and its optimizer share: a step reads it and writes the outputs of `control`. */
export interface StepConstants {
  readonly control: Float64Array;
  /** Rows of `stride` floats: a Pass, then the kernel's constants. */
  readonly rows: Float32Array;
  readonly stride: number;
  /** The row of each tensor; negative: it takes no part in this step. */
  readonly rowOf: Int32Array;
}

/** A fixed set of tensors, registered once; a step is one call. Does not check: the optimizer has done that. */
export interface Plan {
  setTensor(
    index: number,
    kernel: string,
    declaration: KernelDeclaration,
    param: Float32Array,
    state: readonly Float32Array[],
    ema: Float32Array | null,
    columns: number,
  ): void;
  /** Registers a gradient and returns its address. */
  setGrad(index: number, grad: Float32Array): number;
  /** Registers the gradient of some rows and returns the address of `values`. */
  setRowGrad(index: number, rows: Rows, values: Float32Array): number;
  step(): void;
  /** A step on another thread, where the engine has one; `done` is called after it, never before this returns. */
  stepAsync(done: () => void): void;
}

/** What runs the kernels: one instruction set of the addon, or the JavaScript reference. Equal to the bit. */
export interface Engine {
  readonly name: 'native' | 'js';
  readonly isa: Isa;
  /** Compares a kernel with its C++ twin. @throws Error if they differ. */
  confirm(kernel: string, declaration: KernelDeclaration): void;
  createPlan(count: number, blocks: StepConstants): Plan;
  /** Sum of squares in float64, in the library's fixed order. */
  sumSquares(x: Float32Array): number;
  /** target ← target + rate·(source − target), in float32. */
  lerp(target: Float32Array, source: Float32Array, rate: number): void;
  /** target ← target + source, in float32. */
  add(target: Float32Array, source: Float32Array): void;
  /** x ← factor·x, in float32. */
  scale(x: Float32Array, factor: number): void;
  /** In float64, of vectors of float32 or float64. */
  readonly linalg: Linalg;
  /** Whether the memory of an array is of `allocate`, which keeps it for as long as a step uses it. */
  owns(array: Float32Array): boolean;
  /** Where the memory of an array lies, in bytes; arrays on one memory compare truly. */
  address(array: Float32Array): number;
  /** The most threads that a step may use, for the whole process. */
  threads(): number;
  /** `always`: all of them wherever there is work for them, paying or not; for tests. */
  setThreads(n: number, always?: boolean): void;
  allocate(length: number): Float32Array;
}
