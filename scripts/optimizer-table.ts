// Writes the table of optimizers in README.md from the declarations; a test compares the two.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HyperParameter } from '../lib/core/declaration.js';
import { classes } from '../lib/optimizers/index.js';

export const readmePath = join(__dirname, '..', 'README.md');
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

/** The table, a row a class. */
export function optimizerTable(): string {
  const rows = classes.map(([, { name, formula, hyperParameters, decay, reference }]) => {
    const options = Object.entries<HyperParameter>(hyperParameters).map(([key, h]) => `\`${key}\` ${shown(h)}`);
    const own = decay === 'none' && 'weightDecay' in hyperParameters ? 'in the formula' : decay;
    const kind = typeof own === 'function' ? 'l2 or decoupled' : own;
    return `| \`${name}\` | ${formula.map((line) => `<code>${line.replaceAll('|', '\\|')}</code>`).join('<br>')} | ${options.join(', ')} | ${kind} | ${links(reference)} |`;
  });
  return ['| class | update | options and defaults | decay | source |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** README.md with the table in its place. */
export function withTable(readme: string): string {
  const [before, after] = [readme.indexOf(start), readme.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`README.md: no ${start} … ${end}`);
  return `${readme.slice(0, before + start.length)}\n${optimizerTable()}\n${readme.slice(after)}`;
}

if (process.argv[1] === __filename) writeFileSync(readmePath, withTable(readFileSync(readmePath, 'utf8')));
