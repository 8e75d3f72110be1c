// Linear algebra of the addon: wrong arguments are refused and crash nothing.
import { describe, expect, test } from 'vitest';
import type { Linalg } from '../../lib/engine/linalg.js';
import { loadAddon } from '../../lib/engine/native.js';
import { minimize } from '../../lib/index.js';
import type { Any } from '../support/rig.js';

const addon = loadAddon();

const native = addon.engine(addon.isas[0]!) as Linalg;

const doubles = (length: number) => new Float64Array(length).fill(1);

const detached = (): Float64Array => {
  const array = doubles(4);
  structuredClone(undefined, { transfer: [array.buffer] });
  return array;
};

/** A view of a buffer that has shrunk under it. */
const outOfBounds = (): Float64Array => {
  const buffer = new (ArrayBuffer as Any)(32, { maxByteLength: 64 }) as ArrayBuffer & { resize(n: number): void };
  const array = new Float64Array(buffer, 0, 4);
  buffer.resize(8);
  return array;
};

/** Detaches the first column while the second one is read. */
const treacherous = (): Float64Array[] => {
  const first = doubles(4);
  return Object.defineProperty([first, doubles(4)], 1, {
    get() {
      structuredClone(undefined, { transfer: [first.buffer] });
      return doubles(4);
    },
  });
};

/** Each operation with good arguments. */
const calls: { readonly [K in keyof Linalg]: () => Any[] } = {
  dot: () => [doubles(4), doubles(4)],
  axpby: () => [1, doubles(4), 2, doubles(4), doubles(4), doubles(4)],
  multiply: () => [2, doubles(4), doubles(4)],
  maxAbs: () => [doubles(4)],
  maxAbsDifference: () => [doubles(4), doubles(4)],
  project: () => [[doubles(4), doubles(4)], doubles(4), doubles(2)],
  addCombination: () => [[doubles(4), doubles(4)], doubles(2), doubles(4)],
  gemmInPlace: () => [
    [doubles(4), doubles(4)],
    [doubles(2), doubles(2)],
  ],
  gram: () => [[doubles(4), doubles(4)], doubles(4)],
};

const show = (value: unknown): string => Object.prototype.toString.call(value);

const names = Object.keys(calls) as (keyof Linalg)[];

const call = (name: keyof Linalg, args: readonly Any[]): unknown => (native[name] as Any)(...args);

const noArrays: readonly Any[] = [
  undefined,
  null,
  1,
  'x',
  {},
  [],
  [1, 2, 3, 4],
  () => {},
  1n,
  new DataView(new ArrayBuffer(32)),
];

const otherArrays: readonly Any[] = [
  new Int32Array(4),
  new BigInt64Array(4),
  new Uint8Array(4),
  new Float32Array(3),
  doubles(5),
  doubles(0),
];

describe.each(names)('%s', (name) => {
  test('takes what is right', () => {
    expect(() => call(name, calls[name]())).not.toThrow();
  });

  test('refuses anything else in the place of each argument', () => {
    for (const [i, good] of calls[name]().entries()) {
      const isNumber = typeof good === 'number';
      const isOptional = name === 'axpby' && i === 5;
      const bad = [
        ...noArrays.slice(isOptional ? 1 : 0).filter((v) => !(isNumber && v === 1)),
        ...otherArrays,
        detached(),
        outOfBounds(),
      ];
      for (const value of bad) {
        const isEmptyList = Array.isArray(good) && Array.isArray(value) && value.length === 0;
        // The only vector of its call may have any length.
        const isAlone = name === 'maxAbs' && ArrayBuffer.isView(value) && /Float/.test(value.constructor.name);
        if (isEmptyList || isAlone) continue;
        const args = calls[name]();
        args[i] = value;
        const before = structuredClone(args.filter((a) => ArrayBuffer.isView(a) && a.byteLength > 0 && a !== value));
        expect(() => call(name, args), `argument ${i}: ${show(value)}`).toThrow(/^schuss: /);
        expect(args.filter((a) => ArrayBuffer.isView(a) && a.byteLength > 0 && a !== value)).toEqual(before);
      }
    }
  });

  test('too few arguments, or none', () => {
    const args = calls[name]();
    const needed = name === 'axpby' ? args.length - 1 : args.length;
    for (let count = 0; count < needed; count++) expect(() => call(name, args.slice(0, count))).toThrow(/^schuss: /);
  });

  test('columns that are none, of other lengths, of float32, detached, or that detach each other', () => {
    for (const [i, good] of calls[name]().entries()) {
      if (!Array.isArray(good)) continue;
      const others: Any[] = [
        1,
        null,
        doubles(3),
        doubles(9),
        new Float32Array(good[0].length),
        detached(),
        outOfBounds(),
      ];
      for (const other of others) {
        for (const list of [
          [other, good[1]],
          [good[0], other],
        ]) {
          const args = calls[name]();
          args[i] = list;
          expect(() => call(name, args), `argument ${i}: ${show(other)}`).toThrow(/^schuss: /);
        }
      }
      for (let repeat = 0; repeat < 20; repeat++) {
        const args = calls[name]();
        args[i] = treacherous();
        expect(() => call(name, args)).toThrow(/^schuss: /);
      }
      const args = calls[name]();
      args[i] = Object.defineProperty([doubles(4), doubles(4)], 0, {
        get() {
          throw new RangeError('mine');
        },
      });
      expect(() => call(name, args)).toThrow('mine');
    }
  });

  test('nothing at all is little, but right', () => {
    const empty = calls[name]().map((arg) => (Array.isArray(arg) ? [] : typeof arg === 'number' ? arg : doubles(0)));
    expect([undefined, 0]).toContain(call(name, empty));
  });
});

test('gemmInPlace: more rows than columns, and rows of another length than there are columns', () => {
  expect(() => native.gemmInPlace([doubles(4)], [doubles(1), doubles(1)])).toThrow(RangeError);
  expect(() => native.gemmInPlace([doubles(4), doubles(4)], [doubles(4)])).toThrow(RangeError);
  expect(() => native.gemmInPlace([doubles(4), doubles(4)], [doubles(1)])).toThrow(RangeError);
});

test.each([Float32Array, Float64Array])('minimize: a function that gives an earlier x or gradient away, %o', (kind) => {
  // Short ones are the reference's, which checks nothing.
  for (const length of [20, 200])
    for (const which of [0, 1])
      for (const when of [3, 4, 6, 7]) {
        let calls = 0;
        const seen: Any[] = [];
        const f = (x: Any, grad: Any) => {
          let value = 0;
          for (let i = 0; i < x.length; i++) {
            grad[i] = (i + 1) * (x[i] - 1) + x[i] ** 3;
            value += ((i + 1) * (x[i] - 1) ** 2) / 2 + x[i] ** 4 / 4;
          }
          seen.push([x, grad][which]);
          const earlier = seen.find((vector) => vector !== x && vector !== grad);
          if (++calls === when) structuredClone(undefined, { transfer: [earlier.buffer] });
          return value;
        };
        const refused = /^minimize: (x|grad) of fn(\.f\(0\))?: length 0, expected \d+, as it was given/;
        expect(() => minimize(f, new kind(length).fill(2))).toThrow(refused);
        if (which === 1) continue; // of a term there is one
        calls = 0;
        seen.length = 0;
        expect(() => minimize({ N: 1, f: (_i, x, grad) => f(x, grad) }, new kind(length).fill(2))).toThrow(refused);
      }
});

test.each([Float32Array, Float64Array])('minimize: a function that gives x or its gradient away, %o', (kind) => {
  for (const which of [0, 1])
    for (const when of [1, 2, 5]) {
      let calls = 0;
      const run = () =>
        minimize((x: Any, grad: Any) => {
          let value = 0;
          for (let i = 0; i < x.length; i++) {
            grad[i] = (i + 1) * (x[i] - 1) + x[i] ** 3;
            value += ((i + 1) * (x[i] - 1) ** 2) / 2 + x[i] ** 4 / 4;
          }
          if (++calls === when) structuredClone(undefined, { transfer: [(which === 0 ? x : grad).buffer] });
          return value;
        }, new kind(200).fill(2));
      expect(run).toThrow(/^minimize: (x|grad) of fn: length 0, expected 200, as it was given/);
    }
});
