// lrRangeTest: every wrong argument is refused, in the library's error shape, and all is restored.
import { describe, expect, test } from 'vitest';
import { Adam } from '../../../lib/optimizers/index.js';
import * as training from '../../../lib/training/index.js';
import { f32 } from '../../support/arrays.js';
import { notNumbers, thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { lrRangeTest } = training as any;

const schedule = () => 0.1;

const noNumbers = [[undefined, 'undefined'], [schedule, 'function schedule'], ...notNumbers] as const;

const detachedText = 'a detached Float32Array';

const gone = ' (its buffer was transferred, resized or grown)';

describe('lrRangeTest', () => {
  const setup = () => {
    const w = f32(1, -2);
    const adam = new Adam({ w }, { lr: schedule });
    adam.step({ w: f32(0.5, Number.NaN) });
    const look = () => [[...new Uint32Array(w.buffer)], adam.stateDict(), adam.paramGroups[0]?.lr];
    const train = () => {
      adam.step({ w: f32(1, 1) });
      return 1;
    };
    return { w, adam, look, train };
  };

  test('every invalid argument is refused, and everything is restored', () => {
    const { adam, look, train } = setup();
    const before = look();
    const run = (options: unknown) => thrown(() => lrRangeTest(adam, train, options));
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [{}, 'an object'],
      [f32(1), 'Float32Array(1)'],
    ] as const) {
      expect(thrown(() => lrRangeTest(bad, train))).toBe(
        `TypeError: lrRangeTest: optimizer: ${shown}, expected an optimizer`,
      );
    }
    expect(thrown(() => lrRangeTest(adam, 1))).toBe(
      'TypeError: lrRangeTest: trainStep: 1, expected a function, (i) => loss',
    );
    for (const [name, number] of [
      ['from', 'a number in (0, inf)'],
      ['to', 'a number in (0, inf)'],
      ['steps', 'an integer in [3, inf)'],
    ] as const) {
      for (const [value, shown] of noNumbers.slice(1)) {
        expect(run({ [name]: value })).toBe(`TypeError: lrRangeTest: ${name}: ${shown}, expected ${number}`);
      }
    }
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(run({ from: value })).toBe(`RangeError: lrRangeTest: from: ${value}, expected (0, inf)`);
      expect(run({ to: value })).toBe(`RangeError: lrRangeTest: to: ${value}, expected (0, inf)`);
    }
    for (const value of [2, 3.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(run({ steps: value })).toBe(`RangeError: lrRangeTest: steps: ${value}, expected an integer in [3, inf)`);
    }
    expect(run({ from: 1, to: 1 })).toBe('RangeError: lrRangeTest: to: 1, expected more than from, 1');
    expect(run({ from: 20 })).toBe('RangeError: lrRangeTest: to: 10, expected more than from, 20');
    expect(run({ step: 10 })).toBe(
      'TypeError: lrRangeTest: step: unknown option, expected steps (it has from, to, steps)',
    );
    expect(run(null)).toBe('TypeError: lrRangeTest: options: null, expected an object with from, to, steps');
    expect(look()).toEqual(before);
    adam.dispose();
    expect(run({})).toBe('TypeError: Adam: this: a disposed optimizer, expected one that is not disposed');
  });

  test.each(noNumbers)(
    '%s is refused as a loss, and everything is restored, for a sync and an async trainStep',
    async (value, shown) => {
      const { adam, look, train } = setup();
      const before = look();
      const message = `lrRangeTest: trainStep(1): ${shown}, expected the loss, a number`;
      const trainStep = (i: number) => [train(), value][i];
      expect(thrown(() => lrRangeTest(adam, trainStep))).toBe(`TypeError: ${message}`);
      expect(look()).toEqual(before);
      await expect(lrRangeTest(adam, async (i: number) => trainStep(i))).rejects.toThrow(new TypeError(message));
      expect(look()).toEqual(before);
    },
  );

  test('an error or rejection of trainStep passes through, and everything is restored', async () => {
    const { adam, look, train } = setup();
    const before = look();
    for (const fault of [new Error('no more data'), 'a string', undefined]) {
      const fail = (i: number) => {
        train();
        if (i === 3) throw fault;
        return 1;
      };
      let caught: unknown = 'nothing';
      try {
        lrRangeTest(adam, fail);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBe(fault);
      expect(look()).toEqual(before);

      const later = lrRangeTest(adam, async (i: number) => fail(i));
      expect(adam.paramGroups[0]?.lr).toBe(1e-7); // during the test
      expect(adam.stepCount).toBe(1); // it counts as a new optimizer does
      await expect(later).rejects.toBe(fault);
      expect(look()).toEqual(before);

      // A trainStep that returns a Promise first and throws later.
      await expect(lrRangeTest(adam, (i: number) => (i < 2 ? Promise.resolve(train()) : fail(3)))).rejects.toBe(fault);
      expect(look()).toEqual(before);
    }
  });

  test('a sweep of any number of steps begins at once', () => {
    const { adam } = setup();
    const stop = new Error('enough');
    let i = 0;
    const sweep = () =>
      lrRangeTest(
        adam,
        () => {
          if (++i === 3) throw stop;
          return 1;
        },
        { steps: 2 ** 50 },
      );
    expect(thrown(sweep)).toBe('Error: enough');
    expect(i).toBe(3);
  });

  test("an error of the optimizer's step passes through too", () => {
    const { adam, look, train } = setup();
    const before = look();
    let i = 0;
    const options = { from: 1, to: 2, steps: 5 };
    expect(thrown(() => lrRangeTest(adam, () => (i++ < 2 ? train() : adam.step({ w: f32(1) })), options))).toBe(
      'RangeError: Adam: grads["w"]: length 1, expected 2 ("w")',
    );
    expect(look()).toEqual(before);
  });

  test('the error names weights that were detached during the test', () => {
    const { w, adam } = setup();
    const steal = () => {
      structuredClone(w, { transfer: [w.buffer as ArrayBuffer] });
      return 1;
    };
    expect(thrown(() => lrRangeTest(adam, steal, { steps: 3 }))).toBe(
      `TypeError: lrRangeTest: paramGroups[0].params["w"]: ${detachedText}, expected length 2${gone}`,
    );
  });

  test('trainStep gets the number of the step', () => {
    const { adam } = setup();
    const seen: unknown[] = [];
    lrRangeTest(adam, (...args: unknown[]) => seen.push(args) * 0 + 1, { steps: 3 });
    expect(seen).toEqual([[0], [1], [2]]);
  });
});
