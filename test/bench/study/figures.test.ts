// The study's plan: its figures, their runs, and the classes and learning rates that it tries.
import { optimizers } from 'schuss';
import { describe, expect, test } from 'vitest';
import {
  type CurvesFigure,
  type EnsembleFigure,
  figures,
  jobsOf,
  type SweepFigure,
} from '../../../bench/study/figures.js';
import { keyOf } from '../../../bench/study/job.js';
import { methods, spread } from '../../../bench/study/methods.js';
import { plan } from '../../../bench/study/pool.js';
import { settingsOf } from '../../../bench/study/settings.js';

describe('figures', () => {
  const settings = settingsOf({ seed: 1 });
  const all = figures(settings);
  const lines = (id: string): string[] =>
    (all.find((figure) => figure.id === id) as CurvesFigure).lines.map(
      ({ job }) => `${job.method} ${job.decay ?? job.lr}`,
    );

  test('are those of the lecture', () => {
    const rates = (method: string, lrs: number[]): string[] => lrs.map((lr) => `${method} ${lr}`);
    expect(lines('momentum')).toEqual(['sgd 0.005', 'momentum 0.005']);
    expect(lines('optimizers')).toEqual(['sgd 0.005', 'momentum 0.005', 'rmsprop 0.0001', 'adam 0.001']);
    expect(new Set(lines('same-rate'))).toEqual(
      new Set(['sgd', 'momentum', 'rmsprop', 'adam', 'nesterov', 'adagrad'].map((method) => `${method} 0.001`)),
    );
    for (const method of ['sgd', 'momentum']) {
      expect(lines(`lr-${method}`)).toEqual(rates(method, [1e-4, 1e-3, 3e-3, 5e-3, 1e-2]));
    }
    for (const method of ['rmsprop', 'adam']) {
      expect(lines(`lr-${method}`)).toEqual(rates(method, [1e-4, 5e-4, 1e-3, 5e-3, 1e-2]));
    }
    expect(lines('lr-rmsprop-small')).toEqual(rates('rmsprop', [1e-5, 5e-5, 1e-4, 5e-4]));
    expect(lines('decay').slice(1)).toEqual(
      ['step', 'exponential', '1/t', 'cosine'].map((decay) => `momentum ${decay}`),
    );
    expect(all.map((figure) => figure.id)).toEqual(
      expect.arrayContaining(['range-test', 'bias-correction', 'ensemble', 'second-order']),
    );
    expect(settings).toMatchObject({ train: 4000, validation: 1000, batch: 100, epochs: 5, members: 5 });
    expect(settings.hidden).toEqual([100, 100, 100, 100, 100]);
  });

  test('try every class of the library, and about its default learning rate where it has one', () => {
    const { sweeps } = all.find((figure) => figure.id === 'ranking') as SweepFigure;
    const keys = sweeps.map(({ method }) => methods[method].key);
    expect(new Set(keys)).toEqual(new Set(Object.keys(optimizers)));
    const byFamily = all.flatMap((figure) => (figure.kind === 'sweep' ? figure.sweeps : []));
    expect(byFamily).toEqual(sweeps);
    for (const { jobs } of sweeps) {
      expect(jobs.length).toBe(settings.rates);
      for (const [i, { lr }] of jobs.entries()) if (i > 0) expect(lr / jobs[i - 1]!.lr).toBeCloseTo(Math.sqrt(10), 0);
    }
    expect(spread(1e-3, 5)).toEqual([1e-4, 3e-4, 1e-3, 3e-3, 1e-2]);
    expect(spread(2e-3, 3)).toEqual([1e-3, 3e-3, 1e-2]);
  });

  test('share their runs, and a student comes after its teachers', () => {
    const jobs = plan(all.flatMap(jobsOf));
    expect(new Set(jobs.map(keyOf)).size).toBe(jobs.length);
    expect(jobs.length).toBeLessThan(all.flatMap(jobsOf).length);
    const { student } = all.find((figure) => figure.id === 'ensemble') as EnsembleFigure;
    expect(plan([student]).map(keyOf)).toEqual([...student.teachers!, student].map(keyOf));
  });
});
