import { floatsOf, lengthOf } from '../../check/typed-array.js';
import type { Tensor } from '../../core/params.js';
import { type Divider, isElementwise, type Shard } from '../../core/shard.js';
import { partition } from '../world/partition.js';

/** The elements `[begin, end)` of each rank. */
export type Ranges = Shard['ranges'];

/** The rank that updates the whole of a dealt param. */
export const ownerOf = ({ ranges }: Shard): number =>
  Math.max(
    0,
    ranges.findIndex(([begin, end]) => end > begin),
  );

/**
 * Divides params among ranks: those of element-wise kernels by the partition of the world, all others whole, the largest
 * first to the rank that has least.
 */
export function dividerFor(rank: number, size: number): Divider {
  return (before, added) => {
    const loads = new Float64Array(size);
    for (const shard of before) if (shard.isDealt) loads[ownerOf(shard)]! += shard.length;
    const ranges = added.map(({ tensor }): Ranges => partition(lengthOf(tensor.data), size));
    const dealt = added.flatMap(({ kernel, tensor }, i) =>
      isElementwise(kernel) ? [] : [{ i, length: lengthOf(tensor.data) }],
    );
    for (const { i, length } of dealt.sort((a, b) => b.length - a.length || a.i - b.i)) {
      const owner = loads.indexOf(Math.min(...loads));
      loads[owner]! += length;
      ranges[i] = Array.from({ length: size }, (_, r) => (r === owner ? [0, length] : [0, 0]));
    }
    return added.map(({ tensor, kernel }, i) => {
      const isDealt = !isElementwise(kernel);
      const [begin, end] = ranges[i]![rank]!;
      const length = lengthOf(tensor.data);
      const part = !isDealt ? elementsOf(tensor, begin, end) : end === length ? tensor : nothingOf(tensor);
      return { whole: tensor, length, ranges: ranges[i]!, isDealt, part };
    });
  };
}

/** Some elements of a param. They have no rows. */
function elementsOf(tensor: Tensor, begin: number, end: number): Tensor {
  return { ...tensor, data: floatsOf(tensor.data, begin, end), shape: undefined };
}

function nothingOf(tensor: Tensor): Tensor {
  return { ...tensor, data: new Float32Array(0), shape: tensor.shape?.map(() => 0) };
}
