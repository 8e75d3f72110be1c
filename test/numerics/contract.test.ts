// Numbers at the edge: beyond float32, and counts beyond float64.
import { describe, expect, test } from 'vitest';
import { Adam } from '../../lib/index.js';
import { random } from '../support/random.js';
import {
  type Any,
  bits,
  type Case,
  classes,
  numbers,
  type Options,
  refused,
  rig,
  titled,
  variants,
} from '../support/rig.js';
import { onEach, rigOf, sparse } from '../support/sparse.js';

const f = Math.fround;

test.each(titled(classes))('%s: an lr that overflows in float32 is refused and changes nothing', (_, c) => {
  const expected = /lr: 1e\+300, expected a number that is finite in float32/;
  refused(RangeError, expected, () => rig(c, { lr: 1e300 }));
  const { optimizer, step, seen } = rig(c, { lr: 0.1 });
  const before = seen();
  refused(RangeError, expected, () => void (optimizer.lr = 1e300));
  refused(RangeError, expected, () => void (optimizer.paramGroups[0]!.lr = 1e300));
  expect(seen()).toBe(before);
  const scheduled = rig(c, { lr: (t: number) => (t < 5 ? 0.1 : 1e300) });
  const grads = { a: new Float32Array(5), b: new Float32Array(18) };
  scheduled.optimizer.step(grads as Any);
  const at = scheduled.seen();
  refused(RangeError, /lr: 1e\+300, expected .*finite in float32 \(from its schedule at step 5\)/, () =>
    scheduled.optimizer.step(grads as Any),
  );
  expect(scheduled.seen()).toBe(at);
  refused(RangeError, /gradScale: 1e\+300, expected a number that is finite in float32/, () =>
    optimizer.step(grads as Any, { gradScale: 1e300 }),
  );
  step();
});

test.each(titled(classes))('%s: steps are counted up to 2^53 − 1, then refused', (_, c) => {
  const { optimizer, seen } = rig(c);
  const dict = structuredClone(optimizer.stateDict()) as Any;
  optimizer.loadStateDict({ ...dict, stepCount: Number.MAX_SAFE_INTEGER });
  expect(optimizer.stepCount).toBe(Number.MAX_SAFE_INTEGER);
  const before = seen();
  refused(RangeError, /stepCount: 9007199254740991, expected fewer steps/, () =>
    optimizer.step({ a: new Float32Array(5), b: null } as Any),
  );
  expect(seen()).toBe(before);
  refused(RangeError, /stepCount: 9007199254740992, expected an integer in \[0, 9007199254740991\]/, () =>
    optimizer.loadStateDict({ ...dict, stepCount: 2 ** 53 }),
  );
});

test.each(titled(variants))('%s: the last steps that float64 counts give finite weights and state', (_, c) => {
  onEach(() => {
    const { optimizer, params, step } = rig(c, { ema: 0.5 });
    const dict = structuredClone(optimizer.stateDict()) as Any;
    dict.stepCount = Number.MAX_SAFE_INTEGER - 2;
    for (const state of Object.values<Any>(dict.state)) state.step = Number.MAX_SAFE_INTEGER - 2;
    optimizer.loadStateDict(dict);
    const before = params.map((w) => w.slice());
    for (const seed of [4, 5]) step(seed);
    expect(optimizer.stepCount).toBe(Number.MAX_SAFE_INTEGER);
    const states = Object.values(optimizer.stateDict().state).flatMap((state) => Object.values(state));
    for (const x of [...params, ...states])
      expect(typeof x === 'number' ? Number.isFinite(x) : x.every(Number.isFinite)).toBe(true);
    if (c.declaration.hyperParameters['lr']?.default !== undefined)
      expect(params.some((w, i) => w.some((x, k) => x !== before[i]![k]))).toBe(true);
  });
});

test('bias correction is over at the last step: Adam steps as it does without', () => {
  onEach(() => {
    const results = [true, false].map((biasCorrection) => {
      const w = numbers(20, 1);
      const adam = new Adam(w, { biasCorrection });
      adam.step(numbers(20, 2));
      const dict = structuredClone(adam.stateDict()) as Any;
      dict.state[0].step = Number.MAX_SAFE_INTEGER; // t of the next update is 2^53
      w.set(numbers(20, 1));
      adam.loadStateDict({ ...dict, paramGroups: [{ ...dict.paramGroups[0], biasCorrection }] });
      adam.step(numbers(20, 3));
      return bits(w);
    });
    expect(results[0]).toBe(results[1]);
  });
});

describe('skipNonFinite looks at the gradients as the kernels see them, scaled in float32', () => {
  const most = f(3.4028235e38);
  const above = 1 + 2 ** -23;
  /** The snapshot after a skipped step, with the count of skipped steps taken back. */
  const unskipped = (seen: string): string =>
    seen.replace('"skippedSteps": 1', '"skippedSteps": 0').replace(/^ 1,$/m, ' 0,');

  /** Makes a step with the first elements of "a" and "b" given, and checks that it is applied or changes nothing. */
  function check(
    c: Case,
    [a, b]: readonly [number, number],
    gradScale: number,
    isApplied: boolean,
    more: Options,
  ): void {
    const options = { ...more, skipNonFinite: true, ema: 0.5 };
    onEach(() => {
      const [{ optimizer, seen }, twin] = [rig(c, options), rig(c, options)];
      const [ga, gb] = [new Float32Array(5), new Float32Array(18)];
      [ga[4], gb[17]] = [a, b];
      const { applied } = optimizer.step({ a: ga, b: gb } as Any, { gradScale });
      expect(applied, `${a}, ${b} · ${gradScale}`).toBe(isApplied);
      expect([optimizer.skippedSteps, optimizer.stepCount]).toEqual(isApplied ? [0, 4] : [1, 3]);
      if (!isApplied) expect(unskipped(seen())).toBe(twin.seen());
    });
  }

  test.each(titled(variants))('%s', (_, c) => {
    check(c, [1, 1e30], 1e30, false, {});
    check(c, [1, 1e30], -1e30, false, { maximize: true });
    check(c, [1e30, 1], 1e30, false, { clipValue: 1 }); // clipValue comes after
  });

  test.each(titled(classes))('%s: at the largest float', (_, c) => {
    check(c, [most, -most], 1, true, {}); // the norm is beyond float32, and no element is
    check(c, [most, 1], above, false, {});
    check(c, [1, -most], -above, false, {});
    check(c, [most / 2, 1], above, true, {});
    check(c, [1e30, 1], most, false, {});
    check(c, [1e30, 1], 1e30, true, { clipNorm: 1 }); // the kernels multiply once, by gradScale · coefficient
    check(c, [1e-10, 0], 1e-60, true, {}); // gradScale is 0 in float32
    check(c, [most, Number.NaN], 1e-60, false, {});
  });

  test('random gradients and scales near the largest float are judged as element by element', () => {
    const next = random(5);
    const c = classes[0] as Case;
    let [applied, skipped] = [0, 0];
    for (let k = 0; k < 300; k++) {
      const gradScale = 2 ** (60 * next());
      const g = new Float32Array(40);
      for (let i = 0; i < 40; i += 7) g[i] = (most * (1 + (next() - 0.9) * 1e-6)) / gradScale;
      const expected = g.every((x) => Number.isFinite(f(f(gradScale) * x)));
      onEach(() => {
        const optimizer = c.make(new Float32Array(40), { skipNonFinite: true });
        expect(optimizer.step(g.slice(), { gradScale }).applied).toBe(expected);
      });
      if (expected) applied++;
      else skipped++;
    }
    expect(Math.min(applied, skipped)).toBeGreaterThan(50);
  });

  test.each(titled(sparse))('%s: sparse rows are summed first', (_, c) => {
    const rest = { flat: null, dense: null };
    for (const [rows, values, gradScale, isApplied] of [
      [[1, 1], [2e38, 0, 0, 1e38, 0, 0], 1.2, false], // 3e38 in all
      [[1, 2], [2e38, 0, 0, 1e38, 0, 0], 1.2, true],
      [[1, 1], [2e38, 0, 0, -1e38, 0, 0], 1.9, true],
      [[4, 0, 3], [0, 0, 0, 0, 0, 0, 0, 1, 1e30], 1e30, false],
    ] as const) {
      onEach(() => {
        const options = { skipNonFinite: true, ema: 0.5 };
        const [r, twin] = [rigOf(c, options), rigOf(c, options)];
        const table = { rows: Int32Array.from(rows), values: Float32Array.from(values) };
        expect(r.optimizer.step({ ...rest, table }, { gradScale }).applied).toBe(isApplied);
        if (!isApplied) expect(unskipped(r.seen())).toBe(twin.seen());
      });
    }
  });
});
