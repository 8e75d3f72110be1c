import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { UserError } from '../common/user-error.js';
import { colors, config, type Spec, schema } from '../report/charts.js';
import { draw } from '../report/draw.js';
import { makeFolder } from '../report/output.js';
import { startSoak } from './work.js';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly out: string;
}

/** One look at the memory of the process. Bytes. */
export interface Sample {
  readonly seconds: number;
  readonly rss: number;
  readonly external: number;
  readonly heapUsed: number;
}

/** How far a number may rise between the second and the last quarter of a run: noise of the collector. */
const allowedRise = { bytes: 48e6, share: 0.1 };

const middle = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

/**
 * Compares the median of the last quarter of a run with that of the second. The first quarter warms up.
 * @returns The rise in bytes, and whether it is within the noise.
 */
export function riseOf(values: readonly number[]): { readonly rise: number; readonly isFlat: boolean } {
  const quarter = values.length >> 2;
  const before = middle(values.slice(quarter, 2 * quarter));
  const rise = middle(values.slice(-quarter)) - before;
  return { rise, isFlat: rise <= Math.max(allowedRise.bytes, allowedRise.share * before) };
}

/** Works for some minutes on everything that holds memory, and tells whether the memory of the process stays flat. */
export async function soak({ minutes, seed, out }: SoakOptions): Promise<void> {
  const folder = makeFolder('soak', out);
  const work = startSoak(seed);
  const samples: Sample[] = [];
  const start = performance.now();
  const every = Math.min(1000, minutes * 250);
  console.log(`soak: ${minutes} minutes, seed ${seed}`);
  for (let next = 0, elapsed = 0; elapsed < minutes * 60_000; elapsed = performance.now() - start) {
    await work.round();
    await new Promise(setImmediate);
    if (elapsed < next) continue;
    next += every;
    const { rss, external, heapUsed } = process.memoryUsage();
    samples.push({ seconds: elapsed / 1000, rss, external, heapUsed });
  }
  work.end();

  const names = ['rss', 'external', 'heapUsed'] as const;
  const lines = samples.map((sample) => [sample.seconds.toFixed(1), ...names.map((name) => sample[name])].join(','));
  writeFileSync(join(folder, 'soak.csv'), `${['seconds', ...names].join(',')}\n${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'soak.svg'), await draw(specOf(samples)));
  console.log('rounds:', work.counts);
  const rises = names.map((name) => ({ name, ...riseOf(samples.map((sample) => sample[name])) }));
  for (const { name, rise, isFlat } of rises)
    console.log(
      `${name}: ${(rise / 1e6).toFixed(1)} MB between the second and the last quarter: ${isFlat ? 'flat' : 'RISES'}`,
    );
  const rising = rises.filter(({ isFlat }) => !isFlat).map(({ name }) => name);
  if (rising.length > 0) throw new UserError(`soak: ${rising.join(', ')} rises: see ${join(folder, 'soak.svg')}`);
}

function specOf(samples: readonly Sample[]): Spec {
  const names = { rss: 'resident', external: 'external', heapUsed: "JavaScript's heap" };
  const values = samples.flatMap((sample) =>
    Object.entries(names).map(([key, name]) => ({
      minutes: sample.seconds / 60,
      memory: name,
      MB: sample[key as 'rss'] / 1e6,
    })),
  );
  return {
    $schema: schema,
    config,
    title: 'Memory of the process while everything that holds memory comes and goes',
    width: 640,
    height: 320,
    data: { values },
    mark: { type: 'line', strokeWidth: 1.2 },
    encoding: {
      x: { field: 'minutes', type: 'quantitative', title: 'minutes' },
      y: { field: 'MB', type: 'quantitative', title: 'MB' },
      color: {
        field: 'memory',
        type: 'nominal',
        sort: Object.values(names),
        scale: { domain: Object.values(names), range: [colors.vermilion, colors.blue, colors.green] },
        title: null,
      },
    },
  };
}
