import type * as debuggers from 'node:inspector';
import { createRequire } from 'node:module';
import { isSharedArrayBuffer } from 'node:util/types';
import * as threads from 'node:worker_threads';
import { bufferOf, isFloat32, lengthOf } from '../check/typed-array.js';
import type { Engine, Rows } from './engine.js';

/** What errors say of memory that a step on another thread may use. */
export const pinned =
  'memory that stays in place while a step runs on another thread: of allocate(length), a SharedArrayBuffer or a WebAssembly.Memory';

/**
 * Whether nothing that JavaScript can do frees or moves an array's memory while a step uses it. A plain ArrayBuffer can be
 * transferred or resized at any time.
 */
export function isPinned(engine: Engine, array: Float32Array | Rows): boolean {
  const buffer = bufferOf(array);
  if (isSharedArrayBuffer(buffer)) return true;
  // Nothing can happen to what is empty, but its buffer may grow before the step begins.
  if (lengthOf(array) === 0) return !isResizable(buffer);
  const floats = isFloat32(array) ? array : new Float32Array(buffer, 0, 1);
  return engine.owns(floats) || isWasmMemory(buffer);
}

// Captured once: what a user defines on a buffer can't deceive it.
const resizableOfAny = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'resizable')?.get as
  | ((this: unknown) => boolean)
  | undefined;

function isResizable(buffer: ArrayBuffer): boolean {
  return resizableOfAny?.call(buffer) ?? false;
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

function isWasmMemory(buffer: ArrayBuffer): boolean {
  if (known.has(buffer)) return true;
  refusalOfWasm ??= refusal(new Memory({ initial: 0 }).buffer);
  if (isResizable(buffer) || refusalOfWasm === refusal(new ArrayBuffer(8)) || refusal(buffer) !== refusalOfWasm)
    return false;
  // A mark makes a plain buffer look the same, and keeps it neither from `transfer` nor from a stream of bytes.
  if (isMarked(buffer)) return false;
  known.add(buffer);
  return true;
}

const { isMarkedAsUntransferable } = threads as { isMarkedAsUntransferable?: (value: unknown) => boolean };

/** Whether a buffer that can't be transferred is so by `markAsUntransferable` alone, as far as can be told. */
function isMarked(buffer: ArrayBuffer): boolean {
  if (isMarkedAsUntransferable !== undefined) return isMarkedAsUntransferable(buffer);
  // Node 20 does not say.
  return !isWasmForDebugger(buffer);
}

const pageSize = 65536;

/** Whether V8's debugger shows a WebAssembly.Memory behind a buffer. It takes a millisecond, and some more the first time. */
function isWasmForDebugger(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength % pageSize !== 0) return false;
  const key = 'schuss.memory';
  let isWasm = false;
  try {
    const { Session } = createRequire(__filename)('node:inspector') as typeof debuggers;
    const session = new Session();
    session.connect();
    try {
      Object.defineProperty(globalThis, key, { value: buffer, configurable: true });
      session.post('Runtime.evaluate', { expression: `globalThis['${key}']` }, (_, found) => {
        const objectId = found?.result.objectId;
        if (objectId === undefined) return; // of another context than the main one
        session.post('Runtime.getProperties', { objectId }, (_, properties) => {
          isWasm = properties?.internalProperties?.some(({ name }) => name === '[[WebAssemblyMemory]]') ?? false;
        });
      });
    } finally {
      Reflect.deleteProperty(globalThis, key);
      session.disconnect();
    }
  } catch {
    // A Node that has no debugger, or may not use it.
  }
  return isWasm;
}
