// Ensemble and majorityVote: every wrong argument is refused, in the library's error shape.
import { describe, expect, expectTypeOf, test } from 'vitest';
import * as ensembles from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { detached, thrown } from '../../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const e = ensembles as any;

const a = f32(1, 2, 3, 4, 5, 6);

test('majorityVote of no rows is empty, whatever the number of classes', () => {
  const none = new Float32Array(0);
  for (const classes of [1, 3, 2 ** 53 - 1])
    expect(e.majorityVote([none, none], { classes })).toEqual(new Int32Array(0));
});

test('averagePredictions of no rows is empty, whatever the number of classes', () => {
  const options = { from: 'logits', classes: 2 ** 53 - 1 } as const;
  expect(e.averagePredictions([new Float32Array(0)], options)).toEqual(new Float32Array(0));
});

test('majorityVote refuses NaN, which has no order', () => {
  const nan = f32(1, 2, 3, 1, Number.NaN, 3);
  expect(thrown(() => e.majorityVote([a, nan], { classes: 3 }))).toBe(
    'RangeError: majorityVote: members[1]: NaN in row 1, expected values to compare',
  );
  expect([...e.majorityVote([a, nan], { classes: 3, weights: [1, 0] })]).toEqual([2, 2]);
});

describe('with classes, the members must hold probabilities', () => {
  const logits = f32(2, -1, 0);
  const p = f32(1.0000002, -1e-7, Number.NaN);

  test('logits are refused, and nothing is written', async () => {
    const out = f32(7, 7, 7);
    const message = "expected a probability in [0, 1] (or from: 'logits')";
    expect(thrown(() => e.averagePredictions([p, logits], { classes: 3, out }))).toBe(
      `RangeError: averagePredictions: members[1][0]: 2, ${message}`,
    );
    expect([...out]).toEqual([7, 7, 7]);
    const ensemble = new e.Ensemble([() => p, () => f32(0, -1, 0)], { classes: 3 });
    await expect(ensemble.predict(logits)).rejects.toThrow(`Ensemble: members[1](x)[1]: -1, ${message}`);
  });

  test('rounding, NaN, members of weight 0, a vote, logits and other outputs are allowed', async () => {
    expect(e.averagePredictions([p, logits], { classes: 3, weights: [1, 0] })).toEqual(p);
    expect([...(await new e.Ensemble([() => logits], { classes: 3, vote: true }).predict(p))]).toEqual([0]);
    expect(e.averagePredictions([logits], { classes: 3, from: 'logits' })[0]).toBeCloseTo(0.8438);
    expect(e.averagePredictions([logits])).toEqual(logits);
  });
});

describe('Ensemble', () => {
  test.each<[unknown, string]>([
    [() => a, 'TypeError: Ensemble: members: a function, expected a list of functions'],
    [[], 'RangeError: Ensemble: members: nothing, expected at least one function'],
    [[() => a, a], 'TypeError: Ensemble: members[1]: Float32Array(6), expected a function (x) => Float32Array'],
    [[() => a, ,], 'TypeError: Ensemble: members[1]: undefined, expected a function (x) => Float32Array'],
  ])('invalid argument %# is refused', (members, message) => {
    expect(thrown(() => new e.Ensemble(members))).toBe(message);
  });

  test('vote must be true or false', () => {
    expect(thrown(() => new e.Ensemble([() => a], { vote: 'hard', classes: 3 }))).toBe(
      'TypeError: Ensemble: vote: "hard", expected true or false',
    );
  });

  const rejected = async (members: unknown[], options = {}) =>
    String(await new e.Ensemble(members, options).predict(a).catch((error: unknown) => error));

  test('an invalid prediction of a member is refused, and the error names the member', async () => {
    expect(await rejected([() => a, () => [1, 2]])).toBe(
      'TypeError: Ensemble: members[1](x): [1, 2], expected a Float32Array (convert it with Float32Array.from(…))',
    );
    expect(await rejected([() => a, async () => undefined])).toBe(
      'TypeError: Ensemble: members[1](x): undefined, expected a Float32Array',
    );
    expect(await rejected([async () => detached(6)])).toMatch(
      /^TypeError: Ensemble: members\[0\]\(x\): a detached Float32Array, /,
    );
    expect(await rejected([() => a, async () => f32(1)])).toBe(
      'RangeError: Ensemble: members[1](x): length 1, expected 6',
    );
    expect(await rejected([() => a], { from: 'logits', classes: 4 })).toBe(
      'RangeError: Ensemble: members[0](x): length 6, expected a multiple of 4 (rows of classes)',
    );
    expect(await rejected([() => a], { classes: 4 })).toBe(
      'RangeError: Ensemble: members[0](x): length 6, expected a multiple of 4 (rows of classes)',
    );
    expect(await rejected([() => a, () => f32(Number.NaN)], { vote: true, classes: 1 })).toMatch(
      /length 1, expected 6/,
    );
    expect(await rejected([() => f32(Number.NaN)], { vote: true, classes: 1 })).toBe(
      'RangeError: Ensemble: members[0](x): NaN in row 0, expected values to compare',
    );
  });

  test('an error of a member rejects predict() as it is, and no other rejection stays unhandled', async () => {
    const error = new Error('out of memory');
    const unhandled: unknown[] = [];
    const listen = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listen);
    const members = [
      async () => Promise.reject(error),
      () => {
        throw error;
      },
    ];
    await expect(new e.Ensemble(members).predict(a)).rejects.toBe(error);
    await expect(new e.Ensemble([...members].reverse()).predict(a)).rejects.toBe(error);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', listen);
    expect(unhandled, 'unhandled rejections').toEqual([]);
  });

  test('later changes to the lists of members and weights have no effect', async () => {
    const members = [() => f32(1), () => f32(3)];
    const weights = [1, 3];
    const ensemble = new ensembles.Ensemble(members, { weights });
    members.pop();
    weights[0] = 100;
    expect([...(await ensemble.predict(a))]).toEqual([2.5]);
  });

  test('types: the prediction follows the option vote, and x follows the members', () => {
    expectTypeOf(new ensembles.Ensemble([(x) => x]).predict).toEqualTypeOf<
      (x: Float32Array) => Promise<Float32Array>
    >();
    expectTypeOf(
      new ensembles.Ensemble([async (x: string) => f32(x.length)], { from: 'logits', classes: 1 }).predict,
    ).toEqualTypeOf<(x: string) => Promise<Float32Array>>();
    expectTypeOf(
      new ensembles.Ensemble([() => a], { vote: true, classes: 3 }).predict(a),
    ).resolves.toEqualTypeOf<Int32Array>();
    expectTypeOf(new ensembles.Ensemble([() => a], { vote: false }).predict(a)).resolves.toEqualTypeOf<Float32Array>();
  });
});
