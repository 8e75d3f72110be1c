// A step trusts the lengths that JavaScript sees right before it. They must be those with which the plan has the arrays, also where
// the array of a param has grown and shrunk again. Without that, these steps write to memory that is gone.
import { expect, test } from 'vitest';
import { SGD } from '../../../lib/index.js';
import { type Any, refused } from '../../support/rig.js';
import { detach } from '../../support/sparse.js';

const bytes = 64;

/** A length-tracking array of 16 elements. */
function tracking(): [Float32Array<ArrayBuffer>, (bytes: number) => void] {
  const buffer = new (ArrayBuffer as Any)(bytes, { maxByteLength: 1 << 20 });
  return [new Float32Array(buffer), (length) => buffer.resize(length)];
}

/** A gradient for a row far behind the 16 elements. */
const far = () => ({ rows: Int32Array.of(200_000), values: Float32Array.of(1) });

test('a param that has grown is not registered again', () => {
  const withoutEma = new SGD(new Float32Array(16), { lr: 1 }).stateDict();
  const [param, resize] = tracking();
  const sgd = new SGD(param, { lr: 1, ema: 0.9 });
  resize(1 << 20);
  refused(RangeError, /params: length 262144, expected 16/, () => sgd.loadStateDict(withoutEma));
  resize(bytes);
  refused(RangeError, /grads.rows\[0\]: 200000/, () => sgd.step(far()));
  sgd.loadStateDict(withoutEma);
  sgd.step(new Float32Array(16).fill(1));
  expect([...param]).toEqual(new Array(16).fill(-1));
});

/** An SGD whose method `kernel` makes the array grow in its call of a number. It is called twice for each param. */
function growing(param: Float32Array, resize: (bytes: number) => void, call: number): SGD {
  let calls = 0;
  class Growing extends SGD {
    protected override kernel(...given: Parameters<SGD['kernel']>): string {
      if (++calls === call) resize(1 << 20);
      return super.kernel(...given);
    }
  }
  return new Growing([param, new Float32Array(16)], { lr: 1 });
}

test('a param that grows while it is added is refused', () => {
  const [param, resize] = tracking();
  refused(RangeError, /params\[0\]: length 262144, expected 16/, () => growing(param, resize, 4));
});

test('a param that grows before its length counts, and shrinks: a step is refused', () => {
  const [param, resize] = tracking();
  const sgd = growing(param, resize, 3);
  resize(bytes);
  refused(RangeError, /params\[0\]: length 16, expected 262144/, () => sgd.step([far(), null]));
  expect(sgd.stepCount).toBe(0);
});

test.each(['rows', 'values'] as const)('constants() cannot take the %s of a known sparse gradient away', (what) => {
  let isArmed = false;
  const grad = { rows: Int32Array.of(3), values: Float32Array.of(1) };
  class Detaching extends SGD {
    protected override constants(...given: Parameters<SGD['constants']>): number[] {
      if (isArmed) detach(grad[what] as Float32Array);
      return super.constants(...given);
    }
  }
  const param = new Float32Array(16);
  const sgd = new Detaching(param, { lr: 1 });
  for (let i = 0; i < 3; i++) sgd.step(grad);
  isArmed = true;
  refused(TypeError, new RegExp(`grads.${what}: a detached`), () => sgd.step(grad));
  expect([param[3], sgd.stepCount]).toEqual([-3, 3]);
});

test('a param without a gradient in this step is looked at too', () => {
  const [a, b] = [new Float32Array(4), new Float32Array(4)];
  const sgd = new SGD([a, b], { lr: 1 });
  const grad = new Float32Array(4).fill(1);
  sgd.step([grad, grad]);
  detach(b);
  refused(TypeError, /params\[1\]: a detached/, () => sgd.step([grad, null]));
  expect([...a]).toEqual([-1, -1, -1, -1]);
});
