import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { allocate, setThreads } from '../../lib/engine/backend.js';
import { Adam } from '../../lib/optimizers/index.js';
import { alternate, stepping } from './alternate.js';
import type { Context } from './context.js';
import type { Measured, NeighbourRow } from './results.js';
import { secondsOf } from './small.js';
import { mean } from './statistics.js';
import { fillGrads, fillStart, fits } from './task.js';

// Burns a core until it is killed, or until whoever started it is gone.
const burner = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e8; i++);';

/** Threads while another process has work of its own for a core. */
export async function besideNeighbour({ settings, say }: Context): Promise<Measured<{ rows: NeighbourRow[] }>> {
  const threads = Math.max(...settings.threads);
  if (threads === 1) return { skipped: 'one thread alone was asked for' };
  if (availableParallelism() === 1) return { skipped: 'this machine has one core' };
  const neighbour = spawn(process.execPath, ['-e', burner], { stdio: 'ignore' });
  try {
    const rows: NeighbourRow[] = [];
    for (const n of settings.sizes.filter((n) => n >= 1e6 && fits(n, 4))) {
      say(`beside a burning neighbour, n = ${n}`);
      const params = fillStart(allocate(n));
      const grads = fillGrads(allocate(n));
      const adam = new Adam(params);
      const on = (count: number) =>
        stepping(
          `${count}`,
          () => adam.step(grads),
          () => setThreads(count),
        );
      // Means need more rounds than medians.
      const pace = { ...settings.pace, rounds: 3 * settings.pace.rounds };
      const outcomes = await alternate([on(1), on(threads)], pace);
      adam.dispose();
      const oneThreadNs = 1e9 * mean(secondsOf(outcomes, '1'));
      const threadsNs = 1e9 * mean(secondsOf(outcomes, `${threads}`));
      rows.push({ n, threads, neighbours: 1, oneThreadNs, threadsNs, ratio: oneThreadNs / threadsNs });
    }
    return rows.length === 0 ? { skipped: 'no size of 1e6 or more that fits in memory' } : { rows };
  } finally {
    neighbour.kill('SIGKILL');
    setThreads(1);
  }
}
