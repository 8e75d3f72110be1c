import { bufferOf, byteLengthOf, byteOffsetOf, type TypedArray, tagOf } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';

/** Bits of one element, for every dtype of the format. */
export const bitsOf: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'].map(
    (name) => [name, 8] as const,
  ),
  ...['I16', 'U16', 'F16', 'BF16'].map((name) => [name, 16] as const),
  ...['I32', 'U32', 'F32'].map((name) => [name, 32] as const),
  ...['F64', 'I64', 'U64', 'C64'].map((name) => [name, 64] as const),
]);

type Constructor = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => TypedArray;

const { Float16Array: float16 } = globalThis as { Float16Array?: Constructor };

/** Dtype and constructor of each class of typed arrays, by its name. */
export const arrayTypes: ReadonlyMap<string, { readonly dtype: string; readonly create: Constructor }> = new Map<
  string,
  { readonly dtype: string; readonly create: Constructor }
>([
  ['Float32Array', { dtype: 'F32', create: Float32Array }],
  ['Float64Array', { dtype: 'F64', create: Float64Array }],
  ['Int8Array', { dtype: 'I8', create: Int8Array }],
  ['Uint8Array', { dtype: 'U8', create: Uint8Array }],
  ['Uint8ClampedArray', { dtype: 'U8', create: Uint8ClampedArray }],
  ['Int16Array', { dtype: 'I16', create: Int16Array }],
  ['Uint16Array', { dtype: 'U16', create: Uint16Array }],
  ['Int32Array', { dtype: 'I32', create: Int32Array }],
  ['Uint32Array', { dtype: 'U32', create: Uint32Array }],
  ['BigInt64Array', { dtype: 'I64', create: BigInt64Array }],
  ['BigUint64Array', { dtype: 'U64', create: BigUint64Array }],
  ...(float16 === undefined ? [] : [['Float16Array', { dtype: 'F16', create: float16 }] as const]),
]);

/** The bytes of a typed array, without a copy. */
export function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(bufferOf(array), byteOffsetOf(array), byteLengthOf(array));
}

/** A copy of the bytes of a typed array, in an ArrayBuffer that can be transferred. */
export function copyOf(array: TypedArray): Uint8Array {
  return tagOf(array) === 'Float32Array'
    ? bytesOf(copyFloats(engine(), array as Float32Array))
    : bytesOf(array).slice();
}

/** The bytes of an array that nobody else holds. It is copied only if its buffer cannot be transferred alone. */
export function ownedBytes(array: TypedArray): Uint8Array {
  const bytes = bytesOf(array);
  const { buffer } = bytes;
  const isWhole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength && bytes.byteLength > 0;
  const isResizable = (buffer as { resizable?: boolean }).resizable === true;
  return isWhole && !isResizable ? bytes : bytes.slice();
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Refuses machines that keep numbers in the other byte order than the format. @throws Error */
export function checkByteOrder(who: string): void {
  if (!isLittleEndian) throw new Error(`${who}: a big-endian machine, expected a little-endian one`);
}

/** Dtypes that {@link toFloat32} converts. */
export const floatDtypes: readonly string[] = ['F32', 'F64', 'F16', 'BF16'];

/** Values of a tensor as float32, from the bytes of a whole ArrayBuffer. F64 is rounded; the others are exact. */
export function toFloat32(dtype: string, bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes as Uint8Array<ArrayBuffer>;
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, byteLength / 4);
  if (dtype === 'F64') return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  // Written as bits, because a NaN may lose its payload on the way through a JavaScript number.
  const bits = new Uint32Array(halves.length);
  if (dtype === 'BF16') for (let i = 0; i < bits.length; i++) bits[i] = halves[i]! << 16;
  else {
    halfTable ??= makeHalfTable();
    const table = halfTable;
    for (let i = 0; i < bits.length; i++) bits[i] = table[halves[i]!]!;
  }
  return new Float32Array(bits.buffer);
}

/** Float32 numbers as BF16, or undefined if it does not have all of them. */
export function asBfloat16(bytes: Uint8Array): Uint8Array | undefined {
  const { buffer, byteOffset, byteLength } = bytes as Uint8Array<ArrayBuffer>;
  const bits = new Uint32Array(buffer, byteOffset, byteLength / 4);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0xffff) !== 0) return undefined;
    halves[i] = bits[i]! >>> 16;
  }
  return new Uint8Array(halves.buffer);
}

let halfTable: Uint32Array | undefined;

/** The float32 bits of every float16: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
function makeHalfTable(): Uint32Array {
  const table = new Uint32Array(65536);
  const value = new Float32Array(1);
  const valueBits = new Uint32Array(value.buffer);
  for (let half = 0; half < table.length; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) table[half] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) table[half] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else {
      value[0] = fraction * 2 ** -24; // a denormal half is a normal float
      table[half] = sign | valueBits[0]!;
    }
  }
  return table;
}
