import { floatsOf, isFloat32 } from '../../check/typed-array.js';
import type { Measured, Shard } from '../../core/shard.js';
import { engine } from '../../engine/backend.js';
import { chunkLength } from '../../engine/engine.js';
import type { Sum } from '../../training/param-sum.js';
import type { RowSums } from '../../training/row-sums.js';
import type { Owners } from '../optimizers/owners.js';
import type { World } from '../world/world.js';
import { ownerOf } from './divide.js';

const f = Math.fround;
/** The largest float32. */
const maxFloat = (2 - 2 ** -23) * 2 ** 127;

/** The options of an optimizer that need the norm of all gradients. */
export interface NormOptions {
  readonly clipNorm?: number | undefined;
  readonly skipNonFinite: boolean;
  readonly gradNorm: boolean;
}

/** The gradient of a param, of which each rank has the sum of its own part, and how the param is divided. */
export interface ShardGrad {
  readonly shard: Shard;
  /** All of a sparse gradient. */
  readonly sum: Sum;
}

/** What is measured. */
export interface ToMeasure {
  readonly grads: readonly ShardGrad[];
  readonly gradScale: number;
  /** Whether what else the step takes is finite on this rank. */
  readonly hasFinite: boolean;
}

/**
 * Measures the gradients of all ranks: the same bits as in a step of the whole. That adds the sums of chunks to the sum of a
 * param, and these to the sum of all. A chunk that lies on several ranks is given to all of them.
 *
 * @returns undefined if no option asks for it. Then ranks have not met.
 */
export async function measure(
  world: World,
  owners: Owners,
  { grads, gradScale, hasFinite }: ToMeasure,
  options: NormOptions,
): Promise<Omit<Measured, 'loss'> | undefined> {
  const { clipNorm, skipNonFinite, gradNorm } = options;
  if (clipNorm === undefined && !skipNonFinite && !gradNorm) return undefined;
  const given = grads.filter(({ sum }) => sum !== null);
  const [square, nonFinite] = await sumOfSquares(world, owners, given, hasFinite);
  // As the plan does it: `clip` and `staysFinite` in lib/engine/reference.ts.
  const norm = Math.sqrt(square) * Math.abs(gradScale);
  const coefficient = clipNorm === undefined ? 1 : clipNorm / (norm + 1e-6);
  const factor = gradScale * (coefficient > 1 ? 1 : coefficient);
  const applied = !skipNonFinite || (nonFinite === 0 && (await staysFinite(world, given, square, f(factor))));
  // As in a step of the whole, where estimates that are not finite count as the norm.
  const isLost = skipNonFinite && nonFinite > 0 && Number.isFinite(norm);
  return { factor, applied, gradNorm: isLost ? Number.NaN : norm };
}

/** The sum of squares, and how many ranks have what is not finite. */
async function sumOfSquares(
  world: World,
  owners: Owners,
  grads: readonly ShardGrad[],
  hasFinite: boolean,
): Promise<readonly [square: number, nonFinite: number]> {
  const { sumSquares } = engine();
  await owners.gather(
    grads.flatMap(({ shard, sum }) =>
      isFloat32(sum) ? cutChunks(shard).map((ranges) => ({ array: sum, ranges })) : [],
    ),
  );
  // Each chunk is summed by one rank, so that the sum over the ranks is exact.
  const counts = grads.map(({ shard, sum }) => (isFloat32(sum) && !shard.isDealt ? chunksIn(shard.length) : 1));
  const sums = new Float64Array(counts.reduce((total, count) => total + count, 1));
  sums[sums.length - 1] = hasFinite ? 0 : 1;
  let at = 0;
  for (const [i, { shard, sum }] of grads.entries()) {
    if (!isFloat32(sum)) sums[at] = world.rank === 0 ? sumSquaresOfRows(sum as RowSums) : 0;
    else if (shard.isDealt) sums[at] = ownerOf(shard) === world.rank ? sumSquares(sum) : 0;
    else
      for (let chunk = 0; chunk < counts[i]!; chunk++) {
        const begin = chunk * chunkLength;
        const isOwn = shard.ranges[world.rank]![0] <= begin && begin < shard.ranges[world.rank]![1];
        if (isOwn) sums[at + chunk] = sumSquares(floatsOf(sum, begin, Math.min(begin + chunkLength, shard.length)));
      }
    at += counts[i]!;
  }
  if (world.size > 1) await world.allReduce(sums);
  let total = 0;
  at = 0;
  for (const count of counts) {
    let ofParam = 0;
    for (const end = at + count; at < end; at++) ofParam += sums[at]!;
    total += ofParam;
  }
  return [total, sums[sums.length - 1]!];
}

const chunksIn = (length: number): number => Math.ceil(length / chunkLength);

/** The ranges of the ranks in each chunk of a param that lies on several ranks. */
function cutChunks({ isDealt, length, ranges }: Shard): Shard['ranges'][] {
  if (isDealt) return [];
  const cut = new Set<number>();
  for (const [begin] of ranges)
    if (begin > 0 && begin < length && begin % chunkLength !== 0) cut.add(Math.floor(begin / chunkLength));
  return [...cut].map((chunk) => {
    const [first, last] = [chunk * chunkLength, (chunk + 1) * chunkLength];
    return ranges.map(([begin, end]) => {
      const from = Math.max(begin, first);
      return [from, Math.max(from, Math.min(end, last))] as const;
    });
  });
}

/** The sum of squares of sparse rows. A partial sum covers as many whole rows as fit in a chunk, but at least one. */
function sumSquaresOfRows({ rows, values }: RowSums): number {
  if (rows.length === 0) return 0;
  const { sumSquares } = engine();
  const columns = values.length / rows.length;
  const together = Math.max(1, Math.floor(chunkLength / columns));
  let sum = 0;
  for (let begin = 0; begin < rows.length; begin += together) {
    let partial = 0;
    for (let row = begin; row < Math.min(rows.length, begin + together); row++)
      partial += sumSquares(floatsOf(values, row * columns, (row + 1) * columns));
    sum += partial;
  }
  return sum;
}

/** Whether factor·g is finite in float32 for every gradient g. */
async function staysFinite(
  world: World,
  grads: readonly ShardGrad[],
  square: number,
  factor: number,
): Promise<boolean> {
  if (!Number.isFinite(square)) return false;
  if (Math.sqrt(square) * Math.abs(factor) <= maxFloat) return true;
  const { linalg } = engine();
  const own = grads.map(({ shard, sum }) => {
    const [begin, end] = shard.ranges[world.rank]!;
    return linalg.maxAbs(isFloat32(sum) ? floatsOf(sum, begin, end) : (sum as RowSums).values);
  });
  const most = await world.allReduce(Float64Array.of(Math.max(0, ...own)), { op: 'max' });
  return Number.isFinite(f(factor * most[0]!));
}
