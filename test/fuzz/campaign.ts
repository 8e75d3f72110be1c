// Runs programs in other processes, many per process, and survives their crashes.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { root } from '../support/root.js';
import { isKnown } from './known.js';
import type { Finding } from './program.js';

export type Target = 'api' | 'addon';

export interface CampaignOptions {
  readonly target: Target;
  /** Ends after this many calls. */
  readonly calls: number;
  readonly seed: number;
  /** Functions of the addon that are not called. */
  readonly exclude?: readonly string[];
  /** Ends after this time, in milliseconds. */
  readonly maxTime?: number;
  readonly onProgress?: (result: CampaignResult) => void;
}

export interface Crash {
  readonly seed: number;
  /** A signal, an exit code, or 'hangs'. */
  readonly end: string;
  readonly backend: string;
  readonly stderr: string;
}

export interface CampaignResult {
  calls: number;
  refused: number;
  spoiled: number;
  programs: number;
  /** Worker threads that were terminated at their work. */
  workers: number;
  readonly crashes: Crash[];
  readonly findings: Finding[];
}

/** A program takes some ten milliseconds. One that takes this long hangs. */
const patience = 20_000;
const programsPerProcess = 400;

/** Each process runs on another backend. */
const backends = [{}, { SCHUSS_ISA: 'scalar' }, {}, { SCHUSS_BACKEND: 'js' }, {}, { SCHUSS_THREADS: '4' }];

const child = join(__dirname, 'child.ts');
const loader = join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs');

/** Arguments of Node that run a child. */
export const command = (target: string, seed: number, count: number, ...flags: string[]): string[] => [
  ...['--expose-gc', '--import', loader, child],
  ...[target, String(seed), String(count), ...flags],
];

export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const { target, calls, exclude = [], maxTime = Number.POSITIVE_INFINITY, onProgress } = options;
  const result: CampaignResult = {
    calls: 0,
    refused: 0,
    spoiled: 0,
    programs: 0,
    workers: 0,
    crashes: [],
    findings: [],
  };
  const end = performance.now() + maxTime;
  let next = options.seed;
  for (let process = 0; result.calls < calls && performance.now() < end; process++) {
    const backend = backends[target === 'api' ? process % backends.length : 0] as NodeJS.ProcessEnv;
    const count = Math.min(programsPerProcess, Math.ceil((calls - result.calls) / 50));
    const flags = exclude.length > 0 ? [`--exclude=${exclude.join(',')}`] : [];
    if (process % 3 === 2) flags.push('--workers');
    const args = command(target, next, count, ...flags);
    next = await runChild(args, backend, next, end, result);
    onProgress?.(result);
  }
  return result;
}

/** Runs one process and adds what it says to `result`. Returns the next seed. */
function runChild(
  args: string[],
  backend: NodeJS.ProcessEnv,
  first: number,
  end: number,
  result: CampaignResult,
): Promise<number> {
  return new Promise((resolve) => {
    const running = spawn(process.execPath, args, {
      env: { ...process.env, ...backend },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    let [seed, isDone, why] = [first, true, ''];
    const kill = (reason: string) => () => {
      why = reason;
      running.kill('SIGKILL');
    };
    let watchdog = setTimeout(kill('hangs'), patience);
    const clock = setTimeout(kill('time'), Math.min(2 ** 31 - 1, end - performance.now()));
    let stderr = '';
    (running.stderr as Readable).on('data', (data) => (stderr = (stderr + data).slice(-2000)));
    createInterface(running.stdio[3] as Readable).on('line', (line) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(kill('hangs'), patience);
      const record = JSON.parse(line);
      seed = record.seed;
      isDone = 'calls' in record;
      result.workers += record.workers ?? 0;
      if (!('findings' in record)) return;
      result.programs++;
      for (const key of ['calls', 'refused', 'spoiled'] as const) result[key] += record[key];
      result.findings.push(...(record.findings as Finding[]).filter((finding) => !isKnown(finding)));
    });
    running.on('close', (code, signal) => {
      clearTimeout(watchdog);
      clearTimeout(clock);
      if (why !== 'time' && (code !== 0 || !isDone))
        result.crashes.push({
          seed,
          end: why || (signal ?? `exit code ${code}`),
          backend: JSON.stringify(backend),
          stderr,
        });
      resolve(seed + 1);
    });
  });
}
