import { describe, expect, test } from 'vitest';
import { averageLogits, averagePredictions, majorityVote } from '../../../lib/ensembles/index.js';
import { array, bits, ensemble, half, largest, list, near, weight } from '../../support/ensembles.js';
import fc from '../../support/property.js';

type Sample = { classes: number; rows: number; members: Float32Array[]; weights: number[] };

const averages: Record<string, (s: Sample, out?: Float32Array) => Float32Array> = {
  'averagePredictions from probabilities': ({ members, weights }, out) => averagePredictions(members, { weights, out }),
  'averagePredictions from logits': ({ members, weights, classes }, out) =>
    averagePredictions(members, { from: 'logits', classes, weights, out }),
  averageLogits: ({ members, weights }, out) => averageLogits(members, { weights, out }),
};

describe.each(Object.entries(averages))('%s', (_name, average) => {
  test('weights are normalised: their scale is of no account', () =>
    fc.assert(
      fc.property(ensemble, fc.integer({ min: -40, max: 40 }), (sample, exponent) => {
        const scaled = { ...sample, weights: sample.weights.map((w) => w * 2 ** exponent) };
        expect(bits(average(scaled))).toEqual(bits(average(sample)));
      }),
    ));

  test('equal weights are no weights', () =>
    fc.assert(
      fc.property(ensemble, weight, (sample, w) => {
        const none = { ...sample, weights: undefined as unknown as number[] };
        expect(bits(average({ ...sample, weights: sample.members.map(() => w) }))).toEqual(bits(average(none)));
      }),
    ));

  test('the order of the members is of no account, within rounding', () =>
    fc.assert(
      fc.property(ensemble, (sample) => {
        const turned = { ...sample, members: [...sample.members].reverse(), weights: [...sample.weights].reverse() };
        expect(near(average(turned), average(sample), largest(sample.members) + 1)).toBe(true);
      }),
    ));

  test('a member of weight 0 changes nothing', () =>
    fc.assert(
      fc.property(ensemble, (sample) => {
        const nothing = sample.members[0]!.map(() => Number.NaN);
        const more = { ...sample, members: [nothing, ...sample.members], weights: [0, ...sample.weights] };
        expect(bits(average(more))).toEqual(bits(average(sample)));
      }),
    ));

  test('members alike give what one gives, to the bit', () =>
    fc.assert(
      fc.property(ensemble, (sample) => {
        const one = { ...sample, members: sample.members.slice(0, 1), weights: [1] };
        expect(bits(average({ ...sample, members: sample.members.map(() => sample.members[0]!) }))).toEqual(
          bits(average(one)),
        );
      }),
    ));

  test('lies between the members, element by element', () =>
    fc.assert(
      fc.property(ensemble, (sample) => {
        const alone = sample.members.map((m) => average({ ...sample, members: [m], weights: [1] }));
        const result = average(sample);
        for (let i = 0; i < result.length; i++) {
          const column = alone.map((a) => a[i]!);
          expect(result[i]).toBeGreaterThanOrEqual(Math.min(...column));
          expect(result[i]).toBeLessThanOrEqual(Math.max(...column));
        }
      }),
    ));

  test('out may be any of the members; no other is changed', () =>
    fc.assert(
      fc.property(ensemble, fc.nat(4), (sample, which) => {
        const expected = bits(average(sample));
        const before = sample.members.map(bits);
        const k = which % sample.members.length;
        const out = sample.members[k]!;
        expect(average(sample, out)).toBe(out);
        expect(bits(out)).toEqual(expected);
        sample.members.forEach((m, i) => {
          if (i !== k) expect(bits(m)).toEqual(before[i]);
        });
      }),
    ));
});

test('probabilities from logits sum to 1', () =>
  fc.assert(
    fc.property(ensemble, fc.constantFrom(1, 1e3, 1e30), ({ members, weights, classes }, scale) => {
      const p = averagePredictions(
        members.map((m) => m.map((z) => z * scale)),
        { from: 'logits', classes, weights },
      );
      for (let begin = 0; begin < p.length; begin += classes) {
        const row = p.subarray(begin, begin + classes);
        expect(row.every((v) => v >= 0 && v <= 1)).toBe(true);
        expect(Math.abs(row.reduce((a, b) => a + b, 0) - 1)).toBeLessThanOrEqual(classes * half);
      }
    }),
  ));

test('a logit that is added to a whole row changes no probability', () =>
  fc.assert(
    fc.property(ensemble, fc.integer({ min: -500, max: 500 }), ({ members, classes }, shift) => {
      const coarse = members.map((m) => m.map((z) => Math.round(z)));
      const shifted = coarse.map((m) => m.map((z) => z + shift));
      expect(bits(averagePredictions(shifted, { from: 'logits', classes }))).toEqual(
        bits(averagePredictions(coarse, { from: 'logits', classes })),
      );
    }),
  ));

describe('majorityVote', () => {
  // Few values make ties.
  const tied = fc
    .record({
      count: fc.integer({ min: 1, max: 6 }),
      rows: fc.integer({ min: 1, max: 4 }),
      classes: fc.integer({ min: 1, max: 4 }),
    })
    .chain(({ count, rows, classes }) =>
      fc.record({
        classes: fc.constant(classes),
        members: list(count, array(rows * classes, fc.integer({ min: 0, max: 2 }))),
      }),
    );
  const choice = (row: Float32Array) => row.indexOf(Math.max(...row));

  test('is the lowest of the classes with the most votes', () =>
    fc.assert(
      fc.property(tied, ({ members, classes }) => {
        const votes = majorityVote(members, { classes });
        votes.forEach((winner, row) => {
          const choices = members.map((m) => choice(m.subarray(row * classes, (row + 1) * classes)));
          const count = (c: number) => choices.filter((v) => v === c).length;
          for (let c = 0; c < classes; c++)
            expect(c < winner ? count(c) < count(winner) : count(c) <= count(winner)).toBe(true);
        });
      }),
    ));

  test('the order of the members is of no account; a weight is so many members', () =>
    fc.assert(
      fc.property(tied, list(6, fc.integer({ min: 1, max: 4 })), ({ members, classes }, weights) => {
        const used = weights.slice(0, members.length);
        const copies = members.flatMap((m, i) => Array.from({ length: used[i]! }, () => m));
        expect(majorityVote(copies, { classes })).toEqual(majorityVote(members, { classes, weights: used }));
        expect(majorityVote([...members].reverse(), { classes })).toEqual(majorityVote(members, { classes }));
      }),
    ));

  test('probabilities vote as their logits do', () =>
    fc.assert(
      fc.property(tied, ({ members, classes }) => {
        const p = members.map((m) => averagePredictions([m], { from: 'logits', classes }));
        expect(majorityVote(p, { classes })).toEqual(majorityVote(members, { classes }));
      }),
    ));
});
