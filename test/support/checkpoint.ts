// What the tests of checkpoints share: a scratch folder, and files made byte by byte.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { CheckpointError } from '../../lib/index.js';
import { inMemory } from './root.js';

export { floats, nativeEngines, reference, withEngine } from './engines.js';
export { random } from './random.js';
export {
  type Any,
  betas,
  bits,
  type Case,
  classes,
  decay,
  numbers,
  type Options,
  snapshot,
  variants,
} from './rig.js';

/** A folder that is removed after the tests of the file. In memory where that is possible, because each save syncs. */
export function scratch(): string {
  const folder = mkdtempSync(join(inMemory(), 'schuss-checkpoint-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The bytes of a safetensors file with this header, as it is, and this data. */
export function fileOf(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, data]);
}

/** The temporary files in a folder. */
export const tempsIn = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.tmp'));

/** Awaits a rejection with a CheckpointError of this code, in the library's form. */
export async function refused(
  action: Promise<unknown>,
  code: string,
  message: RegExp | string,
): Promise<CheckpointError> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, `no error, expected ${code} ${message}`).toBeInstanceOf(CheckpointError);
  const found = error as CheckpointError;
  expect(found.message).toMatch(/^[\w.]+: ".+": .+, expected .+/s);
  if (typeof message === 'string') expect(found.message).toContain(message);
  else expect(found.message).toMatch(message);
  expect(found.code, found.message).toBe(code);
  return found;
}
