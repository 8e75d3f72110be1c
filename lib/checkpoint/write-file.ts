import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { syncDirectory, type Target } from './temp-files.js';

/** A file to write: plain data, so that it can be sent to another thread. */
export interface WriteJob {
  readonly temp: string;
  readonly target: Target;
  /** Length prefix and header, and then the tensors. */
  readonly parts: readonly Uint8Array[];
  /** Position of the SHA-256 in the file; undefined for a file without one. Its 64 characters are zeros so far. */
  readonly digestOffset: number | undefined;
  /** Whether writes may block the thread. That is fastest, because no write waits for a switch between threads. */
  readonly mayBlock: boolean;
  /** One of {@link Phase}, in shared memory. */
  readonly phase: Int32Array;
}

/** How far a save is. Aborting it and committing it exclude each other. */
export const Phase = { writing: 0, aborted: 1, committed: 2 } as const;

/** Moves a save on from {@link Phase}.writing. Returns whether nobody else did before. */
export function moveOn(phase: Int32Array, to: 1 | 2): boolean {
  return Atomics.compareExchange(phase, 0, Phase.writing, to) === Phase.writing;
}

/** The error of a save that was aborted. The caller puts the signal's reason in its place. */
class Aborted extends Error {}

/** Parts smaller than this are gathered, because each write costs a system call. */
const smallLength = 1 << 16;

/** Writes that are pending at a time. More would wait for each other, because a file has one lock. */
const maxPending = 2;

/** Bytes that are hashed and written at a time: about a millisecond, and few enough to stay in the cache in between. */
const chunkLength = 1 << 20;

/** Cuts parts into chunks, and gathers small parts in new memory. */
function* chunksOf(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let gathered: Uint8Array | undefined;
  let used = 0;
  for (const part of parts) {
    const isSmall = part.length < smallLength;
    if (gathered !== undefined && (!isSmall || used + part.length > gathered.length)) {
      yield gathered.subarray(0, used);
      gathered = undefined;
    }
    if (isSmall) {
      if (gathered === undefined) {
        gathered = new Uint8Array(chunkLength);
        used = 0;
      }
      gathered.set(part, used);
      used += part.length;
    } else for (let at = 0; at < part.length; at += chunkLength) yield part.subarray(at, at + chunkLength);
  }
  if (gathered !== undefined) yield gathered.subarray(0, used);
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function writeFullySync(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

/**
 * Writes a file so that a crash at any moment leaves the old file or the new one, whole: into a new file beside it, which
 * is synced and renamed. The temporary file is removed on an error.
 * @throws the system's error
 */
export async function writeFile(job: WriteJob): Promise<void> {
  const { temp, target, phase } = job;
  const handle = await open(temp, 'wx', target.current === undefined ? 0o666 : 0o600);
  try {
    try {
      await writeContents(handle, job);
      await keepPermissions(handle, target);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (!moveOn(phase, Phase.committed)) throw new Aborted();
    await rename(temp, target.path);
  } catch (error) {
    await unlink(temp).catch(() => {});
    throw error;
  }
  await syncDirectory(target.directory);
}

async function writeContents(handle: FileHandle, job: WriteJob): Promise<void> {
  const { parts, digestOffset, mayBlock, phase } = job;
  const hash = digestOffset === undefined ? undefined : createHash('sha256');
  let position = 0;
  // Chunks are hashed while those before them are written.
  const pending: Promise<void>[] = [];
  try {
    for (const chunk of chunksOf(parts)) {
      if (Atomics.load(phase, 0) === Phase.aborted) throw new Aborted();
      if (mayBlock) writeFullySync(handle.fd, chunk, position);
      else {
        const writing = writeFully(handle, chunk, position);
        writing.catch(() => {}); // it is awaited later
        pending.push(writing);
      }
      hash?.update(chunk);
      position += chunk.length;
      // Also gives the event loop a turn.
      if (pending.length === maxPending) await pending.shift();
    }
  } finally {
    await Promise.allSettled(pending); // the file is closed next
  }
  await Promise.all(pending);
  if (hash !== undefined) await writeFully(handle, Buffer.from(hash.digest('hex')), digestOffset as number);
}

/** Gives the new file the permissions of the one that it replaces, and its owner where that is allowed. */
async function keepPermissions(handle: FileHandle, { current }: Target): Promise<void> {
  if (current === undefined) return;
  await handle.chown(current.uid, current.gid).catch(() => {});
  await handle.chmod(current.mode).catch((error: NodeJS.ErrnoException) => {
    // Node's permission model allows no fchmod. The file then stays readable for its owner alone.
    if (error.code !== 'ERR_ACCESS_DENIED') throw error;
  });
}
