import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './root.js';

export interface Example {
  readonly name: string;
  readonly code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  const isCode = file.endsWith('.ts');
  const blocks = isCode
    ? [...text.matchAll(/@example\n\s*\* ```ts\n([\s\S]*?)\n\s*\* ```/g)].map(([, block]) =>
        (block as string).replace(/^\s*\* ?/gm, ''),
      )
    : [...text.matchAll(/^```ts\n([\s\S]*?)\n```/gm)].map(([, block]) => block as string);
  return blocks.map((code, i) => ({ name: `${relative(root, file)} ${i + 1}`, code }));
}

const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((f) => f.endsWith('.ts') && !f.endsWith('.d.ts'))
  .map((f) => join(root, 'lib', f));
const guide = join(root, 'docs', 'guide');
const pages = readdirSync(guide)
  .filter((f) => f.endsWith('.md'))
  .map((f) => join(guide, f));
/** Every block of TypeScript in the README, in the guide and in docstrings. */
export const examples = [join(root, 'README.md'), ...pages, ...sources].flatMap(examplesOf);
