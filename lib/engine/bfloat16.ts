import { lengthOf } from '../check/typed-array.js';

/** Conversions between float32 and bfloat16: the upper 16 bits of a float32. Arrays of one call have the same length. */
export interface Bfloat16 {
  /**
   * Rounds x + factor·residual to the nearest bfloat16, ties to even, and keeps what is lost:
   *
   * ```
   * y = x + factor·residual;  rounded ← bfloat16(y);  rest ← y − rounded, in float32
   * ```
   * NaN stays NaN, as 0x7fc0. Where the rounded number is not finite, `rest` is 0: no later sum suffers from it.
   */
  compress(x: Float32Array, residual: Float32Array, factor: number, rounded: Uint16Array, rest: Float32Array): void;
  /** x ← bits, exactly. */
  expand(bits: Uint16Array, x: Float32Array): void;
}

/** Elements that are converted at a time, in memory that stays in the cache. */
const blockLength = 1024;
const [exact, near] = [new Float32Array(blockLength), new Float32Array(blockLength)];
const [exactBits, nearBits] = [new Uint32Array(exact.buffer), new Uint32Array(near.buffer)];
const nan = 0x7fc0;
const f = Math.fround;

/** The conversions in JavaScript. */
export const referenceBfloat16: Bfloat16 = {
  compress(x, residual, factor, rounded, rest) {
    const by = f(factor);
    for (let begin = 0, length = lengthOf(x); begin < length; begin += blockLength) {
      const count = Math.min(blockLength, length - begin);
      for (let i = 0; i < count; i++) exact[i] = x[begin + i]! + f(by * residual[begin + i]!);
      for (let i = 0; i < count; i++) {
        const bits = exactBits[i]!;
        // Half of a unit less one, and one more if the kept part is odd: a tie goes to the even number.
        const half = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
        rounded[begin + i] = (bits & 0x7fffffff) > 0x7f800000 ? nan : half;
      }
      for (let i = 0; i < count; i++) nearBits[i] = rounded[begin + i]! << 16;
      for (let i = 0; i < count; i++) {
        const lost = exact[i]! - near[i]!;
        rest[begin + i] = lost - lost === 0 ? lost : 0;
      }
    }
  },
  expand(bits, x) {
    // Written as bits, because a NaN may lose its payload on the way through a JavaScript number.
    const out = new Uint32Array(x.buffer, x.byteOffset, lengthOf(x));
    for (let i = 0, { length } = out; i < length; i++) out[i] = bits[i]! << 16;
  },
};
