import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Starts a worker thread whose module is TypeScript. Its URL is added to `workerData` as `module`. */
export function startWorker(module: URL, options: WorkerOptions & { workerData?: object } = {}): Worker {
  return new Worker(new URL('./worker.mjs', import.meta.url), {
    ...options,
    workerData: { ...options.workerData, module: module.href },
  });
}
