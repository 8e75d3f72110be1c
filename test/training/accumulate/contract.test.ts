// GradAccumulator: every wrong argument is refused, in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../../lib/engine/backend.js';
import { referenceEngine } from '../../../lib/engine/reference.js';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { detached, thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { GradAccumulator } = training as any;

const detachedText = 'a detached Float32Array';

const gone = ' (its buffer was transferred, resized or grown)';

const sparse = { rows: new Int32Array([0]), values: f32(1) };

describe('GradAccumulator', () => {
  test('it accepts and refuses params as an optimizer does', () => {
    for (const [bad, message] of [
      [
        undefined,
        'TypeError: GradAccumulator: params: undefined, expected a Float32Array, { data, shape }, a list or a record of them',
      ],
      [
        [],
        'RangeError: GradAccumulator: params: nothing, expected a Float32Array, { data, shape }, a list or a record of them',
      ],
      [
        { w: [1, 2] },
        'TypeError: GradAccumulator: params["w"]: [1, 2], expected a Float32Array or { data, shape } (convert it with Float32Array.from(…))',
      ],
      [
        [{ params: f32(1) }, { params: { w: f32(1) } }],
        'TypeError: GradAccumulator: params[0].params: a param without a name, expected a name for each param or for none',
      ],
      [
        [{ params: { w: f32(1) } }, { params: { w: f32(1) } }],
        'RangeError: GradAccumulator: params[1].params["w"]: a name used before, expected names that are unique over the optimizer (give a layer its name: { params: { fc1: layer } })',
      ],
      [
        detached(),
        `TypeError: GradAccumulator: params: ${detachedText}, expected a Float32Array or { data, shape }${gone}`,
      ],
    ] as const) {
      expect(thrown(() => new GradAccumulator(bad))).toBe(message);
    }
  });

  test('add refuses gradients that do not fit, and then adds nothing', () => {
    const sum = new GradAccumulator({ w: f32(1, 2), 'fc.bias': f32(3) });
    sum.add({ w: f32(1, 1), 'fc.bias': null });
    const good = f32(5, 5);
    for (const [bad, message] of [
      [undefined, 'TypeError: GradAccumulator: grads: undefined, expected a record of gradients by name'],
      [
        [good, f32(1)],
        'TypeError: GradAccumulator: grads: [Float32Array(2), Float32Array(1)], expected a record of gradients by name',
      ],
      [
        { w: good },
        'TypeError: GradAccumulator: grads["fc.bias"]: undefined, expected a Float32Array, or null to leave the param as it is',
      ],
      [
        { w: good, 'fc.bias': f32(1), b: f32(1) },
        'TypeError: GradAccumulator: grads["b"]: no such param, expected one of "w", "fc.bias"',
      ],
      [
        { w: good, 'fc.bias': f32(1, 2) },
        'RangeError: GradAccumulator: grads["fc.bias"]: length 2, expected 1 ("fc.bias")',
      ],
      [
        { w: good, 'fc.bias': new Float64Array(1) },
        'TypeError: GradAccumulator: grads["fc.bias"]: Float64Array(1), expected a Float32Array or null (convert it with Float32Array.from(…))',
      ],
      [
        { w: good, 'fc.bias': detached(1) },
        `TypeError: GradAccumulator: grads["fc.bias"]: ${detachedText}, expected a Float32Array or null${gone}`,
      ],
      [
        { w: good, 'fc.bias': sparse },
        'TypeError: GradAccumulator: grads["fc.bias"]: a sparse gradient, expected a Float32Array or null (pass them to the optimizer and use its option clipNorm)',
      ],
    ] as const) {
      expect(thrown(() => sum.add(bad))).toBe(message);
      expect([sum.count, [...sum.grads.w], sum.grads['fc.bias']]).toEqual([1, [1, 1], null]);
    }
  });

  test('lists and single gradients must fit the params', () => {
    const list = new GradAccumulator([f32(1), f32(1, 2)]);
    expect(thrown(() => list.add([f32(1)]))).toBe('RangeError: GradAccumulator: grads: 1 gradient(s), expected 2');
    expect(thrown(() => list.add(f32(1)))).toBe(
      'TypeError: GradAccumulator: grads: Float32Array(1), expected a list of 2 gradients',
    );
    expect(thrown(() => list.add([f32(1), f32(1)]))).toBe(
      'RangeError: GradAccumulator: grads[1]: length 1, expected 2',
    );
    const single = new GradAccumulator(f32(1, 2));
    expect(thrown(() => single.add(f32(1)))).toBe('RangeError: GradAccumulator: grads: length 1, expected 2');
    expect(thrown(() => single.add({ w: f32(1) }))).toBe(
      'TypeError: GradAccumulator: grads: an object, expected a Float32Array or null',
    );
    expect([list.count, list.grads, single.count, single.grads]).toEqual([0, [null, null], 0, null]);
  });

  test('a sum that the caller detached is an error', () => {
    // The addon's memory cannot be transferred.
    const sum = withEngine(referenceEngine, () => new GradAccumulator([f32(1), f32(1, 2)]));
    sum.add([f32(1), f32(1, 1)]);
    const { buffer } = sum.grads[1];
    structuredClone(buffer, { transfer: [buffer] });
    expect(thrown(() => sum.add([f32(1), f32(1, 1)]))).toBe(
      `TypeError: GradAccumulator: the sum of grads[1]: ${detachedText}, expected length 2${gone}`,
    );
    expect([sum.count, [...sum.grads[0]]]).toEqual([1, [1]]);
  });
});
