// The documentation: what each page must name, and that its links lead somewhere.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { headlineFiles } from '../../bench/speed/headline.js';
import type { Results } from '../../bench/speed/results.js';
import * as schedules from '../../lib/schedules/index.js';
import { accuracyPhrases, guideFigures, readmeStudyFigures, type WorthRecord } from '../../scripts/guide-figures.js';
import { optimizerPages, pagesPath } from '../../scripts/optimizer-pages.js';
import { readmeFigures } from '../../scripts/readme-figures.js';
import { plotsPath, schedulePlots } from '../../scripts/schedule-plots.js';
import { declarations } from '../support/classes.js';
import { filesIn, read, root } from '../support/root.js';

const guide = join(root, 'docs', 'guide');

describe('the guide', () => {
  test('choosing-an-optimizer lists every class with the bytes of its state', () => {
    const rows = read('docs', 'guide', 'choosing-an-optimizer.md')
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()));
    for (const { name, kernels } of declarations) {
      const row = rows.find((cells) => cells[1] === `\`${name}\`` && cells.length === 7);
      expect(row, name).toBeDefined();
      const plain = Object.values(kernels)[0]!;
      // Factors of a matrix and numbers of its rows, columns and blocks are not per weight.
      const { state, layout } = plain as { state: readonly string[]; layout?: Readonly<Record<string, string>> };
      const perWeight = state.filter((array) => layout?.[array] === undefined);
      expect(Number(/\d+/.exec(row![3]!)?.[0]), name).toBe(4 * perWeight.length);
    }
  });

  describe('choosing-an-optimizer', () => {
    const recorded = JSON.parse(read('bench', 'results', 'worth.json')) as WorthRecord;
    const text = read('docs', 'guide', 'choosing-an-optimizer.md').replace(/\s+/g, ' ');

    test('says what the recorded study measured, and quotes no other accuracy', () => {
      for (const phrase of guideFigures(recorded)) expect(text.includes(phrase), phrase).toBe(true);
      const phrases = accuracyPhrases(recorded);
      expect(phrases.filter((phrase) => text.includes(phrase)).length).toBeGreaterThan(10);
      const rest = phrases.reduce((left, phrase) => left.replaceAll(phrase, ''), text);
      expect(rest.match(/.{0,40}\d%.{0,20}/g), 'accuracies that are not in bench/results/worth.json').toBeNull();
    });

    test('README.md and bench/README.md say how the record was made', () => {
      const readme = read('README.md').replace(/\s+/g, ' ');
      for (const phrase of readmeStudyFigures(recorded)) expect(readme.includes(phrase), phrase).toBe(true);
      expect(read('bench', 'README.md')).toContain(recorded.command);
    });
  });

  test('schedules lists every schedule with its formula and its plot', () => {
    const text = read('docs', 'guide', 'schedules.md');
    const plots = readFileSync(plotsPath, 'utf8');
    for (const name of Object.keys(schedules)) {
      expect(text, name).toMatch(new RegExp(`^\\| \`${name}\\(`, 'm'));
      expect(plots, name).toContain(`>${name}</text>`);
    }
    expect(schedulePlots(), 'npx tsx scripts/schedule-plots.ts').toBe(plots);
  });

  test('each class has its page, as npm run docs:readme writes it', () => {
    const pages = optimizerPages();
    expect(
      filesIn(pagesPath, '')
        .map((file) => relative(pagesPath, file))
        .sort(),
    ).toEqual(Object.keys(pages).sort());
    for (const [name, text] of Object.entries(pages)) {
      expect(read('docs', 'optimizers', name), `${name}: npm run docs:readme`).toBe(text);
      if (name.endsWith('.md'))
        for (const heading of [
          'When to use it',
          'Formula',
          'Options',
          'Pitfalls',
          'State',
          'Example',
          'Path',
          'Source',
        ])
          expect(text, name).toContain(`\n## ${heading}\n`);
      expect(text, name).not.toMatch(/@link|undefined/);
    }
  });

  test('each page is in the menu', () => {
    const menu = read('docs', 'sections.mjs');
    for (const page of filesIn(guide, '.md')) expect(menu).toContain(`'${relative(guide, page).replace('.md', '')}'`);
  });
});

describe('the README', () => {
  const recorded = JSON.parse(read('bench', 'results', 'bench.json')) as Results;

  test('says what the recorded benchmark measured', () => {
    const text = read('README.md').replace(/\s+/g, ' ');
    for (const phrase of readmeFigures(recorded)) expect(text.includes(phrase), phrase).toBe(true);
  });

  test('shows the picture that npm run docs:readme draws of it', () => {
    const files = headlineFiles(recorded);
    expect(Object.keys(files)).toEqual(['headline-light.svg', 'headline-dark.svg']);
    for (const [name, text] of Object.entries(files)) {
      expect(read('bench', 'results', name), 'npm run docs:readme').toBe(text);
      expect(read('README.md')).toContain(`bench/results/${name}`);
    }
  });
});

describe('links', () => {
  const own = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', join('bench', 'README.md')].map((name) =>
    join(root, name),
  );
  const pages = [...own, ...filesIn(join(root, 'docs'), '.md'), ...filesIn(join(root, 'examples'), '.md')];

  /** The anchors that GitHub and TypeDoc make of headings. */
  const anchorsOf = (page: string): string[] =>
    [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );

  test.each(pages.map((page) => relative(root, page)))('in %s lead to existing files and headings', (name) => {
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
