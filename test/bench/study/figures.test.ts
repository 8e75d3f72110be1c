// The study's plan: its figures, their runs, and the classes and learning rates that it tries.
import { optimizers } from 'schuss';
import { describe, expect, test } from 'vitest';
import { heat, heatInk, hues, ordered, surfaces } from '../../../bench/report/theme.js';
import {
  type CurvesFigure,
  type EnsembleFigure,
  type Figure,
  figures,
  jobsOf,
  type SweepFigure,
} from '../../../bench/study/figures.js';
import { keyOf, type TrainJob } from '../../../bench/study/job.js';
import { lookOf } from '../../../bench/study/looks.js';
import { defaultLr, methods, middleOf, spread } from '../../../bench/study/methods.js';
import { plan } from '../../../bench/study/pool.js';
import { selectFigures } from '../../../bench/study/select.js';
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

  test('try every class of the library, around its default learning rate and at it', () => {
    const { sweeps } = all.find((figure) => figure.id === 'ranking') as SweepFigure;
    const keys = sweeps.map(({ method }) => methods[method].key);
    expect(new Set(keys)).toEqual(new Set(Object.keys(optimizers)));
    const byFamily = all.flatMap((figure) => (figure.kind === 'sweep' ? figure.sweeps : []));
    expect(byFamily).toEqual(sweeps);
    for (const { method, jobs } of sweeps) {
      const lrs = jobs.map(({ lr }) => lr);
      const around = spread(middleOf(method), settings.rates);
      expect(around.length).toBe(settings.rates);
      for (const [i, lr] of around.entries()) if (i > 0) expect(lr / around[i - 1]!).toBeCloseTo(Math.sqrt(10), 0);
      expect(lrs).toEqual(expect.arrayContaining(around));
      const byDefault = defaultLr(method);
      if (byDefault !== undefined) expect(lrs).toContain(byDefault);
      expect(lrs).toEqual([...lrs].sort((a, b) => a - b));
    }
    expect(spread(1e-3, 5)).toEqual([1e-4, 3e-4, 1e-3, 3e-3, 1e-2]);
    expect(spread(3e-4, 3)).toEqual([1e-4, 3e-4, 1e-3]);
    expect(spread(2e-3, 3)).toEqual([6e-4, 2e-3, 6e-3]);
    expect(spread(5e-2, 3)).toEqual([1.6e-2, 5e-2, 1.6e-1]);
  });

  test('an equal budget is the same number of learning rates around each default, whatever the class', () => {
    const { sweeps } = all.find((figure) => figure.id === 'worth') as SweepFigure;
    expect(sweeps.map(({ method }) => method)).toEqual(
      (all.find((figure) => figure.id === 'ranking') as SweepFigure).sweeps.map(({ method }) => method),
    );
    for (const { method, jobs } of sweeps) {
      expect(jobs.length, method).toBe(settings.rates);
      expect(jobs[settings.rates >> 1]!.lr, method).toBe(defaultLr(method) ?? 1e-2);
    }
  });

  test('the number of learning rates can be chosen', () => {
    const wide = figures(settingsOf({ seed: 1, rates: 7, epochs: 3 }));
    const { sweeps, about } = wide.find((figure) => figure.id === 'worth') as SweepFigure;
    const { jobs } = sweeps.find(({ method }) => method === 'adam')!;
    expect(jobs.map(({ lr }) => lr)).toEqual([3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]);
    expect(about).toContain('7 learning rates each');
  });

  test('tell the default of a class that is tried elsewhere', () => {
    const { about } = all.find((figure) => figure.id === 'ranking')!;
    expect(about).toContain('ScheduleFreeSGD around 1e-1 and at its default of 1');
    expect(about).toContain('RMSprop around 3e-4 and at its default of 1e-2');
  });

  test('share their runs, and a student comes after its teachers', () => {
    const jobs = plan(all.flatMap(jobsOf), 1);
    expect(new Set(jobs.map(keyOf)).size).toBe(jobs.length);
    expect(jobs.length).toBeLessThan(all.flatMap(jobsOf).length);
    const { student } = all.find((figure) => figure.id === 'ensemble') as EnsembleFigure;
    expect(plan([student], 3).map(keyOf)).toEqual([...student.teachers!, student].map(keyOf));
  });

  test('are repeated for each seed, and ensemble members serve as repeats', () => {
    const once = plan([sgd], 1);
    expect(once).toEqual([sgd]);
    expect(plan([sgd], 3)).toEqual([sgd, { ...sgd, repeat: 1 }, { ...sgd, repeat: 2 }]);
    const { members } = all.find((figure) => figure.id === 'ensemble') as EnsembleFigure;
    expect(plan(members, members.length).length).toBe(members.length);
  });
});

const sgd: TrainJob = { kind: 'train', method: 'sgd', lr: 1e-2, repeat: 0 };

describe('--methods', () => {
  const settings = settingsOf({ seed: 1 });
  const chosen = (...names: string[]): Figure[] => selectFigures(settings, { methods: names });
  const methodsOf = (figure: Figure): string[] => [
    ...new Set(jobsOf(figure).flatMap((job) => (job.kind === 'descent' && job.lr === undefined ? [] : [job.method]))),
  ];

  test('keeps the runs of these methods, and the figures that need no other', () => {
    for (const figure of chosen('adam', 'sgd')) {
      expect(methodsOf(figure).length, figure.id).toBeGreaterThan(0);
      for (const method of methodsOf(figure)) expect(['adam', 'sgd'], figure.id).toContain(method);
    }
    const ids = chosen('adam').map(({ id }) => id);
    expect(ids).toEqual(['worth', 'ranking', 'family-adam', 'lr-adam', 'range-test', 'ensemble', 'second-order']);
    expect(chosen('sgd', 'momentum').map(({ id }) => id)).toContain('momentum');
    expect(chosen(...Object.keys(methods))).toEqual(figures(settings));
  });

  test('a choice that leaves no figure is a mistake', () => {
    expect(() => selectFigures(settings, { methods: ['lion'], only: ['decay'] })).toThrow(
      'study: no figure is left with --methods lion and --only decay',
    );
  });
});

describe('looks', () => {
  const names = [...Object.keys(methods), 'sfo', 'lbfgs', 'hessianFree'] as Parameters<typeof lookOf>[0][];

  test('no two methods share colour and dashes, and none share a colour within a figure', () => {
    expect(new Set(names.map((name) => JSON.stringify(lookOf(name)))).size).toBe(names.length);
    for (const figure of figures(settingsOf({ seed: 1 }))) {
      const lines =
        figure.kind === 'sweep'
          ? figure.sweeps.map(({ method }) => lookOf(method))
          : figure.kind === 'curves'
            ? figure.lines.map(({ look }) => look)
            : figure.kind === 'descent'
              ? figure.problems[0]!.lines.map(({ look }) => look)
              : [];
      expect(new Set(lines.map(({ color }) => color)).size, figure.id).toBe(lines.length);
    }
  });

  test('a method has one look in every figure', () => {
    const { lines } = figures(settingsOf({ seed: 1 })).find(({ id }) => id === 'same-rate') as CurvesFigure;
    for (const { job, look } of lines) expect(look).toEqual(lookOf(job.method));
  });

  // Relative luminance and contrast as WCAG 2 defines them.
  const luminance = (color: string): number => {
    const parts = /^#/.test(color)
      ? [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
      : color.match(/\d+/g)!.map(Number);
    const [r, g, b] = parts.map((part) => (part <= 10.31 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const paper = surfaces.find(({ name }) => name === 'paper')!;

  test.each(['light', 'dark'] as const)(
    'lines stand out from the paper, and text from its cell, in %s mode',
    (mode) => {
      const contrast = (color: string): number => {
        const [a, b] = [luminance(color), luminance(paper[mode])];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      };
      for (const [i, ink] of heatInk.entries()) {
        const [a, b] = [luminance(ink[mode]), luminance(heat[i]![mode])];
        expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), ink.name).toBeGreaterThan(3.5);
      }
      for (const hue of hues) expect(contrast(hue[mode]), hue.name).toBeGreaterThan(3);
      for (const step of ordered) expect(contrast(step[mode]), step.name).toBeGreaterThan(2);
    },
  );

  test.each(['light', 'dark'] as const)('learning rates go from dark to light in %s mode', (mode) => {
    const lightness = ordered.map((step) => luminance(step[mode]));
    expect(lightness).toEqual([...lightness].sort((a, b) => a - b));
    expect(new Set(lightness).size).toBe(lightness.length);
  });
});
