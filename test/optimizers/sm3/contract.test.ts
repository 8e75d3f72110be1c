// SM3: the accumulators of rows and columns.
import { expect, test } from 'vitest';
import { type Optimizer, SM3 } from '../../../lib/index.js';
import { parityEngines, reference, withEngine } from '../../support/engines.js';
import { type Any, numbers, refused, snapshot } from '../../support/rig.js';
import { onEach, sparseGrad } from '../../support/sparse.js';

const stateOf = (optimizer: Optimizer) => optimizer.stateDict().state['0'] as Any;

test('a worked example: R and C are the largest accumulators of their row and column', () => {
  onEach(() => {
    const w = new Float32Array(6);
    const sm3 = new SM3([{ data: w, shape: [2, 3] }], { momentum: 0, lr: 1 });
    sm3.step([Float32Array.of(1, 2, 3, 0, 4, 0)]);
    expect(stateOf(sm3)).toEqual({ step: 1, rowMax: Float32Array.of(9, 16), colMax: Float32Array.of(1, 16, 9) });
    expect(w).toEqual(Float32Array.of(-1, -1, -1, 0, -1, 0));
    // min(R, C) is [1, 9, 9; 1, 16, 9].
    sm3.step([Float32Array.of(0, 4, 0, Math.sqrt(3), 0, 4)]);
    expect(stateOf(sm3)).toEqual({ step: 2, rowMax: Float32Array.of(25, 25), colMax: Float32Array.of(4, 25, 25) });
    const expected = [-1, -1 - 4 / 5, -1, -Math.sqrt(3) / 2, -1, -4 / 5];
    for (const [i, x] of expected.entries()) expect(w[i]).toBeCloseTo(x, 6);
  });
});

test('a shape of rank 3 is a matrix of its first dimension, one of rank 1 is as none', () => {
  onEach(() => {
    const shapes = [[2, 12], [2, 3, 4], [24], undefined] as const;
    const [matrix, cube, vector, none] = shapes.map((shape) => {
      const data = numbers(24, 1);
      const sm3 = new SM3([shape === undefined ? data : { data, shape }]);
      for (let s = 1; s < 4; s++) sm3.step([numbers(24, s)]);
      return snapshot(sm3 as Any, [data]);
    });
    expect(cube).toBe(matrix);
    expect(vector).toBe(none);
    expect(vector).not.toBe(matrix);
  });
});

test('a NaN reaches its weight, but no other accumulator', () => {
  onEach(() => {
    const w = new Float32Array(4).fill(1);
    const sm3 = new SM3([{ data: w, shape: [2, 2] }], { momentum: 0 });
    sm3.step([Float32Array.of(Number.NaN, 1, 1, 1)]);
    expect(Array.from(w, Number.isNaN)).toEqual([true, false, false, false]);
    expect(stateOf(sm3)).toMatchObject({ rowMax: Float32Array.of(1, 1), colMax: Float32Array.of(1, 1) });
  });
});

test('a NaN lowers no accumulator', () => {
  onEach(() => {
    const sm3 = new SM3([{ data: new Float32Array(6), shape: [2, 3] }], { momentum: 0 });
    sm3.step([Float32Array.of(3, 4, 0, 0, 0, 5)]);
    sm3.step([Float32Array.of(Number.NaN, Number.NaN, Number.NaN, 0, Number.NaN, Number.NaN)]);
    expect(stateOf(sm3)).toMatchObject({ rowMax: Float32Array.of(16, 25), colMax: Float32Array.of(9, 16, 25) });
  });
});

test('momentum that is assigned later starts at 0 and keeps the accumulators', () => {
  onEach(() => {
    const w = { data: numbers(6, 1), shape: [2, 3] as const };
    const sm3 = new SM3([w], { momentum: 0 });
    sm3.step([numbers(6, 2)]);
    const { rowMax, colMax } = stateOf(sm3);
    expect(stateOf(sm3)).not.toHaveProperty('expAvg');
    sm3.paramGroups[0]!.momentum = 0.9;
    expect(stateOf(sm3)).toEqual({ step: 1, rowMax, colMax, expAvg: new Float32Array(6) });
    sm3.step([numbers(6, 3)]);
    sm3.paramGroups[0]!.momentum = 0; // the average stays, for a momentum that comes back
    expect(stateOf(sm3).expAvg).toHaveLength(6);
  });
});

test('a state dict of a matrix goes on to the bit; one of a vector is refused', () => {
  onEach(() => {
    const w = { data: numbers(30, 1), shape: [5, 6] as const };
    const sm3 = new SM3([w]);
    sm3.step([numbers(30, 2)]);
    const data = w.data.slice();
    const other = new SM3([{ data, shape: [5, 6] }]);
    other.loadStateDict(structuredClone(sm3.stateDict()));
    for (const o of [sm3, other]) o.step([numbers(30, 3)]);
    expect(snapshot(other as Any, [data])).toBe(snapshot(sm3 as Any, [w.data]));
    const vector = new SM3([numbers(30, 1)]);
    refused(TypeError, /state\[0\]: .*rowMax|state\[0\]\.sum/, () => vector.loadStateDict(sm3.stateDict()));
    refused(TypeError, /a sparse gradient, expected .* \(SM3 needs/, () => sm3.step([sparseGrad([1], 6)]));
  });
});

test('every instruction set gives the bits of the reference, NaN and infinity included', () => {
  for (const [rows, columns] of [
    [3, 70],
    [140, 131],
    [1, 5],
  ] as const) {
    const run = () => {
      const data = numbers(rows * columns, 1);
      const sm3 = new SM3([{ data, shape: [rows, columns] }], { ema: 0.9, zeroGrads: true, clipValue: 1e30 });
      for (let s = 0; s < 3; s++) {
        const g = numbers(rows * columns, s);
        if (s === 1) [g[0], g[2], g[4]] = [Number.NaN, Number.POSITIVE_INFINITY, 1e25];
        sm3.step([g], { gradScale: -0.7 });
      }
      return snapshot(sm3 as Any, [data]);
    };
    const expected = withEngine(reference, run);
    for (const engine of parityEngines) expect(withEngine(engine, run)).toBe(expected);
  }
});
