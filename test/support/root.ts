import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The root folder of the repository. */
export const root = join(__dirname, '..', '..');

/** A folder for temporary files: in memory, where the system has that. */
export const inMemory = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());

/** A file of the repository, as text. */
export const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');

/** All files below a folder whose names end so, without those of packages. */
export const filesIn = (folder: string, suffix: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix) && !name.includes('node_modules'))
    .map((name) => join(folder, name));
