// findNonFinite: the first NaN or infinity in the order of the gradients, in every structure.
import { describe, expect, test } from 'vitest';
import { findNonFinite } from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { type Any, detached, thrown } from '../../support/bad-input.js';
import fc from '../../support/property.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('findNonFinite', () => {
  test.each([
    ['one gradient', f32(1, nan), { name: '0', index: 1, value: nan }],
    ['a list', [f32(1), null, f32(1, 2, inf, nan)], { name: '2', index: 2, value: inf }],
    ['a record', { a: f32(0), 'fc.bias': f32(-inf) }, { name: 'fc.bias', index: 0, value: -inf }],
    [
      'a tree',
      { layers: [{ weight: f32(1) }, { weight: f32(1, nan) }] },
      { name: 'layers.1.weight', index: 1, value: nan },
    ],
    [
      'sparse',
      { emb: { rows: Int32Array.of(5, 5), values: f32(1, 2, 3, nan) } },
      { name: 'emb', index: 3, value: nan },
    ],
    ['sparse alone', { rows: Uint32Array.of(0), values: f32(inf) }, { name: '0', index: 0, value: inf }],
    ['the largest floats', [f32(3.4028234e38, -3.4028234e38), f32(1e-45)], undefined],
    ['nothing', [null, f32(), [], {}, { rows: new Int32Array(0), values: f32() }], undefined],
  ])('%s', (_, grads, expected) => {
    expect(findNonFinite(grads as Any)).toEqual(expected);
  });

  test('it is the first that a plain loop finds, and nothing changes', () => {
    const element = fc.oneof({ weight: 30, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) }, fc.float());
    fc.assert(
      fc.property(fc.array(fc.array(element, { maxLength: 60 }), { maxLength: 5 }), (values) => {
        const grads = values.map((g) => Float32Array.from(g));
        let first: unknown;
        for (const [i, g] of grads.entries())
          for (const [index, value] of g.entries())
            if (first === undefined && !(Math.abs(value) < inf)) first = { name: String(i), index, value };
        expect(findNonFinite(grads)).toEqual(first);
        expect(grads).toEqual(values.map((g) => Float32Array.from(g)));
      }),
    );
  });

  test('an array of several chunks', () => {
    const grad = new Float32Array(100_000).fill(3e38);
    expect(findNonFinite(grad)).toBeUndefined();
    grad[99_999] = nan;
    expect(findNonFinite({ w: grad })).toEqual({ name: 'w', index: 99_999, value: nan });
  });

  test('wrong arguments are refused', () => {
    const one = 'a Float32Array, { rows, values } or null';
    for (const [grads, message] of [
      [undefined, 'grads: undefined, expected a Float32Array, { rows, values }, null, or a list or a record of them'],
      [
        new Map(),
        'grads: a Map, expected a Float32Array, { rows, values }, null, or a list or a record of them (write Object.fromEntries(map))',
      ],
      [[f32(1), undefined], `grads[1]: undefined, expected ${one}`],
      [
        { a: new Float64Array(1) },
        `grads["a"]: Float64Array(1), expected ${one} (convert it with Float32Array.from(…))`,
      ],
      [
        { a: { rows: Int32Array.of(0), values: [1] } },
        'grads["a"].values: [1], expected a Float32Array (convert it with Float32Array.from(…))',
      ],
    ] as const)
      expect(thrown(() => findNonFinite(grads as Any))).toBe(`TypeError: findNonFinite: ${message}`);
    expect(thrown(() => findNonFinite([detached()]))).toMatch(
      /^TypeError: findNonFinite: grads\[0\]: a detached Float32Array/,
    );
  });
});
