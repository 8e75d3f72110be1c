import { allocate } from '../../lib/engine/backend.js';
import { Adam } from '../../lib/optimizers/index.js';
import { alternate, stepping } from './alternate.js';
import type { Context } from './context.js';
import type { Measured, PairRow } from './results.js';
import { pair, secondsOf } from './small.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

const columns = 64;

/** Rows drawn without repetition: multiples of a number that has no divisor in common with the count. */
function someRows(total: number, touched: number, start: number): Int32Array {
  return Int32Array.from({ length: touched }, (_, i) => (start + i * 7919) % total);
}

/** The best loop by hand: Adam on the touched rows alone. */
function loopOver(
  w: Float32Array,
  m: Float32Array,
  v: Float32Array,
  rows: Int32Array,
  values: Float32Array,
  t: number,
): void {
  const stepSize = 1e-3 / (1 - 0.9 ** t);
  const correction = 1 / Math.sqrt(1 - 0.999 ** t);
  for (let r = 0, k = 0; r < rows.length; r++) {
    const begin = rows[r]! * columns;
    for (let i = begin; i < begin + columns; i++, k++) {
      const x = values[k]!;
      const first = 0.9 * m[i]! + 0.1 * x;
      const second = 0.999 * v[i]! + 0.001 * x * x;
      m[i] = first;
      v[i] = second;
      w[i] = w[i]! - (stepSize * first) / (Math.sqrt(second) * correction + 1e-8);
    }
  }
}

/** An embedding table of which a step touches a few rows: against the dense step, and against a loop in JavaScript. */
export async function sparse({ settings, say }: Context): Promise<Measured<{ rows: PairRow[] }>> {
  const { sparseRows, touchedRows } = settings.special;
  const n = sparseRows * columns;
  say(`sparse gradients, ${touchedRows} of ${sparseRows} rows`);
  try {
    checkMemory(n, 11);
    const table = (): { data: Float32Array; shape: [number, number] } => ({
      data: fillStart(allocate(n)),
      shape: [sparseRows, columns],
    });
    // Other rows in each step, as batches have them.
    const batches = Array.from({ length: 8 }, (_, i) => ({
      rows: someRows(sparseRows, touchedRows, 131 * i),
      values: fillGrads(allocate(touchedRows * columns)),
    }));
    let turn = 0;
    const batch = (): (typeof batches)[number] => batches[turn++ % batches.length]!;

    const ours = table();
    const sparseAdam = new Adam(ours);
    const [w, m, v] = [table().data, new Float32Array(n), new Float32Array(n)];
    for (const [t, { rows, values }] of batches.entries()) {
      sparseAdam.step({ rows, values });
      loopOver(w, m, v, rows, values, t + 1);
    }
    for (let i = 0; i < n; i++) {
      if (!(Math.abs(w[i]! - ours.data[i]!) <= 1e-5))
        throw new Error(`computes something else: ${ours.data[i]} where a loop in JavaScript has ${w[i]}`);
    }

    const denseAdam = new Adam(table());
    const grads = fillGrads(allocate(n));
    let t = batches.length;
    const outcomes = await alternate(
      [
        stepping('sparse', () => sparseAdam.step(batch())),
        stepping('dense', () => denseAdam.step(grads)),
        stepping('loop', () => {
          const { rows, values } = batch();
          loopOver(w, m, v, rows, values, ++t);
        }),
      ],
      settings.pace,
    );
    const mine = secondsOf(outcomes, 'sparse');
    return {
      rows: [
        pair('the dense step', n, mine, secondsOf(outcomes, 'dense')),
        pair('a JavaScript loop', n, mine, secondsOf(outcomes, 'loop')),
      ],
    };
  } catch (error) {
    return { skipped: (error as Error).message };
  }
}
