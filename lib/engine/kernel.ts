/** The formula of one kernel on element `i`, in float32: writes the element's state and returns the new parameter. */
export type Update = (i: number, param: number, grad: number) => number;

/** One kernel: what its C++ twin holds, and its formula in JavaScript. */
export interface KernelDeclaration {
  /** The names of its state buffers, in the order of the C++ struct. */
  readonly state: readonly string[];
  /** The names of its per-step constants, in the order of the C++ struct. */
  readonly constants: readonly string[];
  readonly reference: (constants: readonly number[], state: readonly Float32Array[]) => Update;
  /** State that has one number a row or a column of the param; all other has one an element. */
  readonly layout?: Readonly<Record<string, 'row' | 'column'>>;
  /**
   * Of a kernel with such state: what the number of a row, or of a column, becomes with its mean square of the gradient.
   * Done before `reference` sees the row; or, with `norms`, before the first walk, for all rows and columns. The formulas
   * see one row at a time.
   */
  readonly accumulate?: (constants: readonly number[]) => (meanSquare: number, before: number) => number;
  /** Of a kernel that needs two norms of the whole tensor: a first walk, and what follows from them. */
  readonly norms?: Norms;
}

/** How a kernel comes by two norms of its whole tensor. */
export interface Norms {
  /** The first walk, on element `i`, in float32: may change the state, and writes the elements of both vectors to `out`. */
  readonly measure: (
    constants: readonly number[],
    state: readonly Float32Array[],
  ) => (i: number, param: number, grad: number, out: Float64Array) => void;
  /** The constants of the second walk, in float64. */
  readonly resolve: (constants: readonly number[], first: number, second: number, length: number) => readonly number[];
  /** With `accumulate`: the constants of both walks, from the mean of the first state array, which is of rows. */
  readonly resolveMean?: (constants: readonly number[], mean: number) => readonly number[];
}

/** Ties a kernel's reference formula to the names of its constants and state, so that both are typed by position. */
export function kernel<const C extends readonly string[], const S extends readonly string[]>(declaration: {
  readonly state: S;
  readonly constants: C;
  readonly reference: (
    constants: { readonly [K in keyof C]: number },
    state: { readonly [K in keyof S]: Float32Array },
  ) => Update;
  readonly layout?: { readonly [N in S[number]]?: 'row' | 'column' };
  readonly accumulate?: (
    constants: {
      readonly [K in keyof C]: number;
    },
  ) => (meanSquare: number, before: number) => number;
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
}): KernelDeclaration {
  return declaration as unknown as KernelDeclaration;
}
