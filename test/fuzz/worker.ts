// A thread that runs programs until it is terminated, on memory that it shares with others.
import { parentPort, workerData } from 'node:worker_threads';
import { programs } from './targets.js';

async function main(): Promise<void> {
  const make = await programs(workerData.target, workerData.excluded);
  const shared = (workerData.shared as SharedArrayBuffer[]).map((buffer) => new Float32Array(buffer));
  parentPort?.postMessage('ready');
  for (let seed = workerData.seed; ; seed++) await make(seed, { shared }).run(50);
}

main();
