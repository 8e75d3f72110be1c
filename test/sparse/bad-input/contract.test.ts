// Sparse gradients: what is refused, and that a refused step changes nothing.
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../../lib/engine/backend.js';
import { SGD, type SparseGrad } from '../../../lib/index.js';
import { type Any, bits, classes, type Kind, numbers, refused, snapshot, titled } from '../../support/rig.js';
import { sample } from '../../support/sample.js';
import { detach, engines, harmless, onEach, type Rig, rigOf, sparse, sparseGrad } from '../../support/sparse.js';

/** Overridden members of arrays, which the library must never call. */
const hostile = () => {
  throw new Error('user code in the middle of a step');
};

describe.each(titled(sample(sparse, 6)))('%s', (_, c) => {
  const rest = { flat: null, dense: null };

  const invalid: [string, Kind, RegExp, () => unknown][] = [
    [
      'rows: undefined',
      TypeError,
      /\.rows: undefined, expected an Int32Array or a Uint32Array$/,
      () => ({ rows: undefined, values: numbers(3, 1) }),
    ],
    ['rows: null', TypeError, /\.rows: null/, () => ({ rows: null, values: numbers(3, 1) })],
    ['rows: a number', TypeError, /\.rows: 1,/, () => ({ rows: 1, values: numbers(3, 1) })],
    [
      'rows: number[]',
      TypeError,
      /\.rows: \[0\], .*\(convert it with Int32Array\.from\(…\)\)/,
      () => ({ rows: [0], values: numbers(3, 1) }),
    ],
    [
      'rows: Float32Array',
      TypeError,
      /\.rows: Float32Array\(1\)/,
      () => ({ rows: new Float32Array(1), values: numbers(3, 1) }),
    ],
    [
      'rows: Uint8Array',
      TypeError,
      /\.rows: Uint8Array\(1\)/,
      () => ({ rows: new Uint8Array(1), values: numbers(3, 1) }),
    ],
    [
      'rows: BigInt64Array',
      TypeError,
      /\.rows: BigInt64Array\(1\)/,
      () => ({ rows: new BigInt64Array(1), values: numbers(3, 1) }),
    ],
    [
      'rows: a DataView',
      TypeError,
      /\.rows: DataView/,
      () => ({ rows: new DataView(new ArrayBuffer(4)), values: numbers(3, 1) }),
    ],
    ['rows: a proxy', TypeError, /\.rows: /, () => ({ rows: new Proxy(new Int32Array(1), {}), values: numbers(3, 1) })],
    [
      'rows: detached',
      TypeError,
      /\.rows: a detached Int32Array, .*transferred/,
      () => ({ rows: detach(new Int32Array(1)), values: numbers(3, 1) }),
    ],
    [
      'rows: detached, and no values',
      TypeError,
      /\.rows: a detached Uint32Array/,
      () => ({ rows: detach(new Uint32Array(1)), values: new Float32Array(0) }),
    ],
    ['values: missing', TypeError, /\.values: undefined, expected a Float32Array/, () => ({ rows: new Int32Array(1) })],
    ['values: null', TypeError, /\.values: null/, () => ({ rows: new Int32Array(1), values: null })],
    [
      'values: number[]',
      TypeError,
      /\.values: \[1, 2, 3\], .*Float32Array\.from/,
      () => ({ rows: new Int32Array(1), values: [1, 2, 3] }),
    ],
    [
      'values: Float64Array',
      TypeError,
      /\.values: Float64Array\(3\), .*Float32Array\.from/,
      () => ({ rows: new Int32Array(1), values: new Float64Array(3) }),
    ],
    [
      'values: a proxy',
      TypeError,
      /\.values: /,
      () => ({ rows: new Int32Array(1), values: new Proxy(numbers(3, 1), {}) }),
    ],
    [
      'values: detached',
      TypeError,
      /\.values: a detached Float32Array/,
      () => ({ rows: new Int32Array(1), values: detach(numbers(3, 1)) }),
    ],
    [
      'values: detached, and no rows',
      TypeError,
      /\.values: a detached Float32Array/,
      () => ({ rows: new Int32Array(0), values: detach(numbers(3, 1)) }),
    ],
    [
      'no rows in it',
      TypeError,
      /grads\["table"\]: an object, expected a Float32Array, \{ rows, values \} or null/,
      () => ({ values: numbers(3, 1) }),
    ],
    [
      'values without rows',
      RangeError,
      /\.values: length 3, expected 0, as of rows/,
      () => ({ rows: new Int32Array(0), values: numbers(3, 1) }),
    ],
    [
      'rows without values',
      RangeError,
      /\.values: length 0, expected a multiple of 2, the length of rows/,
      () => ({ rows: new Int32Array(2), values: numbers(0, 1) }),
    ],
    [
      'values that are no whole rows',
      RangeError,
      /\.values: length 7, expected a multiple of 2/,
      () => ({ rows: new Int32Array(2), values: numbers(7, 1) }),
    ],
    [
      'rows longer than those of the shape',
      RangeError,
      /\.values: rows of 6, expected 3, the columns of params\["table"\]/,
      () => sparseGrad([0], 6),
    ],
    [
      'rows shorter than those of the shape',
      RangeError,
      /\.values: rows of 1, expected 3, the columns of params\["table"\]/,
      () => sparseGrad([0, 1], 1),
    ],
    ['a negative row', RangeError, /\.rows\[0\]: -1, expected an integer in \[0, 6\)/, () => sparseGrad([-1], 3)],
    ['the most negative row', RangeError, /\.rows\[2\]: -2147483648, /, () => sparseGrad([5, 0, -(2 ** 31)], 3)],
    ['one row too far', RangeError, /\.rows\[1\]: 6, expected an integer in \[0, 6\)/, () => sparseGrad([5, 6, 7], 3)],
    ['a row far beyond', RangeError, /\.rows\[0\]: 2147483647, /, () => sparseGrad([2 ** 31 - 1], 3)],
    [
      'the largest Uint32',
      RangeError,
      /\.rows\[0\]: 4294967295, expected an integer in \[0, 6\)/,
      () => ({ rows: Uint32Array.of(2 ** 32 - 1), values: numbers(3, 1) }),
    ],
    ['a bad row after one that came twice', RangeError, /\.rows\[3\]: 9, /, () => sparseGrad([2, 2, 2, 9], 3)],
  ];
  test.each(sample(invalid, 4))('refused: %s', (_, kind, message, make) => {
    const all = { zeroGrads: true, ema: 0.9, skipNonFinite: true };
    for (const more of c === sparse[0] ? [{}, all] : [all]) {
      harmless(c, kind, message, ({ optimizer }) => optimizer.step({ ...rest, table: make() as Any }), more);
    }
  });

  test('the length of a row must divide a flat param', () => {
    harmless(
      c,
      RangeError,
      /grads\["flat"\]\.values: rows of 5, expected a divisor of 12, the length of params\["flat"\]/,
      ({ optimizer }) => optimizer.step({ table: null, dense: null, flat: sparseGrad([0], 5) }),
    );
    harmless(c, RangeError, /grads\["flat"\]\.values: rows of 24, expected a divisor of 12/, ({ optimizer }) =>
      optimizer.step({ table: null, dense: null, flat: sparseGrad([0], 24) }),
    );
    for (const size of [1, 2, 3, 4, 6, 12]) {
      const { optimizer, flat } = rigOf(c);
      const before = flat.slice();
      optimizer.step({ table: null, dense: null, flat: sparseGrad([12 / size - 1], size) });
      expect(flat.subarray(0, 12 - size)).toEqual(before.subarray(0, 12 - size));
      expect(flat.subarray(12 - size)).not.toEqual(before.subarray(12 - size));
    }
  });

  test('one bad gradient refuses the step, and no gradient is zeroed', () => {
    const bad = [sparseGrad([0, 99], 3), sparseGrad([0, 1], 2)];
    for (const table of bad) {
      const good = { flat: sparseGrad([1, 1], 4), dense: numbers(5, 8) };
      const before = [good.flat.values, good.dense, table.values].map(bits);
      harmless(c, RangeError, /grads\["table"\]/, ({ optimizer }) => optimizer.step({ ...good, table }), {
        zeroGrads: true,
      });
      harmless(c, RangeError, /grads\["table"\]/, ({ optimizer }) => optimizer.step({ table, ...good }), {
        zeroGrads: true,
      });
      expect([good.flat.values, good.dense, table.values].map(bits)).toEqual(before);
    }
  });

  test('values and rows must not share memory with a param', () => {
    const own =
      /grads\["(table|flat)"\]\.(values|rows): memory shared with params\["(table|flat|dense)"\], expected separate memory/;
    const view = (array: Float32Array, from: number, length: number) =>
      new Int32Array(array.buffer, array.byteOffset + 4 * from, length);
    const attacks: ((rig: Rig) => SparseGrad)[] = [
      ({ table }) => ({ rows: Int32Array.of(0), values: table.subarray(0, 3) }),
      ({ table }) => ({ rows: Int32Array.of(0, 5, 1, 2, 3, 4), values: table }),
      ({ dense }) => ({ rows: Int32Array.of(1), values: dense.subarray(2, 5) }),
      ({ flat }) => ({ rows: Int32Array.of(1), values: new Float32Array(flat.buffer, 0, 3) }),
      ({ table }) => ({ rows: view(table, 0, 1), values: numbers(3, 1) }),
      ({ dense }) => ({ rows: view(dense, 4, 1), values: numbers(3, 1) }),
    ];
    for (const make of attacks) {
      harmless(c, RangeError, own, (r) => {
        // Twice: a refused gradient is not accepted later because the plan knows it.
        refused(RangeError, own, () => r.optimizer.step({ ...rest, table: make(r) }));
        r.optimizer.step({ ...rest, table: make(r) });
      });
    }
    // Another buffer over the same memory. Only the addon can detect it.
    withEngine(engines[0]!, () => {
      const memory = new SharedArrayBuffer(18 * 4);
      const optimizer = c.make([new Float32Array(memory)]);
      const again = structuredClone(memory);
      expect(again).not.toBe(memory);
      refused(RangeError, /grads\[0\]\.values: memory shared with params\[0\]/, () =>
        optimizer.step([{ rows: Int32Array.of(0), values: new Float32Array(again, 4, 3) }]),
      );
      refused(RangeError, /grads\[0\]\.rows: memory shared with params\[0\]/, () =>
        optimizer.step([{ rows: new Uint32Array(again, 68, 1), values: numbers(3, 1) }]),
      );
    });
  });

  test('gradients may share memory, except with zeroGrads', () => {
    const pool = numbers(24, 5);
    const names = new Int32Array(pool.buffer, 0, 3).fill(2); // subnormal numbers if read as floats
    const shares: ((rig: Rig) => Any)[] = [
      () => ({
        ...rest,
        table: { rows: Int32Array.of(0, 1), values: pool.subarray(3, 9) },
        dense: pool.subarray(8, 13),
      }),
      () => ({
        ...rest,
        table: { rows: Int32Array.of(0, 1), values: pool.subarray(3, 9) },
        flat: { rows: Int32Array.of(2), values: pool.subarray(5, 9) },
      }),
      () => ({ ...rest, table: { rows: names, values: pool.subarray(0, 9) } }),
      () => ({ table: { rows: names.subarray(0, 1), values: numbers(3, 8) }, flat: null, dense: pool.subarray(0, 5) }),
    ];
    const copied = (grad: Any): Any =>
      grad === null || grad instanceof Float32Array
        ? (grad?.slice() ?? null)
        : { rows: grad.rows.slice(), values: grad.values.slice() };
    for (const make of shares) {
      onEach(() => {
        const [together, apart] = [rigOf(c), rigOf(c)];
        together.optimizer.step(make(together));
        apart.optimizer.step(Object.fromEntries(Object.entries<Any>(make(apart)).map(([k, g]) => [k, copied(g)])));
        expect(together.seen()).toBe(apart.seen());
      });
      const before = bits(pool);
      harmless(
        c,
        RangeError,
        /grads\["\w+"\](\.values|\.rows)?: memory shared with grads/,
        (r) => r.optimizer.step(make(r)),
        { zeroGrads: true },
      );
      expect(bits(pool)).toBe(before);
    }
    // Two tables may share row numbers, which are only read.
    const { optimizer } = rigOf(c, { zeroGrads: true });
    const rows = Int32Array.of(0, 2);
    expect(
      optimizer.step({ table: { rows, values: numbers(6, 1) }, flat: { rows, values: numbers(8, 1) }, dense: null }),
    ).toMatchObject({ applied: true });
    // A known dense gradient beside a sparse one.
    const known = numbers(5, 1);
    const two = rigOf(c, { zeroGrads: true });
    two.optimizer.step({ table: sparseGrad([1], 3), flat: null, dense: known });
    refused(RangeError, /memory shared with grads/, () =>
      two.optimizer.step({ table: { rows: Int32Array.of(1), values: known.subarray(0, 3) }, flat: null, dense: known }),
    );
  });

  test('the structure of the params decides what is a gradient, also for params named rows and values', () => {
    onEach(() => {
      const [rows, values] = [numbers(6, 1), numbers(6, 2)];
      const named = c.make({ rows, values });
      const before = [bits(rows), bits(values)];
      // The first step of ADOPT moves nothing.
      for (const seed of [3, 4]) named.step({ rows: numbers(6, seed), values: sparseGrad([1], 2) });
      expect(bits(rows)).not.toBe(before[0]);
      expect(bits(values)).not.toBe(before[1]);
      refused(TypeError, /grads\["rows"\]: Int32Array\(1\)/, () =>
        named.step({ rows: Int32Array.of(1), values: numbers(2, 1) } as Any),
      );

      const results = [numbers(6, 1), numbers(6, 1), numbers(6, 1), numbers(6, 1)];
      c.make(results[0]).step(sparseGrad([2, 0], 2));
      c.make([results[1]]).step([sparseGrad([2, 0], 2)]);
      c.make({ w: results[2] }).step({ w: sparseGrad([2, 0], 2) });
      c.make([{ params: { w: { data: results[3], shape: [3, 2] } } }]).step({ w: sparseGrad([2, 0], 2) });
      for (const result of results) expect(bits(result)).toBe(bits(results[0]!));
      const alone = c.make(numbers(6, 1));
      refused(RangeError, /grads\.rows\[1\]: 3, expected an integer in \[0, 3\)/, () =>
        alone.step(sparseGrad([2, 3], 2)),
      );
      refused(TypeError, /grads\.rows: /, () => alone.step({ rows: [1], values: numbers(2, 1) } as Any));
      const list = c.make([numbers(6, 1), numbers(6, 2)]);
      refused(RangeError, /grads\[1\]\.rows\[0\]: 6, /, () => list.step([null, sparseGrad([6], 1)]));
      refused(TypeError, /grads: an object, expected a list of 2/, () => list.step(sparseGrad([0], 2) as Any));
      refused(TypeError, /grads\["w"\]: undefined/, () => c.make({ w: numbers(6, 1) }).step(sparseGrad([0], 2) as Any));
    });
  });

  test('rows and values are read once each, and their getters cannot call the optimizer', () => {
    onEach(() => {
      const r = rigOf(c);
      const twin = rigOf(c);
      const reads: string[] = [];
      const { rows, values } = sparseGrad([3, 0], 3);
      const lazy = {
        get rows() {
          reads.push('rows');
          refused(TypeError, /an optimizer in the middle of a call/, () => r.step(1));
          return rows;
        },
        get values() {
          reads.push('values');
          refused(TypeError, /an optimizer in the middle of a call/, () => r.optimizer.dispose());
          return values;
        },
      };
      r.optimizer.step({ ...rest, table: lazy });
      expect(reads).toEqual(['rows', 'values']);
      twin.optimizer.step({ ...rest, table: { rows, values } });
      expect(r.seen()).toBe(twin.seen());
      for (const table of [
        new Proxy({ rows, values }, {}),
        Object.create({ rows, values }),
        new (class {
          rows = rows;
          values = values;
        })(),
      ]) {
        r.optimizer.step({ ...rest, table });
        twin.optimizer.step({ ...rest, table: { rows, values } });
        expect(r.seen()).toBe(twin.seen());
      }
    });
  });

  test('getters that throw, detach or change earlier values leave no trace', () => {
    const mine = (r: Rig, grads: Any) => expect(() => r.optimizer.step(grads)).toThrow('mine');
    const throws = () => {
      throw new Error('mine');
    };
    onEach(() => {
      const [r, twin] = [rigOf(c), rigOf(c)];
      mine(r, {
        ...rest,
        table: {
          get rows() {
            return throws();
          },
          values: numbers(3, 1),
        },
      });
      mine(r, {
        ...rest,
        table: {
          rows: Int32Array.of(0),
          get values() {
            return throws();
          },
        },
      });
      mine(r, { ...rest, table: new Proxy({}, { has: throws }) });
      expect(r.seen()).toBe(twin.seen());
    });
    harmless(c, TypeError, /grads\["table"\]\.rows: a detached/, ({ optimizer }) => {
      const { rows, values } = sparseGrad([0], 3);
      optimizer.step({
        ...rest,
        table: {
          rows,
          get values() {
            detach(rows);
            return values;
          },
        },
      });
    });
    harmless(c, TypeError, /grads\["table"\]\.values: a detached/, ({ optimizer }) => {
      const table = sparseGrad([0], 3);
      optimizer.step({
        table,
        flat: {
          get rows() {
            detach(table.values);
            return Int32Array.of(0);
          },
          values: numbers(4, 1),
        },
        dense: null,
      });
    });
    harmless(c, RangeError, /grads\["table"\]\.rows\[0\]: 77,/, ({ optimizer }) => {
      const table = sparseGrad([0], 3);
      optimizer.step({
        table,
        get flat() {
          table.rows[0] = 77;
          return null;
        },
        dense: null,
      });
    });
  });

  test('overridden members of arrays are never called', () => {
    onEach(() => {
      const plain = rigOf(c, { zeroGrads: true, ema: 0.5, gradNorm: true });
      const r = rigOf(c, { zeroGrads: true, ema: 0.5, gradNorm: true });
      class Odd extends Int32Array {
        override findIndex(): number {
          return hostile();
        }
        override subarray(): Any {
          return hostile();
        }
      }
      const grads = sparseGrad([5, 0, 5], 3, 4);
      const expected = plain.optimizer.step({
        ...rest,
        table: { rows: grads.rows.slice(), values: grads.values.slice() },
      });
      const rows = Odd.from(grads.rows);
      for (const array of [rows, grads.values]) Object.defineProperty(array, 'length', { value: 1e9 });
      for (const name of ['subarray', 'slice', 'fill', 'map', 'constructor'])
        Object.defineProperty(grads.values, name, { get: hostile });
      expect(r.optimizer.step({ ...rest, table: { rows, values: grads.values } })).toEqual(expected);
      expect(r.seen()).toBe(plain.seen());
      Object.defineProperty(rows, 0, { value: 6 });
      refused(RangeError, /\.rows\[0\]: 6,/, () =>
        r.optimizer.step({ ...rest, table: { rows, values: grads.values } }),
      );
      expect(r.seen()).toBe(plain.seen());
    });
  });
});

test('a class that needs dense gradients refuses sparse ones with the reason', () => {
  const dense = classes.filter(({ declaration }) => declaration.denseOnly !== undefined);
  expect(dense.map(({ title }) => title)).toEqual(expect.arrayContaining(['LARS', 'LAMB']));
  for (const c of dense) {
    onEach(() => {
      const w = numbers(6, 1);
      const optimizer = c.make({ w }, { zeroGrads: true });
      optimizer.step({ w: numbers(6, 2) });
      const before = snapshot(optimizer, [w]);
      for (const grad of [sparseGrad([0], 3), sparseGrad([], 0)]) {
        const values = bits(grad.values);
        refused(
          TypeError,
          new RegExp(
            `^${c.title}: grads\\["w"\\]: a sparse gradient, expected a Float32Array or null \\(${c.declaration.denseOnly}\\)`,
          ),
          () => optimizer.step({ w: grad }),
        );
        expect(bits(grad.values)).toBe(values);
      }
      expect(snapshot(optimizer, [w])).toBe(before);
      expect(optimizer.step({ w: null })).toEqual({ applied: true });
    });
  }
});

// Read as an unsigned number, the most negative row number would be in range.
test('a table of more than 2^31 rows refuses signed row numbers', () => {
  const length = 2 ** 31 + 2;
  let w: Float32Array;
  try {
    w = new Float32Array(new SharedArrayBuffer(length * 4)); // untouched pages cost nothing
  } catch {
    return; // this machine cannot allocate so much
  }
  withEngine(engines[0]!, () => {
    const sgd = new SGD(w, { lr: 1 });
    for (const row of [-(2 ** 31), 0]) {
      refused(
        TypeError,
        /^SGD: grads\.rows: Int32Array\(1\), expected a Uint32Array for the 2147483650 rows of params/,
        () => sgd.step({ rows: Int32Array.of(row), values: Float32Array.of(1) }),
      );
    }
    sgd.step({ rows: Uint32Array.of(2 ** 31, 1), values: Float32Array.of(1, 2) });
    expect([w[2 ** 31], w[1], w[0]]).toEqual([-1, -2, 0]);
    sgd.step({ rows: Int32Array.of(3), values: Float32Array.of(1, 2) }); // rows of 2: half as many rows
    expect([w[6], w[7]]).toEqual([-1, -2]);
  });
});
