// Gradients of some rows: what is refused and changes nothing, what is taken, and that the other rows stay as they are.
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import type { Engine } from '../../lib/engine/engine.js';
import { Adagrad, Adam, allocate, type Optimizer, SGD, type SparseGrad } from '../../lib/index.js';
import { nativeEngines, reference } from '../support/engines.js';
import {
  type Any,
  bits,
  type Case,
  classes,
  decay,
  hasClockOfItsOwn,
  numbers,
  type Options,
  refused,
  rowForms,
  snapshot,
} from '../support/rig.js';

const engines: readonly Engine[] = [nativeEngines[0]!, reference];
const sparse = classes.filter(({ declaration }) => declaration.denseOnly === undefined);

const onEach = (action: (engine: Engine) => void) => {
  for (const engine of engines) withEngine(engine, () => action(engine));
};
const of = (rows: ArrayLike<number>, size: number, seed = 1): { rows: Int32Array; values: Float32Array } => ({
  rows: Int32Array.from(rows),
  values: numbers(rows.length * size, seed),
});
const detach = <T extends ArrayBufferView>(array: T): T => {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};

/** Calls like a subclass may make them: nothing of this is an array's own. */
const hostile = () => {
  throw new Error('user code in the middle of a step');
};

interface Rig {
  readonly optimizer: Optimizer;
  readonly table: Float32Array;
  readonly flat: Float32Array;
  readonly dense: Float32Array;
  readonly params: readonly Float32Array[];
  step(seed: number): void;
  seen(): string;
}

/** A table of 6 rows of 3, a flat param of 12 and a dense one of 5, after so many steps. */
function rigOf(c: Case, more: Options = {}, steps = 2): Rig {
  const [table, flat, dense] = [numbers(18, 1), numbers(12, 2), numbers(5, 3)];
  const params = [table, flat, dense];
  const optimizer = c.make({ table: { data: table, shape: [6, 3] }, flat, dense }, more);
  const step = (seed: number) =>
    void optimizer.step({ table: of([4, 1, 4], 3, seed), flat: of([0, 2], 4, seed), dense: numbers(5, seed) });
  for (let s = 1; s <= steps; s++) step(s);
  return { optimizer, table, flat, dense, params, step, seen: () => snapshot(optimizer, params) };
}

type Kind = typeof TypeError | typeof RangeError;

/** An attack on every engine, on a new optimizer and on one that has taken steps, that must leave no trace. */
function harmless(c: Case, kind: Kind, message: RegExp, attack: (rig: Rig) => unknown, more: Options = {}): void {
  onEach(() => {
    for (const steps of [0, 2]) {
      const [victim, twin] = [rigOf(c, more, steps), rigOf(c, more, steps)];
      refused(kind, message, () => attack(victim));
      expect(victim.seen()).toBe(twin.seen());
      for (const r of [victim, twin]) r.step(9);
      expect(victim.seen()).toBe(twin.seen());
    }
  });
}

describe.each(sparse)('$title', (c) => {
  const rest = { flat: null, dense: null };

  // ---- What is refused ----

  test.each<[string, Kind, RegExp, () => unknown]>([
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
      () => of([0], 6),
    ],
    [
      'rows shorter than those of the shape',
      RangeError,
      /\.values: rows of 1, expected 3, the columns of params\["table"\]/,
      () => of([0, 1], 1),
    ],
    ['a negative row', RangeError, /\.rows\[0\]: -1, expected an integer in \[0, 6\)/, () => of([-1], 3)],
    ['the most negative row', RangeError, /\.rows\[2\]: -2147483648, /, () => of([5, 0, -(2 ** 31)], 3)],
    ['one row too far', RangeError, /\.rows\[1\]: 6, expected an integer in \[0, 6\)/, () => of([5, 6, 7], 3)],
    ['a row far beyond', RangeError, /\.rows\[0\]: 2147483647, /, () => of([2 ** 31 - 1], 3)],
    [
      'the largest Uint32',
      RangeError,
      /\.rows\[0\]: 4294967295, expected an integer in \[0, 6\)/,
      () => ({ rows: Uint32Array.of(2 ** 32 - 1), values: numbers(3, 1) }),
    ],
    ['a bad row after one that came twice', RangeError, /\.rows\[3\]: 9, /, () => of([2, 2, 2, 9], 3)],
  ])('refused: %s', (_, kind, message, make) => {
    const all = { zeroGrads: true, ema: 0.9, skipNonFinite: true };
    for (const more of c === sparse[0] ? [{}, all] : [all]) {
      harmless(c, kind, message, ({ optimizer }) => optimizer.step({ ...rest, table: make() as Any }), more);
    }
  });

  test('refused: rows that do not divide a flat param; any that do are taken', () => {
    harmless(
      c,
      RangeError,
      /grads\["flat"\]\.values: rows of 5, expected a divisor of 12, the length of params\["flat"\]/,
      ({ optimizer }) => optimizer.step({ table: null, dense: null, flat: of([0], 5) }),
    );
    harmless(c, RangeError, /grads\["flat"\]\.values: rows of 24, expected a divisor of 12/, ({ optimizer }) =>
      optimizer.step({ table: null, dense: null, flat: of([0], 24) }),
    );
    for (const size of [1, 2, 3, 4, 6, 12]) {
      const { optimizer, flat } = rigOf(c);
      const before = flat.slice();
      optimizer.step({ table: null, dense: null, flat: of([12 / size - 1], size) });
      expect(flat.subarray(0, 12 - size)).toEqual(before.subarray(0, 12 - size));
      expect(flat.subarray(12 - size)).not.toEqual(before.subarray(12 - size));
    }
  });

  test('refused: one bad gradient beside good ones, before and after it; not even theirs are zeroed', () => {
    const bad = [of([0, 99], 3), of([0, 1], 2)];
    for (const table of bad) {
      const good = { flat: of([1, 1], 4), dense: numbers(5, 8) };
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

  test('refused: memory of a param, for values and for rows', () => {
    const own =
      /grads\["(table|flat)"\]\.(values|rows): memory shared with params\["(table|flat|dense)"\], expected memory of its own/;
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
        // Twice: what was refused is no more welcome for being known.
        refused(RangeError, own, () => r.optimizer.step({ ...rest, table: make(r) }));
        r.optimizer.step({ ...rest, table: make(r) });
      });
    }
    // Another buffer over the same memory; the reference can't know.
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

  test('gradients that share memory: fine, but not with zeroGrads', () => {
    const pool = numbers(24, 5);
    const names = new Int32Array(pool.buffer, 0, 3).fill(2); // denormal numbers, as floats
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
    // The same rows for two tables are only read.
    const { optimizer } = rigOf(c, { zeroGrads: true });
    const rows = Int32Array.of(0, 2);
    expect(
      optimizer.step({ table: { rows, values: numbers(6, 1) }, flat: { rows, values: numbers(8, 1) }, dense: null }),
    ).toMatchObject({ applied: true });
    // A dense gradient that is known already, and a sparse one beside it.
    const known = numbers(5, 1);
    const two = rigOf(c, { zeroGrads: true });
    two.optimizer.step({ table: of([1], 3), flat: null, dense: known });
    refused(RangeError, /memory shared with grads/, () =>
      two.optimizer.step({ table: { rows: Int32Array.of(1), values: known.subarray(0, 3) }, flat: null, dense: known }),
    );
  });

  test('the structure decides what is a gradient: params called rows and values, one param, a list', () => {
    onEach(() => {
      const [rows, values] = [numbers(6, 1), numbers(6, 2)];
      const named = c.make({ rows, values });
      const before = [bits(rows), bits(values)];
      named.step({ rows: numbers(6, 3), values: of([1], 2) });
      expect(bits(rows)).not.toBe(before[0]);
      expect(bits(values)).not.toBe(before[1]);
      refused(TypeError, /grads\["rows"\]: Int32Array\(1\)/, () =>
        named.step({ rows: Int32Array.of(1), values: numbers(2, 1) } as Any),
      );

      const results = [numbers(6, 1), numbers(6, 1), numbers(6, 1), numbers(6, 1)];
      c.make(results[0]).step(of([2, 0], 2));
      c.make([results[1]]).step([of([2, 0], 2)]);
      c.make({ w: results[2] }).step({ w: of([2, 0], 2) });
      c.make([{ params: { w: { data: results[3], shape: [3, 2] } } }]).step({ w: of([2, 0], 2) });
      for (const result of results) expect(bits(result)).toBe(bits(results[0]!));
      const alone = c.make(numbers(6, 1));
      refused(RangeError, /grads\.rows\[1\]: 3, expected an integer in \[0, 3\)/, () => alone.step(of([2, 3], 2)));
      refused(TypeError, /grads\.rows: /, () => alone.step({ rows: [1], values: numbers(2, 1) } as Any));
      const list = c.make([numbers(6, 1), numbers(6, 2)]);
      refused(RangeError, /grads\[1\]\.rows\[0\]: 6, /, () => list.step([null, of([6], 1)]));
      refused(TypeError, /grads: an object, expected a list of 2/, () => list.step(of([0], 2) as Any));
      refused(TypeError, /grads\["w"\]: undefined/, () => c.make({ w: numbers(6, 1) }).step(of([0], 2) as Any));
    });
  });

  // ---- The user's code in the middle of it ----

  test('rows and values are read once each, in a call that nobody can enter', () => {
    onEach(() => {
      const r = rigOf(c);
      const twin = rigOf(c);
      const reads: string[] = [];
      const { rows, values } = of([3, 0], 3);
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

  test('getters that throw, detach, or change what was read before them', () => {
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
      const { rows, values } = of([0], 3);
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
      const table = of([0], 3);
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
      const table = of([0], 3);
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

  test('arrays with members of their own give the same bits, and none of these is called', () => {
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
      const grads = of([5, 0, 5], 3, 4);
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

  // ---- What a step does ----

  test('Int32Array and Uint32Array, whole or a part of a buffer, give the same bits', () => {
    onEach(() => {
      const results = [
        Int32Array.of(4, 0, 4),
        Uint32Array.of(4, 0, 4),
        Int32Array.of(9, 9, 4, 0, 4, 9).subarray(2, 5),
        new Uint32Array(new SharedArrayBuffer(12)).fill(4),
      ].map((rows) => {
        rows[1] = 0;
        const r = rigOf(c);
        r.optimizer.step({ ...rest, table: { rows, values: numbers(9, 7) } });
        return r.seen();
      });
      for (const result of results) expect(result).toBe(results[0]);
    });
  });

  test('the other rows, their state and their averages stay as they are, to the bit', () => {
    onEach(() => {
      for (const more of [
        decay(c, 0.5),
        { ema: 0.5, clipNorm: 0.1, maximize: true, zeroGrads: true, ...decay(c, 0.5) },
      ]) {
        const r = rigOf(c, more);
        const before = r.optimizer.stateDict().state['table'] as Any;
        const arrays = () => ({ ...(r.optimizer.stateDict().state['table'] as Any), w: r.table });
        const was: Any = { ...before, w: r.table.slice() };
        r.optimizer.step({ ...rest, table: of([2, 5, 2], 3, 6) });
        let compared = 0;
        for (const [name, array] of Object.entries<Any>(arrays())) {
          if (!(array instanceof Float32Array)) continue;
          compared++;
          for (const row of [0, 1, 3, 4])
            expect(bits(array.subarray(3 * row, 3 * row + 3)), name).toBe(
              bits(was[name].subarray(3 * row, 3 * row + 3)),
            );
          if (name === 'w')
            for (const row of [2, 5])
              expect(array.subarray(3 * row, 3 * row + 3)).not.toEqual(was[name].subarray(3 * row, 3 * row + 3));
        }
        expect(compared).toBeGreaterThan('ema' in more ? 1 : 0);
      }
    });
  });

  test('all rows in any order are a dense gradient, to the bit', () => {
    onEach(() => {
      for (const more of [{}, { ema: 0.9, clipValue: 0.3, maximize: true, zeroGrads: true, ...decay(c, 0.1) }]) {
        const [r, twin] = [rigOf(c, more), rigOf(c, more)];
        const order = [3, 5, 0, 1, 4, 2];
        const values = numbers(18, 9);
        const inOrder = new Float32Array(18);
        for (const [at, row] of order.entries()) inOrder.set(values.subarray(3 * at, 3 * at + 3), 3 * row);
        r.optimizer.step({ ...rest, table: { rows: Int32Array.from(order), values } });
        twin.optimizer.step({ ...rest, table: inOrder });
        expect(r.seen()).toBe(twin.seen());
        expect(bits(values)).toBe(bits('zeroGrads' in more ? new Float32Array(18) : numbers(18, 9)));
      }
    });
  });

  test('a row that is named twice has the sum of its gradients, made in the order given', () => {
    onEach(() => {
      const [r, twin] = [rigOf(c), rigOf(c)];
      const values = numbers(12, 3);
      r.optimizer.step({ ...rest, table: { rows: Int32Array.of(1, 4, 1, 1), values } });
      const row = (at: number) => values.subarray(3 * at, 3 * at + 3);
      const merged = new Float32Array(6);
      merged.set(row(0).map((x, i) => Math.fround(Math.fround(x + row(2)[i]!) + row(3)[i]!)));
      merged.set(row(1), 3);
      twin.optimizer.step({ ...rest, table: { rows: Int32Array.of(1, 4), values: merged } });
      expect(r.seen()).toBe(twin.seen());
      expect(bits(values)).toBe(bits(numbers(12, 3)));
    });
  });

  test('null, dense, of some rows and of none, in turn: t counts all but null', () => {
    onEach(() => {
      const w = numbers(12, 1);
      const optimizer = c.make({ w }, { ema: 0.5 });
      const dense = numbers(12, 2);
      const stepOf = () => optimizer.stateDict().state['w']!.step;
      const grads = [of([1], 4), dense, null, of([0, 2], 4), of([], 0), dense, null, of([2], 3), dense];
      for (const [i, g] of grads.entries()) {
        optimizer.step({ w: g });
        expect(stepOf()).toBe(grads.slice(0, i + 1).filter((x) => x !== null).length);
      }
      expect(optimizer.stepCount).toBe(grads.length);
    });
  });

  test.skipIf(hasClockOfItsOwn(c))('no rows at all: an update of the param that changes no row', () => {
    onEach(() => {
      for (const rows of [new Int32Array(0), new Uint32Array(0)]) {
        const r = rigOf(c, { ...decay(c, 0.5), gradNorm: true });
        const [w, state] = [bits(r.table), r.optimizer.stateDict().state['table']!];
        const values = new Float32Array(0);
        expect(r.optimizer.step({ ...rest, table: { rows, values } })).toEqual({ applied: true, gradNorm: 0 });
        expect(bits(r.table)).toBe(w);
        const after = r.optimizer.stateDict().state['table'] as Any;
        expect(after.step).toBe(state.step + 1);
        for (const [name, array] of Object.entries(state))
          if (array instanceof Float32Array) expect(bits(after[name])).toBe(bits(array));
        // The next update is the one after: as of a param that was told so by its state.
        const twin = rigOf(c, { ...decay(c, 0.5), gradNorm: true });
        const dict = structuredClone(twin.optimizer.stateDict()) as Any;
        dict.state.table = after;
        twin.optimizer.loadStateDict(dict);
        for (const { optimizer } of [r, twin]) optimizer.step({ ...rest, table: of([1, 3], 3, 5) });
        expect(bits(r.table)).toBe(bits(twin.table));
      }
      // Of a param that has no elements.
      const empty = c.make([new Float32Array(0), { data: new Float32Array(0), shape: [0, 4] }], {
        ema: 0.5,
        zeroGrads: true,
      });
      expect(empty.step([of([], 0), of([], 0)])).toMatchObject({ applied: true });
      refused(RangeError, /grads\[0\]\.rows\[0\]: 0, expected an integer in \[0, 0\)/, () =>
        empty.step([of([0], 2), null]),
      );
      refused(RangeError, /grads\[1\]\.rows\[0\]: 0, expected an integer in \[0, 0\)/, () =>
        empty.step([null, of([0], 4)]),
      );
    });
  });

  test('ema: the first update makes a copy of the whole param, whichever rows it names', () => {
    onEach(() => {
      for (const first of [of([1], 4), of([], 0)]) {
        const w = numbers(12, 1);
        const optimizer = c.make({ w }, { ema: 0.75 });
        w.set(numbers(12, 2)); // as if it had been loaded after the optimizer was made
        const before = w.slice();
        optimizer.step({ w: first });
        const ema = (optimizer.emaParams as Any).w as Float32Array;
        for (let i = 0; i < 12; i++) {
          const named = first.rows.length > 0 && i >= 4 && i < 8;
          const moved = Math.fround(before[i]! + Math.fround(0.25 * Math.fround(w[i]! - before[i]!)));
          expect(ema[i]).toBe(named ? moved : before[i]);
        }
        if (first.rows.length > 0) expect(ema.subarray(4, 8)).not.toEqual(before.subarray(4, 8));
      }
    });
  });

  test('zeroGrads zeroes values, all of them, also in a step that is skipped, and never rows', () => {
    onEach(() => {
      for (const bad of [1, Number.NaN]) {
        const r = rigOf(c, { zeroGrads: true, skipNonFinite: true });
        const table = of([2, 0, 2], 3);
        table.values[4] = bad;
        const names = table.rows.slice();
        const dense = numbers(5, 6);
        const { applied } = r.optimizer.step({ table, flat: of([], 0), dense });
        expect(applied).toBe(bad === 1);
        expect([bits(table.values), bits(dense)]).toEqual([bits(new Float32Array(9)), bits(new Float32Array(5))]);
        expect(table.rows).toEqual(names);
      }
    });
  });

  test('clipNorm, gradNorm: of the rows as they are summed, over all params', () => {
    onEach(() => {
      const table = { rows: Int32Array.of(1, 3, 1), values: Float32Array.of(1, 2, 3, 4, 5, 6, -1, -2, -3) };
      const dense = Float32Array.of(1, 1, 1, 1, 1);
      const norm = Math.sqrt(16 + 25 + 36 + 5);
      for (const [max, scale] of [
        [1, 1],
        [1, -0.5],
        [100, 1],
      ] as const) {
        const [r, twin] = [rigOf(c, { clipNorm: max }), rigOf(c)];
        const { gradNorm } = r.optimizer.step({ table, flat: null, dense }, { gradScale: scale });
        expect(gradNorm).toBeCloseTo(norm * Math.abs(scale), 12);
        const coefficient = scale * Math.min(1, max / (norm * Math.abs(scale) + 1e-6));
        twin.optimizer.step({ table, flat: null, dense }, { gradScale: coefficient });
        // But for the two earlier steps, of which only one is clipped.
        if (max === 100) expect(r.seen().replaceAll('"clipNorm": 100', '')).toBe(twin.seen());
      }
    });
  });

  test('skipNonFinite: NaN and Inf in values, also where only their sum is', () => {
    const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
    for (const [a, b] of [
      [nan, 1],
      [1, -inf],
      [3e38, 3e38],
      [inf, -inf],
    ] as const) {
      onEach(() => {
        for (const steps of [0, 2]) {
          const more = { skipNonFinite: true, ema: 0.5, ...decay(c, 0.1) };
          const [r, twin] = [rigOf(c, more, steps), rigOf(c, more, steps)];
          const table = of([1, 0, 1], 3);
          [table.values[1], table.values[7]] = [a, b];
          const { applied, gradNorm } = r.optimizer.step({ table, flat: of([0], 2), dense: numbers(5, 1) });
          expect(applied).toBe(false);
          expect(Number.isFinite(gradNorm)).toBe(false);
          expect([r.optimizer.skippedSteps, r.optimizer.stepCount]).toEqual([1, steps]);
          expect(r.seen().replace('"skippedSteps": 1', '"skippedSteps": 0').replace(/^ 1,$/m, ' 0,')).toBe(twin.seen());
        }
      });
    }
    // Numbers that are too large alone, and not together, are no reason.
    onEach(() => {
      const r = rigOf(c, { skipNonFinite: true });
      const table = { rows: Int32Array.of(1, 1), values: Float32Array.of(3e38, 0, 0, -3e38, 0, 0) };
      expect(r.optimizer.step({ ...rest, table })).toEqual({ applied: true, gradNorm: 0 });
    });
  });

  test('maximize turns the sum; clipValue clamps the sum, not its parts', () => {
    onEach(() => {
      const [r, twin] = [rigOf(c, { clipValue: 0.5, maximize: true }), rigOf(c, { clipValue: 0.5, maximize: true })];
      r.optimizer.step({
        ...rest,
        table: { rows: Int32Array.of(2, 2), values: Float32Array.of(0.4, 2, -3, 0.4, -1.75, 1) },
      });
      twin.optimizer.step({
        ...rest,
        table: {
          rows: Int32Array.of(2),
          values: Float32Array.of(Math.fround(Math.fround(0.4) + Math.fround(0.4)), 0.25, -2),
        },
      });
      expect(r.seen()).toBe(twin.seen());
    });
  });

  test('saved and loaded between sparse steps, it goes on as if nothing had been', () => {
    onEach(() => {
      const straight = rigOf(c, { ema: 0.9 }, 4);
      const first = rigOf(c, { ema: 0.9 });
      const again = rigOf(c, { ema: 0.9 }, 0);
      for (const [i, p] of again.params.entries()) p.set(first.params[i]!);
      again.optimizer.loadStateDict(structuredClone(first.optimizer.stateDict()));
      for (const s of [3, 4]) again.step(s);
      expect(again.seen()).toBe(straight.seen());
    });
  });
});

test('a class that needs whole gradients says so, and takes dense ones', () => {
  const dense = classes.filter(({ declaration }) => declaration.denseOnly !== undefined);
  expect(dense.map(({ title }) => title)).toEqual(expect.arrayContaining(['LARS', 'LAMB']));
  for (const c of dense) {
    onEach(() => {
      const w = numbers(6, 1);
      const optimizer = c.make({ w }, { zeroGrads: true });
      optimizer.step({ w: numbers(6, 2) });
      const before = snapshot(optimizer, [w]);
      for (const grad of [of([0], 3), of([], 0)]) {
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

// Seen without its sign, the most negative row would be one of these.
test('a table of more than 2^31 rows takes no signed row numbers', () => {
  const length = 2 ** 31 + 2;
  let w: Float32Array;
  try {
    w = new Float32Array(new SharedArrayBuffer(length * 4)); // pages that nobody touches cost nothing
  } catch {
    return; // this machine has no such memory
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
    sgd.step({ rows: Int32Array.of(3), values: Float32Array.of(1, 2) }); // half as many
    expect([w[6], w[7]]).toEqual([-1, -2]);
  });
});

// ---- The definition ----

test.each(rowForms)('$title: a step on rows is a step on a param that consists of them', (c) => {
  onEach(() => {
    const [rows, size] = [8, 4];
    const w = numbers(rows * size, 1);
    const options = { ema: 0.75, clipValue: 1.5, ...decay(c, 0.05), lr: (step: number) => 0.1 / step };
    const optimizer = c.make([{ data: w, shape: [rows, size] }], options);
    optimizer.step([numbers(rows * size, 2)]);
    for (const [n, names] of [[3, 1], [1], [7, 0, 2], []].entries()) {
      const dict = structuredClone(optimizer.stateDict()) as Any;
      const values = numbers(names.length * size, 3 + n);
      const [before, state] = [w.slice(), dict.state[0]];
      // A number for each element, or for each row.
      const pick = (array: Float32Array) => {
        const width = array.length / rows;
        return Float32Array.from(names.flatMap((row) => Array.from(array.subarray(row * width, (row + 1) * width))));
      };
      const picked = pick(before);
      const part = c.make([{ data: picked, shape: [names.length, size] }], options);
      const pickedState = Object.entries(state).map(([k, v]) => [k, v instanceof Float32Array ? pick(v) : v]);
      part.loadStateDict({ ...dict, state: { 0: Object.fromEntries(pickedState) } });
      part.step([values.slice()]);
      optimizer.step([{ rows: Int32Array.from(names), values }]);
      const after = optimizer.stateDict().state[0] as Any;
      expect(bits(pick(w))).toBe(bits(picked));
      for (const [name, value] of Object.entries<Any>(part.stateDict().state[0]!)) {
        if (value instanceof Float32Array) expect(bits(pick(after[name])), name).toBe(bits(value));
        else expect(after[name], name).toBe(value);
      }
    }
  });
});

// ---- One number a row ----

describe('Adagrad { rowWise }', () => {
  const table = (seed = 1) => ({ data: numbers(12, seed), shape: [3, 4] as const });
  const sumOf = (optimizer: Optimizer) => optimizer.stateDict().state['0']!['sum'] as Float32Array;

  test('one sum a row, of the mean of its squares, dense and sparse', () => {
    onEach(() => {
      const w = table();
      const optimizer = new Adagrad([w], { lr: 0.5, eps: 0.25, rowWise: true, initialAccumulatorValue: 2 });
      expect(sumOf(optimizer)).toEqual(Float32Array.of(2, 2, 2));
      const before = w.data.slice();
      optimizer.step([{ rows: Int32Array.of(2), values: Float32Array.of(1, 2, 3, 4) }]);
      expect(sumOf(optimizer)).toEqual(Float32Array.of(2, 2, 9.5));
      expect(w.data.subarray(0, 8)).toEqual(before.subarray(0, 8));
      for (const i of [0, 1, 2, 3])
        expect(w.data[8 + i]).toBeCloseTo(before[8 + i]! - (0.5 * (i + 1)) / (Math.sqrt(9.5) + 0.25), 6);
      optimizer.step([new Float32Array(12).fill(2)]);
      expect(sumOf(optimizer)).toEqual(Float32Array.of(6, 6, 13.5));
      optimizer.step([{ rows: Int32Array.of(1, 1), values: Float32Array.of(1, 2, 3, 4, 0, -1, -2, -3) }]);
      expect(sumOf(optimizer)).toEqual(Float32Array.of(6, 7, 13.5));
    });
  });

  test('with one column it is plain Adagrad, to the bit', () => {
    onEach(() => {
      const results = [false, true].map((rowWise) => {
        const data = numbers(40, 1);
        const optimizer = new Adagrad([{ data, shape: [40, 1] }], { rowWise, weightDecay: 0.1, ema: 0.5 });
        optimizer.step([numbers(40, 2)]);
        optimizer.step([of([3, 39, 3], 1)]);
        return snapshot(optimizer, [data])
          .replace('"rowWise": true', '"rowWise": false')
          .replace('"rowWise": true', '"rowWise": false');
      });
      expect(results[1]).toBe(results[0]);
    });
  });

  test('a param without a shape is refused, in each way that leads there, and nothing has changed', () => {
    onEach(() => {
      const message =
        /^Adagrad: (params|paramGroups)\S*: a param without a shape, expected one with rows: \{ data, shape: \[rows, columns\] \}/;
      refused(TypeError, message, () => new Adagrad(numbers(4, 1), { rowWise: true }));
      refused(TypeError, message, () => new Adagrad([table(), numbers(4, 1)], { rowWise: true }));
      refused(TypeError, message, () => new Adagrad([{ params: table() }, { params: numbers(4, 1), rowWise: true }]));
      const [w, flat] = [table(), numbers(4, 1)];
      const optimizer = new Adagrad([{ params: w, rowWise: true }, { params: flat }], { ema: 0.5 });
      optimizer.step([of([1], 4), numbers(4, 2)]);
      const before = snapshot(optimizer, [w.data, flat]);
      refused(TypeError, message, () => (optimizer.paramGroups[1]!.rowWise = true));
      refused(TypeError, message, () => optimizer.addParamGroup({ params: numbers(3, 1), rowWise: true }));
      const dict = structuredClone(optimizer.stateDict()) as Any;
      dict.paramGroups[1].rowWise = true;
      refused(TypeError, message, () => optimizer.loadStateDict(dict));
      expect(snapshot(optimizer, [w.data, flat])).toBe(before);
      expect(optimizer.step([of([1], 4), numbers(4, 2)])).toEqual({ applied: true });
    });
  });

  test('set and taken back by assignment: the sum begins anew, t goes on; the same value changes nothing', () => {
    onEach(() => {
      const w = table();
      const optimizer = new Adagrad([w], { initialAccumulatorValue: 0.5, lrDecay: 0.1 });
      const group = optimizer.paramGroups[0]!;
      const grad = of([2, 0], 4, 3);
      const dense = numbers(12, 4);
      for (const [n, rowWise] of [true, false, true].entries()) {
        optimizer.step([grad]);
        optimizer.step([dense]);
        const kept = snapshot(optimizer, [w.data]);
        group.rowWise = !rowWise;
        expect(snapshot(optimizer, [w.data])).toBe(kept);
        group.rowWise = rowWise;
        expect(sumOf(optimizer)).toEqual(new Float32Array(rowWise ? 3 : 12).fill(0.5));
        expect(optimizer.stateDict().state['0']!.step).toBe(4 * n + 2);
        // As an optimizer that was made so, with that state.
        const data = w.data.slice();
        const twin = new Adagrad([{ data, shape: [3, 4] }], { initialAccumulatorValue: 0.5, lrDecay: 0.1, rowWise });
        twin.loadStateDict(structuredClone(optimizer.stateDict()));
        for (const g of [grad, dense]) for (const o of [optimizer, twin]) o.step([g]);
        expect(snapshot(optimizer, [w.data])).toBe(snapshot(twin, [data]));
      }
    });
  });

  test('saved and loaded: sum has one entry a row; of the other form, only with its options', () => {
    onEach(() => {
      const make = (rowWise: boolean) => {
        const w = table(2);
        const optimizer = new Adagrad([w], { rowWise, ema: 0.5 });
        optimizer.step([of([1, 2, 1], 4)]);
        return { optimizer, seen: () => snapshot(optimizer, [w.data]) };
      };
      for (const rowWise of [true, false]) {
        const [r, twin] = [make(rowWise), make(rowWise)];
        const dict = structuredClone(r.optimizer.stateDict()) as Any;
        expect(dict.state[0].sum).toHaveLength(rowWise ? 3 : 12);
        const before = r.seen();
        const wrong = structuredClone(dict);
        wrong.state[0].sum = new Float32Array(rowWise ? 12 : 3);
        refused(RangeError, /state\[0\]\.sum: length (12|3), expected (3|12)/, () => r.optimizer.loadStateDict(wrong));
        const mixed = structuredClone(dict);
        mixed.paramGroups[0].rowWise = !rowWise;
        refused(RangeError, /state\[0\]\.sum: length (12|3), expected (3|12)/, () => r.optimizer.loadStateDict(mixed));
        expect(r.seen()).toBe(before);
        // The options come with the dict: an optimizer of the other form becomes one of this.
        const other = new Adagrad([table(2)], { rowWise: !rowWise, ema: 0.5 });
        other.loadStateDict(dict);
        expect(other.paramGroups[0]!.rowWise).toBe(rowWise);
        expect(bits(sumOf(other))).toBe(bits(dict.state[0].sum));
        expect(r.seen()).toBe(twin.seen());
      }
    });
  });
});

// ---- On another thread ----

describe('stepAsync', () => {
  const owned = (values: ArrayLike<number>) => {
    const array = allocate(values.length);
    array.set(values);
    return array;
  };
  /** Row numbers in memory of each kind that stays in place. */
  const places: [string, (names: readonly number[]) => Int32Array | Uint32Array][] = [
    ['a SharedArrayBuffer', (names) => new Int32Array(new SharedArrayBuffer(names.length * 4))],
    ['memory of allocate', (names) => new Int32Array(allocate(names.length).buffer, 0, names.length)],
    ['a part of such memory', (names) => new Uint32Array(allocate(names.length + 3).buffer, 12, names.length)],
    [
      'a WebAssembly.Memory',
      (names) => new Int32Array(new (globalThis as Any).WebAssembly.Memory({ initial: 1 }).buffer, 16, names.length),
    ],
  ];

  test.each(places)('rows in %s: the bits of a step', async (_, make) => {
    const names = [4, 1, 4];
    const rows = make(names);
    rows.set(names);
    const [w, v] = [owned(numbers(18, 1)), numbers(18, 1)];
    const values = owned(numbers(9, 2));
    const result = await new Adam([w], { gradNorm: true }).stepAsync([{ rows, values }]);
    expect(result).toEqual(new Adam([v], { gradNorm: true }).step([{ rows, values }]));
    expect(bits(w)).toBe(bits(v));
  });

  test('rejects what step throws, and memory that may move; nothing has changed', async () => {
    const w = owned(numbers(18, 1)).fill(0, 0, 2); // rows too, read as integers
    const adam = new Adam([{ data: w, shape: [6, 3] }], { zeroGrads: true });
    const before = snapshot(adam, [w]);
    const rows = new Int32Array(new SharedArrayBuffer(8));
    const values = owned(numbers(6, 1));
    const attempts: [Kind, RegExp, Any][] = [
      [
        TypeError,
        /grads\[0\]\.rows: Int32Array\(2\), expected memory that stays in place .*allocate\(length\)/,
        { rows: Int32Array.of(0, 1), values },
      ],
      [
        TypeError,
        /grads\[0\]\.values: Float32Array\(6\), expected memory that stays in place/,
        { rows, values: numbers(6, 1) },
      ],
      [TypeError, /grads\[0\]\.rows: \[0\]/, { rows: [0], values }],
      [TypeError, /grads\[0\]\.values: Float64Array/, { rows, values: new Float64Array(6) }],
      [RangeError, /grads\[0\]\.values: rows of 1, expected 3/, { rows, values: values.subarray(0, 2) }],
      [RangeError, /grads\[0\]\.values: memory shared with params/, { rows, values: w.subarray(0, 6) }],
      [
        RangeError,
        /grads\[0\]\.rows: memory shared with params/,
        { rows: new Int32Array(w.buffer, w.byteOffset, 2), values },
      ],
    ];
    for (const [kind, message, grad] of attempts) {
      await expect(adam.stepAsync([grad]), String(message)).rejects.toSatisfy(
        (e) => e instanceof kind && message.test((e as Error).message),
      );
    }
    rows[1] = 6;
    await expect(adam.stepAsync([{ rows, values }])).rejects.toThrow(
      /grads\[0\]\.rows\[1\]: 6, expected an integer in \[0, 6\)/,
    );
    expect(snapshot(adam, [w])).toBe(before);
    expect(bits(values)).toBe(bits(numbers(6, 1)));
    rows[1] = 5;
    expect(await adam.stepAsync([{ rows, values }])).toEqual({ applied: true });
    expect(bits(values)).toBe(bits(new Float32Array(6)));
  });

  test('rows that go bad between the call and the step: it rejects, and the steps after it run', async () => {
    const w = owned(numbers(12, 1));
    const sgd = new SGD([w], { lr: 1 });
    const rows = new Int32Array(new SharedArrayBuffer(4));
    const values = owned([1, 1, 1]);
    const first = sgd.stepAsync([{ rows, values }]);
    const second = sgd.stepAsync([{ rows: rows.slice(0, 0), values: values.subarray(0, 0) }]);
    const third = sgd.stepAsync([{ rows, values }]);
    rows[0] = 4;
    const [a, b, c] = await Promise.allSettled([first, second, third]);
    // The first may have begun already; the third can't have.
    expect(['fulfilled', 'rejected']).toContain(a.status);
    expect(b).toEqual({ status: 'fulfilled', value: { applied: true } });
    expect(c).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringMatching(/^SGD: grads\[0\]\.rows\[0\]: 4, expected an integer in \[0, 4\)/) },
    });
    expect(sgd.stepCount).toBe(a.status === 'fulfilled' ? 2 : 1);
    rows[0] = 3;
    expect(await sgd.stepAsync([{ rows, values }])).toEqual({ applied: true });
  });
});
