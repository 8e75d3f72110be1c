// What Adafactor alone promises: state by shape, and a rate without lr.
import { describe, expect, test } from 'vitest';
import { Adafactor } from '../../../lib/index.js';
import { numbers, refused } from '../../support/rig.js';

const shaped = (rows: number, columns: number) => ({
  data: numbers(rows * columns, 1),
  shape: [rows, columns] as [number, number],
});
const lengthsOf = (optimizer: Adafactor, key: string) =>
  Object.fromEntries(
    Object.entries(optimizer.stateDict().state[key]!).map(([name, value]) => [
      name,
      value instanceof Float32Array ? value.length : 0,
    ]),
  );

describe('state', () => {
  test('one number a row and a column with a shape, one an element without; beta1 adds an average', () => {
    const params = { table: shaped(3, 5), bias: numbers(4, 2) };
    const optimizer = new Adafactor(params, { ema: 0.5 });
    expect(lengthsOf(optimizer, 'table')).toEqual({ step: 0, rowAvg: 3, colAvg: 5, ema: 15 });
    expect(lengthsOf(optimizer, 'bias')).toEqual({ step: 0, squareAvg: 4, ema: 4 });
    optimizer.step({ table: numbers(15, 3), bias: numbers(4, 4) });
    const before = optimizer.stateDict().state['table']!['rowAvg'];
    optimizer.paramGroups[0]!.beta1 = 0.9;
    expect(lengthsOf(optimizer, 'table')).toEqual({ step: 0, rowAvg: 3, colAvg: 5, expAvg: 15, ema: 15 });
    expect(lengthsOf(optimizer, 'bias')).toEqual({ step: 0, squareAvg: 4, expAvg: 4, ema: 4 });
    expect(optimizer.stateDict().state['table']!['rowAvg']).toEqual(before);
  });

  test('saved and loaded with a shape: the same bits; state of another shape is refused', () => {
    const [a, b] = [shaped(3, 5), shaped(3, 5)];
    const [first, second] = [new Adafactor(a, { beta1: 0.5 }), new Adafactor(b, { beta1: 0.5 })];
    first.step(numbers(15, 2));
    b.data.set(a.data);
    second.loadStateDict(structuredClone(first.stateDict()));
    for (const optimizer of [first, second]) optimizer.step(numbers(15, 3));
    expect(b.data).toEqual(a.data);
    expect(second.stateDict()).toEqual(first.stateDict());
    const turned = new Adafactor(shaped(5, 3), { beta1: 0.5 });
    refused(RangeError, /rowAvg: length 3, expected 5/, () => turned.loadStateDict(first.stateDict()));
  });

  test('params without elements', () => {
    const params = [shaped(0, 3), shaped(3, 0), shaped(2, 2)];
    const optimizer = new Adafactor(params);
    optimizer.step(params.map(({ data }) => data.slice()));
    expect(params[2]!.data.every(Number.isFinite)).toBe(true);
  });
});

describe('lr', () => {
  test('none: the rate of relativeStep, which lr shows', () => {
    const optimizer = new Adafactor(numbers(4, 1));
    expect([optimizer.lr, optimizer.paramGroups[0]!.lr]).toEqual([1e-2, undefined]);
    optimizer.paramGroups[0]!.warmupInit = true;
    expect(optimizer.lr).toBe(1e-6);
    optimizer.step(numbers(4, 2));
    expect(optimizer.lr).toBe(2e-6);
  });

  test('a given one takes its place, a schedule too', () => {
    const w = new Float32Array([1, 1, 1, 1]);
    const optimizer = new Adafactor(w, { scaleParameter: false });
    optimizer.lr = 0.5;
    expect(optimizer.lr).toBe(0.5);
    optimizer.step(new Float32Array(4).fill(3));
    expect(w).toEqual(new Float32Array(4).fill(0.5));
    optimizer.lr = (step) => step / 8;
    expect(optimizer.lr).toBe(0.25);
    optimizer.paramGroups[0]!.lr = undefined;
    expect(optimizer.lr).toBe(1e-2);
  });

  test('neither lr nor relativeStep is refused', () => {
    const make = () => new Adafactor(numbers(4, 1), { relativeStep: false });
    refused(RangeError, /^Adafactor: lr: undefined, expected a number or a Schedule, or relativeStep$/, make);
    const optimizer = new Adafactor(numbers(4, 1), { relativeStep: false, lr: 0.1 });
    refused(RangeError, /^Adafactor: lr: /, () => {
      optimizer.paramGroups[0]!.lr = undefined;
    });
    expect(optimizer.lr).toBe(0.1);
  });
});
