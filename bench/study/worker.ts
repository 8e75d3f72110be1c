import { parentPort, workerData } from 'node:worker_threads';
import type { Data } from './data.js';
import { perform } from './experiment.js';
import type { Job, Result, Settings } from './job.js';
import { loadTensorFlow } from './network.js';

/** What a worker starts with. */
export interface Start {
  readonly data: Data;
  readonly settings: Settings;
}

/** A request to a worker. */
export interface Question {
  readonly job: Job;
  /** Training logits of the job's teachers. */
  readonly teachers: readonly Float32Array[];
}

/** A worker's reply: progress, then the result. An error is not a reply: it ends the worker and becomes its 'error' event. */
export type Answer = { readonly steps: number } | { readonly result: Result };

const { data, settings } = workerData as Start;
const answer = (message: Answer): void => parentPort?.postMessage(message);
const loading = loadTensorFlow();

parentPort?.on('message', async ({ job, teachers }: Question) => {
  answer({
    result: perform(job, { tf: await loading, data, settings, teachers, onSteps: (steps) => answer({ steps }) }),
  });
});
