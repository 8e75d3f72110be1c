import { isSharedArrayBuffer } from 'node:util/types';
import * as threads from 'node:worker_threads';
import type { Engine, Rows } from './engine.js';
import { bufferOf, lengthOf } from './validate.js';

/** What errors say of memory that a step on another thread may use. */
export const pinned =
  'memory that stays in place while a step runs on another thread: of allocate(length), a SharedArrayBuffer or a WebAssembly.Memory';

/**
 * Whether nothing that JavaScript can do frees or moves an array's memory while a step uses it. A plain ArrayBuffer can be
 * transferred or resized at any time.
 */
export function isPinned(engine: Engine, array: Float32Array | Rows): boolean {
  if (lengthOf(array) === 0) return true;
  const buffer = bufferOf(array);
  return isSharedArrayBuffer(buffer) || engine.owns(array as Float32Array) || isWasmMemory(buffer as ArrayBuffer);
}

/**
 * What a runtime says of a buffer that is named twice for transfer, which is refused in any case and changes nothing. Only
 * WebAssembly's can't be transferred at all, and some runtimes look at that first.
 */
function refusal(buffer: ArrayBuffer): string {
  try {
    structuredClone(undefined, { transfer: [buffer, buffer] });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

let refusalOfWasm: string | undefined;
const known = new WeakSet<ArrayBuffer>();

// The types of WebAssembly are the browsers'.
const { Memory } = (
  globalThis as unknown as { WebAssembly: { Memory: new (type: { initial: number }) => { buffer: ArrayBuffer } } }
).WebAssembly;

type Transferable = ArrayBuffer & { readonly resizable?: boolean; readonly transfer?: unknown };

function isWasmMemory(buffer: Transferable): boolean {
  if (known.has(buffer)) return true;
  refusalOfWasm ??= refusal(new Memory({ initial: 0 }).buffer);
  if (buffer.resizable || refusalOfWasm === refusal(new ArrayBuffer(8)) || refusal(buffer) !== refusalOfWasm)
    return false;
  // A mark makes a plain buffer look the same, and does not keep it from `transfer`, where there is that.
  const { isMarkedAsUntransferable } = threads as { isMarkedAsUntransferable?: (value: unknown) => boolean };
  if (buffer.transfer !== undefined && (isMarkedAsUntransferable?.(buffer) ?? true)) return false;
  known.add(buffer);
  return true;
}
