import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { Adam, setThreads } from '../common/schuss.js';
import { alternate, type Contender, secondsOf, stepping } from './alternate.js';
import type { Context } from './context.js';
import type { Measured, NeighbourRow } from './results.js';
import { mean } from './statistics.js';
import { fillGrads, fillStart, fits } from './task.js';

// Keeps a core busy until it is killed or its parent is gone.
const burner = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e8; i++);';

/** Several threads against one while another process keeps a core busy. */
export async function besideNeighbour({ settings, say }: Context): Promise<Measured<{ rows: NeighbourRow[] }>> {
  const threads = Math.max(...settings.threads);
  if (threads === 1) return { skipped: 'only one thread was asked for' };
  if (availableParallelism() === 1) return { skipped: 'this machine has one core' };
  const neighbour = spawn(process.execPath, ['-e', burner], { stdio: 'ignore' });
  try {
    const rows: NeighbourRow[] = [];
    for (const n of settings.sizes.filter((n) => n >= 1e6 && fits(n, 4))) {
      say(`beside a busy process, n = ${n}`);
      const params = fillStart(new Float32Array(n));
      const grads = fillGrads(new Float32Array(n));
      const adam = new Adam(params);
      const on = (count: number): Contender => {
        const steps = stepping(
          `${count}`,
          () => adam.step(grads),
          () => setThreads(count),
        );
        return { ...steps, tries: true };
      };
      // A mean needs more rounds than a median.
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
