// LossScale: the order of calls, every wrong argument is refused in the library's error shape and changes nothing.
import { describe, expect, test } from 'vitest';
import { allocate } from '../../../lib/index.js';
import { Adam, Lookahead, ScheduleFreeSGD, SGD } from '../../../lib/optimizers/index.js';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { type Any, notNumbers, thrown } from '../../support/bad-input.js';

const { LossScale } = training as Any;

const sgd = (options = {}) => new SGD(f32(1, 2), { lr: 1, ...options });
const finite = f32(1, 1);
const bad = f32(1, Number.POSITIVE_INFINITY);

describe('options', () => {
  test('the defaults are those of PyTorch', () => {
    const defaults = { scale: 65536, growthFactor: 2, backoffFactor: 0.5, growthInterval: 2000, growthTracker: 0 };
    expect(new LossScale().stateDict()).toEqual(defaults);
    const off = { initScale: undefined, growthFactor: undefined, backoffFactor: undefined, growthInterval: undefined };
    expect(new LossScale(off).stateDict()).toEqual(defaults);
    expect(new LossScale().value).toBe(65536);
  });

  test.each([
    ['initScale', 'a number in (0, inf)', '(0, inf)', [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-60]],
    ['growthFactor', 'a number in (1, inf)', '(1, inf)', [1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]],
    ['backoffFactor', 'a number in (0, 1)', '(0, 1)', [0, 1, -1, 2, Number.NaN]],
    ['growthInterval', 'an integer in [1, inf)', 'an integer in [1, inf)', [0, -1, 1.5, Number.NaN]],
  ])('%s must be %s', (name, number, range, outside) => {
    for (const [value, shown] of notNumbers)
      expect(thrown(() => new LossScale({ [name]: value }))).toBe(
        `TypeError: LossScale: ${name}: ${shown}, expected ${number}`,
      );
    for (const value of outside)
      expect(thrown(() => new LossScale({ [name]: value }))).toBe(
        `RangeError: LossScale: ${name}: ${value === 1e-60 ? 0 : value}, expected ${range}`,
      );
  });

  test('the scale is a float32', () => {
    expect(new LossScale({ initScale: 0.1 }).value).toBe(Math.fround(0.1));
    expect(thrown(() => new LossScale({ initScale: 1e300 }))).toMatch(
      /^RangeError: LossScale: initScale: 1e\+300, expected a number that is finite in float32/,
    );
  });

  test('an unknown option is refused', () => {
    expect(thrown(() => new LossScale({ initscale: 1 }))).toMatch(/^TypeError: LossScale: initscale: unknown option/);
    for (const options of [null, 65536, [65536]])
      expect(thrown(() => new LossScale(options))).toMatch(/^TypeError: LossScale: options: /);
  });
});

describe('scale', () => {
  test('multiplies a number', () => {
    const lossScale = new LossScale({ initScale: 8 });
    expect(lossScale.scale(0.25)).toBe(2);
    expect(lossScale.scale(Number.NaN)).toBeNaN();
    for (const loss of [undefined, '1', f32(1)])
      expect(thrown(() => lossScale.scale(loss))).toMatch(/^TypeError: LossScale: loss: .*, expected a number$/);
  });
});

describe('step and update', () => {
  test('update needs a step', () => {
    const lossScale = new LossScale();
    const refusal = 'TypeError: LossScale: update: no step since the last update, expected a call of step() first';
    expect(thrown(() => lossScale.update())).toBe(refusal);
    lossScale.step(sgd(), finite);
    lossScale.update();
    expect(thrown(() => lossScale.update())).toBe(refusal);
    expect(lossScale.stateDict().growthTracker).toBe(1);
  });

  test('an optimizer steps once between two updates, alone or in a Lookahead', () => {
    const lossScale = new LossScale();
    const [inner, other] = [sgd(), sgd()];
    const lookahead = new Lookahead(inner);
    lossScale.step(lookahead, finite);
    for (const again of [lookahead, inner])
      expect(thrown(() => lossScale.step(again, finite))).toBe(
        'TypeError: LossScale: optimizer: one that has stepped since the last update, expected a call of update() first',
      );
    expect(inner.stepCount).toBe(1);
    lossScale.step(other, finite);
    lossScale.update();
    expect(lossScale.stateDict().growthTracker).toBe(1);
    expect(lossScale.step(inner, finite).applied).toBe(true);
  });

  test('one skipped step of several optimizers shrinks the scale once, and the others are applied', () => {
    const lossScale = new LossScale({ initScale: 8, growthInterval: 2 });
    const optimizers = [sgd(), sgd(), sgd()];
    const applied = (grads: Float32Array[]) => optimizers.map((o, i) => lossScale.step(o, grads[i]).applied);
    expect(applied([finite, finite, finite])).toEqual([true, true, true]);
    lossScale.update();
    expect(lossScale.stateDict().growthTracker).toBe(1);
    expect(applied([bad, finite, bad])).toEqual([false, true, false]);
    lossScale.update();
    expect(lossScale.stateDict()).toMatchObject({ scale: 4, growthTracker: 0 });
    expect(optimizers.map(({ skippedSteps }) => skippedSteps)).toEqual([1, 0, 1]);
  });

  test('skipNonFinite of the optimizer does not matter, and it counts the skipped step', () => {
    for (const skipNonFinite of [false, true]) {
      const w = f32(1, 2);
      const adam = new Adam(w, { skipNonFinite });
      const lossScale = new LossScale({ initScale: 2 });
      expect(lossScale.step(adam, bad)).toEqual({ applied: false, gradNorm: Number.POSITIVE_INFINITY });
      expect([[...w], adam.stepCount, adam.skippedSteps]).toEqual([[1, 2], 0, 1]);
      lossScale.update();
      expect(lossScale.value).toBe(1);
      expect(lossScale.step(adam, f32(3, 4))).toEqual({ applied: true, gradNorm: 5 });
    }
    // A step without the LossScale is as before.
    const adam = new Adam(f32(1, 2));
    new LossScale().step(adam, bad);
    expect(adam.step(bad)).toEqual({ applied: true });
  });

  test('growth stops before Infinity, and the scale may shrink to 0, where every step is skipped', () => {
    const lossScale = new LossScale({ initScale: 3e38, growthInterval: 1, backoffFactor: 1e-30 });
    const optimizer = sgd();
    lossScale.step(optimizer, finite);
    lossScale.update();
    expect(lossScale.value).toBe(Math.fround(3e38));
    for (let s = 0; s < 4; s++) {
      lossScale.step(optimizer, bad);
      lossScale.update();
    }
    expect(lossScale.value).toBe(0);
    expect(lossScale.step(optimizer, f32(0, 0)).applied).toBe(false);
    lossScale.update();
    expect(lossScale.value).toBe(0);
    expect(optimizer.stepCount).toBe(1);
  });

  test('gradients that are all null are finite', () => {
    const lossScale = new LossScale();
    expect(lossScale.step(sgd(), null)).toEqual({ applied: true, gradNorm: 0 });
  });

  test('it steps optimizers only', () => {
    const lossScale = new LossScale();
    for (const [value, shown] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [{}, 'an object'],
      [{ step: () => ({ applied: true }) }, 'an object'],
    ] as const)
      expect(thrown(() => lossScale.step(value, finite))).toBe(
        `TypeError: LossScale: optimizer: ${shown}, expected an optimizer`,
      );
  });

  test('a step that throws counts as none', async () => {
    const lossScale = new LossScale();
    const optimizer = sgd();
    expect(thrown(() => lossScale.step(optimizer, f32(1)))).toBe('RangeError: SGD: grads: length 1, expected 2');
    expect(thrown(() => lossScale.update())).toMatch(/no step since the last update/);
    expect(lossScale.step(optimizer, finite).applied).toBe(true);
    const scheduleFree = new ScheduleFreeSGD(f32(1), { lr: 1 });
    scheduleFree.step(f32(1));
    scheduleFree.dispose();
    expect(thrown(() => lossScale.step(scheduleFree, f32(1)))).toMatch(/disposed/);
    const [w, g] = [allocate(2), allocate(2)];
    const busy = new SGD(w, { lr: 1 });
    const pending = busy.stepAsync(g);
    expect(thrown(() => lossScale.step(busy, g))).toMatch(/step in flight/);
    await pending;
    expect(lossScale.step(busy, g).applied).toBe(true);
  });

  test('zeroGrads zeroes the gradients of a skipped step too', () => {
    const grad = bad.slice();
    new LossScale().step(sgd({ zeroGrads: true }), grad);
    expect([...grad]).toEqual([0, 0]);
  });
});

describe('loadStateDict', () => {
  test('takes over the options, and forgets the steps since the last update', () => {
    const lossScale = new LossScale();
    const optimizer = sgd();
    lossScale.step(optimizer, bad);
    const dict = { scale: 0, growthFactor: 3, backoffFactor: 0.25, growthInterval: 7, growthTracker: 6 };
    lossScale.loadStateDict(dict);
    expect(lossScale.stateDict()).toEqual(dict);
    expect(thrown(() => lossScale.update())).toMatch(/no step since the last update/);
    lossScale.step(optimizer, null);
    lossScale.loadStateDict({ ...dict, scale: 8 });
    lossScale.step(optimizer, finite);
    lossScale.update();
    expect(lossScale.stateDict()).toEqual({ ...dict, scale: 24, growthTracker: 0 });
  });

  test('a dict that does not fit is refused and changes nothing', () => {
    const lossScale = new LossScale({ initScale: 4, growthInterval: 5 });
    lossScale.step(sgd(), finite);
    lossScale.update();
    const before = lossScale.stateDict();
    const other = { scale: 1, growthFactor: 3, backoffFactor: 0.1, growthInterval: 2, growthTracker: 0 };
    for (const [name, value, kind] of [
      ['scale', -1, 'RangeError'],
      ['scale', Number.POSITIVE_INFINITY, 'RangeError'],
      ['scale', '1', 'TypeError'],
      ['growthFactor', 1, 'RangeError'],
      ['backoffFactor', 1, 'RangeError'],
      ['growthInterval', 0, 'RangeError'],
      ['growthTracker', -1, 'RangeError'],
      ['growthTracker', 0.5, 'RangeError'],
      ['growthTracker', null, 'TypeError'],
    ] as const) {
      expect(thrown(() => lossScale.loadStateDict({ ...other, [name]: value }))).toMatch(
        new RegExp(`^${kind}: LossScale.loadStateDict: ${name}: `),
      );
    }
    for (const name of Object.keys(other))
      expect(thrown(() => lossScale.loadStateDict({ ...other, [name]: undefined }))).toMatch(
        new RegExp(`^TypeError: LossScale.loadStateDict: ${name}: undefined`),
      );
    expect(thrown(() => lossScale.loadStateDict({ ...other, _growth_tracker: 0 }))).toMatch(/unknown option/);
    for (const dict of [null, undefined, 1, []])
      expect(thrown(() => lossScale.loadStateDict(dict))).toMatch(/^TypeError: LossScale.loadStateDict: /);
    expect(lossScale.stateDict()).toEqual(before);
  });
});
