// The tables of optimizers: the README's, from the declarations, and the one of docs/guide/choosing-an-optimizer.md, which gets a
// row for each new class. scripts/docs.ts writes them; a test compares README.md with this script's output.
import { join } from 'node:path';
import type { Declaration } from '../lib/core/declaration.js';
import { classes } from '../lib/optimizers/index.js';
import { decayOf, links, pageOf, shown, stateBytes } from './optimizer-pages.js';

export const readmePath = join(__dirname, '..', 'README.md');
export const choosingPath = join(__dirname, '..', 'docs', 'guide', 'choosing-an-optimizer.md');
const [start, end] = ['<!-- optimizers: written by `npm run docs:readme` -->', '<!-- /optimizers -->'];

/** The first paper of a reference, as `[Kingma & Ba 2015](https://…)`. */
function paper(reference: string): string {
  const [first = ''] = reference.split('; ');
  const [authors = ''] = first.split(', "');
  const [year = ''] = /\b(19|20)\d\d\b/.exec(first) ?? [];
  const [url] = /https:\S+/.exec(first) ?? [];
  const names = authors.split(/, | & /);
  const short = names.length > 3 ? `${names[0]} et al.` : authors;
  return `[${short} ${year}](${url})`;
}

/** The table, one row per class. */
export function optimizerTable(): string {
  const rows = classes.map(([, declaration]) => {
    const { name, reference, denseOnly, blockLength } = declaration;
    const sparse = denseOnly === undefined ? 'yes' : blockLength === undefined ? 'no' : 'where rows are blocks';
    return `| [\`${name}\`](docs/optimizers/${pageOf(name)}) | ${stateBytes(declaration)} | ${sparse} | ${decayOf(declaration)} | ${paper(reference)} |`;
  });
  return ['| class | state, bytes per weight | sparse | weight decay | paper |', '|---|--:|---|---|---|', ...rows].join(
    '\n',
  );
}

/** `readme` with the current table between its markers. */
export function withTable(readme: string): string {
  const [before, after] = [readme.indexOf(start), readme.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`README.md: no ${start} … ${end}`);
  return `${readme.slice(0, before + start.length)}\n${optimizerTable()}\n${readme.slice(after)}`;
}

/** A class's row in the guide, as far as its declaration knows: the column `when` is for a person to write. */
function choosingRow({ name, kernels, hyperParameters, reference }: Declaration): string {
  const bytes = 4 * Object.values(kernels)[0]!.state.length;
  return `| \`${name}\` | | ${bytes} | ${shown(hyperParameters['lr'] ?? {})} | ${links(reference)} |`;
}

/** `guide` with a row for every class: rows that exist stay as they are, new ones come last. */
export function withMissingRows(guide: string): string {
  const missing = classes.filter(([, { name }]) => !guide.includes(`\n| \`${name}\` |`));
  const last = guide.lastIndexOf('\n| `');
  const end = guide.indexOf('\n', last + 1);
  return (
    [guide.slice(0, end), ...missing.map(([, declaration]) => choosingRow(declaration))].join('\n') + guide.slice(end)
  );
}
