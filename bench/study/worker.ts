import { parentPort, workerData } from 'node:worker_threads';
import type { Data } from './data.js';
import { perform } from './experiment.js';
import type { Job, Result, Settings } from './job.js';
import { loadTensorFlow } from './network.js';

/** What a worker is started with, is asked, and answers. An error goes unanswered: it ends the worker, and its 'error' event tells. */
export interface Start {
  readonly data: Data;
  readonly settings: Settings;
}
export interface Question {
  readonly job: Job;
  readonly teachers: readonly Float32Array[];
}
export type Answer = { readonly steps: number } | { readonly result: Result };

const { data, settings } = workerData as Start;
const answer = (message: Answer): void => parentPort?.postMessage(message);
const loading = loadTensorFlow();

parentPort?.on('message', async ({ job, teachers }: Question) => {
  answer({
    result: perform(job, { tf: await loading, data, settings, teachers, onSteps: (steps) => answer({ steps }) }),
  });
});
