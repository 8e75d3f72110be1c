// groupBy: every wrong argument is refused, in the library's error shape.
import { describe, expect, test } from 'vitest';
import { Adam } from '../../../lib/optimizers/index.js';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { groupBy } = training as any;

const schedule = () => 0.1;

describe('groupBy', () => {
  test('params must be a record', () => {
    const record = 'a record of params by name';
    for (const [bad, shown] of [
      [f32(1), 'Float32Array(1)'],
      [[f32(1)], '[Float32Array(1)]'],
      [{ data: f32(1), shape: [1, 1] }, 'an object'],
      [[{ params: { w: f32(1) } }], '[an object]'],
      [{ params: { w: f32(1) } }, 'an object'],
    ] as const) {
      expect(thrown(() => groupBy(bad, schedule))).toBe(`TypeError: groupBy: params: ${shown}, expected ${record}`);
    }
    expect(thrown(() => groupBy({ w: 1 }, schedule))).toBe(
      'TypeError: groupBy: params["w"]: 1, expected a Float32Array or { data, shape }',
    );
    expect(thrown(() => groupBy({}, schedule))).toMatch(/^RangeError: groupBy: params: nothing, expected /);
    expect(thrown(() => groupBy(undefined, schedule))).toMatch(/^TypeError: groupBy: params: undefined, expected /);
  });

  test('options must be a function that returns an object or undefined', () => {
    const params = { 'fc.bias': f32(1) };
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [{ weightDecay: 0 }, 'an object'],
    ] as const) {
      expect(thrown(() => groupBy(params, bad))).toBe(
        `TypeError: groupBy: options: ${shown}, expected a function, (name) => options`,
      );
    }
    for (const [bad, shown] of [
      [null, 'null'],
      [0, '0'],
      [false, 'false'],
      [[], '[]'],
      [Promise.resolve({ lr: 1 }), 'a Promise'],
      [new Map(), 'a Map'],
    ] as const) {
      expect(thrown(() => groupBy(params, () => bad))).toBe(
        `TypeError: groupBy: options("fc.bias"): ${shown}, expected an object of options, or undefined`,
      );
    }
    expect(thrown(() => groupBy(params, () => ({ params: 1 })))).toBe(
      'TypeError: groupBy: options("fc.bias").params: 1, expected options alone',
    );
    const fault = new Error('mine');
    expect(() =>
      groupBy(params, () => {
        throw fault;
      }),
    ).toThrow(fault);
  });

  test('the optimizer checks the options of the groups', () => {
    expect(thrown(() => new Adam(groupBy({ w: f32(1) }, () => ({ weightDeca: 0 }))))).toBe(
      'TypeError: Adam: weightDeca: unknown option, expected weightDecay (it has lr, betas, eps, amsgrad, biasCorrection, rowWise, rowSteps, weightDecay, cautious, maximize, clipValue)',
    );
  });

  test('the function gets the name and the param', () => {
    const params = { w: f32(1), b: { data: f32(1, 2), shape: [2, 1] } };
    const seen: unknown[] = [];
    groupBy(params, (...args: unknown[]) => void seen.push(args));
    expect(seen).toEqual([
      ['w', params.w],
      ['b', params.b],
    ]);
  });
});
