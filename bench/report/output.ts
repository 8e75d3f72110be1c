import { mkdirSync } from 'node:fs';
import { CliError } from '../../lib/cli/cli-error.js';
import { loadOptional } from '../../lib/cli/optional.js';

/** The folder of `--out`. @throws CliError where it can't be made */
export function makeFolder(command: string, folder: string): string {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new CliError(`${command}: --out: ${(error as Error).message}`);
  }
  return folder;
}

export interface TextTable {
  push(row: string[]): unknown;
  toString(): string;
}

/** A table for the terminal: its first column is words, the others are numbers. */
export function newTable(command: string, head: string[]): TextTable {
  const Table = loadOptional<new (options: object) => TextTable>(command, 'cli-table3');
  const plain = !process.stdout.isTTY || process.env.NO_COLOR !== undefined;
  return new Table({
    head,
    colAligns: ['left', ...head.slice(1).map(() => 'right')],
    style: { compact: true, ...(plain && { head: [], border: [] }) },
  });
}
