/** The largest float32. */
export const largest: number = (2 - 2 ** -23) * 2 ** 127;

/** `a`, or the largest float32 of its sign if it is beyond. A NaN stays one. The same as native/kernels/finite.h. */
export function finite(a: number): number {
  const raised = -largest > a ? -largest : a;
  return largest < raised ? largest : raised;
}

/** a / scale, and 0 where scale is 0: with an eps of 0, before the first gradient that counts. A NaN stays one. */
export function overScale(a: number, scale: number): number {
  return scale > 0 ? Math.fround(a / scale) : scale;
}
