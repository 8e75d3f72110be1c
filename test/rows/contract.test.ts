// Which arguments the functions of schuss/rows take, and that nothing is written otherwise.
import { describe, expect, test } from 'vitest';
import { Adam, allocate } from '../../lib/index.js';
import { dots, gather, meanRows, scaled } from '../../lib/rows/index.js';
import { nativeEngines, reference, withEngine } from '../support/engines.js';

const table = () => ({ data: Float32Array.from({ length: 12 }, (_, i) => i), shape: [4, 3] });
const engines = [reference, ...nativeEngines];

describe.each(engines.map((engine) => [`${engine.name} ${engine.isa}`, engine] as const))('%s', (_, engine) => {
  const run = <T>(action: () => T): T => withEngine(engine, action);

  test('return out, overwritten', () => {
    run(() => {
      const out = new Float32Array(6).fill(9);
      expect(gather(table(), Int32Array.of(3, 0), out)).toBe(out);
      expect([...out]).toEqual([9, 10, 11, 0, 1, 2]);
      expect([...scaled(table(), Uint32Array.of(1, 1), Float32Array.of(2, -1), out)]).toEqual([6, 8, 10, -3, -4, -5]);
      expect([...dots(table(), Int32Array.of(0, 1), table(), Int32Array.of(2, 1), out.subarray(0, 2))]).toEqual([
        23, 50,
      ]);
      expect([...meanRows(table(), Int32Array.of(0, 2, 1), Int32Array.of(0, 2), out)]).toEqual([3, 4, 5, 3, 4, 5]);
      expect([...meanRows(table(), Int32Array.of(1), Int32Array.of(0, 0), out)]).toEqual([0, 0, 0, 3, 4, 5]);
      expect([...meanRows(table(), Int32Array.of(1), Int32Array.of(0, 1), out)]).toEqual([3, 4, 5, 0, 0, 0]);
    });
  });

  test('a row has the length of the product of all dimensions but the first', () => {
    const deep = { ...table(), shape: [2, 3, 2] };
    expect([...run(() => gather(deep, Int32Array.of(1), new Float32Array(6)))]).toEqual([6, 7, 8, 9, 10, 11]);
    const narrow = { ...table(), shape: [12] };
    expect([...run(() => gather(narrow, Int32Array.of(5), new Float32Array(1)))]).toEqual([5]);
  });

  test('no rows are fine', () => {
    const none = new Float32Array(0);
    run(() => {
      expect(gather(table(), new Int32Array(0), none)).toBe(none);
      expect(scaled(table(), new Int32Array(0), none, new Float32Array(0))).toHaveLength(0);
      expect(dots(table(), new Int32Array(0), table(), new Int32Array(0), none)).toBe(none);
      expect(meanRows(table(), new Int32Array(0), new Int32Array(0), none)).toBe(none);
      expect(gather({ data: none, shape: [0, 3] }, new Int32Array(0), new Float32Array(0))).toHaveLength(0);
    });
  });

  test.each<[string, (out: Float32Array) => unknown, string]>([
    ['a row', (out) => gather(table(), Int32Array.of(0, 4), out), 'gather: rows[1]: 4, expected [0, 4)'],
    ['a negative row', (out) => gather(table(), Int32Array.of(-1, 0), out), 'gather: rows[0]: -1, expected [0, 4)'],
    [
      'a huge row',
      (out) => scaled(table(), Uint32Array.of(0, 2 ** 32 - 1), new Float32Array(2), out),
      'scaled: rows[1]: 4294967295, expected [0, 4)',
    ],
    [
      'a row of a',
      (out) => dots(table(), Int32Array.of(0, 1, 2, 3, 7, 0), table(), new Int32Array(6), out),
      'dots: rowsA[4]: 7, expected [0, 4)',
    ],
    [
      'a row of b',
      (out) => dots(table(), new Int32Array(6), table(), Int32Array.of(0, 1, 2, 3, 4, 0), out),
      'dots: rowsB[4]: 4, expected [0, 4)',
    ],
    [
      'a row of a bag',
      (out) => meanRows(table(), Int32Array.of(0, 5), Int32Array.of(0, 1), out),
      'meanRows: rows[1]: 5, expected [0, 4)',
    ],
    [
      'a first offset that is not 0',
      (out) => meanRows(table(), Int32Array.of(0, 1), Int32Array.of(1, 2), out),
      'meanRows: offsets[0]: 1, expected 0',
    ],
    [
      'a falling offset',
      (out) => meanRows({ ...table(), shape: [6, 2] }, Int32Array.of(0, 1), Int32Array.of(0, 2, 1), out),
      'meanRows: offsets[2]: 1, expected [2, 2]',
    ],
    [
      'an offset behind the rows',
      (out) => meanRows(table(), Int32Array.of(0, 1), Int32Array.of(0, 3), out),
      'meanRows: offsets[1]: 3, expected [0, 2]',
    ],
    [
      'no bag for the rows',
      () => meanRows(table(), Int32Array.of(0), new Int32Array(0), new Float32Array(0)),
      'meanRows: rows: length 1, expected 0, because there is no bag',
    ],
    [
      'out within the table',
      (out) => gather({ data: new Float32Array(out.buffer), shape: [3, 3] }, Int32Array.of(0, 1), out),
      'gather: out: memory of an input, expected separate memory',
    ],
    [
      'out over factors',
      (out) => scaled({ ...table(), shape: [12] }, new Int32Array(6), new Float32Array(out.buffer, 12, 6), out),
      'scaled: out: memory of an input, expected separate memory',
    ],
    [
      'out over rows',
      (out) => gather(table(), new Int32Array(out.buffer, 12, 2), out),
      'gather: out: memory of an input, expected separate memory',
    ],
  ])('%s out of range is a RangeError, and nothing is written', (_title, call, message) => {
    const buffer = new Float32Array(9).fill(7);
    new Int32Array(buffer.buffer).fill(0, 3, 9);
    const before = new Int32Array(buffer.buffer).slice();
    expect(() => run(() => call(buffer.subarray(0, 6)))).toThrow(new RangeError(message));
    expect(new Int32Array(buffer.buffer)).toEqual(before);
  });
});

describe('arguments', () => {
  const rows = Int32Array.of(0, 1);
  const out = new Float32Array(6);
  const wrong = (call: () => unknown, message: string | RegExp, kind: typeof RangeError | typeof TypeError): void => {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  };

  test('a table needs a shape', () => {
    const expected = 'a table { data: Float32Array, shape: [rows, columns] }';
    wrong(
      () => gather(table().data as never, rows, out),
      `gather: table: Float32Array(12), expected ${expected} (the shape says how long a row is)`,
      TypeError,
    );
    wrong(() => gather(null as never, rows, out), `gather: table: null, expected ${expected}`, TypeError);
    wrong(() => gather({} as never, rows, out), `gather: table: an object, expected ${expected}`, TypeError);
    wrong(
      () => gather({ data: new Float64Array(12), shape: [4, 3] } as never, rows, out),
      `gather: table: an object, expected ${expected} (convert it with Float32Array.from(…))`,
      TypeError,
    );
    wrong(() => gather({ ...table(), shape: [] }, rows, out), 'gather: table.shape: [], expected a list', TypeError);
    wrong(
      () => gather({ ...table(), shape: [4, 4] }, rows, out),
      'gather: table.shape: [4, 4], expected a product of 12, the length of its data',
      RangeError,
    );
    wrong(
      () => gather({ data: new Float32Array(0), shape: [4, 0] }, rows, out),
      'gather: table.shape[1]: 0, expected',
      RangeError,
    );
    wrong(
      () => dots({ ...table(), shape: ['4', 3] } as never, rows, table(), rows, out),
      'dots: a.shape[0]:',
      TypeError,
    );
  });

  test('lengths must fit', () => {
    wrong(
      () => gather(table(), rows, new Float32Array(5)),
      'gather: out: length 5, expected 6, a row of the table for each of rows',
      RangeError,
    );
    wrong(
      () => scaled(table(), rows, new Float32Array(3), out),
      'scaled: factors: length 3, expected 2, the length of rows',
      RangeError,
    );
    wrong(
      () => dots(table(), rows, table(), new Int32Array(3), new Float32Array(2)),
      'dots: rowsB: length 3, expected 2, the length of rowsA',
      RangeError,
    );
    wrong(
      () => dots(table(), rows, { ...table(), shape: [3, 4] }, rows, new Float32Array(2)),
      'dots: b.shape: rows of 4, expected rows of 3, as in a',
      RangeError,
    );
    wrong(
      () => meanRows(table(), rows, Int32Array.of(0), out),
      'meanRows: out: length 6, expected 3, a row of the table for each of offsets',
      RangeError,
    );
  });

  test('types must fit', () => {
    wrong(
      () => gather(table(), [0, 1] as never, out),
      'gather: rows: [0, 1], expected an Int32Array or a Uint32Array (convert it with Int32Array.from(…))',
      TypeError,
    );
    wrong(
      () => gather(table(), new Float32Array(2) as never, out),
      'gather: rows: Float32Array(2), expected an Int32Array',
      TypeError,
    );
    wrong(
      () => gather(table(), rows, undefined as never),
      'gather: out: undefined, expected a Float32Array',
      TypeError,
    );
    wrong(() => scaled(table(), rows, [1, 2] as never, out), 'scaled: factors: [1, 2], expected', TypeError);
  });

  test('detached memory is refused', () => {
    const gone = new Float32Array(12);
    structuredClone(gone, { transfer: [gone.buffer] });
    wrong(
      () => gather({ data: gone, shape: [4, 3] }, rows, out),
      'gather: table.data: a detached Float32Array',
      TypeError,
    );
    const goneRows = Int32Array.of(0, 1);
    structuredClone(goneRows, { transfer: [goneRows.buffer] });
    wrong(() => gather(table(), goneRows, new Float32Array(0)), 'gather: rows: a detached Int32Array', TypeError);
  });

  test('getters that take memory away are followed by the checks', () => {
    /** A table whose shape, when it is read, detaches the memory of `other`. */
    const thief = (other: Float32Array, data = other) => ({
      data,
      get shape() {
        if (other.length > 0) structuredClone(other, { transfer: [other.buffer as ArrayBuffer] });
        return [4, 3];
      },
    });
    wrong(() => gather(thief(table().data), rows, out), 'gather: table.data: a detached Float32Array', TypeError);
    const victim = table();
    const thieving = thief(victim.data, table().data);
    wrong(
      () => dots(victim, rows, thieving, rows, new Float32Array(2)),
      'dots: a.data: a detached Float32Array',
      TypeError,
    );
  });

  test('memory of a step in flight is refused', async () => {
    const [data, grad] = [allocate(12), allocate(12)];
    const adam = new Adam(data);
    const pending = adam.stepAsync(grad);
    const hint = 'expected to await the pending stepAsync() first';
    wrong(
      () => gather({ data, shape: [4, 3] }, rows, out),
      `gather: table: the memory of a step in flight, ${hint}`,
      TypeError,
    );
    wrong(
      () => scaled(table(), rows, new Float32Array(2), grad.subarray(0, 6)),
      'scaled: out: the memory of',
      TypeError,
    );
    await pending;
    gather({ data, shape: [4, 3] }, rows, out);
  });
});

test('a width whose product with the number of rows overflows is refused by the addon', () => {
  for (const { tables } of nativeEngines) {
    const none = new Float32Array(0);
    expect(() => tables.meanRows(2 ** 61, none, new Int32Array(0), none, new Int32Array(8))).toThrow('another length');
  }
});
