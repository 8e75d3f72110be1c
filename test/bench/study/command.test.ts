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
  test('writes its three files, and the numbers do not depend on the workers', () => {
    const data = imageFolder(join(folder, 'command'), 2600);
    const only = ['momentum', 'second-order'];
    const study = (workers: string): string => {
      const { status, out, err } = runBench(
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

  test.each([
    [['study', '--seed', '1.5'], "option '--seed <integer>' argument '1.5' is invalid. expected an integer, 0 or more"],
    [['study', '--only', 'nothing'], "option '--only <figures...>' argument 'nothing' is invalid"],
    [['stduy'], '(Did you mean study?)'],
  ])('refuses %j', async (args, message) => {
    expect(await refusal(args)).toContain(message);
  });

  test('a mistake is printed without a stack', () => {
    const { status, err } = runBench(['study', '--data', 'nowhere'], folder);
    expect(err).toBe('study: --data: nowhere is not a folder\n');
    expect(status).toBe(1);
  });
});
