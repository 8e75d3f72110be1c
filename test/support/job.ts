// Runs a script on several ranks through the built command.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import manifest from '../../package.json';
import { root } from './root.js';

const entry = pathToFileURL(join(root, 'dist', 'distributed', 'index.mjs')).href;

/** What each script begins with: it joins the world, and `say` reports a value of its rank. */
export const prelude = `
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { init, RankError, TimeoutError } from '${entry}';
const say = (value) => console.log('say ' + JSON.stringify(value));
const digest = (x) => createHash('sha256').update(new Uint8Array(x.buffer, x.byteOffset, x.byteLength)).digest('hex');
const attempt = async (action) => {
  try {
    await action();
    return 'no error';
  } catch (error) {
    return String(error);
  }
};
`;

export const joined = 'const world = await init();\n';
/** The same, and all ranks are here: on a busy machine they start far apart. */
export const started = `${joined}await world.barrier();\n`;

/** What sees the output of a job so far. `kill` sends a signal to its launcher, unless that has ended. */
export type Watch = (kill: (signal: NodeJS.Signals) => void, output: string) => void;

export interface JobOptions {
  /** Options of the command. */
  readonly options?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly watch?: Watch;
}

export interface JobOutput {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
  readonly lastLine: string | undefined;
  /** What each rank said, by rank. */
  readonly said: unknown[][];
  readonly ms: number;
}

/** Runs the command `schuss launch` with words. */
export function launch(words: readonly string[], { env, watch }: JobOptions = {}): Promise<JobOutput> {
  const begun = performance.now();
  const child = spawn(process.execPath, [join(root, manifest.bin.schuss), 'launch', ...words], {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk;
    watch?.((signal) => child.kill(signal), text.out);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (status) => {
      const said: unknown[][] = [];
      for (const [, rank, value] of text.out.matchAll(/^\[(\d+)\] say (.*)$/gm)) {
        said[Number(rank)] ??= [];
        said[Number(rank)]!.push(JSON.parse(value as string));
      }
      const lastLine = text.err.trimEnd().split('\n').at(-1);
      resolve({ status, ...text, lastLine, said, ms: performance.now() - begun });
    });
  });
}

/** Runs the code of a module on `size` ranks. */
export async function job(size: number, code: string, given: JobOptions = {}): Promise<JobOutput> {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-job-'));
  const file = join(folder, 'script.mjs');
  writeFileSync(file, prelude + code);
  try {
    return await launch(['-n', `${size}`, ...(given.options ?? []), file, ...(given.args ?? [])], given);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
