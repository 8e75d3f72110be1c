// The documentation: what each page must name, and that its links lead somewhere.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import * as schedules from '../../lib/schedules/index.js';
import { plotsPath, schedulePlots } from '../../scripts/schedule-plots.js';
import { declarations } from '../support/classes.js';

const root = join(__dirname, '..', '..');

const guide = join(root, 'docs', 'guide');

const folder = mkdtempSync(join(tmpdir(), 'schuss-docs-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');

const files = (at: string, suffix: string): string[] =>
  readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix) && !name.includes('node_modules'))
    .map((name) => join(at, name));

describe('the guide', () => {
  test('choosing-an-optimizer has every class, with the bytes of its state', () => {
    const rows = read('docs', 'guide', 'choosing-an-optimizer.md')
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()));
    for (const { name, kernels } of declarations) {
      const row = rows.find((cells) => cells[1] === `\`${name}\`` && cells.length === 7);
      expect(row, name).toBeDefined();
      const plain = Object.values(kernels)[0]!;
      expect(Number(/\d+/.exec(row![3]!)?.[0]), name).toBe(4 * plain.state.length);
    }
  });

  test('schedules has every schedule, with its formula and its plot', () => {
    const text = read('docs', 'guide', 'schedules.md');
    const plots = readFileSync(plotsPath, 'utf8');
    for (const name of Object.keys(schedules)) {
      expect(text, name).toMatch(new RegExp(`^\\| \`${name}\\(`, 'm'));
      expect(plots, name).toContain(`>${name}</text>`);
    }
    expect(schedulePlots(), 'npx tsx scripts/schedule-plots.ts').toBe(plots);
  });

  test('each page is in the menu', () => {
    const menu = read('docs', 'sections.mjs');
    for (const page of files(guide, '.md')) expect(menu).toContain(`'${relative(guide, page).replace('.md', '')}'`);
  });
});

describe('links', () => {
  const own = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', join('bench', 'README.md')].map((name) =>
    join(root, name),
  );
  const pages = [...own, ...files(join(root, 'docs'), '.md'), ...files(join(root, 'examples'), '.md')];

  /** As GitHub and TypeDoc make them. */
  const anchorsOf = (page: string): string[] =>
    [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );

  test.each(pages.map((page) => relative(root, page)))('of %s lead somewhere', (name) => {
    const page = join(root, name);
    const text = readFileSync(page, 'utf8')
      .replace(/^```.*?^```/gms, '')
      .replace(/`[^`\n]*`/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?|mailto):/.test(target!)) continue;
      const [path, anchor] = target!.split('#');
      const at = path === '' ? page : join(dirname(page), path!);
      expect(existsSync(at), `${name}: ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(at), `${name}: ${target}`).toContain(anchor);
    }
  });
});

function findChromium(): string | undefined {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => folders.map((at) => join(at, name)))
    .find((path) => existsSync(path));
}

const executablePath = findChromium();

if (executablePath === undefined) console.warn('SKIPPED: no chromium on PATH and no CHROMIUM_PATH: no page was opened');
