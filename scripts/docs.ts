// `npm run docs:readme`: writes what the docs show of the declarations and of the recorded benchmark. A test compares each file.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { headlineFiles } from '../bench/speed/headline.js';
import type { Results } from '../bench/speed/results.js';
import { optimizerPages, pagesPath } from './optimizer-pages.js';
import { choosingPath, readmePath, withMissingRows, withTable } from './optimizer-table.js';

const results = join(__dirname, '..', 'bench', 'results');

writeFileSync(readmePath, withTable(readFileSync(readmePath, 'utf8')));
writeFileSync(choosingPath, withMissingRows(readFileSync(choosingPath, 'utf8')));
mkdirSync(pagesPath, { recursive: true });
for (const [name, text] of Object.entries(optimizerPages())) writeFileSync(join(pagesPath, name), text);
const recorded = JSON.parse(readFileSync(join(results, 'bench.json'), 'utf8')) as Results;
for (const [name, text] of Object.entries(headlineFiles(recorded))) writeFileSync(join(results, name), text);
