import { describe, expect, test } from 'vitest';
import type { Schedule } from '../../lib/core/schedule.js';
import {
  constant,
  cosine,
  cosineWarmRestarts,
  cyclic,
  cyclicMomentum,
  exponentialDecay,
  inverseTimeDecay,
  linear,
  multiplicative,
  multiply,
  nesterovMomentum,
  oneCycle,
  oneCycleMomentum,
  perEpoch,
  piecewiseConstant,
  polynomial,
  sequence,
  stepDecay,
  swaAnnealing,
  warmup,
  warmupStableDecay,
} from '../../lib/schedules/index.js';
import fc from '../support/property.js';

/** How to create a schedule, the bounds of its values, and the step from which its value stays the same. */
interface Sample {
  make: () => Schedule;
  low: number;
  high: number;
  end?: number;
}

const share = fc.double({ min: 0, max: 1, noNaN: true });
const value = fc.double({ min: 1e-6, max: 10, noNaN: true });
const steps = fc.integer({ min: 1, max: 5000 });
const pair = (one: fc.Arbitrary<number>) =>
  fc.tuple(one, one).map(([a, b]): readonly [number, number] => (a < b ? [a, b] : [b, a]));
const momentum = pair(fc.double({ min: 0, max: 0.999, noNaN: true }));
const cycle = fc.record({
  stepsUp: steps,
  stepsDown: steps,
  mode: fc.constantFrom('triangular' as const, 'triangular2' as const, 'exp_range' as const),
  gamma: fc.double({ min: 0.5, max: 1, noNaN: true }),
});
const shape = fc.record({
  totalSteps: steps,
  pctStart: share,
  anneal: fc.constantFrom('cos' as const, 'linear' as const),
  threePhase: fc.boolean(),
});
const boundaries = fc.array(fc.nat(2000), { maxLength: 5 });
const down = (make: () => Schedule, lr: number): Sample => ({ make, low: 0, high: lr });

const samples: Record<string, fc.Arbitrary<Sample>> = {
  constant: value.map((lr) => ({ make: () => constant(lr), low: lr, high: lr, end: 1 })),
  stepDecay: fc
    .tuple(value, steps, share)
    .map(([lr, every, factor]) => down(() => stepDecay(lr, { every, factor }), lr)),
  'exponentialDecay gamma': fc
    .tuple(value, share)
    .map(([lr, gamma]) => down(() => exponentialDecay(lr, { gamma }), lr)),
  'exponentialDecay rate': fc.tuple(value, value).map(([lr, rate]) => down(() => exponentialDecay(lr, { rate }), lr)),
  inverseTimeDecay: fc.tuple(value, value).map(([lr, rate]) => down(() => inverseTimeDecay(lr, { rate }), lr)),
  'piecewiseConstant factor': fc.tuple(value, boundaries, share).map(([lr, at, factor]) => ({
    make: () => piecewiseConstant(lr, { boundaries: at, factor }),
    low: 0,
    high: lr,
    end: Math.max(0, ...at) + 1,
  })),
  'piecewiseConstant values': boundaries.chain((at) =>
    fc.array(value, { minLength: at.length + 1, maxLength: at.length + 1 }).map((values) => ({
      make: () => piecewiseConstant({ boundaries: [...at].sort((a, b) => a - b), values }),
      low: Math.min(...values),
      high: Math.max(...values),
      end: Math.max(0, ...at) + 1,
    })),
  ),
  linear: fc.tuple(value, pair(share), fc.boolean(), steps).map(([lr, [a, b], falls, n]) => ({
    make: () => linear(lr, { from: falls ? b : a, to: falls ? a : b, steps: n }),
    low: lr * a,
    high: lr * b,
    end: n + 1,
  })),
  polynomial: fc
    .tuple(value, steps, value)
    .map(([lr, n, power]) => ({ make: () => polynomial(lr, { steps: n, power }), low: 0, high: lr, end: n + 1 })),
  cosine: fc
    .tuple(pair(value), steps)
    .map(([[min, lr], n]) => ({ make: () => cosine(lr, { steps: n, min }), low: min, high: lr, end: n + 1 })),
  cosineWarmRestarts: fc
    .tuple(pair(value), steps, fc.integer({ min: 1, max: 4 }))
    .map(([[min, lr], first, multiplier]) => ({
      make: () => cosineWarmRestarts(lr, { first, multiplier, min }),
      low: min,
      high: lr,
    })),
  cyclic: fc
    .tuple(pair(value), cycle)
    .map(([[base, max], options]) => ({ make: () => cyclic({ base, max, ...options }), low: base, high: max })),
  cyclicMomentum: fc
    .tuple(momentum, cycle)
    .map(([[base, max], options]) => ({ make: () => cyclicMomentum({ base, max, ...options }), low: base, high: max })),
  oneCycle: fc.tuple(value, shape).map(([max, options]) => ({
    make: () => oneCycle(max, options),
    low: max / 25e4,
    high: max,
    end: options.totalSteps,
  })),
  oneCycleMomentum: fc.tuple(momentum, shape).map(([[base, max], options]) => ({
    make: () => oneCycleMomentum({ base, max, ...options }),
    low: base,
    high: max,
    end: options.totalSteps,
  })),
  swaAnnealing: fc
    .tuple(pair(value), fc.boolean(), fc.nat(5000), fc.constantFrom('cos' as const, 'linear' as const))
    .map(([[low, high], falls, n, anneal]) => ({
      make: () => swaAnnealing(falls ? high : low, { swaLr: falls ? low : high, annealSteps: n, anneal }),
      low,
      high,
      end: n + 1,
    })),
  warmup: fc.tuple(value, steps, steps, share).map(([lr, n, warm, from]) => ({
    make: () => warmup(cosine(lr, { steps: n }), { steps: warm, from }),
    low: 0,
    high: lr,
    end: warm + n + 1,
  })),
  warmupStableDecay: fc
    .tuple(
      pair(value),
      fc.nat(2000),
      fc.nat(2000),
      steps,
      fc.constantFrom('linear' as const, 'cosine' as const, 'sqrt' as const),
    )
    .map(([[min, lr], warm, stable, decay, form]) => ({
      make: () => warmupStableDecay(lr, { warmup: warm, stable, decay, min, shape: form }),
      low: 0,
      high: lr,
      end: warm + stable + decay,
    })),
  multiply: fc.tuple(value, value, steps, steps).map(([a, b, n, m]) => ({
    make: () => multiply(cosine(a, { steps: n }), linear(b, { steps: m })),
    low: 0,
    high: a * b,
    end: Math.max(n, m) + 1,
  })),
  sequence: fc.tuple(pair(value), steps, steps).map(([[min, lr], n, at]) => ({
    make: () => sequence([constant(lr), cosine(lr, { steps: n, min })], { boundaries: [at] }),
    low: min,
    high: lr,
    end: at + n + 1,
  })),
  perEpoch: fc
    .tuple(pair(value), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100 }))
    .map(([[min, lr], n, each]) => ({
      make: () => perEpoch(cosine(lr, { steps: n, min }), each),
      low: min,
      high: lr,
      end: n * each + 1,
    })),
  nesterovMomentum: momentum.map(([, max]) => ({
    make: () => nesterovMomentum({ max }),
    low: Math.min(0.5, max),
    high: max,
    end: 250 * 500 + 1,
  })),
};

/** Schedules without an end. Every other sample names its end. */
const endless = [
  'stepDecay',
  'exponentialDecay gamma',
  'exponentialDecay rate',
  'inverseTimeDecay',
  'cosineWarmRestarts',
  'cyclic',
  'cyclicMomentum',
];
const all = Object.entries(samples);
const ending = all.filter(([name]) => !endless.includes(name));

const step = fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 1e9 }));
const rounding = 1e-12;

test.each(all)('%s is pure: neither the order nor the number of the calls matters', (_, sample) => {
  fc.assert(
    fc.property(sample, fc.array(step, { minLength: 1, maxLength: 10 }), ({ make }, steps) => {
      const fresh = steps.map((t) => make()(t));
      const schedule = make();
      expect([...steps].reverse().map(schedule).reverse()).toEqual(fresh);
      expect(steps.map(schedule)).toEqual(fresh);
    }),
  );
});

test.each(all)('%s stays within its bounds', (_, sample) => {
  fc.assert(
    fc.property(sample, step, ({ make, low, high }, t) => {
      const given = make()(t);
      expect(given).toBeGreaterThanOrEqual(low * (1 - rounding));
      expect(given).toBeLessThanOrEqual(high * (1 + rounding));
    }),
  );
});

test.each(ending)('%s holds its last value beyond its end', (_, sample) => {
  fc.assert(
    fc.property(sample, fc.nat(1e9), ({ make, end }, beyond) => {
      if (end === undefined) throw new Error('a sample without an end');
      const schedule = make();
      expect(schedule(end + beyond)).toBe(schedule(end));
    }),
  );
});

test.each(all)('%s has its first value at every step below 1', (_, sample) => {
  const below = fc.oneof(fc.constantFrom(0, -0, 0.5, -1, Number.NEGATIVE_INFINITY), fc.double({ max: 1, noNaN: true }));
  fc.assert(
    fc.property(sample, below, ({ make }, t) => {
      expect(make()(t)).toBe(make()(1));
    }),
  );
});

test('multiplicative is pure too, and asks for each factor once on the way up', () => {
  const few = fc.integer({ min: -1, max: 500 }); // each step back starts the product again
  fc.assert(
    fc.property(value, fc.array(few, { minLength: 1 }), (lr, order) => {
      const factor = (k: number) => 1 + Math.sin(k) / 2;
      const schedule = multiplicative(lr, factor);
      for (const t of order) expect(schedule(t)).toBe(multiplicative(lr, factor)(t));
    }),
  );
  let calls = 0;
  const counted = multiplicative(1, () => {
    calls++;
    return 1;
  });
  for (let t = 1; t <= 100; t++) for (let again = 0; again < 3; again++) counted(t);
  expect(calls).toBe(99);
});

describe('combinators', () => {
  const count: Schedule = (t) => t;

  test('no part is asked for a step below 1', () => {
    const seen: number[] = [];
    const spy: Schedule = (t) => {
      seen.push(t);
      return 1;
    };
    const combined = [
      multiply(spy, spy),
      sequence([spy, spy], { boundaries: [3] }),
      sequence([spy, spy], { boundaries: [0] }),
      perEpoch(spy, 10),
      multiplicative(1, spy),
      warmup(spy, { steps: 5 }),
      warmup(spy, { steps: 0 }),
    ];
    for (const schedule of combined) for (const t of [0, -7, Number.NEGATIVE_INFINITY]) schedule(t);
    expect(new Set(seen)).toEqual(new Set([1]));
  });

  test('perEpoch: step t of epoch e sees e', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 1, max: 1e4 }),
        fc.nat(),
        (epoch, stepsPerEpoch, n) => {
          expect(perEpoch(count, stepsPerEpoch)((epoch - 1) * stepsPerEpoch + (n % stepsPerEpoch) + 1)).toBe(epoch);
        },
      ),
    );
  });

  test('warmup rises to the first value, plays it twice, and then follows the schedule', () => {
    fc.assert(
      fc.property(value, steps, share, fc.nat(10_000), (lr, n, from, later) => {
        const schedule = exponentialDecay(lr, { gamma: 0.9 });
        const warmed = warmup(schedule, { steps: n, from });
        expect([warmed(n), warmed(n + 1)]).toEqual([lr, lr]);
        expect(warmed(n + 1 + later)).toBe(schedule(1 + later));
        for (let t = 1; t < n; t += 97) expect(warmed(t)).toBeLessThanOrEqual(warmed(t + 1));
      }),
    );
  });

  test('multiply is commutative, and a sequence of one schedule is that schedule', () => {
    fc.assert(
      fc.property(value, value, steps, step, (a, b, n, t) => {
        const [one, other] = [cosine(a, { steps: n }), inverseTimeDecay(b, { rate: 0.1 })];
        expect(multiply(one, other)(t)).toBe(multiply(other, one)(t));
        expect(sequence([one], { boundaries: [] })(t)).toBe(one(t));
      }),
    );
  });

  test('piecewiseConstant with a factor accepts boundaries in any order', () => {
    fc.assert(
      fc.property(boundaries, step, (at, t) => {
        const sorted = [...at].sort((a, b) => a - b);
        expect(piecewiseConstant(1, { boundaries: at })(t)).toBe(piecewiseConstant(1, { boundaries: sorted })(t));
      }),
    );
  });

  test("later changes to the caller's arrays and options have no effect", () => {
    const [at, values, parts] = [[10], [1, 2], [count, constant(7)]];
    const options = { steps: 10, min: 0 };
    const schedules = [
      piecewiseConstant(1, { boundaries: at }),
      piecewiseConstant({ boundaries: at, values }),
      sequence(parts, { boundaries: at }),
      cosine(1, options),
    ];
    const before = schedules.map((schedule) => schedule(11));
    at[0] = 20;
    values.fill(9);
    parts.fill(constant(9));
    options.min = 9;
    expect(schedules.map((schedule) => schedule(11))).toEqual(before);
  });
});
