// AdamMini: what shares one second moment.
import { describe, expect, test } from 'vitest';
import { AdamMini, AdamW, type Optimizer } from '../../../lib/index.js';
import { parityEngines, reference, withEngine } from '../../support/engines.js';
import { type Any, bits, numbers, refused, snapshot } from '../../support/rig.js';
import { onEach, sparseGrad } from '../../support/sparse.js';

const table = (seed = 1) => ({ data: numbers(12, seed), shape: [3, 4] as const });
const squaresOf = (optimizer: Optimizer) => optimizer.stateDict().state['0']!['expAvgSq'] as Float32Array;
const meanSquare = (g: Float32Array) => g.reduce((sum, x) => sum + x * x, 0) / g.length;

describe('AdamMini { block }', () => {
  test.each([
    ['row', [3, 4], 3],
    ['row', [3, 2, 2], 3],
    ['row', [12], 1],
    ['row', undefined, 1],
    ['tensor', [3, 4], 1],
    ['tensor', undefined, 1],
    [6, [3, 4], 2],
    [2, undefined, 6],
    [1, [3, 4], 12],
    [12, [3, 4], 1],
  ] as const)('%s of a param of shape %s has %i second moments', (block, shape, count) => {
    onEach(() => {
      const data = numbers(12, 1);
      const optimizer = new AdamMini([shape === undefined ? data : { data, shape }], { block, betas: [0.9, 0.5] });
      const g = numbers(12, 2);
      optimizer.step([g]);
      const size = 12 / count;
      const means = Array.from({ length: count }, (_, k) => 0.5 * meanSquare(g.slice(k * size, (k + 1) * size)));
      expect(squaresOf(optimizer)).toHaveLength(count);
      for (const [k, s] of squaresOf(optimizer).entries()) expect(s / means[k]!).toBeCloseTo(1, 6);
    });
  });

  test('blocks of one element are AdamW to a rounding', () => {
    const [a, b] = [numbers(50, 1), numbers(50, 1)];
    const mini = new AdamMini([a], { block: 1, lr: 0.1, weightDecay: 0.1 });
    const adamw = new AdamW([b], { lr: 0.1, weightDecay: 0.1 });
    for (let s = 1; s <= 5; s++) for (const o of [mini, adamw]) o.step([numbers(50, s)]);
    for (const [i, w] of a.entries()) expect(w).toBeCloseTo(b[i]!, 6);
  });

  test('every instruction set gives the bits of the reference for blocks that no row ends with', () => {
    const [length, block] = [70 * 131, 2 * 131 + 393];
    const run = () => {
      const data = numbers(length, 1);
      const optimizer = new AdamMini([{ data, shape: [70, 131] }], { block, lr: 0.1, ema: 0.9, zeroGrads: true });
      for (let s = 0; s < 2; s++) optimizer.step([numbers(length, s)], { gradScale: 0.7 });
      return snapshot(optimizer, [data]);
    };
    const expected = withEngine(reference, run);
    for (const engine of parityEngines) expect(withEngine(engine, run)).toBe(expected);
  });

  test('a block that is neither a name nor a number, and one that does not divide its param, are refused', () => {
    onEach(() => {
      const allowed = 'expected "row" or "tensor" or an integer in [1, inf)';
      refused(TypeError, `block: true, ${allowed}`, () => new AdamMini(numbers(4, 1), { block: true as Any }));
      refused(RangeError, `block: "head", ${allowed}`, () => new AdamMini(numbers(4, 1), { block: 'head' as Any }));
      for (const block of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
        refused(
          RangeError,
          /block: .*, expected an integer in \[1, inf\)/,
          () => new AdamMini(numbers(4, 1), { block }),
        );
      const message = /^AdamMini: block: 5, expected a divisor of 12, the length of params\[0\]/;
      refused(RangeError, message, () => new AdamMini([numbers(12, 1)], { block: 5 }));
      const w = table();
      const optimizer = new AdamMini([w], { ema: 0.5 });
      optimizer.step([numbers(12, 2)]);
      const before = snapshot(optimizer, [w.data]);
      refused(RangeError, message, () => (optimizer.paramGroups[0]!.block = 5));
      refused(RangeError, /: block: 5, expected a divisor of 3/, () =>
        optimizer.addParamGroup({ params: [numbers(3, 1)], block: 5 }),
      );
      const dict = structuredClone(optimizer.stateDict()) as Any;
      dict.paramGroups[0].block = 5;
      refused(RangeError, /: block: 5, expected a divisor of 12/, () => optimizer.loadStateDict(dict));
      expect(snapshot(optimizer, [w.data])).toBe(before);
    });
  });

  test('assigning block carries the second moments over, and assigning the same changes nothing', () => {
    onEach(() => {
      const w = table();
      const optimizer = new AdamMini([w], { lr: 0.1 });
      for (let s = 1; s < 4; s++) optimizer.step([numbers(12, s)]);
      const group = optimizer.paramGroups[0]!;
      const rows = squaresOf(optimizer);
      const kept = snapshot(optimizer, [w.data]);
      group.block = 4; // the rows
      expect(squaresOf(optimizer)).toEqual(rows);
      group.block = 'row';
      expect(snapshot(optimizer, [w.data])).toBe(kept);
      group.block = 6; // a row and a half
      expect(squaresOf(optimizer)[0]).toBeCloseTo((2 * rows[0]! + rows[1]!) / 3, 6);
      expect(squaresOf(optimizer)[1]).toBeCloseTo((rows[1]! + 2 * rows[2]!) / 3, 6);
      group.block = 'tensor';
      expect(squaresOf(optimizer)[0]).toBeCloseTo((rows[0]! + rows[1]! + rows[2]!) / 3, 6);
      const [whole] = squaresOf(optimizer);
      group.block = 'row';
      expect(squaresOf(optimizer)).toEqual(new Float32Array(3).fill(whole!));
      expect(optimizer.stateDict().state['0']!.step).toBe(3);
      // It goes on as an optimizer that was created so, with that state.
      const data = w.data.slice();
      const twin = new AdamMini([{ data, shape: [3, 4] }], { lr: 0.1, block: 'tensor' });
      twin.loadStateDict(structuredClone(optimizer.stateDict()));
      for (const o of [optimizer, twin]) o.step([numbers(12, 9)]);
      expect(snapshot(optimizer, [w.data])).toBe(snapshot(twin, [data]));
    });
  });

  test('a state dict has one number a block, and is loaded together with its block', () => {
    onEach(() => {
      const w = table();
      const optimizer = new AdamMini([w], { block: 6 });
      optimizer.step([numbers(12, 2)]);
      const dict = structuredClone(optimizer.stateDict()) as Any;
      const data = w.data.slice();
      const other = new AdamMini([{ data, shape: [3, 4] }]);
      other.loadStateDict(dict);
      expect(other.paramGroups[0]!.block).toBe(6);
      expect(bits(squaresOf(other))).toBe(bits(dict.state[0].expAvgSq));
      for (const o of [optimizer, other]) o.step([numbers(12, 3)]);
      expect(data).toEqual(w.data);
      const wrong = structuredClone(dict);
      wrong.state[0].expAvgSq = new Float32Array(3);
      refused(RangeError, /state\[0\]\.expAvgSq: length 3, expected 2/, () => optimizer.loadStateDict(wrong));
    });
  });

  test('sparse gradients update the rows that they name, where rows are blocks', () => {
    onEach(() => {
      for (const block of ['row', 4] as const) {
        const w = table();
        const before = w.data.slice();
        const optimizer = new AdamMini([w], { block, lr: 0.5, betas: [0, 0.5], weightDecay: 0.5, eps: 0 });
        optimizer.step([{ rows: Int32Array.of(2, 2), values: Float32Array.of(1, 2, 3, 4, 0, 0, 0, 2) }]);
        expect(w.data.subarray(0, 8)).toEqual(before.subarray(0, 8));
        expect(squaresOf(optimizer)).toEqual(Float32Array.of(0, 0, 0.5 * ((1 + 4 + 9 + 36) / 4)));
        for (const [i, g] of [1, 2, 3, 6].entries())
          expect(w.data[8 + i]).toBeCloseTo(before[8 + i]! * 0.75 - (0.5 * g) / Math.sqrt(50 / 4), 6);
        // Naming every row is the same as a dense gradient.
        const [x, y] = [table(3), table(3)];
        const [a, b] = [x, y].map((param) => new AdamMini([param], { block })) as [AdamMini, AdamMini];
        const g = numbers(12, 4);
        a.step([g]);
        b.step([{ rows: Int32Array.of(0, 1, 2), values: g }]);
        expect(snapshot(a as Any, [x.data])).toBe(snapshot(b as Any, [y.data]));
      }
      for (const [param, block] of [
        [table(), 'tensor'],
        [table(), 6],
        [numbers(12, 1), 'row'],
      ] as const) {
        const optimizer = new AdamMini([param], { block });
        refused(
          TypeError,
          /grads\[0\]: a sparse gradient, expected .* \(a mean needs the whole gradient of its block/,
          () => optimizer.step([sparseGrad([1], 4)]),
        );
      }
    });
  });
});
