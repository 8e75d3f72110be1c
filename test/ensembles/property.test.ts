import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { engine, withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import {
  averageLogits,
  averagePredictions,
  averageWeights,
  distillationLoss,
  type EmaOptions,
  majorityVote,
  type SwaOptions,
  WeightAverage,
} from '../../lib/ensembles/index.js';

const half = 2 ** -24;
const f = (...values: number[]) => Float32Array.from(values);
const logit = fc.double({ min: -30, max: 30, noNaN: true }).map(Math.fround);
const weight = fc.double({ min: 0.01, max: 100, noNaN: true });
const anyFloat = fc.integer().map((bits) => new Float32Array(Int32Array.of(bits).buffer)[0]!);
const array = (length: number, element = logit) =>
  fc.array(element, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
const list = <T>(length: number, element: fc.Arbitrary<T>) =>
  fc.array(element, { minLength: length, maxLength: length });

/** Members of rows × classes logits, and a weight for each. */
const ensemble = fc
  .record({
    count: fc.integer({ min: 1, max: 5 }),
    rows: fc.integer({ min: 1, max: 4 }),
    classes: fc.integer({ min: 1, max: 6 }),
  })
  .chain(({ count, rows, classes }) =>
    fc.record({
      classes: fc.constant(classes),
      rows: fc.constant(rows),
      members: list(count, array(rows * classes)),
      weights: list(count, weight),
    }),
  );

/** The bits: NaNs are told apart, and 0 from -0. */
const bits = (a: Float32Array) => [...new Uint32Array(a.buffer, a.byteOffset, a.length)];
const near = (a: ArrayLike<number>, b: ArrayLike<number>, scale: number) =>
  Array.from(a, (v, i) => Math.abs(v - b[i]!) <= 4 * half * scale).every(Boolean);
const largest = (members: readonly Float32Array[]) =>
  Math.max(2 ** -100, ...members.flatMap((m) => [...m].map(Math.abs)));

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

test('averageWeights averages each array as averageLogits would', () =>
  fc.assert(
    fc.property(ensemble, ({ members, weights }) => {
      const models = members.map((m) => [m.subarray(0, 1), m.subarray(1)]);
      const expected = averageLogits(members, { weights });
      const [head, tail] = averageWeights(models, { weights }) as [Float32Array, Float32Array];
      expect([...bits(head), ...bits(tail)]).toEqual(bits(expected));
    }),
  ));

describe('WeightAverage', () => {
  const options: fc.Arbitrary<EmaOptions | SwaOptions> = fc.oneof(
    fc.constant({ mode: 'swa' } as const),
    fc.record({ decay: fc.double({ min: 0, max: 0.9999, noNaN: true }), debias: fc.boolean() }),
  );
  /** The weights at each update, in two params. */
  const steps = (element: fc.Arbitrary<number>) =>
    fc
      .record({ length: fc.integer({ min: 1, max: 40 }), count: fc.integer({ min: 1, max: 6 }) })
      .chain(({ length, count }) => list(count, array(length, element)));

  function averaged(walk: Float32Array[], how: EmaOptions | SwaOptions) {
    const w = new Float32Array(walk[0]!.length);
    const average = new WeightAverage({ a: w.subarray(0, 1), b: w.subarray(1) }, how);
    for (const values of walk) {
      w.set(values);
      average.update();
    }
    return { w, average };
  }

  test('swap exchanges the contents, and twice restores the bits, of any float', () =>
    fc.assert(
      fc.property(steps(anyFloat), options, (walk, how) => {
        const { w, average } = averaged(walk, how);
        const before = bits(w);
        const mean = average.params.flatMap(bits);
        average.swap();
        expect(bits(w)).toEqual(mean);
        expect(average.params.flatMap(bits)).toEqual(before);
        average.swap();
        expect(bits(w)).toEqual(before);
        expect(average.params.flatMap(bits)).toEqual(mean);
      }),
    ));

  test('swap moves long arrays whole', () => {
    const length = 40_001; // more than two chunks
    const w = Float32Array.from({ length }, (_, i) => i);
    const average = new WeightAverage([f(-1), w], { mode: 'swa' });
    average.update();
    w.forEach((_, i) => {
      w[i] = -i;
    });
    average.swap();
    expect(w.every((v, i) => v === i)).toBe(true);
    expect(average.params[1]!.every((v, i) => v === -i)).toBe(true);
  });

  test('swapping in between changes no later average', () =>
    fc.assert(
      fc.property(steps(logit), steps(logit), options, (first, later, how) => {
        const walk = [...first, ...later.map((w) => Float32Array.from(first[0]!, (_, i) => w[i % w.length]!))];
        const straight = averaged(walk, how);
        const w = new Float32Array(walk[0]!.length);
        const average = new WeightAverage(w, how);
        for (const values of walk) {
          w.set(values);
          average.update();
          average.swap();
          average.swap();
          expect(bits(w)).toEqual(bits(values));
        }
        expect(average.params.flatMap(bits)).toEqual(straight.average.params.flatMap(bits));
      }),
    ));

  test('weights that stay are their own average', () =>
    fc.assert(
      fc.property(array(5), fc.integer({ min: 1, max: 30 }), options, (w, count, how) => {
        const { average } = averaged(
          Array.from({ length: count }, () => w),
          how,
        );
        const result = Float32Array.from(average.params.flatMap((a) => [...a]));
        // Without debias w − avg is 0 throughout; with it each update rounds anew.
        if ('debias' in how && how.debias) expect(near(result, w, count * largest([w]))).toBe(true);
        else expect([...result].map((v) => v + 0)).toEqual([...w].map((v) => v + 0)); // -0 may become 0
      }),
    ));

  test('the addon and the reference give the same bits', () =>
    fc.assert(
      fc.property(steps(logit), options, (walk, how) => {
        const native = averaged(walk, how).average.params.flatMap(bits);
        const js = withEngine(referenceEngine, () => averaged(walk, how).average.params.flatMap(bits));
        expect(engine().name).toBe('native');
        expect(native).toEqual(js);
      }),
    ));

  test('a loaded state goes on to the bit, after structuredClone', () =>
    fc.assert(
      fc.property(steps(logit), options, fc.integer({ min: 0, max: 6 }), (walk, how, cut) => {
        const straight = averaged(walk, how).average;
        const w = new Float32Array(walk[0]!.length);
        const params = { a: w.subarray(0, 1), b: w.subarray(1) };
        const make = () => new WeightAverage(params, how);
        let average = make();
        walk.forEach((values, k) => {
          if (k === cut) {
            const state = structuredClone(average.stateDict());
            average = make();
            average.loadStateDict(state);
          }
          w.set(values);
          average.update();
        });
        expect(average.count).toBe(straight.count);
        expect(average.params.flatMap(bits)).toEqual(straight.params.flatMap(bits));
      }),
    ));
});

describe('distillationLoss', () => {
  const sample = fc
    .record({ rows: fc.integer({ min: 1, max: 4 }), classes: fc.integer({ min: 1, max: 5 }) })
    .chain(({ rows, classes }) =>
      fc.record({
        classes: fc.constant(classes),
        student: array(rows * classes),
        teachers: fc.array(array(rows * classes), { minLength: 1, maxLength: 3 }),
        labels: list(rows, fc.integer({ min: 0, max: classes - 1 })).map((l) => Int32Array.from(l)),
        temperature: fc.double({ min: 0.5, max: 20, noNaN: true }),
        alpha: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );

  test('is never negative, and the gradient of a row sums to 0', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const grad = new Float32Array(student.length);
        expect(distillationLoss(student, teachers, { ...options, grad })).toBeGreaterThanOrEqual(-1e-10);
        for (let begin = 0; begin < grad.length; begin += options.classes) {
          const total = grad.subarray(begin, begin + options.classes).reduce((a, b) => a + b, 0);
          expect(Math.abs(total)).toBeLessThanOrEqual(options.classes * half * options.temperature + half);
        }
      }),
    ));

  test('a step against the gradient lowers it', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const grad = new Float32Array(student.length);
        const loss = distillationLoss(student, teachers, { ...options, grad });
        const square = grad.reduce((a, g) => a + g * g, 0);
        fc.pre(square > 1e-6);
        // The curvature is at most 1 a row, of the loss divided by rows: a step of 0.1 is well below 2/curvature.
        const after = distillationLoss(
          student.map((z, i) => z - 0.1 * grad[i]!),
          teachers,
          options,
        );
        expect(after).toBeLessThan(loss - 0.05 * square + 1e-7 * (1 + loss));
      }),
    ));

  test('the order of the teachers is of no account; one in a list is one alone', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const loss = distillationLoss(student, teachers, options);
        expect(distillationLoss(student, [...teachers].reverse(), options)).toBeCloseTo(loss, 9);
        expect(distillationLoss(student, teachers.slice(0, 1), options)).toBe(
          distillationLoss(student, teachers[0]!, options),
        );
      }),
    ));

  test('several alike are one; alpha mixes in a straight line', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers: [one], ...options }) => {
        const at = (alpha: number, teacher: Float32Array | Float32Array[] = one!) =>
          distillationLoss(student, teacher, { ...options, alpha });
        expect(at(options.alpha, [one!, one!])).toBeCloseTo(at(options.alpha), 9);
        expect(at(options.alpha)).toBeCloseTo(options.alpha * at(1) + (1 - options.alpha) * at(0), 9);
      }),
    ));

  test('grad may be the memory of the student or of a teacher', () =>
    fc.assert(
      fc.property(sample, fc.nat(3), ({ student, teachers, ...options }, which) => {
        const grad = new Float32Array(student.length);
        const loss = distillationLoss(student, teachers, { ...options, grad });
        const all = [student, ...teachers];
        const same = all[which % all.length]!;
        expect(distillationLoss(student, teachers, { ...options, grad: same })).toBe(loss);
        expect(bits(same)).toEqual(bits(grad));
      }),
    ));
});
