// A small study: its numbers, its captions and its page.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { optimizers } from 'schuss';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Spec } from '../../../bench/report/charts.js';
import { compile } from '../../../bench/report/draw.js';
import { describeRanking } from '../../../bench/study/captions.js';
import { costsOf } from '../../../bench/study/cost.js';
import { curveLegend, curvePanels, sweepPanels } from '../../../bench/study/curves.js';
import { loadFolder, split } from '../../../bench/study/data.js';
import { ensembleBars } from '../../../bench/study/ensemble.js';
import {
  type CurvesFigure,
  type EnsembleFigure,
  figures,
  jobsOf,
  type Sweep,
  type SweepFigure,
} from '../../../bench/study/figures.js';
import type { Scores, Settings, TrainJob } from '../../../bench/study/job.js';
import { hueLook } from '../../../bench/study/looks.js';
import { toCsv, toJson } from '../../../bench/study/numbers.js';
import { bestOf, nameOf, outcomeOf, ranked } from '../../../bench/study/outcomes.js';
import { pictures } from '../../../bench/study/picture.js';
import { performAll, plan, Results } from '../../../bench/study/pool.js';
import { rankingPanels } from '../../../bench/study/ranking.js';
import { reportHtml } from '../../../bench/study/report.js';
import { settingsOf } from '../../../bench/study/settings.js';
import { describeWorth, worthOf, worthPanels, worthTable } from '../../../bench/study/worth.js';
import type { WorthRecord } from '../../../scripts/guide-figures.js';
import { read } from '../../support/root.js';
import { imageFolder } from './images.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a small study', () => {
  const settings: Settings = {
    ...settingsOf({ seed: 5, quick: true, seeds: 2 }),
    train: 200,
    validation: 50,
    batch: 20,
    hidden: [12, 12],
  };
  const diverging: TrainJob = { kind: 'train', method: 'sgd', lr: 1e3, repeat: 0 };
  const all = figures(settings);
  all.push({
    id: 'wild',
    kind: 'curves',
    title: 'Too fast',
    about: '',
    lines: [{ label: '<b>1e3</b>', look: hueLook(0), job: diverging }],
  });
  const data = split(loadFolder(imageFolder(join(folder, 'study'), 250)), settings);
  const run = (): Promise<Results> =>
    performAll(plan(all.flatMap(jobsOf), settings.seeds), data, settings, { workers: 0, onSteps: () => {} });
  const barsOf = (results: Results): ReturnType<typeof ensembleBars> =>
    ensembleBars(all.find((figure) => figure.id === 'ensemble') as EnsembleFigure, results, data);
  let results: Results;
  let html: string;
  beforeAll(async () => {
    results = await run();
    html = reportHtml({ figures: all, results, settings, data, bars: barsOf(results), made: [['Seed', '<5>']] });
  });
  const specs = (): Spec[] =>
    JSON.parse(/<script type="application\/json" id="specs">(.*?)<\/script>/s.exec(html)![1]!) as Spec[];

  test('gives the same numbers twice', async () => {
    const again = await run();
    const json = (r: Results): string => toJson(all, r, settings, data.name, barsOf(r));
    expect(json(again)).toBe(json(results));
    expect(toCsv(all, again, settings)).toBe(toCsv(all, results, settings));
  });

  test('learns, and counts every step', () => {
    const adam = results.get({ kind: 'train', method: 'adam', lr: 1e-3, repeat: 0 });
    expect(adam.losses.length).toBe(20);
    expect(adam.scores.map(({ step }) => step)).toEqual([0, 5, 10, 15, 20]);
    expect(adam.scores.at(-1)!.train.loss).toBeLessThan(adam.scores[0]!.train.loss);
    // The first step of Adam, corrected, is lr for every parameter that has a gradient.
    expect(adam.updates[0]).toBeGreaterThan(5e-4);
    expect(adam.updates[0]).toBeLessThan(1.001e-3);
  });

  test('a run that diverged says so, in every output', () => {
    const { divergedAt, losses, logits } = results.get(diverging);
    expect(divergedAt).toBe(losses.length);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(logits).toBeNull();
    expect(html).toContain('✕ 2 of 2 seeds diverged');
    const first = outcomeOf(diverging, results).divergedAt[0];
    expect(html).toContain(
      `Diverged (the loss became infinite or NaN, or ended above that of the untrained network): &lt;b&gt;1e3&lt;/b&gt; (at step ${first}, with 2 of 2 seeds)`,
    );
    expect(html).toContain(`diverged at step ${first}, with 2 of 2 seeds</td>`);
    expect(JSON.parse(toJson(all, results, settings, data.name, [])).runs).toContainEqual(
      expect.objectContaining({ name: 'SGD, lr 1000', divergedAt }),
    );
  });

  test('averages are judged, where an optimizer keeps them', () => {
    // The last score is of what the optimizer holds: of ASGD's params it would be another.
    const asgd = results.get({ kind: 'train', method: 'asgd', lr: 1e-2, repeat: 0 });
    const sgd = results.get({ kind: 'train', method: 'sgd', lr: 1e-2, repeat: 0 });
    const early = asgd.scores.filter(({ step }) => step > 0 && step <= 10).map(({ train }) => train.loss);
    expect(early.length).toBe(2);
    for (const [i, loss] of early.entries()) expect(loss).toBeCloseTo(sgd.scores[i + 1]!.train.loss, 2);
    expect(asgd.scores.at(-1)!.train.loss).not.toBeCloseTo(sgd.scores.at(-1)!.train.loss, 2);
  });

  test('Rprop goes over as many images in fewer steps', () => {
    const rprop = results.get({ kind: 'train', method: 'rprop', lr: 1e-2, repeat: 0 });
    expect(rprop.losses.length).toBe(4);
    expect(rprop.scores.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
  });

  test('every class of the library is in the numbers, with its best learning rate', () => {
    const { figures: contents, runs } = JSON.parse(toJson(all, results, settings, data.name, []));
    const { classes } = contents.find(({ id }: { id: string }) => id === 'ranking');
    const accuracy = (name: string): number => {
      const repeats: { divergedAt: number | null; scores: Scores[] }[] = runs.filter((run: { name: string }) =>
        [name, `${name}, repeat 2`].includes(run.name),
      );
      expect(repeats.length).toBe(2);
      const isUp = (scores: Scores[]): boolean => scores.at(-1)!.train.loss > scores[0]!.train.loss;
      if (repeats.some(({ divergedAt, scores }) => divergedAt !== null || isUp(scores))) return -1;
      const ends = repeats.map(({ scores }) => scores.at(-1)!.validation.accuracy);
      return (ends[0]! + ends[1]!) / 2;
    };
    expect(new Set(classes.map((row: { class: string }) => row.class))).toEqual(
      new Set(Object.values(optimizers).map(({ optimizerName }) => optimizerName)),
    );
    for (const { best, runs: tried } of classes) {
      expect(tried).toContain(best);
      expect(accuracy(best)).toBe(Math.max(...tried.map(accuracy)));
    }
  });

  test('what is worth it: each class at the rate of the lowest median loss, in a place that the ranges allow', () => {
    const costs = new Map([['adam', { micros: 1234, stateBytes: 8 }]] as const);
    const json = toJson(all, results, settings, data.name, [], costs);
    expect(json).not.toContain('micros');
    const { figures: contents, runs } = JSON.parse(json);
    const { worth, classes } = contents.find(({ id }: { id: string }) => id === 'worth');
    const ends = (name: string): Scores[] =>
      runs
        .filter((run: { name: string }) => [name, `${name}, repeat 2`].includes(run.name))
        .map((run: { scores: Scores[] }) => run.scores.at(-1));
    const loss = (name: string): number => ends(name).reduce((sum, { train }) => sum + train.loss / 2, 0);
    expect(worth.length).toBe(classes.length);
    for (const row of worth) {
      const { runs: tried } = classes.find(({ name }: { name: string }) => name === row.name);
      expect(tried.length).toBe(row.tried);
      if (row.diverged) continue;
      const taken = tried.find((name: string) => loss(name) === row.loss.median);
      expect(taken, row.name).toMatch(/lr/);
      const accuracies = ends(taken).map(({ validation }) => validation.accuracy);
      expect([row.accuracy.low, row.accuracy.high]).toEqual([Math.min(...accuracies), Math.max(...accuracies)]);
      // No rate that all seeds finished has a lower loss.
      const finished = tried.filter((name: string) => outcomeOfName(name));
      for (const name of finished) expect(loss(name)).toBeGreaterThanOrEqual(row.loss.median);
      const better = worth.filter((other: Row) => !other.diverged && other.accuracy.low > row.accuracy.high);
      expect(row.places[0]).toBe(better.length + 1);
      expect(row.places[1]).toBeGreaterThanOrEqual(row.places[0]);
    }
    const medians = worth.filter((row: Row) => !row.diverged).map((row: Row) => row.accuracy.median);
    expect(medians).toEqual([...medians].sort((a, b) => b - a));
    expect(worth.find(({ name }: Row) => name === 'Adam').stateBytes).toBe(8);
    type Row = { name: string; diverged?: true; accuracy: { low: number; high: number; median: number } };
    function outcomeOfName(name: string): boolean {
      const job = all.flatMap(jobsOf).find((each) => each.kind === 'train' && nameOf(each) === name) as TrainJob;
      return outcomeOf(job, results).final !== undefined;
    }
  });

  test('ties are told: a row of the table reaches into the range of the first, or is not marked', () => {
    const figure = all.find(({ id }) => id === 'worth') as SweepFigure;
    const rows = worthOf(figure, results);
    const marked = worthTable(figure, results, new Map()).match(/<tr class="best">/g)!.length;
    const low = rows[0]!.accuracy!.low;
    expect(marked).toBe(rows.filter(({ accuracy }) => accuracy !== undefined && accuracy.high >= low).length);
    expect(describeWorth(figure, results, settings.seeds)).toContain(`The highest median is that of ${rows[0]!.name}`);
    expect(describeWorth(figure, results, 1)).toContain('the order is no result');
  });

  describe('the picture of what is worth it', () => {
    const row = (name: string, median: number, reach: number) => {
      const middle = { median, low: median - reach, high: median + reach };
      return { name, accuracy: middle, loss: middle };
    };
    const drawn = (reach: number) => {
      const good = Array.from({ length: 8 }, (_, i) => row(`good ${i}`, 0.88 - 0.01 * i, reach));
      const [accuracy] = worthPanels([...good, row('far below', 0.111, reach), { name: 'wild' }]);
      return { title: accuracy!.title, spec: JSON.stringify(accuracy!.spec) };
    };

    test('one class far below does not press the others together: it is a number at the edge', () => {
      const { title, spec } = drawn(0.01);
      expect(spec).toContain('"domain":[70,');
      expect(spec).toContain('◂ 11.1');
      expect(spec).toContain('Accuracy (%), from 70; ◂ lower');
      expect(spec).toContain('✕ diverged');
      expect(title).toContain('range over the seeds');
      expect(spec.match(/"color":"var\(--green\)"/g)!.length).toBe(3);
    });

    test('of the guide is drawn from the recorded numbers', async () => {
      const { worth } = JSON.parse(read('bench', 'results', 'worth.json')) as WorthRecord;
      // Compared here, because a difference of two such files fills the screen.
      for (const [name, text] of Object.entries(await pictures(worth)))
        expect(read('bench', 'results', name) === text, `${name}: npm run docs:readme`).toBe(true);
      expect(read('docs', 'guide', 'choosing-an-optimizer.md')).toContain('../../bench/results/worth-light.svg');
    });

    test('one seed has no range, and marks none as the best', () => {
      const { title, spec } = drawn(0);
      expect(title).toBe('Final validation accuracy');
      expect(spec).not.toContain('--green');
    });
  });

  test('the state of a class is counted over the whole network', () => {
    const costs = costsOf(['sgd', 'adam', 'ademamix'], data, settings);
    expect([...costs.values()].map(({ stateBytes }) => stateBytes)).toEqual([0, 8, 12]);
  });

  describe('a run that diverged', () => {
    const { sweeps } = all.find((figure) => figure.id === 'ranking') as SweepFigure;
    const sgd = sweeps[0] as Sweep;
    const adam = sweeps.find(({ method }) => method === 'adam') as Sweep;
    const ranking = (...sweeps: Sweep[]): SweepFigure => ({ id: 'r', kind: 'ranking', title: '', about: '', sweeps });

    test('is no best one, and ranks last', () => {
      const wild = { ...sgd, jobs: [diverging] };
      expect(bestOf({ ...sgd, jobs: [diverging, ...sgd.jobs] }, results)).not.toBe(diverging);
      const figure = ranking(wild, adam);
      expect(ranked(figure, results).at(-1)).toMatchObject({ best: { lr: 1e3, accuracy: null } });
      expect(JSON.stringify(rankingPanels(figure, results))).toContain('✕ best diverged');
      expect(JSON.stringify(sweepPanels(figure, results, settings))).toContain('✕');
      expect(describeRanking(figure, results, settings.validation)).toContain('Diverged at every learning rate: SGD.');
      const { ranking: places } = JSON.parse(toJson([figure], results, settings, data.name, [])).figures[0];
      expect(places.at(-1)).toEqual({ name: 'SGD', best: { lr: 1e3, diverged: true } });
    });

    test('may have a finite loss: one that ends above that of the untrained network', () => {
      const [job] = sgd.jobs as [TrainJob];
      const outcomeIf = (loss: number) => {
        const changed = new Results(settings.seeds);
        for (const each of plan([job], settings.seeds)) {
          const result = results.get(each as TrainJob);
          const last = result.scores.at(-1)!;
          const scores = [...result.scores.slice(0, -1), { ...last, train: { ...last.train, loss } }];
          changed.set(each, (each as TrainJob).repeat === 1 ? { ...result, scores } : result);
        }
        return outcomeOf(job, changed);
      };
      const start = results.repeats(job)[1]!.scores[0]!.train.loss;
      expect(outcomeIf(1.01 * start)).toEqual({ seeds: 2, divergedAt: [20] });
      expect(outcomeIf(0.99 * start).divergedAt).toEqual([]);
    });

    test('has no accuracy to compare with: neither as a default nor beside the best learning rate', () => {
      // Adam at its default of 1e-3, as if it had diverged with one of its seeds. 3e-4 is then the best of the two.
      const jobs = [3e-4, 1e-3].map((lr) => adam.jobs.find((job) => job.lr === lr)!);
      const spoilt = new Results(settings.seeds);
      for (const job of plan([...sgd.jobs, ...jobs], settings.seeds)) {
        const { lr, repeat } = job as TrainJob;
        const isSpoilt = lr === 1e-3 && repeat === 1;
        spoilt.set(job, isSpoilt ? { ...results.get(job as TrainJob), divergedAt: 7, logits: null } : results.get(job));
      }
      const figure = ranking(sgd, { ...adam, jobs });
      const row = ranked(figure, spoilt).find(({ name }) => name === 'Adam')!;
      const accuracy = outcomeOf(jobs[0]!, results).final!.validationAccuracy.mean;
      expect(row.best).toEqual({ lr: 3e-4, accuracy });
      expect(row.atDefault).toEqual({ lr: 1e-3, accuracy: null });
      expect(row.beside).toEqual([{ lr: 1e-3, accuracy: null }]);
      const text = describeRanking(figure, spoilt, settings.validation);
      expect(text).toContain('Diverged at the default learning rate: Adam (1e-3).');
      expect(text).toContain('Half a decade beside the best one, some run diverged: Adam.');
      expect(text).not.toContain('points, and most with');
      expect(JSON.stringify(rankingPanels(figure, spoilt))).toContain('✕ default diverged');
      const { ranking: places } = JSON.parse(toJson([figure], spoilt, settings, data.name, [])).figures[0];
      expect(places).toContainEqual({
        name: 'Adam',
        best: { lr: 3e-4, accuracy },
        default: { lr: 1e-3, diverged: true },
      });
    });
  });

  test('curves are the mean over the seeds, in a band from the lowest to the highest', () => {
    const figure = all.find(({ id }) => id === 'lr-adam') as CurvesFigure;
    const { label, job } = figure.lines[2]!;
    const ends = results.repeats(job).map(({ scores }) => 100 * scores.at(-1)!.validation.accuracy);
    expect(ends.length).toBe(2);
    const [, , accuracy] = curvePanels(figure, results, settings);
    const [band] = accuracy!.spec['layer'] as { mark: { type: string }; data: { values: Point[] } }[];
    type Point = { line: string; epoch: number; value: number; low: number; high: number };
    expect(band!.mark.type).toBe('area');
    const last = band!.data.values.filter(({ line }) => line === label).at(-1)!;
    expect(last.epoch).toBe(settings.epochs);
    expect(last.low).toBeCloseTo(Math.min(...ends), 3);
    expect(last.high).toBeCloseTo(Math.max(...ends), 3);
    expect(last.value).toBeCloseTo((ends[0]! + ends[1]!) / 2, 3);
    expect(curveLegend(figure, results).map(({ diverged }) => diverged)).toEqual(figure.lines.map(() => undefined));
  });

  test('SFO ends below L-BFGS and Hessian-free, and below every first-order method at its best', () => {
    const { descents } = JSON.parse(toJson(all, results, settings, data.name, []));
    expect(descents.map(({ problem }: { problem: string }) => problem)).toEqual(['Softmax regression', 'Autoencoder']);
    for (const { methods: rows, lowest } of descents) {
      const ends = rows.map(({ runs }: { runs: { values: number[] }[] }) =>
        Math.min(...runs.map(({ values }) => values.at(-1)!)),
      );
      expect(rows.slice(0, 3).map(({ method }: { method: string }) => method)).toEqual([
        'SFO',
        'L-BFGS',
        'Hessian-free',
      ]);
      expect(rows[0]).toMatchObject({ method: 'SFO', runs: [{ values: { length: settings.passes + 1 } }] });
      expect(ends[0]).toBeGreaterThanOrEqual(lowest);
      for (const other of ends.slice(1)) expect(ends[0]).toBeLessThan(other);
    }
  });

  test('the ensemble has every bar', () => {
    const labels = ['member 1', 'member 2', 'member 3', 'averaged predictions', 'majority vote', 'distilled student'];
    const bars = barsOf(results);
    expect(bars.map((bar) => bar.label)).toEqual([...labels, 'SWA weights of member 1', 'EMA weights of member 1']);
    for (const { trainAccuracy, validationAccuracy } of bars) {
      for (const accuracy of [trainAccuracy, validationAccuracy]) expect(accuracy >= 0 && accuracy <= 1).toBe(true);
    }
  });

  test('the page holds every figure, and each of its plots compiles without a warning', () => {
    for (const { id, title } of all) {
      expect(html).toContain(`<section id="${id}">`);
      expect(html).toContain(title);
    }
    const warnings: string[] = [];
    const logger = { level: () => logger, error: warn, warn, info: () => logger, debug: () => logger } as never;
    function warn(...message: readonly string[]): typeof logger {
      warnings.push(...message);
      return logger;
    }
    for (const spec of specs()) compile(spec as never, { logger });
    // Three for each figure; one more for decay's rates, the steps of bias correction and the ensemble's errors, one less
    // for the worth, the ranking and the two sums.
    expect(specs().length).toBe(3 * all.length);
    expect(html.match(/data-spec=/g)!.length).toBe(specs().length);
    expect(warnings).toEqual([]);
  });

  test('the page needs nothing but itself', () => {
    const text = html.replace(/<script(?: type="application\/json" id="specs")?>.*?<\/script>/gs, '');
    expect(text).not.toContain('<script');
    expect(text).not.toMatch(/https?:|\/\/|@import|url\(/);
    for (const [, target] of text.matchAll(/(?:src|href)="([^"]*)"/g)) expect(target).toMatch(/^(#|data:)/);
    const urls = JSON.stringify(specs()).match(/"[^"]*:\/\/[^"]*"/g)!;
    expect(new Set(urls)).toEqual(new Set(['"https://vega.github.io/schema/vega-lite/v6.json"']));
  });

  test('says when it was quick', () => {
    expect(html).toContain('Quick run.');
    const whole = { ...settings, quick: false };
    expect(reportHtml({ figures: [], results, settings: whole, data, bars: [], made: [] })).not.toContain('Quick run.');
  });
});
