import { availableParallelism } from 'node:os';
import progress from 'cli-progress';
import type { Data } from './data.js';
import { perform } from './experiment.js';
import type { Job, Settings } from './job.js';
import { loadTensorFlow } from './network.js';
import { stepsOf } from './settings.js';

/** Milliseconds between two lines of progress where there is no terminal. */
const lineEvery = 5000;

/** Seconds that the jobs will take, measured with one epoch of Adam. */
export async function estimateSeconds(
  jobs: readonly Job[],
  data: Data,
  settings: Settings,
  workers: number,
): Promise<number> {
  const tf = await loadTensorFlow();
  const times: number[] = [];
  perform(
    { kind: 'train', method: 'adam', lr: 1e-3, repeat: 0 },
    { tf, data, settings: { ...settings, epochs: 1 }, teachers: [], onSteps: () => times.push(performance.now()) },
  );
  // From the first step on, because what is before it compiles.
  const perStep = (performance.now() - (times[0] as number)) / (times.length - 1) / 1000;
  const lanes = Math.min(workers, availableParallelism(), jobs.length);
  return (perStep * totalSteps(jobs, settings)) / lanes;
}

export function totalSteps(jobs: readonly Job[], settings: Settings): number {
  return jobs.reduce((sum, job) => sum + stepsOf(job, settings), 0);
}

/** 40 s, 3 min. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(10, 10 * Math.round(seconds / 10))} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** A progress bar on standard error; without a terminal, a line every few seconds. */
export function progressBar(total: number): progress.SingleBar {
  const bar = new progress.SingleBar(
    {
      format: process.stderr.isTTY
        ? 'training {bar} {percentage}% | {value}/{total} steps | {eta_formatted} left'
        : (_, { progress, value, total, eta }) => {
            // The first steps, which compile, tell little about the others.
            const left = progress < 0.05 || value === total ? '' : `, about ${duration(eta)} left`;
            return `training: ${Math.floor(100 * progress)}%, ${value} of ${total} steps${left}`;
          },
      hideCursor: true,
      clearOnComplete: true,
      noTTYOutput: true,
      notTTYSchedule: lineEvery,
      etaBuffer: 1000,
    },
    progress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return bar;
}
