import type * as debuggers from 'node:inspector';
import { createRequire } from 'node:module';
import { isSharedArrayBuffer } from 'node:util/types';
import { show, typeError } from '../check/errors.js';
import { bufferOf, copyInto, isFloat32, lengthOf } from '../check/typed-array.js';
import { otherCopyHint } from './copies.js';
import type { Engine, Rows } from './engine.js';

/** A copy of an array in an ordinary ArrayBuffer, which can be transferred. */
export function copyFloats(engine: Engine, array: Float32Array): Float32Array {
  const copy = engine.zeros(lengthOf(array));
  copyInto(copy, array);
  return copy;
}

const pinned =
  'memory that stays in place while a step runs on another thread: allocate(length), a SharedArrayBuffer or a WebAssembly.Memory';

/** The error for an array that a step on another thread cannot take. */
export function notPinned(who: string, path: string, array: Float32Array | Rows): TypeError {
  const hint = otherCopyHint(({ owns }) => isFloat32(array) && owns?.(array));
  return typeError(who, path, show(array), pinned, hint);
}

/**
 * Whether an array's memory can be neither freed nor moved from JavaScript while a step uses it. A plain ArrayBuffer
 * can be transferred or resized at any time.
 */
export function isPinned(engine: Engine, array: Float32Array | Rows): boolean {
  const buffer = bufferOf(array);
  if (isSharedArrayBuffer(buffer)) return true;
  // An empty array is safe, unless its buffer can grow before the step starts.
  if (lengthOf(array) === 0) return !isResizable(buffer);
  const floats = isFloat32(array) ? array : new Float32Array(buffer, 0, 1);
  return engine.owns(floats) || isWasmMemory(buffer);
}

// Captured once, so that a property that user code defines on a buffer has no effect.
const resizableOfAny = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'resizable')?.get as
  | ((this: unknown) => boolean)
  | undefined;

function isResizable(buffer: ArrayBuffer): boolean {
  return resizableOfAny?.call(buffer) ?? false;
}

/**
 * The runtime's error message for a transfer list that names a buffer twice. Such a transfer is always refused and
 * changes nothing. A WebAssembly buffer can never be transferred, and some runtimes check that first, with another
 * message.
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

// The types of WebAssembly are in lib.dom, which a Node project does not load. With --jitless there is none.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly?: { Memory: new (type: { initial: number }) => { buffer: ArrayBuffer } };
};

function isWasmMemory(buffer: ArrayBuffer): boolean {
  if (WebAssembly === undefined) return false;
  if (known.has(buffer)) return true;
  refusalOfWasm ??= refusal(new WebAssembly.Memory({ initial: 0 }).buffer);
  if (isResizable(buffer) || refusalOfWasm === refusal(new ArrayBuffer(8)) || refusal(buffer) !== refusalOfWasm)
    return false;
  // A plain buffer marked as untransferable gives the same message, but `transfer()` and byte streams still detach it.
  if (isMarked(buffer)) return false;
  known.add(buffer);
  return true;
}

/** Whether a buffer is untransferable only because of `markAsUntransferable`, as far as the runtime reveals it. */
function isMarked(buffer: ArrayBuffer): boolean {
  // Loaded here, not at the top: it adds a tenth to the time of require('schuss').
  const threads = require('node:worker_threads') as { isMarkedAsUntransferable?: (value: unknown) => boolean };
  const { isMarkedAsUntransferable } = threads;
  if (isMarkedAsUntransferable !== undefined) return isMarkedAsUntransferable(buffer);
  // Node 20 lacks isMarkedAsUntransferable.
  return !isWasmForDebugger(buffer);
}

const pageSize = 65536;

/** Whether V8's debugger shows a WebAssembly.Memory behind a buffer. Takes a millisecond, and longer the first time. */
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
        if (objectId === undefined) return; // the buffer belongs to another context
        session.post('Runtime.getProperties', { objectId }, (_, properties) => {
          isWasm = properties?.internalProperties?.some(({ name }) => name === '[[WebAssemblyMemory]]') ?? false;
        });
      });
    } finally {
      Reflect.deleteProperty(globalThis, key);
      session.disconnect();
    }
  } catch {
    // This Node has no debugger, or may not use it.
  }
  return isWasm;
}
