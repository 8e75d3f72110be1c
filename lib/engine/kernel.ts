import type { Matmul } from './matmul.js';

/** A kernel's formula for element `i`, in float32. Writes the element's state and returns the new parameter. */
export type Update = (i: number, param: number, grad: number) => number;

/** One kernel: the names that its C++ twin must confirm, and its formula in JavaScript. */
export interface KernelDeclaration {
  /** Names of its state arrays, in the order of the C++ struct. */
  readonly state: readonly string[];
  /** Names of its per-step constants, in the order of the C++ struct. */
  readonly constants: readonly string[];
  readonly reference: (constants: readonly number[], state: readonly Float32Array[]) => Update;
  /**
   * State arrays with one number a matrix row or column, or with as many as `matrix.ownLength` says. All others have one
   * number an element, and stand before those with `'own'`. `'block'` is a row as an option defines it: the kernel sees
   * the param as a matrix whose rows are the blocks.
   */
  readonly layout?: Readonly<Record<string, 'row' | 'column' | 'block' | 'own'>>;
  /**
   * Only for kernels with state numbers per matrix row, which stand behind the other state: updates them before
   * `reference` sees the row. Each array holds the one number of the row.
   */
  readonly updateRow?: (
    constants: readonly number[],
  ) => (meanSquare: () => number, state: readonly Float32Array[]) => void;
  /**
   * Only for kernels with state per matrix row and per matrix column, and with `norms`: computes the new state number
   * of a row or column from the mean square of its gradient, for all rows and columns before the first walk.
   */
  readonly accumulate?: (constants: readonly number[]) => (meanSquare: number, before: number) => number;
  /**
   * Only for kernels whose state numbers of a matrix row and column are maxima, and stand before the other state: the
   * number of an element that they are the maxima of, from the numbers before the step. `reference` sees those, too.
   */
  readonly accumulated?: (constants: readonly number[]) => (grad: number, rowMax: number, colMax: number) => number;
  /** For kernels that need two norms of the whole tensor before the update. */
  readonly norms?: Norms;
  /** For kernels that need numbers, computed from sums over all tensors of a scope, before the update. */
  readonly numbers?: Numbers;
  /** For kernels that work on the whole matrix. Their `reference` is the second walk: its only state is the matrix. */
  readonly matrix?: MatrixWork;
}

/** The sums of products that the first walk of a kernel adds to: x·y to sum `k`. */
export type AddProduct = (k: number, x: number, y: number) => void;

/** Numbers in float64 that all tensors of a scope share: one tensor, a group, or all tensors of an optimizer. */
export interface Numbers {
  /** Their names, in the order of the C++ struct: first those that stay for the next step, then the inputs of a step. */
  readonly names: readonly string[];
  /** How many sums the first walk adds up. */
  readonly sums: number;
  /** First walk, for element `i`, in float32: may change the state, and adds one product to each sum. */
  readonly measure: (
    constants: readonly number[],
    state: readonly Float32Array[],
  ) => (i: number, param: number, grad: number, add: AddProduct) => void;
  /** Computes the numbers of a scope from the sums over all its tensors, in float64. */
  readonly decide: (numbers: readonly number[], sums: readonly number[]) => readonly number[];
  /** Constants of the second walk, in float64, from the numbers. */
  readonly resolve: (constants: readonly number[], numbers: readonly number[]) => readonly number[];
}

/** The dimensions of a param that a matrix kernel updates. A param without a shape is a column. */
export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
  /** The most rows or columns of a matrix that is decomposed; 0 for kernels that decompose none. */
  readonly side: number;
}

/** The matrix of a kernel, row-major, its norm, and the state of the param. */
export interface Matrix extends MatrixShape {
  readonly data: Float32Array;
  readonly norm: number;
  readonly state: readonly Float32Array[];
}

/** What a kernel does to its whole tensor, which is a matrix, before the update of each element. */
export interface MatrixWork {
  /** First walk, for element `i`, in float32: may change the state; returns the element of the matrix. */
  readonly fill: (constants: readonly number[], state: readonly Float32Array[]) => (i: number, grad: number) => number;
  /** Between the walks: returns the matrix of the second walk, and its constants in float64. */
  readonly transform: (
    constants: readonly number[],
    matrix: Matrix,
    matmul: Matmul,
  ) => { readonly matrix: Float32Array; readonly constants: readonly number[] };
  /** The length of a state array with the layout `'own'`. */
  readonly ownLength?: (name: string, shape: MatrixShape) => number;
}

/** How a kernel measures two norms of its whole tensor. */
export interface Norms {
  /**
   * First walk, for element `i`, in float32: may change the state; writes the elements of both measured vectors to
   * `out`.
   */
  readonly measure: (
    constants: readonly number[],
    state: readonly Float32Array[],
  ) => (i: number, param: number, grad: number, out: Float64Array) => void;
  /** Constants of the second walk, in float64, from both norms. */
  readonly resolve: (constants: readonly number[], first: number, second: number, length: number) => readonly number[];
  /** With `accumulate`: constants of both walks, from the mean of the row state. */
  readonly resolveMean?: (constants: readonly number[], mean: number) => readonly number[];
}

/** Declares a kernel. The names of constants and state type the parameters of its reference formula by position. */
export function kernel<
  const C extends readonly string[],
  const S extends readonly string[],
  const N extends readonly string[],
>(declaration: {
  readonly state: S;
  readonly constants: C;
  readonly reference: (
    constants: { readonly [K in keyof C]: number },
    state: { readonly [K in keyof S]: Float32Array },
  ) => Update;
  readonly layout?: { readonly [N in S[number]]?: 'row' | 'column' };
  readonly updateRow?: (
    constants: { readonly [K in keyof C]: number },
  ) => (meanSquare: () => number, state: { readonly [K in keyof S]: Float32Array }) => void;
  readonly accumulate?: (
    constants: {
      readonly [K in keyof C]: number;
    },
  ) => (meanSquare: number, before: number) => number;
  readonly accumulated?: (
    constants: {
      readonly [K in keyof C]: number;
    },
  ) => (grad: number, rowMax: number, colMax: number) => number;
  readonly norms?: {
    readonly measure: (
      constants: { readonly [K in keyof C]: number },
      state: { readonly [K in keyof S]: Float32Array },
    ) => (i: number, param: number, grad: number, out: Float64Array) => void;
    readonly resolve: (
      constants: { readonly [K in keyof C]: number },
      first: number,
      second: number,
      length: number,
    ) => { readonly [K in keyof C]: number };
    readonly resolveMean?: (
      constants: { readonly [K in keyof C]: number },
      mean: number,
    ) => { readonly [K in keyof C]: number };
  };
  readonly numbers?: {
    readonly names: N;
    readonly sums: number;
    readonly measure: (
      constants: { readonly [K in keyof C]: number },
      state: { readonly [K in keyof S]: Float32Array },
    ) => (i: number, param: number, grad: number, add: AddProduct) => void;
    readonly decide: (
      numbers: { readonly [K in keyof N]: number },
      sums: readonly number[],
    ) => { readonly [K in keyof N]: number };
    readonly resolve: (
      constants: { readonly [K in keyof C]: number },
      numbers: { readonly [K in keyof N]: number },
    ) => { readonly [K in keyof C]: number };
  };
}): KernelDeclaration {
  return declaration as unknown as KernelDeclaration;
}

/** Declares a matrix kernel. Names type the parameters by position, as in {@link kernel}. */
export function matrixKernel<const C extends readonly string[], const S extends readonly string[]>(declaration: {
  readonly state: S;
  readonly constants: C;
  readonly layout?: { readonly [N in S[number]]?: 'own' };
  readonly matrix: {
    readonly fill: (
      constants: { readonly [K in keyof C]: number },
      state: { readonly [K in keyof S]: Float32Array },
    ) => (i: number, grad: number) => number;
    readonly transform: MatrixWork['transform'];
    readonly ownLength?: (name: S[number], shape: MatrixShape) => number;
  };
  readonly reference: (
    constants: { readonly [K in keyof C]: number },
    state: readonly [matrix: Float32Array],
  ) => Update;
}): KernelDeclaration {
  return declaration as unknown as KernelDeclaration;
}
