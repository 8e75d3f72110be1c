import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from './root.js';

export interface CompileError {
  /** The file's name, without its folder. */
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** What TypeScript says of the files in a folder, with the options of this repository. Writes a tsconfig.json there. */
export function compile(folder: string, compilerOptions: object, include: readonly string[]): CompileError[] {
  const config = { extends: join(root, 'tsconfig.json'), compilerOptions, include };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config).replaceAll('\\\\', '/'));
  const tsc = join(root, 'node_modules', 'typescript-7', 'bin', 'tsc');
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [tsc, '--project', folder, '--pretty', 'false'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  if (error !== undefined) throw error;
  const errors: { file: string; line: number; text: string }[] = [];
  for (const line of stdout.split(/\r?\n/)) {
    const [, file, number, text] = /^(\S.*?)\((\d+),\d+\): error TS\d+: (.*)$/.exec(line) ?? [];
    if (file !== undefined) errors.push({ file: basename(file), line: Number(number), text: text as string });
    else if (/^\s+\S/.test(line) && errors.length > 0)
      (errors.at(-1) as { text: string }).text += ` ${line.trim()}`; // an error has several lines
    else if (line !== '') throw new Error(`tsc: ${line}`);
  }
  if (stderr !== '' || (status === 0) !== (errors.length === 0)) throw new Error(`tsc ended with ${status}: ${stderr}`);
  return errors;
}
