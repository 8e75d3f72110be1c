import { describe, expect, test } from 'vitest';
import {
  averageLogits,
  averagePredictions,
  averageWeights,
  distillationLoss,
  Ensemble,
  majorityVote,
  type Teacher,
  WeightAverage,
} from '../../lib/ensembles/index.js';

// The truth is written anew in float64, from the formulas and in other ways than the library's: softmax as
// 1/Σⱼ exp(zⱼ − z_c), moving averages in closed form, gradients as differences of the loss. A result that is rounded once
// from float64 lies within half a float32 ulp of it, and this is what is asked; `slack` is for what cancels on the way.
const half = 2 ** -24;
const tiny = 2 ** -150;

function agrees(actual: ArrayLike<number>, expected: readonly number[], slack = 0): boolean {
  return (
    actual.length === expected.length &&
    expected.every((e, i) => Math.abs(actual[i]! - e) <= half * Math.abs(e) * (1 + 1e-6) + tiny + slack)
  );
}

const f = (...values: number[]) => Float32Array.from(values);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const softmaxRow = (row: readonly number[], t: number) =>
  row.map((c) => 1 / sum(row.map((j) => Math.exp((j - c) / t))));
const rowsOf = (z: Float32Array, classes: number) =>
  Array.from({ length: z.length / classes }, (_, r) => [...z.subarray(r * classes, (r + 1) * classes)]);
const softmax = (z: Float32Array, classes: number, t = 1) => rowsOf(z, classes).flatMap((row) => softmaxRow(row, t));

/** Uniform in [-scale, scale), the same in every run (mulberry32). */
function random(seed: number, length: number, scale = 1): Float32Array {
  let a = seed;
  return Float32Array.from({ length }, () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1) * scale;
  });
}

const classes = 5;
const logits = [1, 2, 3].map((seed) => random(seed, 7 * classes, 6));
const probabilities = logits.map((z) => Float32Array.from(softmax(z, classes)));
const weights = [0.2, 3, 1.7];
const weighted = (arrays: readonly ArrayLike<number>[], a: readonly number[]) =>
  Array.from(arrays[0]!, (_, i) => sum(arrays.map((array, k) => a[k]! * array[i]!)) / sum(a));

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
    expect([...averagePredictions([f(0.5, 0.25, 0.25), f(0, 0.75, 0.25)])]).toEqual([0.25, 0.5, 0.25]);
    expect([...averagePredictions([f(1, 0), f(0, 1)], { weights: [6, 2] })]).toEqual([0.75, 0.25]);
    expect([...averagePredictions([f(3, 3, -50, -50), f(0, 0, 9, 9)], { from: 'logits', classes: 2 })]).toEqual([
      0.5, 0.5, 0.5, 0.5,
    ]);
    const [p, q] = averagePredictions([f(0, Math.log(3))], { from: 'logits', classes: 2 });
    expect(p).toBeCloseTo(0.25, 7);
    expect(q).toBeCloseTo(0.75, 7);
    expect([...averageLogits([f(4, -2), f(0, 2)])]).toEqual([2, 0]);
    expect([...averagePredictions([f(), f()])]).toEqual([]);
  });

  test('large logits', () => {
    const big = [f(1e4, -1e4, 0), f(-1e4, 1e4, 1e4), f(3e38, -3e38, 3e38)];
    expect([...averagePredictions(big.slice(0, 1), { from: 'logits', classes: 3 })]).toEqual([1, 0, 0]);
    expect([...averagePredictions(big.slice(1, 2), { from: 'logits', classes: 3 })]).toEqual([0, 0.5, 0.5]);
    expect([...averagePredictions(big.slice(2), { from: 'logits', classes: 3 })]).toEqual([0.5, 0, 0.5]);
    expect([...averagePredictions([f(-1e4, -1e4)], { from: 'logits', classes: 2 })]).toEqual([0.5, 0.5]);
    expect([...averageLogits([f(3e38), f(3e38)])]).toEqual([Math.fround(3e38)]);
    // A masked class has probability 0, and a row of only such has none.
    expect([...averagePredictions([f(Number.NEGATIVE_INFINITY, 0)], { from: 'logits', classes: 2 })]).toEqual([0, 1]);
    expect([...averagePredictions([f(Number.NEGATIVE_INFINITY)], { from: 'logits', classes: 1 })]).toEqual([
      Number.NaN,
    ]);
  });

  test('a sum in float32 would lose the small ones', () => {
    expect(averageLogits([f(2 ** 25), f(1), f(1), f(-(2 ** 25))])[0]).toBe(0.5);
  });

  test('weights that would overflow or vanish in their sum', () => {
    expect([...averageLogits([f(1), f(3)], { weights: [1e308, 1e308] })]).toEqual([2]);
    expect([...averageLogits([f(1), f(3)], { weights: [5e-324, 5e-324] })]).toEqual([2]);
  });

  test('NaN goes through, but for a member of weight 0', () => {
    expect([...averagePredictions([f(Number.NaN, 1), f(0, 1)])]).toEqual([Number.NaN, 1]);
    expect([...averagePredictions([f(Number.NaN, 1), f(0, 0.5)], { weights: [0, 1] })]).toEqual([0, 0.5]);
    expect([...averagePredictions([f(Number.NaN, 1, 0, 0)], { from: 'logits', classes: 2 })]).toEqual([
      Number.NaN,
      Number.NaN,
      0.5,
      0.5,
    ]);
  });

  test('more elements than a block', () => {
    const long = [4, 5].map((seed) => random(seed, 2500));
    expect(agrees(averageLogits(long), weighted(long, [1, 1]), 1e-15)).toBe(true);
  });
});

describe('majorityVote', () => {
  const vote = (members: Float32Array[], n: number, w?: number[]) => [
    ...majorityVote(members, { classes: n, weights: w }),
  ];

  test('by hand', () => {
    const a = f(0.5, 0.3, 0.2, 0.1, 0.2, 0.7);
    const b = f(0.1, 0.8, 0.1, 0.3, 0.3, 0.4);
    const c = f(-1, 4, 2, 9, 8, 7);
    expect(vote([a, b, c], 3)).toEqual([1, 2]);
    expect(vote([a, b], 3)).toEqual([0, 2]); // a tie of votes
    expect(vote([f(0.4, 0.4, 0.2)], 3)).toEqual([0]); // a tie of values
    expect(vote([a, b, c], 3, [3, 1, 1])).toEqual([0, 2]);
    expect(vote([a, b, c], 3, [1, 1, 2])).toEqual([1, 0]); // 2 : 2 in the second row
    expect(vote([f(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY)], 2)).toEqual([0]);
    expect(vote([f(-5, -3, Number.POSITIVE_INFINITY)], 3)).toEqual([2]);
    expect(vote([f()], 3)).toEqual([]);
    expect(majorityVote([a], { classes: 3 })).toBeInstanceOf(Int32Array);
  });

  test('is not the likeliest class of the mean', () => {
    const members = [f(0.6, 0.4), f(0.6, 0.4), f(0, 1)];
    expect(vote(members, 2)).toEqual([0]);
    const average = averagePredictions(members);
    expect(average[1]!).toBeGreaterThan(average[0]!);
  });
});

describe('Ensemble', () => {
  test('is the average, or the vote, of what its members give', async () => {
    const members = logits.map((z, i) => (i === 1 ? async () => z : () => z));
    expect(await new Ensemble(members).predict(f())).toEqual(averageLogits(logits));
    expect(await new Ensemble(members, { from: 'logits', classes, weights }).predict(f())).toEqual(
      averagePredictions(logits, { from: 'logits', classes, weights }),
    );
    expect(await new Ensemble(members, { vote: true, classes, weights }).predict(f())).toEqual(
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
      return f(3);
    };
    const x = { any: 'input' };
    const prediction = new Ensemble([first, second]).predict(x);
    expect(seen).toEqual([x, x]);
    expect(seen[0]).toBe(x);
    expect(seen[1]).toBe(x);
    answer(f(1));
    expect([...(await prediction)]).toEqual([2]);
  });

  test('members may write to one array', async () => {
    const shared = f(0);
    const member = (value: number) => () => shared.fill(value);
    const ensemble = new Ensemble([member(1), member(3), async () => f(5)]);
    const prediction = await ensemble.predict(f());
    expect([...prediction]).toEqual([3]);
    expect(prediction).not.toBe(shared);
    expect([...shared]).toEqual([3]); // the last member's, not the mean
  });
});

describe('averageWeights', () => {
  const models = [1, 2, 3].map((seed) => [random(seed, 11, 3), random(seed + 10, 4, 0.01), f()]);
  const truth = (a: number[]) =>
    models[0]!.map((_, i) =>
      weighted(
        models.map((model) => model[i]!),
        a,
      ),
    );

  test('within half an ulp', () => {
    averageWeights(models).forEach((array, i) => void expect(agrees(array, truth([1, 1, 1])[i]!, 1e-15)).toBe(true));
    averageWeights(models, { weights }).forEach(
      (array, i) => void expect(agrees(array, truth(weights)[i]!, 1e-15)).toBe(true),
    );
    expect(agrees(averageWeights(models, { weights })[0]!, truth([1, 1, 1])[0]!, 1e-15)).toBe(false);
  });

  test('by hand, in new arrays', () => {
    const [a, b] = [
      [f(1, 2), f(3)],
      [f(3, 6), f(5)],
    ];
    const average = averageWeights([a, b], { weights: f(0.25, 0.75) });
    expect(average).toEqual([f(2.5, 5), f(4.5)]);
    expect(average[0]).not.toBe(a[0]);
    expect([a, b]).toEqual([
      [f(1, 2), f(3)],
      [f(3, 6), f(5)],
    ]);
    const [alone] = averageWeights([a]);
    expect(alone).toEqual(a[0]);
    expect(alone).not.toBe(a[0]);
  });
});

describe('WeightAverage', () => {
  const n = 20;
  const walk = Array.from({ length: n }, (_, k) => random(100 + k, 9, 2));
  const at = (i: number) => walk.map((w) => w[i]!);

  function run(options: ConstructorParameters<typeof WeightAverage>[1], steps = n): Float32Array {
    const w = random(99, 9, 2);
    const average = new WeightAverage([w], options);
    for (let k = 0; k < steps; k++) {
      w.set(walk[k]!);
      average.update();
    }
    expect(average.count).toBe(steps);
    return average.params[0]!;
  }

  /**
   * An update is three float32 operations on numbers up to 2·2, and its rate is rounded: at most 4 roundings of 4, and
   * the average forgets earlier errors at least as fast as it forgets weights, so n updates add up to n of them at most.
   * The wrong formulas below are more than 1000 times farther away.
   */
  const bound = 4 * 4 * half * n;
  const truths = {
    // Unrolled: what stays of w₁ and then of each later one.
    ema: (i: number, d: number, m = n) =>
      sum(
        at(i)
          .slice(0, m)
          .map((w, k) => w * d ** (m - 1 - k) * (k === 0 ? 1 : 1 - d)),
      ),
    debiased: (i: number, d: number, m = n) =>
      sum(
        at(i)
          .slice(0, m)
          .map((w, k) => w * d ** (m - 1 - k)),
      ) /
      sum(
        at(i)
          .slice(0, m)
          .map((_, k) => d ** (m - 1 - k)),
      ),
    swa: (i: number, m = n) => mean(at(i).slice(0, m)),
  };
  const values = (truth: (i: number) => number) => Array.from(walk[0]!, (_, i) => truth(i));

  test.each([0, 0.5, 0.9, 0.999])('EMA with decay %d', (decay) => {
    expect(
      agrees(
        run({ decay }),
        values((i) => truths.ema(i, decay)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ decay }, 3),
        values((i) => truths.ema(i, decay, 3)),
        bound,
      ),
    ).toBe(true);
  });

  test.each([0, 0.5, 0.9, 0.999, 0.999999])('debiased EMA with decay %d', (decay) => {
    expect(
      agrees(
        run({ decay, debias: true }),
        values((i) => truths.debiased(i, decay)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ decay, debias: true }, 3),
        values((i) => truths.debiased(i, decay, 3)),
        bound,
      ),
    ).toBe(true);
  });

  test('SWA', () => {
    expect(
      agrees(
        run({ mode: 'swa' }),
        values((i) => truths.swa(i)),
        bound,
      ),
    ).toBe(true);
    expect(
      agrees(
        run({ mode: 'swa' }, 1),
        values((i) => truths.swa(i, 1)),
      ),
    ).toBe(true);
  });

  test('another formula is told apart', () => {
    const decay = 0.9;
    const zeroed = (i: number) => truths.debiased(i, decay) * (1 - decay ** n);
    const emas = {
      'decay for its complement': values((i) => truths.ema(i, 1 - decay)),
      'start at 0': values(zeroed),
      'the initial weights count': values(
        (i) => truths.ema(i, decay) + decay ** n * (random(99, 9, 2)[i]! - walk[0]![i]!),
      ),
      debiased: values((i) => truths.debiased(i, decay)),
      'one update fewer': values((i) => truths.ema(i, decay, n - 1)),
    };
    for (const [name, wrong] of Object.entries(emas)) expect(agrees(run({ decay }), wrong, bound), name).toBe(false);
    const debiaseds = {
      'no division': values(zeroed),
      'd^(n-1)': values((i) => zeroed(i) / (1 - decay ** (n - 1))),
      'started at the first weights': values((i) => truths.ema(i, decay)),
    };
    for (const [name, wrong] of Object.entries(debiaseds))
      expect(agrees(run({ decay, debias: true }), wrong, bound), name).toBe(false);
    const swas = {
      '1/(n+2)': values((i) => (truths.swa(i) * n) / (n + 1)),
      'all but the first': values((i) => mean(at(i).slice(1))),
      'the last weights': [...walk[n - 1]!],
    };
    for (const [name, wrong] of Object.entries(swas))
      expect(agrees(run({ mode: 'swa' }), wrong, bound), name).toBe(false);
  });

  test('the first update copies to the bit, as do all with decay 0', () => {
    const w = f(1e8);
    const ema = new WeightAverage(w, { decay: 0.25 });
    w[0] = 1;
    ema.update();
    expect(ema.params[0]![0]).toBe(1); // 1e8 + 1·(1 − 1e8) would be 0
    const none = new WeightAverage(w, { decay: 0, debias: true });
    none.update();
    w[0] = 1e8;
    none.update();
    w[0] = 1;
    none.update();
    expect(none.params[0]![0]).toBe(1);
  });

  test('by hand', () => {
    const w = f(8);
    const all = {
      ema: new WeightAverage(w, { decay: 0.75 }),
      debiased: new WeightAverage(w, { decay: 0.5, debias: true }),
      swa: new WeightAverage(w, { mode: 'swa' }),
    };
    const read = () => Object.values(all).map(({ params }) => params[0]![0]);
    const update = (value: number) => {
      w[0] = value;
      for (const average of Object.values(all)) average.update();
    };
    expect(read()).toEqual([8, 8, 8]);
    update(4);
    expect(read()).toEqual([4, 4, 4]);
    update(7);
    expect(read()).toEqual([4.75, 6, 5.5]); // debiased: (4/4 + 7/2) / (3/4)
  });
});

describe('distillationLoss', () => {
  type Case = { teacher: Teacher; temperature?: number; alpha?: number; labels?: Int32Array };
  // Multiples of 2^-10, so that steps of 2^-8 are exact in float32.
  const exact = (seed: number) => random(seed, 4 * classes, 4).map((z) => Math.round(z * 1024) / 1024);
  const student = exact(20);
  const labels = Int32Array.from([0, 4, 2, 2]);
  const one = exact(21);
  const several = [exact(22), exact(23), exact(24)];
  const given = { probabilities: Float32Array.from(softmax(exact(25), classes)) };
  const cases: Record<string, Case> = {
    'one teacher': { teacher: one },
    'one teacher at T = 3': { teacher: one, temperature: 3 },
    'one teacher and labels': { teacher: one, labels },
    'one teacher and labels, T = 4, alpha = 0.9': { teacher: one, temperature: 4, alpha: 0.9, labels },
    'labels alone': { teacher: one, temperature: 2, alpha: 0, labels },
    'several teachers': { teacher: several, temperature: 2.5 },
    'several teachers and labels': { teacher: several, temperature: 2.5, alpha: 0.25, labels },
    probabilities: { teacher: given, temperature: 2 },
    'probabilities and labels': { teacher: given, temperature: 2, alpha: 0.75, labels },
    'alpha 1 leaves labels out': { teacher: one, temperature: 2, alpha: 1, labels },
  };

  /** The formula, with what may be wrong in it as options. */
  interface Formula {
    tSquared: (t: number) => number;
    reverse: boolean;
    hardT: (t: number) => number;
    teacherT: (t: number) => number;
    softShare: (alpha: number) => number;
    mix: 'probabilities' | 'logits';
    divide: (rows: number) => number;
  }
  const right: Formula = {
    tSquared: (t) => t * t,
    reverse: false,
    hardT: () => 1,
    teacherT: (t) => t,
    softShare: (a) => a,
    mix: 'probabilities',
    divide: (rows) => rows,
  };

  function teacherRows(teacher: Teacher, t: number, mix: Formula['mix']): number[][] {
    if ('probabilities' in teacher) return rowsOf(teacher.probabilities, classes);
    const members = teacher instanceof Float32Array ? [teacher] : teacher;
    if (mix === 'logits') return rowsOf(averageLogits([...members]), classes).map((row) => softmaxRow(row, t));
    const all = members.map((z) => rowsOf(z, classes).map((row) => softmaxRow(row, t)));
    return all[0]!.map((row, r) => row.map((_, c) => mean(all.map((rows) => rows[r]![c]!))));
  }

  function truth(
    { teacher, temperature: t = 1, labels, alpha = labels === undefined ? 1 : 0.5 }: Case,
    formula: Partial<Formula> = {},
  ) {
    const { tSquared, reverse, hardT, teacherT, softShare, mix, divide } = { ...right, ...formula };
    const z = rowsOf(student, classes);
    const p = teacherRows(teacher, teacherT(t), mix);
    const share = softShare(alpha);
    const total = sum(
      z.map((row, r) => {
        const q = softmaxRow(row, t);
        const kl = sum(
          q.map((qc, c) => (reverse ? qc * Math.log(qc / p[r]![c]!) : p[r]![c]! * Math.log(p[r]![c]! / qc))),
        );
        const hard = labels === undefined ? 0 : -Math.log(softmaxRow(row, hardT(t))[labels[r]!]!);
        return share * tSquared(t) * kl + (1 - share) * hard;
      }),
    );
    return total / divide(z.length);
  }

  const call = ({ teacher, ...options }: Case, z = student, grad?: Float32Array) =>
    distillationLoss(z, teacher, { classes, ...options, grad });
  const close = (a: number, b: number) => Math.abs(a - b) <= 1e-13 * (1 + Math.abs(b));

  /** Four differences each: right up to h⁴/30 of the fifth derivative, below 1e-9 for gradients around 0.1. */
  function differences(c: Case): number[] {
    const h = 2 ** -8;
    return [...student].map((value, i) => {
      const at = (d: number) => call(c, student.with(i, value + d));
      return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    });
  }

  test.each(Object.keys(cases))('%s: the loss', (name) => {
    expect(close(call(cases[name]!), truth(cases[name]!))).toBe(true);
  });

  test.each(Object.keys(cases))('%s: the gradient is that of the loss', (name) => {
    const c = cases[name]!;
    const grad = new Float32Array(student.length).fill(Number.NaN);
    const loss = call(c, student, grad);
    expect(loss).toBe(call(c)); // grad changes nothing
    const numeric = differences(c);
    expect(agrees(grad, numeric, 1e-9)).toBe(true);
    for (const factor of [4, 1 / 4, 2.5, 1 / 2.5, -1])
      expect(
        agrees(
          grad,
          numeric.map((g) => g * factor),
          1e-9,
        ),
        `times ${factor}`,
      ).toBe(false);
  });

  test('another formula is told apart', () => {
    const c = cases['several teachers and labels']!;
    const wrong: Record<string, Partial<Formula>> = {
      'no T²': { tSquared: () => 1 },
      'T for T²': { tSquared: (t) => t },
      'KL the other way round': { reverse: true },
      'cross-entropy at T': { hardT: (t) => t },
      'the teacher at 1': { teacherT: () => 1 },
      'alpha for 1 - alpha': { softShare: (a) => 1 - a },
      'logits averaged': { mix: 'logits' },
      'the sum over the batch': { divide: () => 1 },
      'the mean over elements': { divide: (rows) => rows * classes },
    };
    expect(close(call(c), truth(c))).toBe(true);
    for (const [name, formula] of Object.entries(wrong)) expect(close(call(c), truth(c, formula)), name).toBe(false);
  });

  test('by hand', () => {
    // KL(¼, ¾ ‖ ½, ½) = ¼·ln ½ + ¾·ln 3/2
    const kl = 0.13081203594113694;
    const z = f(0, 0);
    const teacher = { probabilities: f(0.25, 0.75) };
    const grad = f(9, 9);
    expect(distillationLoss(z, teacher, { classes: 2, grad })).toBeCloseTo(kl, 15);
    expect([...grad]).toEqual([0.25, -0.25]);
    expect(distillationLoss(z, teacher, { classes: 2, temperature: 2, grad })).toBeCloseTo(4 * kl, 14);
    expect([...grad]).toEqual([0.5, -0.5]);
    expect(distillationLoss(z, teacher, { classes: 2, labels: Int32Array.of(1), grad })).toBeCloseTo(
      (kl + Math.LN2) / 2,
      15,
    );
    expect([...grad]).toEqual([0.375, -0.375]);
    const twice = { probabilities: f(0.25, 0.75, 0.5, 0.5) };
    const wide = new Float32Array(4);
    expect(distillationLoss(f(0, 0, 0, 0), twice, { classes: 2, grad: wide })).toBeCloseTo(kl / 2, 15);
    expect([...wide]).toEqual([0.125, -0.125, 0, 0]);
  });

  test('large logits', () => {
    const grad = f(0, 0);
    const [z, t] = [f(1e4, -1e4), f(-1e4, 1e4)];
    expect(distillationLoss(z, t, { classes: 2, grad })).toBe(2e4);
    expect([...grad]).toEqual([1, -1]);
    expect(distillationLoss(z, t, { classes: 2, temperature: 100, grad })).toBeCloseTo(200 * 1e4, 6);
    expect([...grad]).toEqual([100, -100]);
    expect(distillationLoss(z, [t, z], { classes: 2, grad })).toBeCloseTo(1e4 - Math.LN2, 9);
    expect([...grad]).toEqual([0.5, -0.5]);
    expect(distillationLoss(z, t, { classes: 2, alpha: 0, labels: Int32Array.of(1), grad })).toBe(2e4);
    expect([...grad]).toEqual([1, -1]);
    expect(distillationLoss(z, t, { classes: 2, alpha: 0, labels: Int32Array.of(0) })).toBe(0);
  });

  test('where the teacher is sure, and where it has no share', () => {
    const grad = f(0, 0);
    expect(distillationLoss(f(0, 0), { probabilities: f(1, 0) }, { classes: 2, grad })).toBeCloseTo(Math.LN2, 15);
    expect([...grad]).toEqual([-0.5, 0.5]);
    const masked = f(0, Number.NEGATIVE_INFINITY);
    expect(distillationLoss(masked, masked, { classes: 2, grad })).toBe(0);
    expect([...grad]).toEqual([0, 0]);
    expect(distillationLoss(masked, f(0, 0), { classes: 2 })).toBe(Number.POSITIVE_INFINITY);
    expect(distillationLoss(f(0, 0), f(Number.NaN, 0), { classes: 2, alpha: 0, labels: Int32Array.of(0) })).toBeCloseTo(
      Math.LN2,
      15,
    );
    expect(
      distillationLoss(masked, f(9, Number.NEGATIVE_INFINITY), {
        classes: 2,
        alpha: 1,
        labels: Int32Array.of(1),
        grad,
      }),
    ).toBe(0);
    expect([...grad]).toEqual([0, 0]);
    expect(distillationLoss(f(Number.NaN, 0), f(0, 0), { classes: 2, grad })).toBeNaN();
    expect([...grad]).toEqual([Number.NaN, Number.NaN]);
  });

  test('a student that is its teacher has loss and gradient 0', () => {
    for (const teacher of [student, [student]]) {
      const grad = new Float32Array(student.length).fill(1);
      expect(distillationLoss(student, teacher, { classes, temperature: 3, grad })).toBe(0);
      expect(grad.every((g) => g === 0)).toBe(true);
    }
  });

  test('probabilities that do not sum to 1 are used as they are, and so is their gradient', () => {
    const c: Case = { teacher: { probabilities: given.probabilities.map((p) => p * 3) }, temperature: 2 };
    const grad = new Float32Array(student.length);
    expect(close(call(c, student, grad), truth(c))).toBe(true);
    expect(agrees(grad, differences(c), 1e-9)).toBe(true);
  });
});
