import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** The folder of an installed package. Its package.json is searched for, because `exports` may hide it. */
function folderOf(name: string): string {
  let folder = dirname(require.resolve(name));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** The text of a file in an installed package, whether or not the package exports it. */
export function readPackageFile(name: string, file: string): string {
  return readFileSync(join(folderOf(name), file), 'utf8');
}

export function versionOf(name: string): string {
  return (JSON.parse(readPackageFile(name, 'package.json')) as { version: string }).version;
}
