// stepAsync with sparse gradients: the bits of step, and rows that become invalid while the step waits.
import { describe, expect, test } from 'vitest';
import { Adam, allocate, SGD } from '../../../lib/index.js';
import { type Any, bits, type Kind, numbers, snapshot } from '../../support/rig.js';

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
