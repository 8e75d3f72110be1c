// The process that runs programs: `child.ts <api|addon> <first seed> <programs> [--trace] [--exclude=name,…]`. Before each program it writes
// the program's seed to file descriptor 3, so that the parent knows where it died. At the end it writes what it found.
import { mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiProgram } from './api.js';
import { type Finding, Hostile, type Program, type ProgramOptions } from './program.js';

const [target, first = '1', count = '1', ...flags] = process.argv.slice(2);
const traces = flags.includes('--trace');
const excluded =
  flags
    .find((flag) => flag.startsWith('--exclude='))
    ?.slice(10)
    .split(',') ?? [];

/** A process that holds more gives way to a new one: a fresh heap is quicker than a full one. */
const maxBytes = 1.5e9;

const say = (record: unknown): void => void writeSync(3, `${JSON.stringify(record)}\n`);

async function programs(): Promise<(seed: number, options: ProgramOptions) => Program> {
  if (target !== 'addon') return (seed, options) => new ApiProgram(seed, options);
  const { AddonProgram } = await import('./addon.js');
  return (seed, options) => new AddonProgram(seed, { ...options, excluded });
}

async function main(): Promise<void> {
  // If memory runs out after all, the system ends this process and not another one.
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux.
  }
  const make = await programs();
  const scratch = mkdtempSync(join(tmpdir(), 'schuss-fuzz-'));
  process.chdir(scratch);
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  let current: Program | undefined;
  const strays: Finding[] = [];
  const stray = (error: unknown): void => {
    if (error instanceof Hostile || current === undefined || current.wasCutOff) return;
    strays.push({
      seed: current.seed,
      kind: 'a rejection that nobody handles',
      call: '',
      message: String((error as Error)?.stack ?? error).slice(0, 400),
    });
  };
  process.on('unhandledRejection', stray);
  process.on('uncaughtException', stray);
  process.on('warning', () => {});

  const options: ProgramOptions = traces ? { trace: (line) => void writeSync(1, `${line}\n`) } : {};
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    say({ seed });
    const program = make(seed, options);
    current = program;
    await program.run(50);
    const { counts, findings } = program;
    say({ seed, ...counts, findings: [...findings, ...strays.splice(0)] });
    if (process.memoryUsage.rss() > maxBytes) break; // the parent goes on from here
  }
  process.exit(0); // ports and workers of a program may still be open
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
