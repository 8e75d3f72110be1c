// Sparse gradients, also with one number per row: the JavaScript reference, every instruction set and any number of
// threads give the same bits, including the norm.
import { afterAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../lib/engine/engine.js';
import { backend, setThreads } from '../../lib/index.js';
import {
  expectEqual,
  firstDifference,
  floats,
  nativeEngines,
  parityEngines,
  reference,
  type Trace,
  withEngine,
} from '../support/engines.js';
import { random } from '../support/random.js';
import { type Case, decay, type Options, rowForms, sampledRowForms, titled } from '../support/rig.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

/** The columns of each table: from one element to several registers and several pieces of a measure. */
const sizes = [1, 3, 16, 64, 1000, 2003];

interface Shape {
  /** Rows of each table. */
  readonly rows: (size: number) => number;
  /** How many of them a gradient names, some more than once. */
  readonly names: (size: number) => number;
  readonly wild: boolean;
  readonly steps: number;
}

type Grads = readonly (Float32Array | { rows: Int32Array | Uint32Array; values: Float32Array } | null)[];

/** Tables, and steps with sparse, dense, null and empty gradients for each. */
function inputsOf({ rows, names, wild, steps }: Shape): { tables: Float32Array[]; grads: Grads[] } {
  const next = random(11);
  const tables = sizes.map((size) => floats(rows(size) * size, next, wild));
  const grads = Array.from({ length: steps }, (_, step) =>
    sizes.map((size, i) => {
      const form = (step + i) % 7;
      if (step > 0 && form === 5) return null;
      if (step > 0 && form === 6) return floats(rows(size) * size, next, wild);
      const count = step > 0 && form === 4 ? 0 : names(size);
      const of = Array.from({ length: count }, () => Math.floor(next() * rows(size)));
      const Rows = form % 2 === 0 ? Int32Array : Uint32Array;
      return { rows: Rows.from(of), values: floats(count * size, next, wild) };
    }),
  );
  return { tables, grads };
}

type Inputs = ReturnType<typeof inputsOf>;

/** The results of the steps. */
function run(engine: Engine, c: Case, more: Options, inputs: Inputs): Trace {
  return withEngine(engine, () => {
    const tables = inputs.tables.map((table) => table.slice());
    const instance = c.make(
      tables.map((data, i) => ({ data, shape: [data.length / sizes[i]!, sizes[i]!] })),
      more,
    );
    const arrays: Float32Array[] = [...tables];
    const norms = inputs.grads.map((given) => {
      const grads = given.map((grad) => {
        if (grad === null) return null;
        const values = (grad instanceof Float32Array ? grad : grad.values).slice();
        arrays.push(values);
        return grad instanceof Float32Array ? values : { rows: grad.rows, values };
      });
      return instance.step(grads, { gradScale: 0.7 }).gradNorm;
    });
    for (const state of Object.values(instance.stateDict().state)) {
      arrays.push(...Object.values(state).filter((v): v is Float32Array => v instanceof Float32Array));
    }
    return { arrays, norms };
  });
}

const small = {
  rows: (size: number) => (size < 100 ? 9 : 3),
  names: (size: number) => (size < 100 ? 12 : 4),
  steps: 3,
};
const wildly = inputsOf({ ...small, wild: true });
const tamely = inputsOf({ ...small, wild: false });

describe.each(titled(sampledRowForms))('%s', (_, c) => {
  test('every instruction set gives the bits of the reference', () => {
    const all = { clipValue: 0.5, maximize: true, ema: 0.99, zeroGrads: true, clipNorm: 3, ...decay(c, 0.01) };
    // With a NaN norm, clipping would turn everything into NaN.
    for (const [more, inputs] of [
      [{ gradNorm: true }, wildly],
      [all, tamely],
    ] as const) {
      const expected = run(reference, c, more, inputs);
      for (const engine of nativeEngines)
        expectEqual(run(engine, c, more, inputs), expected, `${engine.isa} ${Object.keys(more)}`);
    }
  });
});

// A partial sum covers up to 16384 elements in whole rows, and at least one row.
const large = inputsOf({
  rows: (size) => Math.ceil(40_000 / size),
  names: (size) => Math.ceil(45_000 / size),
  wild: false,
  steps: 2,
});
const titles = [
  'Adagrad {"rowWise":false}',
  'Adagrad {"rowWise":true}',
  'Adam {"amsgrad":false,"biasCorrection":true,"rowWise":false,"rowSteps":false,"cautious":false}',
  'Adam {"rowSteps":true,"rowWise":true}',
  'Adam {"rowSteps":true}',
  'Adam {"rowWise":true}',
  'SGD {"momentum":0,"nesterov":false,"momentumForm":"velocity","cautious":false}',
];
const some = rowForms.filter(({ title }) => titles.includes(title));

test('the cases over many chunks have the titles listed here', () => {
  expect(some.map(({ title }) => title).sort()).toEqual(titles);
});

describe.each(titled(some))('%s over many chunks', (_, c) => {
  const more = { clipNorm: 1, ema: 0.9, zeroGrads: true };
  const expected = run(reference, c, more, large);

  test('the norm is over all rows and clips', () => {
    for (const norm of expected.norms) expect(norm).toBeGreaterThan(1);
  });

  test.each(parityEngines.map((engine) => [engine.isa, engine] as const))(
    '%s with 1, 2, 3 and 8 threads',
    (isa, engine) => {
      for (const threads of isa === nativeEngines[0]!.isa ? [1, 2, 3, 8] : [1, 3]) {
        engine.setThreads(threads, true);
        expectEqual(run(engine, c, more, large), expected, `${threads} threads`);
      }
    },
  );
});

test('the comparison detects another order of rows and of partial sums', () => {
  const next = random(3);
  const values = Float32Array.from({ length: 64 * 300 }, next);
  const rows = Int32Array.from({ length: 300 }, (_, i) => i % 100);
  const of = (order: readonly number[]) => {
    const w = new Float32Array(64 * 100);
    const c = some.find(({ declaration }) => declaration.name === 'SGD') as Case;
    const mixed = Float32Array.from(order.flatMap((i) => Array.from(values.subarray(64 * i, 64 * i + 64))));
    const { gradNorm } = c
      .make(w, { gradNorm: true })
      .step({ rows: Int32Array.from(order, (i) => rows[i]!), values: mixed });
    return { w, gradNorm };
  };
  const order = Array.from(rows, (_, i) => i);
  expect(firstDifference(of(order.toReversed()).w, of(order).w)).toBeGreaterThanOrEqual(0);
  expect(of(order.toReversed()).gradNorm).not.toBe(of(order).gradNorm);
});
