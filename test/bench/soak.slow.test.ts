// The soak as a user runs it, for two minutes.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { riseOf } from '../../bench/soak/soak.js';
import { refusal, runBench } from './command.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('memory stays flat while everything that holds memory comes and goes', { timeout: 300_000 }, () => {
  const { status, out, err } = runBench(['soak', '--minutes', '2', '--out', folder], folder);
  expect(status, `${out}${err}`).toBe(0);
  expect(out).toMatch(/rss: .* flat\nexternal: .* flat\nheapUsed: .* flat/);
  const lines = readFileSync(join(folder, 'soak.csv'), 'utf8').trim().split('\n');
  expect(lines[0]).toBe('seconds,rss,external,heapUsed');
  expect(lines.length).toBeGreaterThan(50);
  expect(readFileSync(join(folder, 'soak.svg'), 'utf8')).toContain('<svg');
});

test('a leak of 1 MB a second is seen after two minutes, and noise is not', () => {
  const noise = Array.from({ length: 120 }, (_, i) => 300e6 + 40e6 * Math.sin(i * 2.4));
  expect(riseOf(noise).isFlat).toBe(true);
  expect(riseOf(noise.map((value, i) => value + i * 1e6)).isFlat).toBe(false);
});

test('wrong options are refused', async () => {
  expect(await refusal(['soak', '--minutes', '0'])).toContain('expected a number above 0');
});
