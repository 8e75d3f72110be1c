import { startWorker } from '../common/start-worker.js';
import type { Data } from './data.js';
import { perform } from './experiment.js';
import {
  type Job,
  keyOf,
  type Result,
  type ResultOf,
  repeatsOf,
  type Settings,
  type TrainJob,
  type TrainResult,
} from './job.js';
import { loadTensorFlow } from './network.js';
import type { Answer, Question, Start } from './worker.js';

/** The results of a study by job. Jobs with the same key share one result. */
export class Results {
  readonly #results = new Map<string, Result>();
  readonly #seeds: number;

  constructor(seeds: number) {
    this.#seeds = seeds;
  }

  get<J extends Job>(job: J): ResultOf<J> {
    const result = this.#results.get(keyOf(job));
    if (result === undefined) throw new Error(`no result for ${keyOf(job)}`);
    return result as ResultOf<J>;
  }

  /** The results of a training run and of its repeats. */
  repeats(job: TrainJob): TrainResult[] {
    return repeatsOf(job, this.#seeds).map((each) => this.get(each));
  }

  set(job: Job, result: Result): void {
    this.#results.set(keyOf(job), result);
  }

  /** Training logits of the job's teachers, without those that diverged. */
  teachersOf(job: Job): Float32Array[] {
    const teachers = (job.kind === 'train' && job.teachers) || [];
    return teachers.flatMap((teacher) => (this.get(teacher) as TrainResult).logits?.train ?? []);
  }
}

/** Each distinct job and its repeats once, in the given order. A job's teachers come before it, and are added if they are missing. */
export function plan(jobs: readonly Job[], seeds: number): Job[] {
  const planned = new Map<string, Job>();
  const needed = jobs.flatMap((job) => [...((job.kind === 'train' && job.teachers) || []), ...repeatsOf(job, seeds)]);
  for (const job of needed) {
    // One figure may need running averages of a run that another figure only plots.
    planned.set(keyOf(job), { ...planned.get(keyOf(job)), ...job });
  }
  return [...planned.values()];
}

export interface PoolOptions {
  /** Number of worker threads; 0 runs the jobs in the calling thread. */
  readonly workers: number;
  readonly onSteps: (steps: number) => void;
}

/** Runs every job of a plan. Results do not depend on the number of workers, nor on which worker runs a job. */
export async function performAll(
  jobs: readonly Job[],
  data: Data,
  settings: Settings,
  { workers, onSteps }: PoolOptions,
): Promise<Results> {
  const results = new Results(settings.seeds);
  const count = Math.min(workers, jobs.length);
  const lanes =
    count === 0
      ? [await here(data, settings, onSteps)]
      : Array.from({ length: count }, () => elsewhere(data, settings, onSteps));
  try {
    for (const taught of [false, true]) {
      const queue = jobs.filter((job) => (job.kind === 'train' && job.teachers !== undefined) === taught);
      await Promise.all(
        lanes.map(async (lane) => {
          for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
            results.set(job, await lane.ask({ job, teachers: results.teachersOf(job) }));
          }
        }),
      );
    }
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
  }
  return results;
}

interface Lane {
  ask(question: Question): Promise<Result>;
  close(): Promise<unknown>;
}

async function here(data: Data, settings: Settings, onSteps: (steps: number) => void): Promise<Lane> {
  const tf = await loadTensorFlow();
  return {
    ask: async ({ job, teachers }) => perform(job, { tf, data, settings, teachers, onSteps }),
    close: async () => {},
  };
}

function elsewhere(data: Data, settings: Settings, onSteps: (steps: number) => void): Lane {
  const worker = startWorker(new URL('./worker.ts', import.meta.url), {
    workerData: { data, settings } satisfies Start,
  });
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const onMessage = (answer: Answer): void => {
          if ('steps' in answer) {
            onSteps(answer.steps);
            return;
          }
          worker.off('message', onMessage).off('error', reject);
          resolve(answer.result);
        };
        worker.on('message', onMessage).on('error', reject);
        worker.postMessage(question);
      }),
    close: () => worker.terminate(),
  };
}
