import { isFloat32 } from '../../check/typed-array.js';
import { engine } from '../../engine/backend.js';
import type { Sum } from '../../training/param-sum.js';
import { checkAlike, differ, digestOf, type Facts } from '../differences.js';
import type { World } from '../world/world.js';
import { exchangeRows } from './exchange-rows.js';
import type { LocalGradients } from './local-gradients.js';
import { checkHeaders, type GradHeader, gatherHeaders, headerOf, type StepHeader } from './step-header.js';

/** What all ranks have together, in the form of the gradients. */
export interface Sums {
  /** Σ weight. */
  readonly weight: number;
  /** Σ weight·g of each param. */
  readonly sums: readonly Sum[];
}

/** The gradients of all ranks together. */
export interface Exchanged {
  /** Σ weight. */
  readonly weight: number;
  /** Σ weight·loss; 0 without losses. */
  readonly loss: number;
  /** Σ weight·g of each param. Not exchanged if the weight is 0. */
  readonly grads: readonly Sum[];
  /** The estimates of the Hessian's diagonal; undefined if no rank has one. */
  readonly hessian: Sums | undefined;
  /** The ranks whose own sum, estimate or loss is not finite, where that was asked for. */
  readonly nonFiniteRanks: readonly number[];
  /** Whether the launcher has told any rank to end. */
  readonly interrupted: boolean;
  /** Whether a rank may fail now that the gradients are here: it has hooks, or has summed rows. */
  readonly mayFail: boolean;
}

/** Whether the launcher wants the job to end, as a part of a result. */
export const endOf = ({ interrupted }: Exchanged): { interrupted?: true } => (interrupted ? { interrupted } : {});

/** What a rank brings to a step. */
interface Brought {
  readonly grads: LocalGradients;
  /** Estimates of the Hessian's diagonal; undefined for a class that takes none. */
  readonly hessian: LocalGradients | undefined;
  readonly gradScale: number;
  readonly stepCount: number;
  readonly options: Facts;
  readonly maySkip: boolean;
  /** Whether hooks run before the step. */
  readonly hasHooks: boolean;
}

/** Sums dense arrays over the ranks, in their memory. The step multiplies them by a factor. */
type SumDense = (local: LocalGradients, params: readonly number[], factor: number) => Promise<unknown>;

/**
 * Sums the gradients of all ranks, in the order of the world. One collective agrees about the step; then dense gradients
 * travel by `sumDense`, and sparse ones as rows.
 *
 * @throws RangeError, the same on every rank, where the steps do not fit together
 */
export async function exchange(who: string, world: World, brought: Brought, sumDense: SumDense): Promise<Exchanged> {
  const { grads, hessian, gradScale, stepCount, options, maySkip, hasHooks } = brought;
  const all = hessian === undefined ? [grads] : [grads, hessian];
  for (const { sum } of all) sum.complete();
  const headers = await gatherHeaders(world, {
    weights: all.map(({ sum }) => sum.weight),
    loss: grads.sum.loss,
    gradScale,
    stepCount,
    options: digestOf(options),
    finite: !maySkip || (Number.isFinite(grads.sum.loss) && all.every(({ sum }) => sum.totals.every(hasFiniteSum))),
    interrupted: world.interrupted.aborted,
    hasHooks,
    grads: all.flatMap(({ sum }) => sum.totals.map(headerOf)),
  });
  await checkOptionsAlike(who, world, headers, options);
  const paths = all.flatMap((local) => local.paths);
  checkHeaders(who, headers, paths);
  const [weight, hessianWeight = 0] = all.map((_, i) => treeSum(headers.map(({ weights }) => weights[i]!)));
  const loss = treeSum(headers.map((header) => header.loss));
  const nonFiniteRanks = headers.flatMap((header, rank) => (header.finite ? [] : [rank]));
  const interrupted = headers.some((header) => header.interrupted);
  const mayFail = headers.some((header) => header.hasHooks || header.grads.some(({ kind }) => kind === 'sparse'));
  const found = { weight: weight!, loss, hessian: undefined, nonFiniteRanks, interrupted, mayFail };
  if (weight === 0) return { ...found, grads: [] };
  const count = grads.paths.length;
  const sumsOf = (local: LocalGradients, begin: number, factor: number): Promise<Sum[]> => {
    const own = headers.map((header) => header.grads.slice(begin, begin + count));
    return sumOverRanks(world, local, own, (params) => sumDense(local, params, factor));
  };
  const sums = await sumsOf(grads, 0, gradScale / weight!);
  if (hessian === undefined || hessianWeight === 0) return { ...found, grads: sums };
  const estimates = await sumsOf(hessian, count, 1 / hessianWeight);
  return { ...found, grads: sums, hessian: { weight: hessianWeight, sums: estimates } };
}

/** The sums of what all ranks have. `headers` say what each has. */
async function sumOverRanks(
  world: World,
  { sum, buckets, paths }: LocalGradients,
  headers: readonly (readonly GradHeader[])[],
  sumDense: (params: readonly number[]) => Promise<unknown>,
): Promise<Sum[]> {
  const own = sum.totals;
  const having = (kind: 'dense' | 'sparse'): number[] =>
    paths.flatMap((_, param) => (headers.some((grads) => grads[param]!.kind === kind) ? [param] : []));
  const dense = having('dense');
  const sparse = having('sparse');
  // A rank without a gradient brings −0, which changes no sum: +0 would change −0.
  for (const param of dense) if (own[param] === null) buckets.of(param).fill(-0);
  const rows = sparse.length === 0 ? new Map<number, Sum>() : await exchangeRows(world, headers, sparse, own);
  await sumDense(dense);
  for (const param of dense) rows.set(param, sum.params[param]!.arrayOf(0));
  return paths.map((_, param) => rows.get(param) ?? null);
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
