import { size, times } from './format.js';
import { fewerPasses, passes } from './fused.js';
import { type ClassRow, isSkipped, type PeerRow, type Results, type SparseRow } from './results.js';
import { fusedMethods, methods } from './task.js';

// Finds in the results the number that each goal is about.

/** A measured number and a remark. */
export interface Value {
  readonly value: number;
  readonly about: string;
}
/** A value, or the reason why there is none. */
export type Found = Value | string;

/** The value furthest from the goal. */
function worst(values: readonly Value[], furthest: (...values: number[]) => number): Found {
  if (values.length === 0) return 'not in this run';
  const value = furthest(...values.map((v) => v.value));
  return values.find((v) => v.value === value) as Value;
}

function oneThread({ against }: Results, id: string): PeerRow[] {
  return against.filter((row) => row.method === 'adam' && row.peer === id && row.tensors === 1 && row.threads === 1);
}

/** Adam at the size, of those given, at which a peer is nearest to us. */
export function nearest(results: Results, id: string, wanted: (n: number) => boolean): Found {
  const rows = oneThread(results, id).filter(({ n }) => wanted(n));
  return ratios(rows, Number.NEGATIVE_INFINITY, ({ n }) => `at ${size(n)}`);
}

/** PyTorch's fused step of a method, at all tasks wanted. */
export function fusedTorch(results: Results, bound: number, wanted: (row: PeerRow) => boolean): Found {
  const rows = results.against.filter((row) => row.peer === 'torch-fused' && wanted(row));
  const several = new Set(rows.map(({ method }) => method)).size > 1;
  return ratios(rows, bound, ({ method, n, tensors }) => {
    const what = several ? `${methods[method].label} ` : '';
    return tensors > 1 ? what.trim() : `${what}at ${size(n)}`;
  });
}

/** PyTorch's fastest way for the classes that it does not fuse. */
export function unfusedTorch(results: Results, bound: number): Found {
  const rows = results.against.filter(
    (row) => ['torch', 'torch-foreach'].includes(row.peer) && !fusedMethods.includes(row.method),
  );
  return ratios(
    rows,
    bound,
    ({ method, label, n, tensors }) =>
      `${methods[method].label}, ${label}, ${tensors > 1 ? `${tensors} × ${size(n / tensors)}` : `at ${size(n)}`}`,
  );
}

/** A peer's times divided by ours: the least, and the others below the bound. */
function ratios(rows: readonly PeerRow[], bound: number, about: (row: PeerRow) => string): Found {
  const values = rows.flatMap((row) =>
    isSkipped(row.measured) ? [] : [{ value: row.measured.ofOurs.median, about: about(row) }],
  );
  const left = rows.find((row) => isSkipped(row.measured));
  if (values.length === 0)
    return left !== undefined && isSkipped(left.measured) ? left.measured.skipped : 'not in this run';
  const found = missing(values, bound, Math.min);
  if (typeof found === 'string' || left === undefined) return found;
  return { ...found, about: `${found.about}; ${rows.length - values.length} left out` };
}

export function neighbourRatio({ neighbour }: Results): Found {
  if (isSkipped(neighbour)) return neighbour.skipped;
  return worst(
    neighbour.rows.map((row) => ({ value: row.ratio, about: `Adam at ${size(row.n)}` })),
    Math.min,
  );
}

export function fusedRatio({ fused }: Results): Found {
  const large = fused.filter(({ n }) => n >= 1e5);
  const all = large.filter(({ what }) => what === passes);
  const value = worst(
    all.map((row) => ({ value: row.ratio.median, about: `at ${size(row.n)}` })),
    Math.min,
  );
  const fewer = large.filter(({ what }) => what === fewerPasses).map(({ ratio }) => times(ratio.median));
  return typeof value === 'string' || fewer.length === 0
    ? value
    : { ...value, about: `${value.about}; against a step that clips, ${fewer.join(', ')}` };
}

/** Of the rows wanted, the class furthest from the limit, and all others beyond the bound. */
export function ofLimit({ classes }: Results, bound: number, wanted: (row: ClassRow) => boolean): Found {
  const values = classes.rows
    .filter(wanted)
    .flatMap((row) =>
      row.ofLimit === null ? [] : [{ value: row.ofLimit.median, about: `${row.optimizer} at ${size(row.n)}` }],
    );
  return missing(values, bound, Math.max);
}

/** The value furthest from the goal, and all others that miss it. */
function missing(values: readonly Value[], bound: number, furthest: (...values: number[]) => number): Found {
  const worstValue = worst(values, furthest);
  if (typeof worstValue === 'string' || furthest(worstValue.value, bound) === bound) return worstValue;
  const others = values.filter((value) => value !== worstValue && furthest(value.value, bound) !== bound);
  const also = others.map(({ value, about }) => `${times(value)} ${about}`).join(', ');
  const rest = `${values.length - others.length - 1} of ${values.length} reach it`;
  return {
    ...worstValue,
    about: [worstValue.about, also === '' ? '' : `also ${also}`, rest].filter((text) => text !== '').join('; '),
  };
}

/** Of the rows wanted, the class that gains least from threads. */
export function speedup({ classes }: Results, wanted: (row: ClassRow) => boolean): Found {
  const rows = classes.rows.filter(wanted);
  return worst(
    rows.map((row) => ({ value: row.speedup.median, about: `${row.optimizer} at ${size(row.n)}` })),
    Math.min,
  );
}

/** A recommender of pairs by hand, with AdaGrad. */
export function recommenderByHand({ recommender }: Results, batch: number): Found {
  if (recommender === undefined) return 'not in this run';
  if (isSkipped(recommender)) return recommender.skipped;
  const row = recommender.rows.find(
    (row) => row.model === 'pairs' && row.method === 'adagrad' && row.batch === batch && row.peer === 'by-hand',
  );
  if (row === undefined) return 'not in this run';
  return isSkipped(row.measured) ? row.measured.skipped : { value: row.measured.ofOurs.median, about: '' };
}

/** Fewer rows, or smaller tables, lie in the cache. */
const atScale = ({ total, touched }: SparseRow): boolean => total >= 1e6 && touched >= 1e4;

/** Steps on rows of a table: the one furthest from the limit, or from the step on an aligned table. */
export function ofRows(
  { sparseRows }: Results,
  bound: number,
  ratio: 'ofLimit' | 'ofAligned',
  wanted: (row: SparseRow) => boolean,
): Found {
  if (sparseRows === undefined) return 'not in this run';
  if (isSkipped(sparseRows)) return sparseRows.skipped;
  const values = sparseRows.rows
    .filter((row) => atScale(row) && wanted(row))
    .flatMap((row) => {
      const found = row[ratio];
      return found === null ? [] : [{ value: found.median, about: `${row.label}, width ${row.width}, ${row.names}` }];
    });
  return missing(values, bound, Math.max);
}

/** The time of a sparse step, or of its call, in nanoseconds. */
export function sparseNs({ sparseCost }: Results, what: 'oneNs' | 'moreNs' | 'asyncCallNs'): Found {
  if (sparseCost === undefined) return 'not in this run';
  return isSkipped(sparseCost) ? sparseCost.skipped : { value: sparseCost[what].median, about: '' };
}

/** The loop by hand over rows, of the part `sparse`. */
export function sparseByHand({ sparse }: Results): Found {
  if (isSkipped(sparse)) return sparse.skipped;
  const row = sparse.rows.find(({ what }) => what === 'a JavaScript loop');
  return row === undefined ? 'not in this run' : { value: row.ratio.median, about: '' };
}

export function nativeRatio({ nativeAgainstJs }: Results): Found {
  if (isSkipped(nativeAgainstJs)) return nativeAgainstJs.skipped;
  return worst(
    nativeAgainstJs.rows.map((row) => ({ value: row.ratio.median, about: `${row.what} at ${size(row.n)}` })),
    Math.min,
  );
}
