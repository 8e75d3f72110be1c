import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CliError } from './cli-error.js';

// The package's root is two folders up, from lib/cli and from dist/cli alike.
const root = join(__dirname, '..', '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  devDependencies?: Record<string, string>;
};

/**
 * The folder of an installed package, or undefined. Looked for beside schuss first, then where the user stands
 * (npx, pnpm, a global install); by hand, since a package's `exports` hides the files that the report inlines.
 */
export function packageFolder(name: string): string | undefined {
  for (const start of [__dirname, process.cwd()]) {
    for (let folder = start; ; folder = dirname(folder)) {
      const candidate = join(folder, 'node_modules', name);
      if (existsSync(join(candidate, 'package.json'))) return candidate;
      if (folder === dirname(folder)) break;
    }
  }
  return undefined;
}

/** @throws CliError with the one line that installs those of `names` that are missing. */
export function requireOptional(command: string, names: readonly string[]): void {
  const missing = names.filter((name) => packageFolder(name) === undefined);
  if (missing.length === 0) return;
  const wanted = missing.map((name) =>
    manifest.devDependencies?.[name] === undefined ? name : `${name}@${manifest.devDependencies[name]}`,
  );
  throw new CliError(
    `schuss ${command} needs optional packages that are not installed. Install them with\n\n  npm i -D ${wanted.join(' ')}\n`,
  );
}

/** An optional CommonJS package. @throws CliError with the line that installs it. */
export function loadOptional<T>(command: string, name: string): T {
  requireOptional(command, [name]);
  return require(packageFolder(name) as string) as T;
}

/** The text of a file of an optional package. */
export function readOptional(command: string, name: string, file: string): string {
  requireOptional(command, [name]);
  return readFileSync(join(packageFolder(name) as string, file), 'utf8');
}

/** The version of an installed package, schuss itself included. */
export function versionOf(name: string): string {
  if (name === 'schuss') return manifest.version;
  const folder = packageFolder(name);
  return folder === undefined
    ? 'not installed'
    : (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}
