import { ReadSparseGrad } from '../../core/read-grad.js';
import { GradSum } from '../../training/grad-sum.js';
import type { Sum } from '../../training/param-sum.js';
import type { RowSums } from '../../training/row-sums.js';
import type { World } from '../world/world.js';
import type { GradHeader } from './step-header.js';

/** The sums of sparse gradients over all ranks, for the params that have them, by two collectives. */
export async function exchangeRows(
  world: World,
  headers: readonly (readonly GradHeader[])[],
  params: readonly number[],
  own: readonly Sum[],
): Promise<Map<number, Sum>> {
  const sizes = headers.map((grads) => params.map((param) => grads[param]!));
  const rows = new Int32Array(world.size * most(sizes, (grad) => grad.rows));
  const values = new Float32Array(world.size * most(sizes, (grad) => grad.rows * grad.columns));
  let [row, value] = [at(rows, world), at(values, world)];
  for (const param of params) {
    const sum = own[param] as RowSums | null;
    if (sum === null) continue;
    rows.set(sum.rows, row); // as the same 32 bits
    values.set(sum.values, value);
    row += sum.rows.length;
    value += sum.values.length;
  }
  await world.allGather(rows);
  await world.allGather(values);
  const sum = new GradSum('tree', params.length, () => new Float32Array(0));
  const unsigned = new Uint32Array(rows.buffer);
  for (const [rank, grads] of sizes.entries()) {
    let [begin, first] = [at(rows, { rank, size: world.size }), at(values, { rank, size: world.size })];
    const read = grads.map(({ kind, rows: count, columns }) => {
      if (kind === 'null') return null;
      const grad = new ReadSparseGrad(
        unsigned.subarray(begin, begin + count),
        values.subarray(first, first + count * columns),
      );
      begin += count;
      first += count * columns;
      return grad;
    });
    sum.add(read, 1);
  }
  return new Map(params.map((param, i) => [param, sum.totals[i] as Sum]));
}

/** Where a rank's part of an array begins, if all parts are equally long. */
const at = ({ length }: { length: number }, { rank, size }: { rank: number; size: number }): number =>
  (rank * length) / size;

/** The most that a rank brings, as a multiple of 16, so that the parts of all ranks are equally long. */
function most<T>(ranks: readonly (readonly T[])[], countOf: (grad: T) => number): number {
  const counts = ranks.map((grads) => grads.reduce((sum, grad) => sum + countOf(grad), 0));
  return Math.ceil(Math.max(...counts) / 16) * 16;
}
