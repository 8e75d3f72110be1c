// Reads the recipe of CONTRIBUTING.md and follows it in a copy of this checkout.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The code of one fenced block, and the file that the paragraph above it names first. */
export interface Block {
  readonly file: string;
  readonly code: string;
}

/** The blocks of a section whose paragraphs name a file of lib/ or native/. */
export function blocksOf(markdown: string, heading: string): Block[] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(`## ${heading}`);
  if (start < 0) throw new Error(`no section "${heading}"`);
  const end = lines.findIndex((line, i) => i > start && line.startsWith('## '));
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  let isAfterBlank = false;
  let open: { readonly fence: string; readonly indent: number; readonly code: string[] } | undefined;
  for (const line of lines.slice(start + 1, end < 0 ? undefined : end)) {
    const fence = /^\s*(`{3,})/.exec(line)?.[1];
    if (open !== undefined && line.trim() === open.fence) {
      const file = /`((?:lib|native)\/[\w/-]+\.(?:ts|h))`/.exec(paragraph.join(' '))?.[1];
      if (file !== undefined) blocks.push({ file, code: open.code.join('') });
      open = undefined;
      paragraph = [];
    } else if (open !== undefined) open.code.push(`${line.slice(open.indent)}\n`);
    else if (fence !== undefined) open = { fence, indent: line.indexOf('`'), code: [] };
    else {
      if (line.trim() !== '') paragraph = isAfterBlank ? [line] : [...paragraph, line];
      isAfterBlank = line.trim() === '';
    }
  }
  return blocks;
}

/** A line without its names: lines of one shape belong together. */
const shapeOf = (line: string): string =>
  line
    .replaceAll(/"[^"]*"|'[^']*'/g, '""')
    .replaceAll(/\w+/g, 'x')
    .replaceAll(/\s/g, '');

/** Puts a line below the last one of its shape, as deep as that one. */
export function insert(text: string, line: string, file: string): string {
  const lines = text.split('\n');
  const at = lines.findLastIndex((other) => shapeOf(other) === shapeOf(line));
  if (at < 0) throw new Error(`CONTRIBUTING.md: ${file} has no line like "${line.trim()}"`);
  const indent = /^\s*/.exec(lines[at]!)?.[0];
  return lines.toSpliced(at + 1, 0, `${indent}${line.trim()}`).join('\n');
}

/** Writes the new files into a checkout, and puts each line of a known file below the last one of its shape. */
export function follow(blocks: readonly Block[], checkout: string): void {
  for (const { file, code } of blocks) {
    const path = join(checkout, file);
    const isNew = !existsSync(path);
    const lines = code.split('\n').filter((line) => line.trim() !== '');
    writeFileSync(
      path,
      isNew ? code : lines.reduce((text, line) => insert(text, line, file), readFileSync(path, 'utf8')),
    );
  }
}

/** Copies what git tracks, or would, with this checkout's dependencies and builds. */
export function copyCheckout(root: string, to: string): void {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const file of files.toString().split('\0')) {
    if (file === '' || !existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file), { preserveTimestamps: true });
  }
  // With their times, so that make compiles only what the recipe changes. Without what other tests write there.
  const left = ['sanitized', 'types', 'examples'].map((name) => join(root, 'build', name));
  const filter = (source: string): boolean => !left.includes(source);
  for (const built of ['build', 'dist'])
    cpSync(join(root, built), join(to, built), { recursive: true, preserveTimestamps: true, filter });
  // Links to the packages, but for those of the checkout itself: `schuss` must be the copy.
  mkdirSync(join(to, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    const own = { schuss: to, 'schuss-bench': join(to, 'bench') }[name];
    symlinkSync(own ?? join(root, 'node_modules', name), join(to, 'node_modules', name), 'junction');
  }
}
