import fc from './property.js';

/** Half an ulp of float32, relative. */
export const half = 2 ** -24;
const tiny = 2 ** -150;

// The truth of golden tests is computed in float64, and not as the library does: softmax as 1/Σⱼ exp(zⱼ − z_c), moving
// averages in closed form, gradients as differences of the loss. A result that is rounded once from float64 lies within
// half a float32 ulp of the truth.

/** Whether each number is within half a float32 ulp of the truth; `slack` allows for cancellation. */
export function agrees(actual: ArrayLike<number>, expected: readonly number[], slack = 0): boolean {
  return (
    actual.length === expected.length &&
    expected.every((e, i) => Math.abs(actual[i]! - e) <= half * Math.abs(e) * (1 + 1e-6) + tiny + slack)
  );
}

export const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
export const mean = (values: readonly number[]) => sum(values) / values.length;

export const softmaxRow = (row: readonly number[], t: number) =>
  row.map((c) => 1 / sum(row.map((j) => Math.exp((j - c) / t))));
export const rowsOf = (z: Float32Array, classes: number) =>
  Array.from({ length: z.length / classes }, (_, r) => [...z.subarray(r * classes, (r + 1) * classes)]);
export const softmax = (z: Float32Array, classes: number, t = 1) =>
  rowsOf(z, classes).flatMap((row) => softmaxRow(row, t));

/** Weights of three members, and the weighted mean of arrays. */
export const weights = [0.2, 3, 1.7];
export const weighted = (arrays: readonly ArrayLike<number>[], a: readonly number[]) =>
  Array.from(arrays[0]!, (_, i) => sum(arrays.map((array, k) => a[k]! * array[i]!)) / sum(a));

// ---- Random cases of property tests ----

export const logit = fc.double({ min: -30, max: 30, noNaN: true }).map(Math.fround);
export const weight = fc.double({ min: 0.01, max: 100, noNaN: true });
export const array = (length: number, element = logit) =>
  fc.array(element, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
export const list = <T>(length: number, element: fc.Arbitrary<T>) =>
  fc.array(element, { minLength: length, maxLength: length });

/** Members of rows × classes logits, and a weight for each. */
export const ensemble = fc
  .record({
    count: fc.integer({ min: 1, max: 5 }),
    rows: fc.integer({ min: 1, max: 4 }),
    classes: fc.integer({ min: 1, max: 6 }),
  })
  .chain(({ count, rows, classes }) =>
    fc.record({
      classes: fc.constant(classes),
      rows: fc.constant(rows),
      members: list(count, array(rows * classes)),
      weights: list(count, weight),
    }),
  );

/** The bits of an array: one NaN differs from another, and 0 from −0. */
export const bits = (a: Float32Array) => [...new Uint32Array(a.buffer, a.byteOffset, a.length)];
/** Whether two arrays are equal to within four roundings of `scale`. */
export const near = (a: ArrayLike<number>, b: ArrayLike<number>, scale: number) =>
  Array.from(a, (v, i) => Math.abs(v - b[i]!) <= 4 * half * scale).every(Boolean);
export const largest = (members: readonly Float32Array[]) =>
  Math.max(2 ** -100, ...members.flatMap((m) => [...m].map(Math.abs)));
