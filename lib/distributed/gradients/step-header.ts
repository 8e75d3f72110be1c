import { isFloat32 } from '../../check/typed-array.js';
import type { Sum } from '../../training/param-sum.js';
import { differ } from '../differences.js';
import type { World } from '../world/world.js';

/** What a rank has of one param's gradient in a step. */
export interface GradHeader {
  readonly kind: 'null' | 'dense' | 'sparse';
  /** Rows of a sparse gradient. */
  readonly rows: number;
  readonly columns: number;
}

/** What a rank says of its step before its gradients travel. */
export interface StepHeader {
  /** Σ weight of the gradients, and of the estimates that come with them: one each, the same number on all ranks. */
  readonly weights: readonly number[];
  /** Σ weight·loss of the rank; 0 without losses. */
  readonly loss: number;
  readonly gradScale: number;
  readonly stepCount: number;
  /** Digest of the options. */
  readonly options: number;
  readonly finite: boolean;
  /** Whether the launcher has told the rank to end. */
  readonly interrupted: boolean;
  /** Whether hooks run before the step. */
  readonly hasHooks: boolean;
  /** Of the gradients, then of the estimates. */
  readonly grads: readonly GradHeader[];
}

const fixed = 5;
const perParam = 2;
const kinds = { null: -2, dense: -1 } as const;
const flagNames = ['finite', 'interrupted', 'hasHooks'] as const;

/** The headers of all ranks, by one collective. */
export async function gatherHeaders(world: World, own: StepHeader): Promise<StepHeader[]> {
  // A multiple of 16, so that each rank's part is its header.
  const length = Math.ceil((fixed + own.weights.length + perParam * own.grads.length) / 16) * 16;
  const all = new Float64Array(world.size * length);
  all.set(encode(own), world.rank * length);
  await world.allGather(all);
  return Array.from({ length: world.size }, (_, rank) => decode(all.subarray(rank * length, (rank + 1) * length), own));
}

function encode(header: StepHeader): number[] {
  const { weights, gradScale, stepCount, options, loss, grads } = header;
  const each = grads.flatMap(({ kind, rows, columns }) => [kind === 'sparse' ? rows : kinds[kind], columns]);
  const flags = flagNames.reduce((sum, name, bit) => sum + (header[name] ? 2 ** bit : 0), 0);
  return [gradScale, stepCount, options, flags, loss, ...weights, ...each];
}

/** @param own A header with as many numbers. */
function decode(numbers: Float64Array, own: StepHeader): StepHeader {
  const [gradScale, stepCount, options, flags, loss] = numbers as unknown as [number, number, number, number, number];
  const begin = fixed + own.weights.length;
  const weights = Array.from(numbers.subarray(fixed, begin));
  const grads = own.grads.map((_, i): GradHeader => {
    const rows = numbers[begin + perParam * i]!;
    const columns = numbers[begin + perParam * i + 1]!;
    const kind = rows === kinds.null ? 'null' : rows === kinds.dense ? 'dense' : 'sparse';
    return { kind, rows: Math.max(0, rows), columns };
  });
  const [finite, interrupted, hasHooks] = flagNames.map((_, bit) => (flags & (2 ** bit)) > 0) as [
    boolean,
    boolean,
    boolean,
  ];
  return { weights, gradScale, stepCount, options, finite, interrupted, hasHooks, loss, grads };
}

/** The header of one gradient. */
export function headerOf(sum: Sum): GradHeader {
  if (sum === null) return { kind: 'null', rows: 0, columns: 0 };
  if (isFloat32(sum)) return { kind: 'dense', rows: 0, columns: 0 };
  const rows = sum.rows.length;
  return { kind: 'sparse', rows, columns: rows === 0 ? 0 : sum.values.length / rows };
}

/** Refuses steps that do not fit together. @throws RangeError, the same on every rank */
export function checkHeaders(who: string, headers: readonly StepHeader[], paths: readonly string[]): void {
  const first = headers[0] as StepHeader;
  for (const [rank, header] of headers.entries())
    for (const name of ['gradScale', 'stepCount'] as const)
      if (header[name] !== first[name]) throw differ(who, name, String(first[name]), rank, String(header[name]));
  for (const [param, path] of paths.entries()) {
    const given = headers.map(({ grads }, rank) => ({ rank, ...grads[param]! }));
    const some = given.find(({ kind }) => kind !== 'null');
    const other = given.find(({ kind }) => kind !== 'null' && kind !== some?.kind);
    if (some !== undefined && other !== undefined)
      throw new RangeError(`${who}: ${path}: rank ${some.rank} ${some.kind}, rank ${other.rank} ${other.kind}`);
    const full = given.find(({ columns }) => columns > 0);
    const uneven = given.find(({ columns }) => columns > 0 && columns !== full?.columns);
    if (full !== undefined && uneven !== undefined)
      throw new RangeError(
        `${who}: ${path}.values: rank ${full.rank} rows of ${full.columns}, rank ${uneven.rank} rows of ${uneven.columns}`,
      );
  }
}
