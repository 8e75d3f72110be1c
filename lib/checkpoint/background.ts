import { existsSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type FileContext, faultOf, type SystemFault, writeError } from './errors.js';
import { findTarget, sweep, tempPath } from './temp-files.js';
import { moveOn, Phase, type WriteJob, writeFile } from './write-file.js';
import type { Report } from './write-worker.js';

/** The contents of a new file. Nobody else may hold the buffers of `parts`. */
export interface Contents {
  readonly parts: readonly Uint8Array[];
  readonly digestOffset: number | undefined;
}

/** Files up to this size are written by the calling thread, because a worker takes longer to start. */
const smallFile = 8 << 20;
/** The end of the last save to each path: saves to one path run in the order of the calls. */
const queues = new Map<string, Promise<void>>();

/**
 * Replaces a file in the background. Several calls for one path run in order.
 * @throws (rejects) CheckpointError, or the signal's reason
 */
export function replaceFile(context: FileContext, contents: Contents, signal: AbortSignal | undefined): Promise<void> {
  const phase = new Int32Array(new SharedArrayBuffer(4));
  const key = resolve(context.path);
  const before = queues.get(key);
  let hasStarted = false;
  const start = async (): Promise<void> => {
    hasStarted = true;
    if (Atomics.load(phase, 0) !== Phase.aborted) await write(context, contents, phase);
  };
  const run = before === undefined ? start() : before.then(start);
  const settled = run.then(
    () => {},
    () => {},
  );
  queues.set(key, settled);
  void settled.then(() => {
    if (queues.get(key) === settled) queues.delete(key);
  });
  return signal === undefined ? run : abortable(run, signal, phase, () => hasStarted);
}

/** Rejects with the signal's reason if it is aborted before the new file is in place, after the cleanup. */
async function abortable(
  run: Promise<void>,
  signal: AbortSignal,
  phase: Int32Array,
  hasStarted: () => boolean,
): Promise<void> {
  let cancel = (): void => {};
  const cancelled = new Promise<void>((resolve) => {
    cancel = () => {
      if (moveOn(phase, Phase.aborted) && !hasStarted()) resolve();
    };
  });
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    await Promise.race([run, cancelled]);
  } catch (error) {
    if (Atomics.load(phase, 0) !== Phase.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (Atomics.load(phase, 0) === Phase.aborted) throw signal.reason;
}

async function write(context: FileContext, { parts, digestOffset }: Contents, phase: Int32Array): Promise<void> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  let temp: string | undefined;
  try {
    const target = await findTarget(context.path);
    await sweep(target.directory);
    temp = tempPath(target.directory);
    const job = { temp, target, parts, digestOffset, phase };
    const worker = bytes > smallFile ? await startWorker() : undefined;
    if (worker === undefined) await writeFile({ ...job, mayBlock: false });
    else await runIn(worker, { ...job, mayBlock: true });
  } catch (error) {
    if (temp !== undefined) await unlink(temp).catch(() => {}); // a thread that was ended leaves it
    throw writeError(context, faultOf(error), bytes, error);
  }
}

/** A system error as another thread reported it. */
class ReportedError extends Error {
  readonly code: string | undefined;

  constructor({ code, message }: SystemFault) {
    super(message);
    this.code = code;
  }
}

/**
 * Starts the thread of write-worker.js. Undefined where there is none: its file is missing from a bundle, or threads are
 * forbidden or at their limit. No data is sent before it runs, so that none is lost with it.
 */
async function startWorker(): Promise<Worker | undefined> {
  const file = workerFile();
  if (file === undefined) return undefined;
  try {
    const worker = new Worker(file, { execArgv: [], stdin: false });
    const isReady = await new Promise<boolean>((resolve) => {
      worker.once('message', ({ ready }: { ready?: boolean }) => resolve(ready === true));
      worker.once('error', () => resolve(false));
      worker.once('exit', () => resolve(false));
    });
    if (isReady) return worker;
    await worker.terminate();
  } catch {
    // The permission model forbids threads.
  }
  return undefined;
}

function workerFile(): string | undefined {
  // In a bundle, __dirname is another folder or missing, and a file of that name would be someone else's.
  if (typeof __dirname !== 'string' || basename(__dirname) !== 'checkpoint') return undefined;
  const file = join(__dirname, 'write-worker.js');
  return existsSync(file) ? file : undefined;
}

/** Runs a job in a worker that is ready. The buffers move there. */
function runIn(worker: Worker, job: WriteJob): Promise<void> {
  const buffers = [...new Set(job.parts.map(({ buffer }) => buffer as ArrayBuffer))];
  return new Promise((resolve, reject) => {
    worker.once('message', (report: Report) => {
      if ('fault' in report) reject(new ReportedError(report.fault));
      else resolve();
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`its thread ended with code ${code}`)));
    worker.postMessage(job, buffers);
  });
}
