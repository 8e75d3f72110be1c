// Operations on vectors of float32 and float64, computed in float64: their definition, written out here, and the same
// bits
// from every engine, length and number of threads.
import { afterAll, describe, expect, test } from 'vitest';
import type { Linalg, Vector } from '../../lib/engine/linalg.js';
import { loadAddon, nativeLinalg } from '../../lib/engine/native.js';
import { referenceLinalg } from '../../lib/engine/reference-linalg.js';
import { backend, setThreads } from '../../lib/index.js';
import { reference } from '../support/engines.js';
import { random } from '../support/random.js';
import { all, sample } from '../support/sample.js';

const addon = loadAddon();
const { threads: before } = backend();
afterAll(() => setThreads(before));

const kinds = [Float32Array, Float64Array] as const;
type Kind = (typeof kinds)[number];
const short = Array.from({ length: 101 }, (_, n) => n);
/** The lengths that operations are compared at. */
const lengths = [...sample(short, 8), ...(all ? [16383, 16384, 16385, 40_003] : [16385])];

const special = [0, -0, 5e-324, -1e-310, 1e-45, -1e-40, 3.4028235e38, -3.4028236e38, 1e300, -1e-300, 1e16, -1e-16];
const nonFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Numbers of all magnitudes, at an address that is a multiple of the element's size and of nothing more. */
function numbers(kind: Kind, length: number, next: () => number, wild: boolean): Vector {
  const whole = new kind(length + 1);
  const pool = wild ? [...special, ...nonFinite] : [0, -0, 1e-30, -1e9];
  for (let i = 0; i < whole.length; i++)
    whole[i] = next() < 0.05 ? pool[Math.floor(next() * pool.length)]! : (next() - 0.5) * 10 ** (next() * 8 - 5);
  return whole.subarray(1);
}

/** The first element in which two vectors differ in a bit, or -1; any NaN equals any NaN. */
function difference(a: Vector, b: Vector): number {
  if (a.length !== b.length) return -2;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}

// ---- The definition ----

/** Element i of a chunk of 16384 goes to lane i mod 16, the lanes are folded in halves, the chunks added in order. */
function dotAsDefined(x: Vector, y: Vector, chunk = 16384): number {
  let sum = 0;
  for (let begin = 0; begin < x.length; begin += chunk) {
    let lanes = new Array<number>(16).fill(0);
    for (let i = begin; i < Math.min(begin + chunk, x.length); i++) lanes[(i - begin) % 16]! += x[i]! * y[i]!;
    for (let half = 8; half >= 1; half /= 2) {
      const all = lanes;
      lanes = lanes.slice(0, half).map((v, lane) => v + all[lane + half]!);
    }
    sum += lanes[0]!;
  }
  return sum;
}

const defined: Omit<Linalg, 'project' | 'addCombination' | 'gemmInPlace' | 'gram'> = {
  dot: (x, y) => dotAsDefined(x, y),
  axpby(a, x, b, y, out, z) {
    out.set(Float64Array.from(out, (_, i) => a * x[i]! + b * y[i]!)); // the only rounding
    return z === undefined ? 0 : dotAsDefined(out, z);
  },
  multiply: (factor, x, out) => out.set(Float64Array.from(x, (v) => factor * v)),
  maxAbs: (x) => Math.max(0, ...Array.from(x, Math.abs)),
  maxAbsDifference: (x, y) => Math.max(0, ...Array.from(x, (v, i) => Math.abs(v - y[i]!))),
};

type Operation = {
  readonly name: string;
  /** Runs the operation on vectors that it may change, and returns its result. */
  readonly run: (v: typeof defined, x: Vector, y: Vector, out: Vector, z: Vector) => number | undefined;
  /** Which of the four vectors it uses. The others need no second type. */
  readonly takes: readonly boolean[];
};
const operations: readonly Operation[] = [
  { name: 'dot', takes: [true, true, false, false], run: (v, x, y) => v.dot(x, y) },
  {
    name: 'axpby',
    takes: [true, true, true, false],
    run: (v, x, y, out) => v.axpby(-1.7, x, 0.3, y, out),
  },
  {
    name: 'axpby, and the dot product',
    takes: [true, true, true, true],
    run: (v, x, y, out, z) => v.axpby(1.1, x, -1 / 3, y, out, z),
  },
  {
    name: 'multiply',
    takes: [true, false, true, false],
    run: (v, x, _y, out) => v.multiply(0.1, x, out) as undefined,
  },
  { name: 'maxAbs', takes: [true, false, false, false], run: (v, x) => v.maxAbs(x) },
  {
    name: 'maxAbsDifference',
    takes: [true, true, false, false],
    run: (v, x, y) => v.maxAbsDifference(x, y),
  },
];

/** All combinations of types that an operation may get. */
function mixtures({ takes }: Operation): (readonly Kind[])[] {
  return takes.reduce<(readonly Kind[])[]>(
    (all, isTaken) => all.flatMap((some) => (isTaken ? kinds : kinds.slice(0, 1)).map((kind) => [...some, kind])),
    [[]],
  );
}

interface Outcome {
  readonly given: string;
  readonly found: number | undefined;
  readonly vectors: readonly Vector[];
}

/** Vectors of these kinds. Those of the last length are kept for the next implementation. */
const made = new Map<string, readonly Vector[]>();
let madeLength = -1;
function vectorsOf(mixture: readonly Kind[], length: number, wild: boolean): [Vector, Vector, Vector, Vector] {
  if (length !== madeLength) made.clear();
  madeLength = length;
  const key = `${mixture.map(({ name }) => name)} ${wild}`;
  let vectors = made.get(key);
  if (vectors === undefined) {
    const next = random(length + (wild ? 7 : 0));
    vectors = mixture.map((kind) => numbers(kind, length, next, wild));
    made.set(key, vectors);
  }
  // Copies at the same kind of address.
  return vectors.map((vector, i) => {
    const copy = new (mixture[i] as Kind)(length + 1).subarray(1);
    copy.set(vector);
    return copy;
  }) as [Vector, Vector, Vector, Vector];
}

/** What an implementation returns and writes, for mixtures of types. Short vectors get all mixtures. */
function outcomes(operation: Operation, implementation: typeof defined, length: number): Outcome[] {
  const all = mixtures(operation);
  const some = length < 1000 ? all : [all[0]!, all.at(-1)!];
  return some.flatMap((mixture) =>
    [false, true].flatMap((wild) => {
      const vectors = vectorsOf(mixture, length, wild);
      const given = `length ${length}, ${mixture.map(({ name }) => name).join(' ')}, ${wild ? 'with' : 'without'} NaN`;
      return { given, found: operation.run(implementation, ...vectors), vectors };
    }),
  );
}

function expectOutcomes(actual: readonly Outcome[], expected: readonly Outcome[]): void {
  for (const [k, { given, found, vectors }] of expected.entries()) {
    expect(actual[k]!.found, given).toBe(found);
    for (const [i, vector] of vectors.entries()) {
      const at = difference(actual[k]!.vectors[i]!, vector);
      if (at !== -1) expect.fail(`${given}: vector ${i} differs at ${at}`);
    }
  }
}

describe.each(operations)('$name', (operation) => {
  test('the reference matches the definition', () => {
    for (const length of lengths)
      expectOutcomes(outcomes(operation, referenceLinalg, length), outcomes(operation, defined, length));
  });

  test('every instruction set gives the bits of the reference', () => {
    for (const length of lengths) {
      const expected = outcomes(operation, referenceLinalg, length);
      for (const isa of addon.isas) expectOutcomes(outcomes(operation, addon.engine(isa)!, length), expected);
    }
  });

  test('1, 2 and 3 threads give the same bits', () => {
    const length = all ? 150_001 : 49_200;
    const expected = outcomes(operation, referenceLinalg, length);
    for (const threads of [1, 2, 3]) {
      addon.setThreads(threads, true);
      expectOutcomes(outcomes(operation, addon.engine(addon.isas[0]!)!, length), expected);
    }
  });
});

test('outputs may alias inputs', () => {
  const native = addon.isas.map((isa): [string, Linalg] => [isa, addon.engine(isa)!]);
  for (const [name, vectors] of [...native, ['js', referenceLinalg] as const])
    for (const kind of kinds)
      for (const length of [3, 33, 20_000]) {
        const [x, y] = [1, 2].map((seed) => numbers(kind, length, random(seed), true)) as [Vector, Vector];
        const run = (v: typeof defined) => {
          const [a, b, c, d] = [x.slice(), x.slice(), x.slice(), x.slice()];
          const found = [
            v.axpby(2, a, 0.7, y, a, y),
            v.axpby(2, y, 0.7, b, b, b),
            v.axpby(2, c, 0.7, c, c, c),
            v.multiply(0.7, d, d),
            v.dot(a, a),
          ];
          return Float64Array.from([...found, ...a, ...b, ...c, ...d] as number[]);
        };
        const at = difference(run(vectors), run(defined));
        expect(at, `the first result that differs: ${name} ${kind.name} ${length}`).toBe(-1);
      }
});

test('a float32 is rounded once, and dot products use the stored values', () => {
  const x = Float32Array.of(1, 1 + 2 ** -23);
  for (const linalg of [referenceLinalg, ...addon.isas.map((isa) => addon.engine(isa)!)]) {
    const out = new Float32Array(2);
    // In float32 the term 2⁻²⁴ would be lost before the second product is added.
    const product = linalg.axpby(1, x, 2 ** -24 + 2 ** -40, Float32Array.of(1, 1), out, Float32Array.of(1, 0));
    expect(out[0]).toBe(1 + 2 ** -23);
    expect(product).toBe(1 + 2 ** -23);
    expect(linalg.dot(Float32Array.of(1e30, 1), Float32Array.of(1e30, 1))).toBe(Math.fround(1e30) ** 2 + 1);
  }
});

test('maxAbs returns NaN for one NaN anywhere, and not for an infinity', () => {
  for (const linalg of [referenceLinalg, ...addon.isas.map((isa) => addon.engine(isa)!)])
    for (const length of [1, 4, 33, 100])
      for (let at = 0; at < length; at++) {
        const x = new Float64Array(length).fill(-2);
        x[at] = Number.NaN;
        if (length > 1) x[(at + 1) % length] = Number.POSITIVE_INFINITY;
        expect(linalg.maxAbs(x)).toBeNaN();
        x[at] = -3;
        expect(linalg.maxAbs(x)).toBe(length > 1 ? Number.POSITIVE_INFINITY : 3);
      }
});

test('short vectors use JavaScript and long ones the addon, with the same bits', () => {
  const calls: number[] = [];
  const spy = new Proxy(referenceLinalg, {
    get: (target, name: keyof Linalg) =>
      name === 'dot' ? (x: Vector, y: Vector) => calls.push(x.length) && target.dot(x, y) : target[name],
  });
  const linalg = nativeLinalg(spy);
  for (const length of short) linalg.dot(new Float32Array(length), new Float64Array(length));
  expect(calls.length).toBeGreaterThan(0);
  expect(calls).toEqual(short.slice(calls[0]));
  for (const operation of operations)
    for (const length of sample(short, 12))
      expectOutcomes(
        outcomes(operation, nativeLinalg(addon.engine(addon.isas[0]!)!), length),
        outcomes(operation, referenceLinalg, length),
      );
});

// ---- Tall matrices ----

/** Columns of a matrix, made once: the powers in `numbers` take most of the time of these tests. */
const columns = new Map<string, readonly Float64Array[]>();
function columnsOf(rows: number, count: number, seed: number, wild = false): Float64Array[] {
  const key = `${rows} ${count} ${seed} ${wild}`;
  let known = columns.get(key);
  if (known === undefined) {
    const next = random(seed);
    known = Array.from({ length: count }, () => numbers(Float64Array, rows, next, wild) as Float64Array);
    columns.set(key, known);
  }
  return known.map((column) => {
    const copy = new Float64Array(rows + 1).subarray(1);
    copy.set(column);
    return copy;
  });
}

/** The results of each operation on a tall matrix, from the same numbers. */
function tallResults(v: Linalg, rows: number, count: number, wild: boolean): Record<string, Float64Array[]> {
  const P = columnsOf(rows, count, rows + count, wild);
  const [x] = columnsOf(rows, 1, 3, wild) as [Float64Array];
  const [weights] = columnsOf(count, 1, 4, wild) as [Float64Array];
  const projected = new Float64Array(count);
  v.project(P, x, projected);
  const products = new Float64Array(count * count);
  v.gram(P, products);
  const sum = x.slice();
  v.addCombination(P, weights, sum);
  const fewer = P.map((column) => column.slice());
  v.gemmInPlace(fewer, columnsOf(count, Math.ceil(count / 2), 5, wild));
  const same = P.map((column) => column.slice());
  v.gemmInPlace(same, columnsOf(count, count, 6, wild));
  return { projected: [projected], gram: [products], sum: [sum], fewer, same };
}

function expectSame(actual: Record<string, Float64Array[]>, expected: Record<string, Float64Array[]>, what: string) {
  for (const [name, vectors] of Object.entries(expected))
    expect(
      vectors.map((vector, i) => difference(actual[name]![i]!, vector)),
      `${what} ${name}`,
    ).toEqual(vectors.map(() => -1));
}

const shapes = [...Array.from({ length: 10 }, (_, count) => [41, count] as const)].concat([
  [0, 3],
  [1, 1],
  [255, 6],
  [257, 9],
  [1023, 4],
  [1025, 5],
  [2049, 7],
  [16385, 3],
] as never) as (readonly [number, number])[];

describe('tall matrices', () => {
  test('outputs may alias inputs', () => {
    // A square matrix, so that any vector fits anywhere. It is larger than a block of gemmInPlace.
    const size = 300;
    const run = (v: Linalg): Float64Array[] => {
      const [a, b, c, d] = [1, 2, 3, 4].map((seed) => columnsOf(size, size, seed)) as [
        Float64Array[],
        Float64Array[],
        Float64Array[],
        Float64Array[],
      ];
      v.project(a, a[0]!, a[1]!);
      v.project(a, b[0]!, b[0]!);
      v.addCombination(b, b[1]!, b[2]!);
      v.addCombination(c, b[3]!, b[3]!);
      v.gemmInPlace(c, [c[7]!, c[0]!, b[4]!]);
      v.gemmInPlace([...d.slice(0, -1), d[0]!], [b[5]!, d[0]!]);
      return [...a, ...b, ...c, ...d];
    };
    const expected = run(referenceLinalg);
    for (const isa of addon.isas) {
      const actual = run(addon.engine(isa)!);
      expect(actual.map((vector, i) => difference(vector, expected[i]!))).toEqual(expected.map(() => -1));
    }
  });

  test('the reference matches the definition', () => {
    for (const [rows, count] of shapes) {
      const P = columnsOf(rows, count, rows + count);
      const [x] = columnsOf(rows, 1, 3) as [Float64Array];
      const [weights] = columnsOf(count, 1, 4) as [Float64Array];
      const weight = (k: number) => weights[k] ?? 0;
      const { projected, gram, sum, fewer, same } = tallResults(referenceLinalg, rows, count, false);
      const combination = (start: number, w: (k: number) => number, r: number): number => {
        let value = start;
        for (let k = 0; k < count; k += 4) {
          const part = (j: number): number => w(j) * P[Math.min(j, count - 1)]![r]!;
          value += part(k) + part(k + 1) + (part(k + 2) + part(k + 3));
        }
        return value;
      };
      const rotated = (Q: Float64Array[]) =>
        P.map((_, k) =>
          Float64Array.from({ length: rows }, (_, r) => (k < Q.length ? combination(0, (j) => Q[k]![j] ?? 0, r) : 0)),
        );
      const expected = {
        projected: [Float64Array.from(P, (column) => dotAsDefined(column, x))],
        gram: [Float64Array.from(P.flatMap((_, i) => P.map((_, j) => dotAsDefined(P[i]!, P[j]!, 1024))))],
        sum: [Float64Array.from({ length: rows }, (_, r) => combination(x[r]!, weight, r))],
        fewer: rotated(columnsOf(count, Math.ceil(count / 2), 5)),
        same: rotated(columnsOf(count, count, 6)),
      };
      expectSame(
        { projected: projected!, gram: gram!, sum: sum!, fewer: fewer!, same: same! },
        expected,
        `${rows}×${count}`,
      );
    }
  });

  test.each([...addon.isas])('%s gives the bits of the reference', (isa) => {
    for (const [rows, count] of shapes)
      for (const wild of [false, true]) {
        const expected = tallResults(referenceLinalg, rows, count, wild);
        expectSame(tallResults(addon.engine(isa)!, rows, count, wild), expected, `${rows}×${count} ${wild}`);
      }
  });

  test('1, 2 and 3 threads give the same bits', () => {
    const expected = tallResults(referenceLinalg, 50_000, 5, false);
    for (const threads of [1, 2, 3]) {
      addon.setThreads(threads, true);
      expectSame(tallResults(addon.engine(addon.isas[0]!)!, 50_000, 5, false), expected, `${threads}`);
    }
  });
});

test('both engines offer linear algebra', () => {
  expect(reference.linalg).toBe(referenceLinalg);
});
