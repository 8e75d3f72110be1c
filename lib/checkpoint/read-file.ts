import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { engine } from '../engine/backend.js';
import { bytesOf } from './dtypes.js';
import { type FileContext, faultOf, fileError, readError } from './errors.js';
import {
  damaged,
  digestOf,
  type Header,
  headerLength,
  type PlacedTensor,
  parseHeader,
  prefixLength,
  withoutDigest,
} from './header.js';
import type { Reading } from './world.js';

/** Bytes that are read and hashed at a time. Hashing them keeps the event loop busy for about a millisecond. */
const chunkLength = 1 << 20;
/** Reads that are pending at a time. Several hide how long a busy system takes to switch between threads. */
const maxPending = 8;

/** An open safetensors file with a valid header. */
export interface OpenFile {
  readonly context: FileContext;
  readonly handle: FileHandle;
  readonly header: Header;
  /** Length prefix and header as they are in the file. */
  readonly head: Uint8Array;
  /** The SHA-256 that the file names, if it names one. */
  readonly digest: string | undefined;
}

/**
 * Opens a safetensors file, checks its header, and runs `action` on it. The file is closed afterwards.
 * @throws CheckpointError
 */
export async function withFile<T>(context: FileContext, action: (file: OpenFile) => Promise<T>): Promise<T> {
  try {
    // Opening a pipe would wait for its other end.
    const found = await stat(context.path);
    if (!found.isFile() && !found.isDirectory())
      throw fileError(context, { code: 'EINVAL', given: 'a pipe or a device', expected: 'a regular file' });
    const handle = await open(context.path, 'r');
    try {
      return await action(await readHeader(context, handle));
    } finally {
      await handle.close();
    }
  } catch (error) {
    // What the caller's function throws is no fault of the file.
    if (error instanceof TypeError || error instanceof RangeError || faultOf(error).code === undefined) throw error;
    throw readError(context, error);
  }
}

async function readHeader(context: FileContext, handle: FileHandle): Promise<OpenFile> {
  const { size } = await handle.stat();
  const prefix = new Uint8Array(Math.min(prefixLength, size));
  await readFully(context, handle, prefix, 0);
  const length = headerLength(context, prefix, size);
  const head = new Uint8Array(prefixLength + length);
  head.set(prefix);
  const bytes = head.subarray(prefixLength);
  await readFully(context, handle, bytes, prefixLength);
  const header = parseHeader(context, bytes, size - head.length);
  return { context, handle, header, head, digest: digestOf(bytes) };
}

/** Fills `bytes` from a position of the file. @throws CheckpointError if the file ends before */
async function readFully(context: FileContext, handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw damaged(context, `an end at byte ${position + done}`, 'more data');
    done += bytesRead;
  }
}

/** Reads tensors, each into an ArrayBuffer of its own. @throws CheckpointError */
export async function readTensors(file: OpenFile, tensors: readonly PlacedTensor[]): Promise<Map<string, Uint8Array>> {
  return readInOrder(file, tensors, () => {});
}

/**
 * Reads the tensors of a file, and compares its SHA-256. Those that `reads` does not want whole are hashed, and not kept.
 * @throws CheckpointError if it differs
 */
export async function readVerified(
  file: OpenFile,
  reads?: (name: string) => Reading,
): Promise<Map<string, Uint8Array>> {
  const { context, header, head, digest } = file;
  const hash = hashOfHead(head);
  const found = await readInOrder(file, header.tensors, (chunk) => hash.update(chunk), reads);
  const actual = hash.digest('hex');
  if (actual !== digest) throw damaged(context, `SHA-256 ${actual}`, `${digest}, as the header says`);
  return found;
}

/** Reads tensors, and calls `take` with each chunk in the order of the file. */
async function readInOrder(
  { context, handle, head }: OpenFile,
  tensors: readonly PlacedTensor[],
  take: (chunk: Uint8Array) => void,
  reads: (name: string) => Reading = () => 'whole',
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const pending: { readonly chunk: Uint8Array; readonly reading: Promise<void>; readonly then: () => void }[] = [];
  const next = async (): Promise<void> => {
    const { chunk, reading, then } = pending.shift() as (typeof pending)[number];
    await reading;
    take(chunk);
    then();
  };
  try {
    for (const { name, begin, end } of tensors) {
      const length = end - begin;
      const how = reads(name);
      const bytes = how === 'whole' ? allocateBytes(context, length) : undefined;
      if (bytes !== undefined) found.set(name, bytes);
      for (let at = 0; at < length; at += chunkLength) {
        const chunk = bytes?.subarray(at, at + chunkLength) ?? new Uint8Array(Math.min(chunkLength, length - at));
        const reading = readFully(context, handle, chunk, head.length + begin + at);
        reading.catch(() => {}); // it is awaited later
        const then = (): void => {
          if (typeof how === 'function') how(floatsIn(chunk), at / Float32Array.BYTES_PER_ELEMENT);
        };
        pending.push({ chunk, reading, then });
        if (pending.length === maxPending) await next();
      }
    }
    while (pending.length > 0) await next();
  } finally {
    await Promise.allSettled(pending.map(({ reading }) => reading)); // the file is closed next
  }
  return found;
}

const floatsIn = ({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array =>
  new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT);

function hashOfHead(head: Uint8Array): Hash {
  const hash = createHash('sha256').update(head.subarray(0, prefixLength));
  return hash.update(withoutDigest(head.subarray(prefixLength)));
}

function allocateBytes({ who, path }: FileContext, length: number): Uint8Array {
  try {
    // Whole floats go into memory that is quick to fill.
    return length % 4 === 0 ? bytesOf(engine().zeros(length / 4)) : new Uint8Array(length);
  } catch (cause) {
    throw new RangeError(
      `${who}: ${JSON.stringify(path)}: a tensor of ${length} bytes, expected one that fits in memory`,
      {
        cause,
      },
    );
  }
}
