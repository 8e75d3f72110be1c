import { size, times } from './format.js';
import { fewerPasses, passes } from './fused.js';
import { type ClassRow, isSkipped, type PeerRow, type Results } from './results.js';

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

function peer({ against }: Results, id: string, n: number, tensors = 1): PeerRow | undefined {
  return against.find((row) => row.method === 'adam' && row.peer === id && row.n === n && row.tensors === tensors);
}

function asValue(row: PeerRow | undefined): Value[] {
  return row === undefined || isSkipped(row.measured)
    ? []
    : [{ value: row.measured.ofOurs.median, about: `${row.label} at ${size(row.n)}` }];
}

export function found(results: Results, id: string, n: number, tensors = 1): Found {
  const row = peer(results, id, n, tensors);
  if (row === undefined) return 'not in this run';
  return isSkipped(row.measured) ? row.measured.skipped : (asValue(row)[0] as Value);
}

/** PyTorch has several implementations; the goal is about the fastest. */
export function fastestTorch(results: Results, n: number, tensors: number): Found {
  const ways = results.peers.filter(({ id }) => id.startsWith('torch')).map(({ id }) => found(results, id, n, tensors));
  const values = ways.filter((way): way is Value => typeof way !== 'string');
  return values.length > 0 ? worst(values, Math.min) : (ways[0] ?? 'no PyTorch in this run');
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
  const furthest = worst(values, Math.max);
  if (typeof furthest === 'string') return furthest;
  const others = values.filter((value) => value !== furthest && value.value > bound);
  const beyond = others.map(({ value, about }) => `${about} ${times(value)}`).join(', ');
  const rest = `${values.length - others.length - 1} of ${values.length} are within it`;
  return others.length === 0
    ? furthest
    : { ...furthest, about: `${furthest.about}; beyond the goal also ${beyond}; ${rest}` };
}

/** Of the rows wanted, the class that gains least from threads. */
export function speedup({ classes }: Results, wanted: (row: ClassRow) => boolean): Found {
  const rows = classes.rows.filter(wanted);
  return worst(
    rows.map((row) => ({ value: row.speedup.median, about: `${row.optimizer} at ${size(row.n)}` })),
    Math.min,
  );
}

/** Adam at the size at which a peer is nearest to us. */
export function nearest(results: Results, id: string, sizes: readonly number[]): Found {
  return worst(
    sizes.flatMap((n) => asValue(peer(results, id, n))),
    Math.min,
  );
}

export function nativeRatio({ nativeAgainstJs }: Results): Found {
  if (isSkipped(nativeAgainstJs)) return nativeAgainstJs.skipped;
  return worst(
    nativeAgainstJs.rows.map((row) => ({ value: row.ratio.median, about: `${row.what} at ${size(row.n)}` })),
    Math.min,
  );
}
