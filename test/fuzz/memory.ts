// Typed arrays over every kind of memory, and everything that can happen to that memory.
import { runInNewContext } from 'node:vm';
import type { Any } from '../support/bad-input.js';
import type { Dice } from './dice.js';

const { WebAssembly } = globalThis as Any;

type Allocate = (length: number) => Float32Array | undefined;

const edges = [0, -0, 1, -1, 1e-45, 1e-38, 3e38, -3e38, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Fills an array with ordinary numbers, and sometimes with an extreme one. */
export function fill<T extends Float32Array | Float64Array>(array: T, dice: Dice): T {
  const length = Math.min(array.length, 4096);
  for (let i = 0; i < length; i++) array[i] = dice.next() * 2 - 1;
  if (dice.chance(0.05) && length > 0) array[dice.int(length)] = dice.pick(edges);
  return array;
}

const wasm = (bytes: number, shared: boolean): Any =>
  new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536), maximum: 4 + Math.ceil(bytes / 65536), shared });

/** Memories that can grow. Reachable from here, so that `disturb` finds them again. */
const growable = new WeakMap<object, Any>();

class Tagged extends Float32Array {
  override get length(): number {
    return 1e5;
  }
  override set(): void {
    throw new Error('a method of the user was called');
  }
}

/** A Float32Array of this length, over memory of some kind. */
export function floats(length: number, dice: Dice, allocate: Allocate): Float32Array {
  const bytes = 4 * length;
  const make = dice.pick<() => Float32Array>([
    () => new Float32Array(length),
    () => new Float32Array(length),
    () => allocate(length) ?? new Float32Array(length),
    () => allocate(length) ?? new Float32Array(length),
    () => new Float32Array(new SharedArrayBuffer(bytes)),
    () => new Float32Array(new SharedArrayBuffer(bytes)),
    () => new Float32Array(new ArrayBuffer(bytes + 4), 4),
    () => {
      const memory = wasm(bytes + 16, dice.chance(0.3));
      growable.set(memory.buffer, memory);
      return new Float32Array(memory.buffer, 16, length);
    },
    () => new Float32Array(new (ArrayBuffer as Any)(bytes, { maxByteLength: 2 * bytes + 64 }), 0, length),
    () => new Float32Array(new (ArrayBuffer as Any)(bytes, { maxByteLength: 2 * bytes + 64 })),
    () => new Float32Array(new (SharedArrayBuffer as Any)(bytes, { maxByteLength: 2 * bytes + 64 })),
    () => new Tagged(length),
    () => runInNewContext('new Float32Array(n)', { n: length }) as Float32Array,
    () => Object.preventExtensions(new Float32Array(length)),
    () => {
      const array = new Float32Array(length);
      detach(array);
      return array;
    },
  ]);
  const array = make();
  if (array.length === length) fill(array, dice);
  return array;
}

export function detach(array: ArrayBufferView | undefined): void {
  try {
    const { buffer } = array as Any;
    structuredClone(buffer, { transfer: [buffer] });
  } catch {
    // This memory cannot be transferred, or is gone already.
  }
}

/** Takes away, shrinks, grows or overwrites the memory of an array. Returns what it did. */
export function disturb(array: ArrayBufferView, dice: Dice): string {
  const what = dice.pick(['detach', 'shrink', 'resize', 'grow', 'write', 'write', 'post']);
  try {
    const { buffer } = array as Any;
    if (what === 'detach') detach(array);
    else if (what === 'shrink') buffer.resize(dice.int(array.byteLength + 1));
    else if (what === 'resize') buffer.resize(4 * dice.int(buffer.maxByteLength / 4 + 1));
    else if (what === 'grow') (growable.get(buffer) ?? buffer).grow(growable.has(buffer) ? 1 : buffer.maxByteLength);
    else if (what === 'write') (array as Float32Array)[0] = dice.pick(edges);
    else {
      const { port1 } = new MessageChannel();
      port1.postMessage(buffer, [buffer]);
      port1.close();
    }
  } catch {
    // Not this kind of memory, or an array whose `buffer` is the user's.
  }
  return what;
}
