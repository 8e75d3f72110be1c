// Adam with rowWise and rowSteps: second moments and counts of updates per matrix row.
import { describe, expect, test } from 'vitest';
import { Adam, AdamW, type Optimizer } from '../../../lib/index.js';
import { type Any, bits, numbers, refused, snapshot } from '../../support/rig.js';
import { onEach, sparseGrad } from '../../support/sparse.js';

const table = (seed = 1) => ({ data: numbers(12, seed), shape: [3, 4] as const });
const stateOf = (optimizer: Optimizer, name: string) => optimizer.stateDict().state['0']![name] as Float32Array;
const f = Math.fround;

describe.each([Adam, AdamW])('%o', (Class) => {
  const name = Class.optimizerName;

  test('with rowWise each row has one second moment, of the mean of its squares', () => {
    onEach(() => {
      const optimizer = new Class([table()], { betas: [0.9, 0.75], rowWise: true, weightDecay: 0 });
      expect(stateOf(optimizer, 'expAvgSq')).toHaveLength(3);
      optimizer.step([{ rows: Int32Array.of(2), values: Float32Array.of(1, 2, 3, 4) }]);
      expect(stateOf(optimizer, 'expAvgSq')).toEqual(Float32Array.of(0, 0, 7.5 / 4));
      optimizer.step([new Float32Array(12).fill(2)]);
      expect(stateOf(optimizer, 'expAvgSq')).toEqual(Float32Array.of(1, 1, (0.75 * 7.5) / 4 + 1));
      expect(stateOf(optimizer, 'expAvg')).toHaveLength(12);
    });
  });

  test.each([{}, { rowWise: true }])(
    'with rowSteps a row that appears late starts as in a new optimizer: %o',
    (more) => {
      onEach(() => {
        const make = () => {
          const w = table();
          return { w, optimizer: new Class([w], { rowSteps: true, lr: 0.1, weightDecay: 0, ...more }) };
        };
        const grad = sparseGrad([1], 4, 3);
        const [late, fresh] = [make(), make()];
        for (let step = 0; step < 50; step++) late.optimizer.step([sparseGrad([0, 2], 4, step)]);
        expect(stateOf(late.optimizer, 'biasCorrection1')[1]).toBe(0);
        for (let step = 0; step < 3; step++) for (const { optimizer } of [late, fresh]) optimizer.step([grad]);
        expect(bits(late.w.data.slice(4, 8))).toBe(bits(fresh.w.data.slice(4, 8)));
        for (const state of ['biasCorrection1', 'biasCorrection2'])
          expect(stateOf(late.optimizer, state)[1]).toBe(stateOf(fresh.optimizer, state)[1]);
        expect(late.optimizer.stateDict().state['0']!.step).toBe(53);
      });
    },
  );

  test('with rowSteps a step without the row, a null gradient and a skipped step do not count', () => {
    onEach(() => {
      const optimizer = new Class([table()], { rowSteps: true, betas: [0.5, 0.75], skipNonFinite: true });
      const counts = () => [...stateOf(optimizer, 'biasCorrection1'), ...stateOf(optimizer, 'biasCorrection2')];
      optimizer.step([sparseGrad([0, 1, 0], 4)]);
      expect(counts()).toEqual([0.5, 0.5, 0, 0.25, 0.25, 0]);
      optimizer.step([null]);
      optimizer.step([{ rows: Int32Array.of(1), values: Float32Array.of(0, Number.NaN, 0, 0) }]);
      expect(counts()).toEqual([0.5, 0.5, 0, 0.25, 0.25, 0]);
      optimizer.step([numbers(12, 2)]);
      expect(counts()).toEqual([0.75, 0.75, 0.5, 0.4375, 0.4375, 0.25]);
    });
  });

  test('options that exclude each other, and params without a shape, are refused', () => {
    onEach(() => {
      const wrong: [object, RegExp][] = [
        [{ amsgrad: true, rowWise: true }, /: rowWise: true, expected false with amsgrad/],
        [{ amsgrad: true, rowSteps: true }, /: rowSteps: true, expected false with amsgrad/],
        [{ biasCorrection: false, rowSteps: true }, /: rowSteps: true, expected false without biasCorrection/],
      ];
      for (const [options, message] of wrong) {
        refused(RangeError, message, () => new Class([table()], options));
        const [[first, value], [second, other]] = Object.entries(options) as Any;
        const optimizer = new Class([table()], { [first]: value });
        const before = snapshot(optimizer, []);
        refused(RangeError, message, () => ((optimizer.paramGroups[0] as Any)[second] = other));
        expect(snapshot(optimizer, [])).toBe(before);
      }
      for (const options of [{ rowWise: true }, { rowSteps: true }]) {
        const message = new RegExp(`^${name}: params\\S*: a param without a shape, expected one with rows`);
        refused(TypeError, message, () => new Class(numbers(4, 1), options));
      }
    });
  });

  test('rowSteps can be assigned: each row goes on at the t of its param', () => {
    onEach(() => {
      const [w, twin] = [table(), table()];
      const [optimizer, plain] = [w, twin].map((w) => new Class([w], { lr: 0.1, betas: [0.9, 0.99] })) as [Any, Any];
      for (let step = 1; step <= 4; step++) for (const each of [optimizer, plain]) each.step([numbers(12, step)]);
      optimizer.paramGroups[0].rowSteps = true;
      expect(stateOf(optimizer, 'biasCorrection1')).toEqual(new Float32Array(3).fill(f(1 - 0.9 ** 4)));
      expect(stateOf(optimizer, 'biasCorrection2')).toEqual(new Float32Array(3).fill(f(1 - 0.99 ** 4)));
      for (const each of [optimizer, plain]) each.step([numbers(12, 9)]);
      for (const [i, x] of w.data.entries()) expect(x).toBeCloseTo(twin.data[i]!, 6);
      optimizer.paramGroups[0].rowSteps = false;
      for (const each of [optimizer, plain]) each.step([numbers(12, 10)]);
      for (const [i, x] of w.data.entries()) expect(x).toBeCloseTo(twin.data[i]!, 6);
    });
  });

  test('with rowSteps a schedule of betas may start late, and a new param group starts at 0', () => {
    onEach(() => {
      const optimizer = new Class([table()], { betas: [(step) => 1 - 1 / (step + 1), 0.5] });
      optimizer.step([numbers(12, 1)]);
      optimizer.paramGroups[0]!.rowSteps = true;
      expect(stateOf(optimizer, 'biasCorrection1')).toEqual(Float32Array.of(1, 1, 1));
      expect(stateOf(optimizer, 'biasCorrection2')).toEqual(Float32Array.of(0.5, 0.5, 0.5));
      optimizer.addParamGroup({ params: table(2), rowSteps: true });
      const { biasCorrection1 } = optimizer.stateDict().state['1'] as Any;
      expect(biasCorrection1).toEqual(Float32Array.of(0, 0, 0));
    });
  });

  test('rowWise can be assigned: a row takes the mean of its second moments, and gives its number to all', () => {
    onEach(() => {
      const optimizer = new Class([table()], { betas: [0.9, 0.5] });
      optimizer.step([Float32Array.from({ length: 12 }, (_, i) => i)]);
      const group = optimizer.paramGroups[0]!;
      group.rowWise = true;
      expect(stateOf(optimizer, 'expAvgSq')).toEqual(Float32Array.of(14 / 8, 126 / 8, 366 / 8));
      group.rowWise = false;
      expect(stateOf(optimizer, 'expAvgSq')).toEqual(
        Float32Array.from({ length: 12 }, (_, i) => [14 / 8, 126 / 8, 366 / 8][Math.floor(i / 4)]!),
      );
      expect(optimizer.step([numbers(12, 3)])).toEqual({ applied: true });
    });
  });

  test.each([{ rowWise: true }, { rowSteps: true }, { rowWise: true, rowSteps: true }])(
    'a state dict resumes bit for bit: %o',
    (options) => {
      onEach(() => {
        const [w, other] = [table(), table(5)];
        const optimizer = new Class([w], options);
        for (const step of [1, 2, 3]) optimizer.step([sparseGrad([step % 3, 2, 2], 4, step)]);
        other.data.set(w.data);
        const resumed = new Class([other], {});
        resumed.loadStateDict(structuredClone(optimizer.stateDict()));
        for (const each of [optimizer, resumed]) each.step([sparseGrad([1, 0], 4, 7)]);
        expect(snapshot(resumed, [other.data])).toBe(snapshot(optimizer, [w.data]));
      });
    },
  );
});
