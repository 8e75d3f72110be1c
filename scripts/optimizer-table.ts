// Writes the table of optimizers in README.md from the declarations, and adds a row for each new class to the table in
// docs/guide/choosing-an-optimizer.md. A test compares README.md with this script's output.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Declaration, HyperParameter } from '../lib/core/declaration.js';
import { classes } from '../lib/optimizers/index.js';

export const readmePath = join(__dirname, '..', 'README.md');
const choosingPath = join(__dirname, '..', 'docs', 'guide', 'choosing-an-optimizer.md');
const [start, end] = ['<!-- optimizers: written by `npm run docs:readme` -->', '<!-- /optimizers -->'];

function shown({ default: value, required }: HyperParameter): string {
  if (required) return 'required';
  if (value === undefined) return 'none';
  return JSON.stringify(value).replaceAll(',', ', ');
}

function links(reference: string): string {
  return reference
    .split('; ')
    .map((part) => {
      const url = /https:\S+/.exec(part)?.[0];
      const name = part.replace(/,?\s*https:\S+/, '').replace(/"([^"]+)"/, '*$1*');
      return url === undefined ? name : `[${name}](${url})`;
    })
    .join('; ');
}

/** The table, one row per class. */
export function optimizerTable(): string {
  const rows = classes.map(([, { name, formula, hyperParameters, decay, reference }]) => {
    const options = Object.entries<HyperParameter>(hyperParameters).map(([key, h]) => `\`${key}\` ${shown(h)}`);
    const own = decay === 'none' && 'weightDecay' in hyperParameters ? 'in the formula' : decay;
    const kind = typeof own === 'function' ? 'l2 or decoupled' : own;
    return `| \`${name}\` | ${formula.map((line) => `<code>${line.replaceAll('|', '\\|')}</code>`).join('<br>')} | ${options.join(', ')} | ${kind} | ${links(reference)} |`;
  });
  return ['| class | update | options and defaults | decay | source |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** `readme` with the current table between its markers. */
export function withTable(readme: string): string {
  const [before, after] = [readme.indexOf(start), readme.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`README.md: no ${start} … ${end}`);
  return `${readme.slice(0, before + start.length)}\n${optimizerTable()}\n${readme.slice(after)}`;
}

/** A class's row in the guide, as far as its declaration knows: the column `when` is for a person to write. */
function choosingRow({ name, kernels, hyperParameters, reference }: Declaration): string {
  const stateBytes = 4 * Object.values(kernels)[0]!.state.length;
  return `| \`${name}\` | | ${stateBytes} | ${shown(hyperParameters['lr'] ?? {})} | ${links(reference)} |`;
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

if (process.argv[1] === __filename) {
  writeFileSync(readmePath, withTable(readFileSync(readmePath, 'utf8')));
  writeFileSync(choosingPath, withMissingRows(readFileSync(choosingPath, 'utf8')));
}
