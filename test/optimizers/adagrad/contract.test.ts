// Adagrad with rowWise: one sum of squares per matrix row.
import { describe, expect, test } from 'vitest';
import { Adagrad, type Optimizer } from '../../../lib/index.js';
import { type Any, bits, numbers, refused, snapshot } from '../../support/rig.js';
import { onEach, sparseGrad } from '../../support/sparse.js';

describe('Adagrad { rowWise }', () => {
  const table = (seed = 1) => ({ data: numbers(12, seed), shape: [3, 4] as const });
  const sumOf = (optimizer: Optimizer) => optimizer.stateDict().state['0']!['sum'] as Float32Array;

  test('each matrix row has one sum, of the mean of its squares, for dense and sparse gradients', () => {
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

  test('with one column it gives the bits of plain Adagrad', () => {
    onEach(() => {
      const results = [false, true].map((rowWise) => {
        const data = numbers(40, 1);
        const optimizer = new Adagrad([{ data, shape: [40, 1] }], { rowWise, weightDecay: 0.1, ema: 0.5 });
        optimizer.step([numbers(40, 2)]);
        optimizer.step([sparseGrad([3, 39, 3], 1)]);
        return snapshot(optimizer, [data])
          .replace('"rowWise": true', '"rowWise": false')
          .replace('"rowWise": true', '"rowWise": false');
      });
      expect(results[1]).toBe(results[0]);
    });
  });

  test('a param without a shape is refused in every way, and nothing changes', () => {
    onEach(() => {
      const message =
        /^Adagrad: (params|paramGroups)\S*: a param without a shape, expected one with rows: \{ data, shape: \[rows, columns\] \}/;
      refused(TypeError, message, () => new Adagrad(numbers(4, 1), { rowWise: true }));
      refused(TypeError, message, () => new Adagrad([table(), numbers(4, 1)], { rowWise: true }));
      refused(TypeError, message, () => new Adagrad([{ params: table() }, { params: numbers(4, 1), rowWise: true }]));
      const [w, flat] = [table(), numbers(4, 1)];
      const optimizer = new Adagrad([{ params: w, rowWise: true }, { params: flat }], { ema: 0.5 });
      optimizer.step([sparseGrad([1], 4), numbers(4, 2)]);
      const before = snapshot(optimizer, [w.data, flat]);
      refused(TypeError, message, () => (optimizer.paramGroups[1]!.rowWise = true));
      refused(TypeError, message, () => optimizer.addParamGroup({ params: numbers(3, 1), rowWise: true }));
      const dict = structuredClone(optimizer.stateDict()) as Any;
      dict.paramGroups[1].rowWise = true;
      refused(TypeError, message, () => optimizer.loadStateDict(dict));
      expect(snapshot(optimizer, [w.data, flat])).toBe(before);
      expect(optimizer.step([sparseGrad([1], 4), numbers(4, 2)])).toEqual({ applied: true });
    });
  });

  test('assigning rowWise carries the sums over and keeps t, and assigning the same value changes nothing', () => {
    onEach(() => {
      const w = table();
      const optimizer = new Adagrad([w], { initialAccumulatorValue: 0.5, lrDecay: 0.1 });
      const group = optimizer.paramGroups[0]!;
      const grad = sparseGrad([2, 0], 4, 3);
      const dense = numbers(12, 4);
      for (const [n, rowWise] of [true, false, true].entries()) {
        optimizer.step([grad]);
        optimizer.step([dense]);
        const kept = snapshot(optimizer, [w.data]);
        const sums = sumOf(optimizer).slice();
        group.rowWise = !rowWise;
        expect(snapshot(optimizer, [w.data])).toBe(kept);
        group.rowWise = rowWise;
        const means = [0, 1, 2].map((row) => sums.slice(4 * row, 4 * row + 4).reduce((a, b) => a + b, 0) / 4);
        const expected = rowWise ? means : Array.from({ length: 12 }, (_, i) => sums[Math.floor(i / 4)]!);
        expect(sumOf(optimizer)).toEqual(Float32Array.from(expected));
        expect(optimizer.stateDict().state['0']!.step).toBe(4 * n + 2);
        // It behaves as an optimizer that was created so, with that state.
        const data = w.data.slice();
        const twin = new Adagrad([{ data, shape: [3, 4] }], { initialAccumulatorValue: 0.5, lrDecay: 0.1, rowWise });
        twin.loadStateDict(structuredClone(optimizer.stateDict()));
        for (const g of [grad, dense]) for (const o of [optimizer, twin]) o.step([g]);
        expect(snapshot(optimizer, [w.data])).toBe(snapshot(twin, [data]));
      }
    });
  });

  test('a state dict has one entry per matrix row, and is loaded together with its options', () => {
    onEach(() => {
      const make = (rowWise: boolean) => {
        const w = table(2);
        const optimizer = new Adagrad([w], { rowWise, ema: 0.5 });
        optimizer.step([sparseGrad([1, 2, 1], 4)]);
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
        // The dict contains the options: an optimizer of the other form takes over this form.
        const other = new Adagrad([table(2)], { rowWise: !rowWise, ema: 0.5 });
        other.loadStateDict(dict);
        expect(other.paramGroups[0]!.rowWise).toBe(rowWise);
        expect(bits(sumOf(other))).toBe(bits(dict.state[0].sum));
        expect(r.seen()).toBe(twin.seen());
      }
    });
  });
});
