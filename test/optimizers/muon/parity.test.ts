// Muon: the same bits from every instruction set, number of threads and way to step, for matrices that threads share.
import { afterAll, expect, test } from 'vitest';
import type { Engine } from '../../../lib/engine/engine.js';
import { allocate, backend, Muon, type MuonOptions, type Param, setThreads } from '../../../lib/index.js';
import { expectEqual, nativeEngines, reference, type Trace, withEngine } from '../../support/engines.js';
import { numbers } from '../../support/random.js';
import { all } from '../../support/sample.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

// A matrix of several chunks and blocks of k, wide and tall; a vector, and a matrix that AdamW takes.
const shapes = all
  ? [
      [140, 300],
      [300, 140],
      [9, 11],
    ]
  : [
      [70, 290],
      [290, 70],
      [9, 11],
    ];
const steps = 2;

function prepared(options: MuonOptions, make: (length: number) => Float32Array = (length) => new Float32Array(length)) {
  const filled = (length: number, seed: number): Float32Array => {
    const array = make(length);
    array.set(numbers(length, seed));
    return array;
  };
  const params = shapes.map(([rows, columns], i) => ({ data: filled(rows! * columns!, i), shape: [rows!, columns!] }));
  const [vector, table] = [filled(30_000, 8), { data: filled(77, 9), shape: [7, 11] }];
  const first: Param[] = [...params, vector];
  const muon = new Muon([{ params: first }, { params: [table], useMuon: false }], options);
  const arrays = [...params.map(({ data }) => data), vector, table.data];
  const grads = (step: number) => arrays.map(({ length }, i) => filled(length, 100 * step + i));
  const trace = (): Trace => ({ arrays: [...arrays, ...(muon.emaParams as Float32Array[])], norms: [] });
  return { muon, grads, trace };
}

function run(engine: Engine, options: MuonOptions): Trace {
  return withEngine(engine, () => {
    const { muon, grads, trace } = prepared(options);
    for (let step = 0; step < steps; step++) muon.step(grads(step));
    return trace();
  });
}

const options: MuonOptions = { lr: 0.1, clipNorm: 3, ema: 0.9, nsSteps: 2 };
const expected = run(reference, options);

test('every instruction set and number of threads gives the bits of the reference', () => {
  for (const engine of nativeEngines)
    for (const threads of [1, 2, 3]) {
      engine.setThreads(threads, true);
      expectEqual(run(engine, options), expected, `${engine.isa}, ${threads} threads`);
    }
});

test('stepAsync gives the same bits', async () => {
  for (const threads of [1, 3]) {
    setThreads(threads);
    const { muon, grads, trace } = prepared(options, allocate);
    for (let step = 0; step < steps; step++) await muon.stepAsync(grads(step));
    expectEqual(trace(), expected, `${threads} threads`);
  }
});

test('a matrix has other bits than its transpose flattened alike', () => {
  // Otherwise the tests above could not see an exchange of rows and columns.
  const bits = [
    [10, 20],
    [20, 10],
  ].map((shape) => {
    const data = numbers(200, 1);
    new Muon({ data, shape }, { lr: 0.1, adjustLrFn: 'none' }).step(numbers(200, 2));
    return data;
  });
  expect(bits[0]).not.toEqual(bits[1]);
});
