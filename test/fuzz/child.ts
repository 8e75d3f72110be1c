// The process that runs programs: `child.ts <api|addon> <first seed> <programs> [--trace] [--workers] [--exclude=name,…]`.
// Before each program it writes the program's seed to file descriptor 3, so that the parent knows where it died. After each
// it writes what it found.
import { mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dice } from './dice.js';
import { type Finding, Hostile, type Program, type ProgramOptions } from './program.js';
import { programs } from './targets.js';
import { terminateWorkers } from './threads.js';

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

/** Works in a folder of its own. If memory runs out after all, the system ends this process and not another one. */
function settle(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux.
  }
  const scratch = mkdtempSync(join(tmpdir(), 'schuss-fuzz-'));
  process.chdir(scratch);
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
}

async function main(): Promise<void> {
  settle();
  const make = await programs(target, excluded);
  let current: Program | undefined;
  let previous: Program | undefined;
  const strays: Finding[] = [];
  const stray = (error: unknown): void => {
    // The addon's callbacks are the user's: what they throw has nowhere else to go.
    const wasCutOff = current?.wasCutOff || previous?.wasCutOff; // its Promises may reject during the next program
    if (target === 'addon' || error instanceof Hostile || current === undefined || wasCutOff) return;
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

  const buffers = flags.includes('--workers') ? [48, 48, 96, 260].map((bytes) => new SharedArrayBuffer(bytes)) : [];
  const endWorkers =
    buffers.length > 0 ? terminateWorkers({ target, excluded, shared: buffers }, new Dice(Number(first))) : undefined;
  const options: ProgramOptions = {
    shared: buffers.map((buffer) => new Float32Array(buffer)),
    ...(traces ? { trace: (line) => void writeSync(1, `${line}\n`) } : {}),
  };
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    say({ seed });
    const program = make(seed, options);
    previous = current;
    current = program;
    await program.run(50);
    const { counts, findings } = program;
    say({ seed, ...counts, findings: [...findings, ...strays.splice(0)] });
    if (process.memoryUsage.rss() > maxBytes) break; // the parent goes on from here
  }
  say({ seed: current?.seed, calls: 0, workers: await endWorkers?.() });
  process.exit(0); // ports of a program may still be open
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
