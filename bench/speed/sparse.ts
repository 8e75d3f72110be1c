import { Adam, allocate } from '../common/schuss.js';
import { alternate, secondsOf, stepping } from './alternate.js';
import type { Context } from './context.js';
import { type Measured, type PairRow, pair } from './results.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

const columns = 64;

/** Distinct table rows: multiples of 7919, a prime that does not divide the number of rows. */
function someRows(total: number, touched: number, start: number): Int32Array {
  return Int32Array.from({ length: touched }, (_, i) => (start + i * 7919) % total);
}

interface AdamState {
  readonly w: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

interface SparseRows {
  readonly rows: Int32Array;
  readonly values: Float32Array;
}

/** The best loop by hand: step t of Adam on the touched table rows only. */
function loopOver({ w, m, v }: AdamState, { rows, values }: SparseRows, t: number): void {
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

/** A step on a few rows of an embedding table, against the dense step and against a loop in JavaScript. */
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
    // Each step touches other table rows, as mini-batches do.
    const batches = Array.from({ length: 8 }, (_, i) => ({
      rows: someRows(sparseRows, touchedRows, 131 * i),
      values: fillGrads(allocate(touchedRows * columns)),
    }));
    let turn = 0;
    const batch = (): SparseRows => batches[turn++ % batches.length]!;

    const ours = table();
    const sparseAdam = new Adam(ours);
    const loop: AdamState = { w: table().data, m: new Float32Array(n), v: new Float32Array(n) };
    for (const [t, gradient] of batches.entries()) {
      sparseAdam.step(gradient);
      loopOver(loop, gradient, t + 1);
    }
    const { w } = loop;
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
        { ...stepping('dense', () => denseAdam.step(grads)), tries: true },
        stepping('loop', () => loopOver(loop, batch(), ++t)),
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
