import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { root } from './root.js';

const build = join(root, 'build', 'Release');
/** The object files of the kernels, one for each instruction set. */
export const objects = readdirSync(build, { recursive: true, encoding: 'utf8' })
  .filter((file) => /[/\\]isa[/\\]\w+\.o$/.test(file))
  .map((file) => ({ isa: basename(file, '.o'), file: join(build, file) }));

/** What a command prints, by lines. */
export function lines(command: string, ...args: string[]): string[] {
  const { stdout, status } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  expect(status, `${command} ${args.join(' ')}`).toBe(0);
  return stdout.split('\n');
}

export const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
