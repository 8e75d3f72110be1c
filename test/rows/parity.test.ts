// The JavaScript reference, every instruction set and any number of threads give the same bits.
import { afterAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../lib/engine/engine.js';
import { backend, setThreads } from '../../lib/index.js';
import { dots, gather, meanRows, scaled } from '../../lib/rows/index.js';
import { firstDifference, floats, nativeEngines, reference, withEngine } from '../support/engines.js';
import { random } from '../support/random.js';
import { all } from '../support/sample.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

const widths = [1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 100, ...(all ? [1024, 16384, 16385, 40000] : [16400])];

function results(engine: Engine, width: number, count: number): Float32Array[] {
  const next = random(width);
  const tables = [40, 25].map((rows) => ({ data: floats(rows * width, next, true), shape: [rows, width] }));
  const [a, b] = tables as [(typeof tables)[0], (typeof tables)[0]];
  const rowsA = Int32Array.from({ length: count }, () => Math.floor(next() * 40));
  const rowsB = Uint32Array.from({ length: count }, () => Math.floor(next() * 25));
  const offsets = Int32Array.from({ length: 9 }, (_, i) => Math.floor((i * count) / 8));
  const factors = floats(count, next, true);
  return withEngine(engine, () => [
    gather(a, rowsA, new Float32Array(count * width)),
    scaled(b, rowsB, factors, new Float32Array(count * width)),
    dots(a, rowsA, b, rowsB, new Float32Array(count)),
    meanRows(a, rowsA, offsets, new Float32Array(offsets.length * width)),
  ]);
}

const names = ['gather', 'scaled', 'dots', 'meanRows'];

describe.each(widths)('width %d', (width) => {
  const count = 100;
  const truth = results(reference, width, count);

  test.each(nativeEngines.map((engine) => [engine.isa, engine] as const))('%s', (_, engine) => {
    for (const [i, array] of results(engine, width, count).entries())
      expect(firstDifference(array, truth[i]!), names[i]).toBe(-1);
  });
});

test('any number of threads', () => {
  const [width, count] = [64, 20_000];
  const truth = results(reference, width, count);
  for (const threads of [1, 2, 3, 4]) {
    setThreads(threads);
    const engine = nativeEngines[0]!;
    engine.setThreads(threads, true);
    for (const [i, array] of results(engine, width, count).entries())
      expect(firstDifference(array, truth[i]!), `${names[i]}, ${threads} threads`).toBe(-1);
  }
});
