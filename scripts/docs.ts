// `npm run docs:readme`: writes what the docs show of the declarations and of the recorded benchmark and study. A test compares each file.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { headlineFiles } from '../bench/speed/headline.js';
import type { Results } from '../bench/speed/results.js';
import type { WorthRecord } from './guide-figures.js';
import { optimizerPages, pagesPath } from './optimizer-pages.js';
import { choosingPath, readmePath, withMissingRows, withTable } from './optimizer-table.js';

const results = join(__dirname, '..', 'bench', 'results');

writeFileSync(readmePath, withTable(readFileSync(readmePath, 'utf8')));
writeFileSync(choosingPath, withMissingRows(readFileSync(choosingPath, 'utf8')));
mkdirSync(pagesPath, { recursive: true });
for (const [name, text] of Object.entries(optimizerPages())) writeFileSync(join(pagesPath, name), text);
const recorded = JSON.parse(readFileSync(join(results, 'bench.json'), 'utf8')) as Results;
for (const [name, text] of Object.entries(headlineFiles(recorded))) writeFileSync(join(results, name), text);
const { worth } = JSON.parse(readFileSync(join(results, 'worth.json'), 'utf8')) as WorthRecord;
void draw();

async function draw(): Promise<void> {
  // A module that waits while it loads, as Vega does, cannot be required.
  const { pictures } = await import('../bench/study/picture.js');
  for (const [name, text] of Object.entries(await pictures(worth))) writeFileSync(join(results, name), text);
}
