// GradAccumulator: a saved sum goes on, and a dict that does not fit is refused and changes nothing.
import { describe, expect, test } from 'vitest';
import { GradAccumulator } from '../../../../lib/training/index.js';
import { f32 } from '../../../support/arrays.js';
import { type Any, detached, thrown } from '../../../support/bad-input.js';

const make = () => new GradAccumulator({ w: f32(0, 0), b: f32(0) });

describe('stateDict and loadStateDict', () => {
  test('a sum that was saved in the middle of a batch goes on, null included', () => {
    const [straight, resumed] = [make(), make()];
    resumed.add({ w: f32(9, 9), b: f32(9) });
    expect(make().stateDict()).toEqual({ version: 1, count: 0, sums: { w: null, b: null } });
    straight.add({ w: f32(1, 2), b: null });
    const dict = straight.stateDict();
    expect(dict).toEqual({ version: 1, count: 1, sums: { w: f32(1, 2), b: null } });
    resumed.loadStateDict(structuredClone(dict));
    expect(resumed.grads).toEqual({ w: f32(1, 2), b: null });
    for (const sum of [straight, resumed]) sum.add({ w: f32(0.5, 0.5), b: f32(3) });
    expect(resumed.grads).toEqual({ w: f32(1.5, 2.5), b: f32(3) });
    expect(resumed.stateDict()).toEqual(straight.stateDict());
    expect(dict.sums['w']).toEqual(f32(1, 2)); // a copy
    resumed.loadStateDict(make().stateDict());
    expect([resumed.count, resumed.grads]).toEqual([0, { w: null, b: null }]);
  });

  test('params without names go by index', () => {
    const sum = new GradAccumulator([f32(0), f32(0, 0)]);
    sum.add([f32(1), null]);
    expect(sum.stateDict().sums).toEqual({ 0: f32(1), 1: null });
    const other = new GradAccumulator([f32(0), f32(0, 0)]);
    other.loadStateDict(sum.stateDict());
    expect(other.grads).toEqual([f32(1), null]);
  });

  test('a dict that does not fit is refused and changes nothing', () => {
    const sum = make();
    sum.add({ w: f32(1, 2), b: f32(3) });
    const before = sum.stateDict();
    const good = { version: 1, count: 5, sums: { w: f32(7, 7), b: null } };
    for (const [change, message] of [
      [{ version: 2 }, 'RangeError: GradAccumulator.loadStateDict: version: 2, expected 1'],
      [{ count: -1 }, 'RangeError: GradAccumulator.loadStateDict: count: -1, expected an integer in [0, inf)'],
      [{ count: '1' }, 'TypeError: GradAccumulator.loadStateDict: count: "1", expected an integer in [0, inf)'],
      [
        { sums: { ...good.sums, w: f32(1) } },
        'RangeError: GradAccumulator.loadStateDict: sums["w"]: length 1, expected 2',
      ],
      [
        { sums: { w: f32(1, 2) } },
        'TypeError: GradAccumulator.loadStateDict: sums["b"]: undefined, expected a Float32Array or null',
      ],
      [{ sums: { ...good.sums, c: null } }, /^TypeError: GradAccumulator.loadStateDict: sums: c: unknown option/],
      [{ sums: { ...good.sums, w: detached() } }, /^TypeError: GradAccumulator.loadStateDict: sums\["w"\]: a detached/],
      [{ extra: 1 }, /^TypeError: GradAccumulator.loadStateDict: extra: unknown option/],
    ] as const) {
      const error = thrown(() => sum.loadStateDict({ ...good, ...change } as Any));
      if (typeof message === 'string') expect(error).toBe(message);
      else expect(error).toMatch(message);
    }
    for (const dict of [null, undefined, []])
      expect(thrown(() => sum.loadStateDict(dict as Any))).toMatch(
        /^TypeError: GradAccumulator.loadStateDict: options/,
      );
    expect(sum.stateDict()).toEqual(before);
  });
});
