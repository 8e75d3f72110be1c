// ReduceOnPlateau: every wrong argument is refused, in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import { SGD } from '../../../lib/optimizers/index.js';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { notNumbers, thrown } from '../../support/bad-input.js';

// What TypeScript would refuse is half of what is tested here.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { ReduceOnPlateau } = training as any;

const schedule = () => 0.1;

const noNumbers = [[undefined, 'undefined'], [schedule, 'function schedule'], ...notNumbers] as const;

describe('ReduceOnPlateau', () => {
  const optimizer = () => ({ paramGroups: [{ lr: 1 }, { lr: 0.5 }] });

  test('the optimizer has groups with a numeric lr', () => {
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [0.1, '0.1'],
      [{}, 'an object'],
      [f32(1), 'Float32Array(1)'],
    ] as const) {
      expect(thrown(() => new ReduceOnPlateau(bad))).toBe(
        `TypeError: ReduceOnPlateau: optimizer: ${shown}, expected an optimizer`,
      );
    }
    const scheduled = new SGD([
      { params: f32(1), lr: 1 },
      { params: f32(1), lr: schedule },
    ]);
    expect(thrown(() => new ReduceOnPlateau(scheduled))).toBe(
      'TypeError: ReduceOnPlateau: optimizer.paramGroups[1].lr: function schedule, expected a number (a Schedule sets lr by itself)',
    );
    const disposed = new SGD(f32(1), { lr: 1 });
    disposed.dispose();
    expect(thrown(() => new ReduceOnPlateau(disposed))).toBe(
      'TypeError: SGD: this: a disposed optimizer, expected one that is not disposed',
    );
  });

  const numbers = [
    ['factor', '[0, 1)', [-0.1, 1, Number.NaN]],
    ['patience', 'an integer in [0, inf)', [-1, 1.5, Number.POSITIVE_INFINITY]],
    ['threshold', '[0, inf)', [-1, Number.NaN, Number.POSITIVE_INFINITY]],
    ['cooldown', 'an integer in [0, inf)', [-1, 0.5, Number.NaN]],
    ['min', '[0, inf)', [-1, Number.NaN]],
    ['eps', '[0, inf)', [-1e-9, Number.POSITIVE_INFINITY]],
  ] as const;

  test.each(numbers)('%s in %s', (name, range, outside) => {
    const number = range.startsWith('an integer') ? range : `a number in ${range}`;
    for (const [value, shown] of noNumbers.slice(1)) {
      if (name === 'min' && Array.isArray(value)) continue;
      expect(thrown(() => new ReduceOnPlateau(optimizer(), { [name]: value }))).toBe(
        `TypeError: ReduceOnPlateau: ${name}: ${shown}, expected ${number}`,
      );
    }
    for (const value of outside) {
      expect(thrown(() => new ReduceOnPlateau(optimizer(), { [name]: value }))).toBe(
        `RangeError: ReduceOnPlateau: ${name}: ${value}, expected ${range}`,
      );
    }
  });

  test('its names and lists', () => {
    const make = (options: unknown) => thrown(() => new ReduceOnPlateau(optimizer(), options));
    expect(make({ mode: 'low' })).toBe('RangeError: ReduceOnPlateau: mode: "low", expected "min" or "max"');
    expect(make({ mode: 1 })).toBe('TypeError: ReduceOnPlateau: mode: 1, expected "min" or "max"');
    expect(make({ thresholdMode: 'relative' })).toBe(
      'RangeError: ReduceOnPlateau: thresholdMode: "relative", expected "rel" or "abs"',
    );
    expect(make({ min: [0.1] })).toBe('RangeError: ReduceOnPlateau: min: length 1, expected 2, one for each group');
    expect(make({ min: [0.1, -1] })).toBe('RangeError: ReduceOnPlateau: min[1]: -1, expected [0, inf)');
    expect(make({ min: [0.1, '1'] })).toBe('TypeError: ReduceOnPlateau: min[1]: "1", expected a number in [0, inf)');
    expect(make({ patiense: 3 })).toBe(
      'TypeError: ReduceOnPlateau: patiense: unknown option, expected patience (it has mode, factor, patience, threshold, thresholdMode, cooldown, min, eps)',
    );
    expect(make(null)).toMatch(/^TypeError: ReduceOnPlateau: options: null, expected an object with mode, /);
    expect(make({ mode: undefined, factor: undefined, min: undefined })).toBe('nothing was thrown');
  });

  test('a refused update changes nothing', () => {
    const it = optimizer();
    const plateau = new ReduceOnPlateau(it, { patience: 0, min: [0, 0] });
    plateau.update(1);
    const state = plateau.stateDict();
    for (const [value, shown] of noNumbers) {
      expect(thrown(() => plateau.update(value))).toBe(
        `TypeError: ReduceOnPlateau: metric: ${shown}, expected a number`,
      );
    }
    const groups = it.paramGroups as { lr: unknown }[];
    (groups[1] as { lr: unknown }).lr = schedule;
    expect(thrown(() => plateau.update(2))).toBe(
      'TypeError: ReduceOnPlateau: optimizer.paramGroups[1].lr: function schedule, expected a number (a Schedule sets lr by itself)',
    );
    (groups[1] as { lr: unknown }).lr = 0.5;
    groups.push({ lr: 0.5 });
    expect(thrown(() => plateau.update(2))).toBe(
      'RangeError: ReduceOnPlateau: min: length 2, expected 3, one for each group',
    );
    groups.pop();
    expect(plateau.stateDict()).toEqual(state);
    expect(it).toEqual(optimizer());
    expect(plateau.update(2)).toBe(true);
  });

  test('groups that are added later share a single min', () => {
    const it = optimizer();
    const plateau = new ReduceOnPlateau(it, { patience: 0, min: 0.2 });
    it.paramGroups.push({ lr: 0.1 });
    for (const metric of [1, 1]) plateau.update(metric);
    expect(it.paramGroups.map(({ lr }) => lr)).toEqual([0.2, 0.2, 0.1]);
  });

  test('loadStateDict is all or nothing', () => {
    const plateau = new ReduceOnPlateau(optimizer(), { patience: 1, min: [0, 0.1] });
    plateau.update(3);
    plateau.update(4);
    const state = plateau.stateDict();
    expect(state).toEqual({
      mode: 'min',
      factor: 0.1,
      patience: 1,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      min: [0, 0.1],
      eps: 1e-8,
      best: 3,
      numBadEpochs: 1,
      cooldownCounter: 0,
    });
    const who = 'ReduceOnPlateau.loadStateDict';
    for (const [change, message] of [
      [{ best: '3' }, `TypeError: ${who}: best: "3", expected a number or null`],
      [{ best: undefined }, `TypeError: ${who}: best: undefined, expected a number or null`],
      [{ best: Number.NaN }, `RangeError: ${who}: best: NaN, expected a number or null`],
      [{ numBadEpochs: -1 }, `RangeError: ${who}: numBadEpochs: -1, expected an integer in [0, inf)`],
      [
        { cooldownCounter: undefined },
        `TypeError: ${who}: cooldownCounter: undefined, expected an integer in [0, inf)`,
      ],
      [{ patience: undefined }, `TypeError: ${who}: patience: undefined, expected what stateDict gives`],
      [{ factor: 1 }, `RangeError: ${who}: factor: 1, expected [0, 1)`],
      [{ min: [0] }, `RangeError: ${who}: min: length 1, expected 2, one for each group`],
      [
        { bset: 1 },
        `TypeError: ${who}: bset: unknown option, expected best (it has mode, factor, patience, threshold, thresholdMode, cooldown, min, eps, best, numBadEpochs, cooldownCounter)`,
      ],
    ] as const) {
      expect(thrown(() => plateau.loadStateDict({ ...state, mode: 'max', ...change }))).toBe(message);
      expect(plateau.stateDict()).toEqual(state);
    }
    expect(thrown(() => plateau.loadStateDict(null))).toMatch(
      `TypeError: ${who}: options: null, expected an object with mode, `,
    );
    // A copy in both directions.
    const min = [0, 0];
    plateau.loadStateDict({ ...state, min });
    min[0] = 9;
    plateau.stateDict().min[0] = 9;
    expect(plateau.stateDict().min).toEqual([0, 0]);
  });
});
