/**
 * A matrix as a factor of a product: element (i, k) is `data[i · rowStride + k · columnStride]`. A transposed matrix is
 * the same data with its strides exchanged.
 */
export interface Factor {
  readonly data: Float32Array;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** out = a b. An element is the sum of `depth` products. */
export interface Product {
  readonly a: Factor;
  readonly b: Factor;
  /** Row-major. */
  readonly out: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Whether the product equals its transpose to the bit, as XXᵀ does. An engine may then compute half of it. */
  readonly isSymmetric: boolean;
}

/** Computes a product in float32: each element from +0, k ascending, each product rounded, then each sum. */
export type Matmul = (product: Product) => void;

/** A row-major matrix with rows of this length. */
export function plain(data: Float32Array, columns: number): Factor {
  return { data, rowStride: columns, columnStride: 1 };
}

/** The transpose of a row-major matrix with rows of this length. */
export function transposed(data: Float32Array, columns: number): Factor {
  return { data, rowStride: 1, columnStride: columns };
}
