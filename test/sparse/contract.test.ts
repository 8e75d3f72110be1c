// Sparse gradients: a step updates the named rows, and leaves the other rows unchanged.
import { describe, expect, test } from 'vitest';
import { SGD } from '../../lib/index.js';
import { type Any, bits, decay, hasClockOfItsOwn, numbers, refused, rowForms, titled } from '../support/rig.js';
import { sample } from '../support/sample.js';
import { detach, onEach, rigOf, sparse, sparseGrad } from '../support/sparse.js';

/** A snapshot without the options of the optimizer. */
function withoutOptions(snapshot: string): unknown {
  const [{ options: _, ...dict }, ...rest] = JSON.parse(snapshot);
  return [dict, ...rest];
}

describe.each(titled(sample(sparse, 8)))('%s', (_, c) => {
  const rest = { flat: null, dense: null };

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

  test('other rows, their state and their averages keep their bits', () => {
    onEach(() => {
      for (const more of [
        decay(c, 0.5),
        { ema: 0.5, clipNorm: 0.1, maximize: true, zeroGrads: true, ...decay(c, 0.5) },
      ]) {
        const r = rigOf(c, more);
        const before = r.optimizer.stateDict().state['table'] as Any;
        const arrays = () => ({ ...(r.optimizer.stateDict().state['table'] as Any), w: r.table });
        const was: Any = { ...before, w: r.table.slice() };
        r.optimizer.step({ ...rest, table: sparseGrad([2, 5, 2], 3, 6) });
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

  test('all rows in any order give the bits of a dense gradient', () => {
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

  test('a row named twice gets the sum of its gradients, added in the given order', () => {
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

  test('t counts dense gradients and sparse ones of some or no rows, but not null', () => {
    onEach(() => {
      const w = numbers(12, 1);
      const optimizer = c.make({ w }, { ema: 0.5 });
      const dense = numbers(12, 2);
      const stepOf = () => optimizer.stateDict().state['w']!.step;
      const grads = [
        sparseGrad([1], 4),
        dense,
        null,
        sparseGrad([0, 2], 4),
        sparseGrad([], 0),
        dense,
        null,
        sparseGrad([2], 3),
        dense,
      ];
      for (const [i, g] of grads.entries()) {
        optimizer.step({ w: g });
        expect(stepOf()).toBe(grads.slice(0, i + 1).filter((x) => x !== null).length);
      }
      expect(optimizer.stepCount).toBe(grads.length);
    });
  });

  test.skipIf(hasClockOfItsOwn(c))('a sparse gradient without rows is an update that changes no row', () => {
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
        // The next update has the next t, as in a param that loaded this t.
        const twin = rigOf(c, { ...decay(c, 0.5), gradNorm: true });
        const dict = structuredClone(twin.optimizer.stateDict()) as Any;
        dict.state.table = after;
        twin.optimizer.loadStateDict(dict);
        for (const { optimizer } of [r, twin]) optimizer.step({ ...rest, table: sparseGrad([1, 3], 3, 5) });
        expect(bits(r.table)).toBe(bits(twin.table));
      }
      // A param without elements.
      const empty = c.make([new Float32Array(0), { data: new Float32Array(0), shape: [0, 4] }], {
        ema: 0.5,
        zeroGrads: true,
      });
      expect(empty.step([sparseGrad([], 0), sparseGrad([], 0)])).toMatchObject({ applied: true });
      refused(RangeError, /grads\[0\]\.rows\[0\]: 0, expected an integer in \[0, 0\)/, () =>
        empty.step([sparseGrad([0], 2), null]),
      );
      refused(RangeError, /grads\[1\]\.rows\[0\]: 0, expected an integer in \[0, 0\)/, () =>
        empty.step([null, sparseGrad([0], 4)]),
      );
    });
  });

  test('ema: the first update copies the whole param, whichever rows it names', () => {
    onEach(() => {
      for (const first of [sparseGrad([1], 4), sparseGrad([], 0)]) {
        const w = numbers(12, 1);
        const optimizer = c.make({ w }, { ema: 0.75 });
        w.set(numbers(12, 2)); // as if weights were loaded after construction
        const before = w.slice();
        optimizer.step({ w: first });
        const ema = (optimizer.emaParams as Any).w as Float32Array;
        for (let i = 0; i < 12; i++) {
          const named = first.rows.length > 0 && i >= 4 && i < 8;
          const moved = Math.fround(before[i]! + Math.fround(0.25 * Math.fround(w[i]! - before[i]!)));
          expect(ema[i]).toBe(named ? moved : before[i]);
        }
        const moves = c.declaration.name !== 'ADOPT'; // in its first step
        if (first.rows.length > 0 && moves) expect(ema.subarray(4, 8)).not.toEqual(before.subarray(4, 8));
      }
    });
  });

  test('zeroGrads zeroes all values, also in a skipped step, and never the row numbers', () => {
    onEach(() => {
      for (const bad of [1, Number.NaN]) {
        const r = rigOf(c, { zeroGrads: true, skipNonFinite: true });
        const table = sparseGrad([2, 0, 2], 3);
        table.values[4] = bad;
        const names = table.rows.slice();
        const dense = numbers(5, 6);
        const { applied } = r.optimizer.step({ table, flat: sparseGrad([], 0), dense });
        expect(applied).toBe(bad === 1);
        expect([bits(table.values), bits(dense)]).toEqual([bits(new Float32Array(9)), bits(new Float32Array(5))]);
        expect(table.rows).toEqual(names);
      }
    });
  });

  test('clipNorm and gradNorm use the summed rows, over all params', () => {
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
        // Apart from the two earlier steps, of which only one is clipped.
        if (max === 100) expect(withoutOptions(r.seen())).toEqual(withoutOptions(twin.seen()));
      }
    });
  });

  test('skipNonFinite finds NaN and Inf in values, and in sums of finite values', () => {
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
          const table = sparseGrad([1, 0, 1], 3);
          [table.values[1], table.values[7]] = [a, b];
          const { applied, gradNorm } = r.optimizer.step({ table, flat: sparseGrad([0], 2), dense: numbers(5, 1) });
          expect(applied, 'a step with non-finite gradients must be skipped').toBe(false);
          expect(Number.isFinite(gradNorm), 'gradNorm must show that it is not finite').toBe(false);
          expect([r.optimizer.skippedSteps, r.optimizer.stepCount]).toEqual([1, steps]);
          expect(r.seen().replace('"skippedSteps": 1', '"skippedSteps": 0').replace(/^ 1,$/m, ' 0,')).toBe(twin.seen());
        }
      });
    }
    // Values that overflow alone but not in their sum are not skipped.
    onEach(() => {
      const r = rigOf(c, { skipNonFinite: true });
      const table = { rows: Int32Array.of(1, 1), values: Float32Array.of(3e38, 0, 0, -3e38, 0, 0) };
      expect(r.optimizer.step({ ...rest, table })).toEqual({ applied: true, gradNorm: 0 });
    });
  });

  test('maximize negates the sum, and clipValue clamps the sum and not its parts', () => {
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

  test('saving and loading between sparse steps changes nothing', () => {
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

test.each(titled(rowForms))('%s: a step on rows equals a step on a param that consists of these rows', (_, c) => {
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
      // State has one number per element or per row.
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

describe('the same arrays again', () => {
  /** A table of four rows of two, and a gradient in buffers that can be resized. */
  function rig() {
    const data = new Float32Array(8);
    const sgd = new SGD({ data, shape: [4, 2] }, { lr: 1 });
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
    const buffer = (bytes: number): ArrayBuffer => new Resizable(bytes, { maxByteLength: 64 });
    const [rowsBuffer, valuesBuffer] = [buffer(8), buffer(16)] as (ArrayBuffer & { resize(bytes: number): void })[];
    const [rows, values] = [new Int32Array(rowsBuffer!), new Float32Array(valuesBuffer!)];
    rows.set([1, 2]);
    values.fill(1);
    const step = () => sgd.step({ rows, values });
    const resize = (count: number): void => {
      rowsBuffer!.resize(4 * count);
      valuesBuffer!.resize(8 * count);
    };
    return { data, sgd, rows, values, step, resize };
  }

  test('their contents count, not those of the step before', () => {
    const { data, rows, values, step } = rig();
    step();
    step();
    expect([...data]).toEqual([0, 0, -2, -2, -2, -2, 0, 0]);
    rows.set([3, 3]);
    values.set([1, 2, 3, 4]);
    step();
    expect([...data]).toEqual([0, 0, -2, -2, -2, -2, -4, -6]);
    rows[1] = 4;
    expect(step).toThrow('SGD: grads.rows[1]: 4, expected an integer in [0, 4)');
    expect([...data]).toEqual([0, 0, -2, -2, -2, -2, -4, -6]);
  });

  test('arrays that follow their buffers are checked at their new lengths', () => {
    const { data, rows, values, step, resize } = rig();
    step();
    resize(3);
    expect([rows.length, values.length]).toEqual([3, 6]);
    values.fill(1, 4);
    step();
    expect([...data]).toEqual([-1, -1, -2, -2, -2, -2, 0, 0]);
    resize(1);
    step();
    expect([...data]).toEqual([-1, -1, -3, -3, -2, -2, 0, 0]);
    resize(0);
    step();
    expect([...data]).toEqual([-1, -1, -3, -3, -2, -2, 0, 0]);
  });

  test.each(['rows', 'values'] as const)('detached %s are refused', (name) => {
    const { data, sgd, rows, values, step } = rig();
    step();
    const { buffer } = { rows, values }[name];
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(step).toThrow(`SGD: grads.${name}: a detached`);
    expect(sgd.stepCount).toBe(1);
    expect([...data]).toEqual([0, 0, -1, -1, -1, -1, 0, 0]);
  });

  const hidden = ['bias', 'biasGrad', 'data', 'rows', 'values'] as const;
  test.each(hidden)('%s that a getter detaches or shrinks, when earlier ones were read, are refused', (name) => {
    const attacks = [
      (array: Float32Array | Int32Array) => void detach(array),
      (array: Float32Array | Int32Array) => (array.buffer as ArrayBuffer & { resize(bytes: number): void }).resize(4),
    ];
    const buffer = (bytes: number): ArrayBuffer =>
      new (ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer)(bytes, { maxByteLength: 64 });
    onEach(() => {
      for (const attack of attacks) {
        const [bias, biasGrad, data, values] = [2, 2, 8, 4].map((n) => new Float32Array(buffer(4 * n), 0, n));
        const arrays = { bias: bias!, biasGrad: biasGrad!, data: data!, values: values! };
        const all = { ...arrays, rows: new Int32Array(buffer(8), 0, 2) };
        all.rows.set([1, 2]);
        all.values.fill(1);
        const last = new Float32Array(2);
        const sgd = new SGD([all.bias, { data: all.data, shape: [4, 2] }, last], { lr: 1 });
        const { rows } = all;
        const grads = [all.biasGrad, { rows, values: all.values }, new Float32Array(2).fill(1)];
        for (let i = 0; i < 3; i++) sgd.step(grads);
        const table = {
          rows,
          get values() {
            attack(all[name]);
            return all.values;
          },
        };
        const step = () => sgd.step([grads[0]!, table, grads[2]!]);
        expect(step).toThrow(/(a detached|an out-of-bounds)|that was detached/);
        expect([[...last], sgd.stepCount]).toEqual([[-3, -3], 3]);
      }
    });
  });
});
