// The first file of each rank's thread: it directs the output, then runs the script.
import { pathToFileURL } from 'node:url';
import { isMainThread, workerData } from 'node:worker_threads';
import { RankOutput } from './output.js';
import { type Seat, seatOf } from './seat.js';

/** Node's exit code for a script whose top-level await never ends. */
const unsettled = 13;

function redirect(rank: number): void {
  const outputs = [new RankOutput(1, rank), new RankOutput(2, rank)] as const;
  outputs[0].attach(process.stdout);
  outputs[1].attach(process.stderr);
  process.on('exit', () => {
    for (const output of outputs) output.flush();
  });
}

async function run({ rank, script, argv }: Seat): Promise<void> {
  redirect(rank);
  process.argv = [process.execPath, script, ...argv];
  let isSettled = false;
  process.once('beforeExit', () => {
    if (isSettled) return;
    process.stderr.write('Warning: Detected unsettled top-level await\n');
    process.exit(unsettled);
  });
  await import(pathToFileURL(script).href);
  isSettled = true;
}

const seat = seatOf(workerData);
if (!isMainThread && seat !== undefined) void run(seat);
