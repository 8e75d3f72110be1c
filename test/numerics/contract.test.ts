// Numbers at the edge: beyond float32, and counts beyond float64.
import { expect, test } from 'vitest';
import { type Any, classes, refused, rig, titled } from '../support/rig.js';

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
