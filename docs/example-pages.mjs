// The examples as pages: a browser saves a .mts file instead of showing it, and a program needs the files that it imports.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isExample = (file) => /^examples\/.+\.m[tj]s$/.test(pathOf(file));
const pathOf = (file) => relative(root, file).split(sep).join('/');
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The files of `files` that are examples: their names in the site's folder media, and their paths. */
const examplesIn = (files) => [...files.getNameToAbsoluteMap()].filter(([, file]) => isExample(file));

/** A program and every file of the examples that it imports, itself or through another one. */
export function withImports(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from|import|import\() ?'(\.[^']+)'/g)) {
    const imported = join(dirname(file), path);
    withImports(existsSync(imported) ? imported : imported.replace(/\.mjs$/, '.mts'), found);
  }
  return found;
}

/** Lets the links to examples on a page lead to their pages. */
export function linkExamples(contents, files) {
  const names = new Set(examplesIn(files).map(([name]) => name));
  return contents.replace(/(href="[^"]*\bmedia\/)([\w.-]+\.m[tj]s)"/g, (link, folder, name) =>
    names.has(name) ? `${folder}${name}.html"` : link,
  );
}

/** Writes a page for each example that a page links. */
export function writeExamples(folder, files) {
  for (const [name, file] of examplesIn(files)) {
    const parts = [...withImports(file)].map(
      (part) => `<h2>${pathOf(part)}</h2>\n<pre><code>${escaped(readFileSync(part, 'utf8'))}</code></pre>`,
    );
    const title = pathOf(file);
    writeFileSync(
      join(folder, 'media', `${name}.html`),
      `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${basename(title)} · schuss</title>
<style>
  :root { color-scheme: light dark; }
  body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
  h1, h2 { overflow-wrap: anywhere; }
  pre { overflow-x: auto; padding: 1rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); font-size: 0.85rem; }
</style>
<p><a href="../index.html">schuss</a> · <a href="../documents/Examples.html">Examples</a></p>
<h1>${title}</h1>
${parts.join('\n')}
</html>
`,
    );
  }
}
