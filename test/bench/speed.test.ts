// The benchmark as a user runs it. No test asserts a time: whether something is fast is for bench/results to say.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { optimizers } from 'schuss';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withoutBroken } from '../../bench/speed/against.js';
import { alternate, type Contender } from '../../bench/speed/alternate.js';
import { measuring, ofMatrices } from '../../bench/speed/cases.js';
import { goalsOf } from '../../bench/speed/goals.js';
import { bytesPerParam } from '../../bench/speed/limit.js';
import { isSkipped, type PeerRow, type Results } from '../../bench/speed/results.js';
import { ratioOf, summaryOf } from '../../bench/speed/statistics.js';
import manifest from '../../package.json';
import { refusal, runBench } from './command.js';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'schuss-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const finite = (value: number): boolean => Number.isFinite(value) && value > 0;

describe('alternation', () => {
  const pace = { rounds: 4, seconds: 1, warmup: 0 };
  const of = (name: string, seconds: number, calls: string[], fails = Number.POSITIVE_INFINITY): Contender => ({
    name,
    run(steps) {
      calls.push(name);
      if (calls.filter((call) => call === name).length > fails) throw new Error('out of memory');
      return seconds * steps;
    },
  });

  test('contenders come in turn, each with as many steps as fill a sample, after a third as many that are not timed', async () => {
    const calls: string[] = [];
    const outcomes = await alternate([of('a', 1, calls), of('b', 2, calls)], pace);
    expect(outcomes.get('a')).toEqual({ seconds: [1, 1, 1, 1] });
    expect(outcomes.get('b')).toEqual({ seconds: [2, 2, 2, 2] });
    expect(calls.slice(-8).join('')).toBe('aabbaabb');
  });

  test('one that fails is left out, with its reason, and the others go on', async () => {
    const outcomes = await alternate([of('a', 1, []), of('b', 1, [], 3)], pace);
    expect(outcomes.get('a')).toEqual({ seconds: [1, 1, 1, 1] });
    expect(outcomes.get('b')).toEqual({ failed: 'out of memory' });
  });

  test('one that is slow has three rounds', async () => {
    const outcomes = await alternate([of('slow', 1000, [])], { ...pace, rounds: 9 });
    expect(outcomes.get('slow')).toEqual({ seconds: [1000, 1000, 1000] });
  });
});

test('medians, quartiles, and ratios within rounds', () => {
  expect(summaryOf([5, 1, 3, 2, 4])).toEqual({ low: 2, median: 3, high: 4 });
  expect(ratioOf([2, 40, 6], [1, 10])).toEqual({ low: 2.5, median: 3, high: 3.5 });
  expect([0, 1, 2].map(bytesPerParam)).toEqual([12, 20, 28]);
});

test('the classes of one walk are those that take rows of any param', () => {
  const sparse = { rows: new Int32Array(1), values: new Float32Array(1) };
  type AnyClass = new (params: Float32Array, options: object) => { step(grads: object): unknown };
  const refusing = Object.entries(optimizers as unknown as Record<string, AnyClass>).filter(([, Class]) => {
    const optimizer = new Class(new Float32Array(4), { lr: 0.1 });
    try {
      optimizer.step(sparse);
      return false;
    } catch {
      return true;
    }
  });
  const expected = ['adafactor', ...ofMatrices, ...measuring.map((name) => name.toLowerCase())];
  expect(refusing.map(([name]) => name).sort()).toEqual(expected.sort());
});

describe('a quick run of small sizes', () => {
  let out: string;
  let results: Results;
  beforeAll(() => {
    // Built once and then known: nothing happens where it is there already.
    const gyp = spawnSync(
      process.execPath,
      [
        require.resolve('node-gyp/bin/node-gyp.js'),
        'configure',
        'build',
        '--directory',
        join(root, 'bench', 'speed', 'limit'),
      ],
      { encoding: 'utf8' },
    );
    expect(gyp.status, gyp.stderr).toBe(0);
    const run = runBench('bench --quick --sizes 1000 300 --threads 2 --rounds 3 --out out'.split(' '), folder);
    expect(run.err).toBe('');
    expect(run.status).toBe(0);
    out = run.out;
    results = JSON.parse(readFileSync(join(folder, 'out', 'bench.json'), 'utf8')) as Results;
  }, 180_000);

  test('writes its files', () => {
    const plots = ['step', 'ratios'].flatMap((name) => [`${name}-light.svg`, `${name}-dark.svg`]);
    for (const name of ['bench.json', 'bench.html', 'goals.md', ...plots])
      expect(existsSync(join(folder, 'out', name)), name).toBe(true);
    expect(out).toContain('Open out');
  });

  test('says where it ran', () => {
    const { machine } = results;
    expect(machine).toMatchObject({ schuss: manifest.version, node: process.version, arch: process.arch });
    expect(machine.date).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(machine.cpu).not.toBe('');
  });

  test('has every class at every size and thread count, beside the limit', () => {
    const { rows, leftOut } = results.classes;
    expect(leftOut).toEqual([]);
    for (const [key, { optimizerName }] of Object.entries(optimizers)) {
      if (ofMatrices.includes(key)) continue;
      const own = rows.filter((row) => row.optimizer === optimizerName);
      const threads = results.machine.backend === 'js' ? [1] : [1, 2];
      expect(own.map((row) => [row.n, row.threads])).toEqual([300, 1000].flatMap((n) => threads.map((t) => [n, t])));
    }
    for (const row of rows) {
      expect(finite(row.nsPerParam.median) && finite(row.gbPerSecond)).toBe(true);
      expect(finite(row.limitNsPerParam?.median ?? 0) && finite(row.ofLimit?.median ?? 0), row.optimizer).toBe(true);
    }
    const bytes = (name: string): number | undefined => rows.find((row) => row.optimizer === name)?.bytesPerParam;
    expect([bytes('SGD'), bytes('SGD, momentum'), bytes('Adam')]).toEqual([12, 20, 28]);
  });

  test('has the classes of matrices by shape, in one thread and in all', () => {
    const { matrices } = results;
    expect(matrices.map(({ what }) => what)).toEqual([
      'Muon, 24 × 24',
      'Muon, 24 × 96',
      'Shampoo, 24 × 24',
      'SOAP, 24 × 24',
    ]);
    for (const { ns, otherNs, ratio } of matrices)
      expect([ns, otherNs, ratio].every(({ median }) => finite(median))).toBe(true);
    expect(out).toContain('Muon, 24 × 96');
  });

  const rowsOf = (peer: string): PeerRow[] => results.against.filter((row) => row.peer === peer);

  test('has every peer of the development dependencies, and each computes the same', () => {
    for (const peer of ['limit', 'schuss', 'js', 'schuss-tfjs', 'tfjs-wasm', 'tfjs-cpu', 'jax-js']) {
      for (const method of ['adam', 'sgd', 'momentum', 'adagrad', 'rmsprop']) {
        const own = rowsOf(peer).filter((row) => row.method === method && row.tensors === 1);
        expect(own.map((row) => row.n)).toEqual([300, 1000]);
        for (const { measured } of own) expect(measured).not.toHaveProperty('skipped');
      }
    }
    expect(rowsOf('js').some((row) => row.tensors === 200)).toBe(true);
  });

  test('fits a model of TensorFlow.js on each backend, with its Adam and with ours', () => {
    const { modelFit } = results;
    if (isSkipped(modelFit)) throw new Error(modelFit.skipped);
    expect(modelFit.rows.map(({ what }) => what.split(',')[0])).toEqual(['cpu', 'wasm']);
    for (const { ratio } of modelFit.rows) expect(finite(ratio.median)).toBe(true);
    expect(out).toContain('model.fit with schuss/tfjs; with tf.train.adam: wasm');
  });

  test('trains a recommender beside a loop by hand and PyTorch, each with the same weights', () => {
    const { recommender } = results;
    if (recommender === undefined || isSkipped(recommender)) throw new Error('no recommender');
    for (const model of ['pairs', 'bags'] as const) {
      for (const method of ['sgd', 'adagrad', 'adam']) {
        const own = recommender.rows.filter((row) => row.model === model && row.method === method);
        expect(own.map(({ batch, peer }) => `${peer} ${batch}`)).toEqual(
          [16, 256].flatMap((batch) => ['schuss', 'by-hand', 'torch'].map((peer) => `${peer} ${batch}`)),
        );
        for (const { peer, measured } of own) {
          if (!isSkipped(measured))
            expect(finite(measured.nsPerEvent.median) && finite(measured.ofOurs.median)).toBe(true);
          else expect(`${peer}: ${measured.skipped}`).toMatch(/^torch: .*`import torch`/);
        }
      }
    }
    expect(out).toContain('mean of the history · item, AdaGrad: JavaScript loop');
  });

  test('steps on rows of tables, beside their limit', () => {
    const { sparseRows, sparseCost } = results;
    if (sparseRows === undefined || isSkipped(sparseRows)) throw new Error('no rows');
    if (sparseCost === undefined || isSkipped(sparseCost)) throw new Error('no cost of a sparse step');
    expect(sparseRows.rows.map(({ label, width, names }) => `${label} ${width} ${names}`)).toEqual(
      ['AdaGrad 16', 'row-wise AdaGrad 16', 'AdaGrad 64', 'row-wise AdaGrad 64', 'FTRL 1'].flatMap((what) =>
        ['uniform', 'zipf', 'ascending'].map((names) => `${what} ${names}`),
      ),
    );
    for (const { width, ofLimit, ofAligned } of sparseRows.rows) {
      expect(finite(ofLimit.median)).toBe(true);
      expect(ofAligned !== null).toBe(width === 16);
      if (ofAligned !== null) expect(finite(ofAligned.median)).toBe(true);
    }
    for (const { median } of [sparseCost.oneNs, sparseCost.asyncCallNs]) expect(finite(median)).toBe(true);
    expect(out).toContain('rows of a table, one thread');
  });

  test('a peer that is not there is there with a reason', () => {
    for (const { measured } of results.against) {
      if (isSkipped(measured)) expect(measured.skipped).not.toBe('');
      else expect(finite(measured.nsPerParam.median) && finite(measured.ofOurs.median)).toBe(true);
    }
    const leftOut = results.against.find((row) => isSkipped(row.measured));
    if (leftOut !== undefined) expect(out).toContain(`${leftOut.label} left out: `);
  });

  test('every goal is measured, or says why not', () => {
    const markdown = readFileSync(join(folder, 'out', 'goals.md'), 'utf8');
    const goals = goalsOf(results);
    expect(goals.length).toBeGreaterThan(15);
    for (const { what, measured, reached } of goals) {
      expect(markdown).toContain(`| ${what} |`);
      expect(measured.startsWith('not measured ('), what).toBe(reached === undefined);
      expect(measured).not.toMatch(/NaN|undefined|Infinity/);
    }
    expect(markdown).toContain('A quick run');
  });

  test('the page and the plot need nothing but themselves', () => {
    const html = readFileSync(join(folder, 'out', 'bench.html'), 'utf8');
    const [light, dark] = ['light', 'dark'].map((mode) =>
      readFileSync(join(folder, 'out', `step-${mode}.svg`), 'utf8'),
    );
    expect(html).not.toMatch(/<script|@import|url\(|src=/);
    for (const text of ['limit: memory alone', 'JavaScript loop', 'TF.js wasm', 'jax-js wasm', 'nanoseconds']) {
      expect(html).toContain(text);
      for (const svg of [light, dark]) expect(svg).toContain(text);
    }
    for (const svg of [light, dark]) expect(svg).toMatch(/^<svg (?!.*var\(--).*<\/svg>$/s);
    expect(light).not.toBe(dark);
    expect(html).not.toMatch(/NaN|undefined/);
  });
});

test('a time of several threads that does not grow with the size is left out as broken', () => {
  const row = (n: number, microseconds: number, threads = 2): PeerRow => {
    const same = (value: number) => ({ low: value, median: value, high: value });
    const measured = { nsPerParam: same((1000 * microseconds) / n), ofOurs: same(1) };
    return { method: 'sgd', n, tensors: 1, threads, peer: 'torch-fused', label: 'PyTorch fused', measured };
  };
  const broken = (rows: readonly PeerRow[]) => withoutBroken(rows).map(({ measured }) => isSkipped(measured));
  expect(broken([row(1e6, 100), row(4e6, 400), row(2e7, 8000)])).toEqual([false, false, false]);
  expect(broken([row(1e6, 4000), row(4e6, 4100), row(2e7, 8000)])).toEqual([true, false, false]);
  expect(broken([row(1e6, 4000, 1), row(4e6, 4100, 1)])).toEqual([false, false]);
});

describe('options', () => {
  test('classes and peers can be chosen', () => {
    const { status, out, err } = runBench(
      'bench --quick --sizes 64 --classes adam --peers none --threads 1 --rounds 3 --out few'.split(' '),
      folder,
    );
    expect(err).toBe('');
    expect(status).toBe(0);
    expect(out).not.toContain('SGD, momentum');
    const { against, classes, neighbour } = JSON.parse(
      readFileSync(join(folder, 'few', 'bench.json'), 'utf8'),
    ) as Results;
    expect(new Set(against.map((row) => row.peer))).toEqual(new Set(['limit', 'schuss']));
    expect(new Set(classes.rows.map((row) => `${row.optimizer} ${row.threads}`))).toEqual(new Set(['Adam 1']));
    expect(neighbour).toEqual({ skipped: 'only one thread was asked for' });
  });

  test.each([
    ['--sizes 0', "option '--sizes <elements...>' argument '0' is invalid. expected an integer from 1 to 4294967296"],
    ['--sizes 1e3 many', "argument 'many' is invalid"],
    ['--threads 1.5', "option '--threads <counts...>' argument '1.5' is invalid. expected an integer from 1 to 1024"],
    ['--threads 4096', "argument '4096' is invalid. expected an integer from 1 to 1024"],
    ['--rounds 2', "option '--rounds <count>' argument '2' is invalid. expected an integer, 3 or more"],
    ['--classes adamm', "option '--classes <names...>' argument 'adamm' is invalid"],
    ['--peers numpy', "option '--peers <names...>' argument 'numpy' is invalid"],
    ['--colour', "unknown option '--colour'"],
  ])('refuses %s', async (options, message) => {
    expect(await refusal(['bench', ...options.split(' ')])).toContain(message);
  });

  test('refuses a folder that can not be one, before it measures', () => {
    writeFileSync(join(folder, 'taken'), '');
    const { status, err } = runBench(['bench', '--quick', '--out', 'taken'], folder);
    expect(err).toContain('bench: --out: ');
    expect(err).not.toContain('    at ');
    expect(status).toBe(1);
  });
});
