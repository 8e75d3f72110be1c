// Matrices in float64, for the truths of Shampoo and SOAP. Eigenvectors by Jacobi's rotations and orthonormal columns by
// Gram and Schmidt: other methods than those of the library.

export type Matrix = readonly (readonly number[])[];

export const transpose = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));
export function times(x: Matrix, y: Matrix): Matrix {
  const columns = transpose(y);
  return x.map((row) => columns.map((column) => row.reduce((sum, value, k) => sum + value * column[k]!, 0)));
}
/** a·x + b·y. */
export const sum = (a: number, x: Matrix, b: number, y: Matrix): Matrix =>
  x.map((row, i) => row.map((value, j) => a * value + b * y[i]![j]!));
export const map = (x: Matrix, by: (value: number, i: number, j: number) => number): Matrix =>
  x.map((row, i) => row.map((value, j) => by(value, i, j)));
export const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
export const identity = (side: number): Matrix => map(zeros(side, side), (_, i, j) => (i === j ? 1 : 0));
export const norm = (x: Matrix): number => Math.sqrt(x.flat().reduce((total, value) => total + value * value, 0));
export const largest = (x: Matrix): number => x.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** A row-major array as a matrix. */
export function matrixOf(data: ArrayLike<number>, rows: number): Matrix {
  const columns = data.length / rows;
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => data[i * columns + j]!));
}

/** Eigenvalues in descending order, and their vectors as columns, by Jacobi's rotations. */
export function eigen(symmetric: Matrix): { readonly values: readonly number[]; readonly vectors: Matrix } {
  const side = symmetric.length;
  const a = symmetric.map((row) => [...row]);
  const v = identity(side).map((row) => [...row]);
  for (let sweep = 0; sweep < 60; sweep++)
    for (let p = 0; p < side; p++)
      for (let q = p + 1; q < side; q++) {
        if (Math.abs(a[p]![q]!) < 1e-300) continue;
        const angle = 0.5 * Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const turn = (x: number, y: number): [number, number] => [c * x - s * y, s * x + c * y];
        for (const row of a) [row[p], row[q]] = turn(row[p]!, row[q]!);
        const [rowP, rowQ] = [[...a[p]!], [...a[q]!]];
        for (let k = 0; k < side; k++) [a[p]![k], a[q]![k]] = turn(rowP[k]!, rowQ[k]!);
        for (const row of v) [row[p], row[q]] = turn(row[p]!, row[q]!);
      }
  const order = a.map((_, i) => i).sort((i, j) => a[j]![j]! - a[i]![i]!);
  return { values: order.map((i) => a[i]![i]!), vectors: v.map((row) => order.map((i) => row[i]!)) };
}

/** V·f(Λ)·Vᵀ. */
export function functionOf({ values, vectors }: ReturnType<typeof eigen>, f: (value: number) => number): Matrix {
  return times(
    map(vectors, (value, _, j) => value * f(values[j]!)),
    transpose(vectors),
  );
}

/** Orthonormal columns with the spans of the columns, by Gram and Schmidt, twice. */
export function orthonormal(x: Matrix): Matrix {
  const columns: number[][] = [];
  for (const column of transpose(x)) {
    let rest = [...column];
    for (let pass = 0; pass < 2; pass++)
      for (const other of columns) {
        const share = other.reduce((total, value, k) => total + value * rest[k]!, 0);
        rest = rest.map((value, k) => value - share * other[k]!);
      }
    const length = Math.sqrt(rest.reduce((total, value) => total + value * value, 0));
    columns.push(rest.map((value) => value / length));
  }
  return transpose(columns);
}
