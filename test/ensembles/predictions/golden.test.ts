import { describe, expect, test } from 'vitest';
import { averageLogits, averagePredictions, Ensemble, majorityVote } from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { agrees, softmax, sum, weighted, weights } from '../../support/ensembles.js';
import { numbers } from '../../support/random.js';

const classes = 5;

const logits = [1, 2, 3].map((seed) => numbers(7 * classes, seed, 6));

const probabilities = logits.map((z) => Float32Array.from(softmax(z, classes)));

describe('averages of predictions', () => {
  const even = [1, 1, 1];
  const truth = {
    probabilities: (a: readonly number[]) => weighted(probabilities, a),
    'softmax of logits': (a: readonly number[]) =>
      weighted(
        logits.map((z) => softmax(z, classes)),
        a,
      ),
    logits: (a: readonly number[]) => weighted(logits, a),
  };
  const library = {
    probabilities: (w?: number[]) => averagePredictions(probabilities, { weights: w }),
    'softmax of logits': (w?: number[]) => averagePredictions(logits, { from: 'logits', classes, weights: w }),
    logits: (w?: number[]) => averageLogits(logits, { weights: w }),
  };
  const kinds = Object.keys(truth) as (keyof typeof truth)[];

  test.each(kinds)('%s: within half an ulp', (kind) => {
    expect(agrees(library[kind](), truth[kind](even), 1e-14)).toBe(true);
    expect(agrees(library[kind](weights), truth[kind](weights), 1e-14)).toBe(true);
  });

  test.each(kinds)('%s: another formula is told apart', (kind) => {
    const wrong = {
      'weights not normalised': truth[kind](weights).map((v) => v * sum(weights)),
      'weights left out': truth[kind](even),
      'weights of other members': truth[kind]([...weights].reverse()),
      'float32 sums': [...probabilities[0]!].map((_, i) => {
        const arrays =
          kind === 'logits'
            ? logits
            : kind === 'probabilities'
              ? probabilities
              : logits.map((z) => softmax(z, classes));
        return arrays.reduce(
          (s, array, k) => Math.fround(s + Math.fround(Math.fround(weights[k]! / sum(weights)) * array[i]!)),
          0,
        );
      }),
    };
    for (const [name, values] of Object.entries(wrong))
      expect(agrees(library[kind](weights), values, 1e-14), name).toBe(false);
  });

  test('softmax comes before the mean, and is taken row by row', () => {
    const actual = averagePredictions(logits, { from: 'logits', classes });
    const product = softmax(averageLogits(logits), classes);
    expect(agrees(actual, product, 1e-3)).toBe(false);
    expect(
      agrees(
        actual,
        weighted(
          logits.map((z) => softmax(z, z.length)),
          even,
        ),
        1e-3,
      ),
    ).toBe(false);
  });

  test('by hand', () => {
    expect([...averagePredictions([f32(0.5, 0.25, 0.25), f32(0, 0.75, 0.25)])]).toEqual([0.25, 0.5, 0.25]);
    expect([...averagePredictions([f32(1, 0), f32(0, 1)], { weights: [6, 2] })]).toEqual([0.75, 0.25]);
    expect([...averagePredictions([f32(3, 3, -50, -50), f32(0, 0, 9, 9)], { from: 'logits', classes: 2 })]).toEqual([
      0.5, 0.5, 0.5, 0.5,
    ]);
    const [p, q] = averagePredictions([f32(0, Math.log(3))], { from: 'logits', classes: 2 });
    expect(p).toBeCloseTo(0.25, 7);
    expect(q).toBeCloseTo(0.75, 7);
    expect([...averageLogits([f32(4, -2), f32(0, 2)])]).toEqual([2, 0]);
    expect([...averagePredictions([f32(), f32()])]).toEqual([]);
  });

  test('large logits', () => {
    const big = [f32(1e4, -1e4, 0), f32(-1e4, 1e4, 1e4), f32(3e38, -3e38, 3e38)];
    expect([...averagePredictions(big.slice(0, 1), { from: 'logits', classes: 3 })]).toEqual([1, 0, 0]);
    expect([...averagePredictions(big.slice(1, 2), { from: 'logits', classes: 3 })]).toEqual([0, 0.5, 0.5]);
    expect([...averagePredictions(big.slice(2), { from: 'logits', classes: 3 })]).toEqual([0.5, 0, 0.5]);
    expect([...averagePredictions([f32(-1e4, -1e4)], { from: 'logits', classes: 2 })]).toEqual([0.5, 0.5]);
    expect([...averageLogits([f32(3e38), f32(3e38)])]).toEqual([Math.fround(3e38)]);
    // A masked class has probability 0, and a row of only such has none.
    expect([...averagePredictions([f32(Number.NEGATIVE_INFINITY, 0)], { from: 'logits', classes: 2 })]).toEqual([0, 1]);
    expect([...averagePredictions([f32(Number.NEGATIVE_INFINITY)], { from: 'logits', classes: 1 })]).toEqual([
      Number.NaN,
    ]);
  });

  test('a sum in float32 would lose the small ones', () => {
    expect(averageLogits([f32(2 ** 25), f32(1), f32(1), f32(-(2 ** 25))])[0]).toBe(0.5);
  });

  test('weights that would overflow or vanish in their sum', () => {
    expect([...averageLogits([f32(1), f32(3)], { weights: [1e308, 1e308] })]).toEqual([2]);
    expect([...averageLogits([f32(1), f32(3)], { weights: [5e-324, 5e-324] })]).toEqual([2]);
  });

  test('NaN goes through, but for a member of weight 0', () => {
    expect([...averagePredictions([f32(Number.NaN, 1), f32(0, 1)])]).toEqual([Number.NaN, 1]);
    expect([...averagePredictions([f32(Number.NaN, 1), f32(0, 0.5)], { weights: [0, 1] })]).toEqual([0, 0.5]);
    expect([...averagePredictions([f32(Number.NaN, 1, 0, 0)], { from: 'logits', classes: 2 })]).toEqual([
      Number.NaN,
      Number.NaN,
      0.5,
      0.5,
    ]);
  });

  test('more elements than a block', () => {
    const long = [4, 5].map((seed) => numbers(2500, seed));
    expect(agrees(averageLogits(long), weighted(long, [1, 1]), 1e-15)).toBe(true);
  });
});

describe('majorityVote', () => {
  const vote = (members: Float32Array[], n: number, w?: number[]) => [
    ...majorityVote(members, { classes: n, weights: w }),
  ];

  test('by hand', () => {
    const a = f32(0.5, 0.3, 0.2, 0.1, 0.2, 0.7);
    const b = f32(0.1, 0.8, 0.1, 0.3, 0.3, 0.4);
    const c = f32(-1, 4, 2, 9, 8, 7);
    expect(vote([a, b, c], 3)).toEqual([1, 2]);
    expect(vote([a, b], 3)).toEqual([0, 2]); // a tie of votes
    expect(vote([f32(0.4, 0.4, 0.2)], 3)).toEqual([0]); // a tie of values
    expect(vote([a, b, c], 3, [3, 1, 1])).toEqual([0, 2]);
    expect(vote([a, b, c], 3, [1, 1, 2])).toEqual([1, 0]); // 2 : 2 in the second row
    expect(vote([f32(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY)], 2)).toEqual([0]);
    expect(vote([f32(-5, -3, Number.POSITIVE_INFINITY)], 3)).toEqual([2]);
    expect(vote([f32()], 3)).toEqual([]);
    expect(majorityVote([a], { classes: 3 })).toBeInstanceOf(Int32Array);
  });

  test('is not the likeliest class of the mean', () => {
    const members = [f32(0.6, 0.4), f32(0.6, 0.4), f32(0, 1)];
    expect(vote(members, 2)).toEqual([0]);
    const average = averagePredictions(members);
    expect(average[1]!).toBeGreaterThan(average[0]!);
  });
});

describe('Ensemble', () => {
  test('is the average, or the vote, of what its members give', async () => {
    const members = logits.map((z, i) => (i === 1 ? async () => z : () => z));
    expect(await new Ensemble(members).predict(f32())).toEqual(averageLogits(logits));
    expect(await new Ensemble(members, { from: 'logits', classes, weights }).predict(f32())).toEqual(
      averagePredictions(logits, { from: 'logits', classes, weights }),
    );
    expect(await new Ensemble(members, { vote: true, classes, weights }).predict(f32())).toEqual(
      majorityVote(logits, { classes, weights }),
    );
  });

  test('all members are called with the same x, before the first has answered', async () => {
    const seen: unknown[] = [];
    let answer = (_: Float32Array) => {};
    const first = (x: unknown) => {
      seen.push(x);
      return new Promise<Float32Array>((resolve) => {
        answer = resolve;
      });
    };
    const second = (x: unknown) => {
      seen.push(x);
      return f32(3);
    };
    const x = { any: 'input' };
    const prediction = new Ensemble([first, second]).predict(x);
    expect(seen).toEqual([x, x]);
    expect(seen[0]).toBe(x);
    expect(seen[1]).toBe(x);
    answer(f32(1));
    expect([...(await prediction)]).toEqual([2]);
  });

  test('members may write to one array', async () => {
    const shared = f32(0);
    const member = (value: number) => () => shared.fill(value);
    const ensemble = new Ensemble([member(1), member(3), async () => f32(5)]);
    const prediction = await ensemble.predict(f32());
    expect([...prediction]).toEqual([3]);
    expect(prediction).not.toBe(shared);
    expect([...shared]).toEqual([3]); // the last member's, not the mean
  });
});
