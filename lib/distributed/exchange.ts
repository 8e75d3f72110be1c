import { isFloat32 } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import type { Sum } from '../training/param-sum.js';
import { checkAlike, differ, digestOf, type Facts } from './differences.js';
import { exchangeRows } from './exchange-rows.js';
import type { LocalGradients } from './local-gradients.js';
import { checkHeaders, gatherHeaders, headerOf, type StepHeader } from './step-header.js';
import type { World } from './world.js';

/** The gradients of all ranks together. */
export interface Exchanged {
  /** Σ weight. */
  readonly weight: number;
  /** Σ weight·loss; 0 without losses. */
  readonly loss: number;
  /** Σ weight·g of each param. Not exchanged if the weight is 0. */
  readonly grads: readonly Sum[];
  /** The ranks whose own sum or loss is not finite, where that was asked for. */
  readonly nonFiniteRanks: readonly number[];
  /** Whether the launcher has told any rank to end. */
  readonly interrupted: boolean;
}

/**
 * Sums the gradients of all ranks, in the order of the world. One collective agrees about the step; then dense gradients
 * travel by `sumDense`, and sparse ones as rows.
 *
 * @throws RangeError, the same on every rank, where the steps do not fit together
 */
export async function exchange(
  who: string,
  world: World,
  local: LocalGradients,
  step: { readonly gradScale: number; readonly stepCount: number; readonly options: Facts; readonly maySkip: boolean },
  sumDense: (params: readonly number[], factor: number) => Promise<unknown>,
): Promise<Exchanged> {
  const { sum, buckets, paths } = local;
  sum.complete();
  const own = sum.totals;
  const { gradScale, stepCount, options, maySkip } = step;
  const headers = await gatherHeaders(world, {
    weight: sum.weight,
    loss: sum.loss,
    gradScale,
    stepCount,
    options: digestOf(options),
    finite: !maySkip || (Number.isFinite(sum.loss) && own.every(hasFiniteSum)),
    interrupted: world.interrupted.aborted,
    grads: own.map(headerOf),
  });
  await checkOptionsAlike(who, world, headers, options);
  checkHeaders(who, headers, paths);
  const weight = treeSum(headers.map((header) => header.weight));
  const loss = treeSum(headers.map((header) => header.loss));
  const nonFiniteRanks = headers.flatMap((header, rank) => (header.finite ? [] : [rank]));
  const interrupted = headers.some((header) => header.interrupted);
  if (weight === 0) return { weight, loss, grads: [], nonFiniteRanks, interrupted };
  const having = (kind: 'dense' | 'sparse'): number[] =>
    paths.flatMap((_, param) => (headers.some(({ grads }) => grads[param]!.kind === kind) ? [param] : []));
  const dense = having('dense');
  const sparse = having('sparse');
  // A rank without a gradient brings −0, which changes no sum: +0 would change −0.
  for (const param of dense) if (own[param] === null) buckets.of(param).fill(-0);
  const [rows] = await Promise.all([
    sparse.length === 0 ? new Map<number, Sum>() : exchangeRows(world, headers, sparse, own),
    sumDense(dense, gradScale / weight),
  ]);
  for (const param of dense) rows.set(param, sum.params[param]!.arrayOf(0));
  return { weight, loss, grads: paths.map((_, param) => rows.get(param) ?? null), nonFiniteRanks, interrupted };
}

function hasFiniteSum(sum: Sum): boolean {
  return sum === null || Number.isFinite(engine().sumSquares(isFloat32(sum) ? sum : sum.values));
}

/** Options are compared by their digests, and in full where those differ. */
async function checkOptionsAlike(
  who: string,
  world: World,
  headers: readonly StepHeader[],
  options: Facts,
): Promise<void> {
  const rank = headers.findIndex((header) => header.options !== headers[0]!.options);
  if (rank < 0) return;
  await checkAlike(who, world, options);
  throw differ(who, 'options', 'some', rank, 'others');
}

/** The sum over the ranks, in the order of the world and in float64. */
function treeSum(numbers: readonly number[]): number {
  const sums = [...numbers];
  for (let d = 1; d < sums.length; d *= 2) for (let i = 0; i + d < sums.length; i += 2 * d) sums[i]! += sums[i + d]!;
  return sums[0]!;
}
