// `npm run study` as a user runs it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { refusal, runBench } from '../command.js';
import { imageFolder } from './images.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the command', () => {
  const data = imageFolder(join(folder, 'command'), 2600);
  /** Runs a study and returns what it printed, and its numbers. */
  const study = (out: string, ...args: string[]) => {
    const run = runBench(['study', '--quick', '--data', data, '--out', out, ...args], folder);
    expect(run.status, run.err).toBe(0);
    const read = (name: string): string => readFileSync(join(folder, out, name), 'utf8');
    return { ...run, html: read('report.html'), json: read('numbers.json'), csv: read('curves.csv') };
  };

  test('writes its three files; the same seed gives the same numbers, with any number of workers', () => {
    const only = ['momentum', 'second-order'];
    const first = study('a', '--workers', '1', '--only', ...only);
    expect(first.out).toContain('SGD + momentum, lr 5e-3');
    expect(first.out).toContain('★ best');
    for (const id of only) expect(first.html).toContain(`<section id="${id}">`);
    const second = study('b', '--workers', '2', '--only', ...only);
    expect(second.json).toBe(first.json);
    expect(second.csv).toBe(first.csv);
    const other = study('c', '--only', 'momentum', '--seed', '2');
    expect(JSON.parse(other.json).runs[0].losses).not.toEqual(JSON.parse(first.json).runs[0].losses);
  }, 180_000);

  test('--rates and --epochs set the budget; the figure worth has files of its own', () => {
    const { json } = study('worth', '--only', 'worth', '--methods', 'adam', 'sgd', '--rates', '2', '--epochs', '1');
    const { figures, settings, runs } = JSON.parse(json);
    const record = JSON.parse(readFileSync(join(folder, 'worth', 'worth.json'), 'utf8'));
    expect(settings).toMatchObject({ rates: 2, epochs: 1 });
    expect(runs.length).toBe(4);
    for (const { losses } of runs) expect(losses.length).toBe(20);
    expect(record).toMatchObject({ settings, worth: figures[0].worth });
    expect(record.command).toMatch(/^npm run study -- --quick .*--rates 2 --epochs 1$/);
    for (const mode of ['light', 'dark'])
      expect(readFileSync(join(folder, 'worth', `worth-${mode}.svg`), 'utf8')).toContain('>Adam</text>');
  }, 60_000);

  test('tells how long it will take, and without a terminal how far it is', () => {
    const { err } = study('told', '--workers', '1', '--only', 'momentum');
    const [estimate, ...lines] = err.trimEnd().split('\n');
    expect(estimate).toMatch(/^2 runs with 1 worker, about \d+ (s|min) on this machine\./);
    expect(lines[0]).toMatch(/^training: 0%, 0 of 80 steps$/);
    expect(lines.at(-1)).toMatch(/^training: 100%, 80 of 80 steps$/);
    // Nothing that moves a cursor.
    expect(err).not.toContain('\u001b');
  }, 60_000);

  test('--seeds repeats the runs, --methods leaves some out; those that remain are the same', () => {
    const runs = (json: string): Map<string, object> =>
      new Map(JSON.parse(json).runs.map((run: { name: string }) => [run.name, run]));
    const few = study('few', '--methods', 'sgd', 'momentum', '--seeds', '2', '--only', 'momentum', 'range-test');
    const names = ['SGD, lr 5e-3', 'SGD + momentum, lr 5e-3'].flatMap((name) => [name, `${name}, repeat 2`]);
    expect([...runs(few.json).keys()].sort()).toEqual(names.sort());
    expect(JSON.parse(few.json).settings.seeds).toBe(2);
    expect(few.out).toMatch(/SGD, lr 5e-3 .*\d% \(\d/);
    const all = runs(study('all', '--only', 'momentum').json);
    expect(all.size).toBe(2);
    for (const [name, run] of all) expect(runs(few.json).get(name)).toEqual(run);
  }, 120_000);

  test.each([
    [['study', '--seed', '1.5'], "option '--seed <integer>' argument '1.5' is invalid. expected an integer, 0 or more"],
    [['study', '--only', 'nothing'], "option '--only <figures...>' argument 'nothing' is invalid"],
    [
      ['study', '--methods', 'adaam'],
      "option '--methods <names...>' argument 'adaam' is invalid. Allowed choices are sgd",
    ],
    [['study', '--seeds', '0'], "option '--seeds <count>' argument '0' is invalid. expected an integer from 1 to 100"],
    [['study', '--rates', '0'], "option '--rates <count>' argument '0' is invalid. expected an integer from 1 to 15"],
    [
      ['study', '--epochs', '0'],
      "option '--epochs <count>' argument '0' is invalid. expected an integer from 1 to 1000",
    ],
    [['stduy'], '(Did you mean study?)'],
  ])('refuses %j', async (args, message) => {
    expect(await refusal(args)).toContain(message);
  });

  test('--help and bench/README.md tell of every option', () => {
    const { out } = runBench(['study', '--help'], folder);
    const options = [...new Set(out.match(/--[a-z]+/g))];
    expect(options).toEqual(
      expect.arrayContaining([
        '--data',
        '--epochs',
        '--methods',
        '--only',
        '--out',
        '--quick',
        '--rates',
        '--seed',
        '--seeds',
      ]),
    );
    const readme = readFileSync(join(__dirname, '..', '..', '..', 'bench', 'README.md'), 'utf8');
    for (const option of options) if (option !== '--help') expect(readme, option).toContain(`\`${option}`);
  });

  test('a mistake is printed without a stack', () => {
    const { status, err } = runBench(['study', '--data', 'nowhere'], folder);
    expect(err).toBe('study: --data: nowhere is not a folder\n');
    expect(status).toBe(1);
  });
});
