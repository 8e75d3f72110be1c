import { mkdirSync } from 'node:fs';
import Table from 'cli-table3';
import { UserError } from '../common/user-error.js';

/** Makes the folder of `--out`. @throws UserError if that fails */
export function makeFolder(command: string, folder: string): string {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new UserError(`${command}: --out: ${(error as Error).message}`);
  }
  return folder;
}

/** A table for the terminal: text in the first column, numbers in the others. */
export function newTable(head: readonly string[]): Table.Table {
  const plain = !process.stdout.isTTY || process.env['NO_COLOR'] !== undefined;
  return new Table({
    head: [...head],
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
    style: { compact: true, ...(plain && { head: [], border: [] }) },
  });
}
