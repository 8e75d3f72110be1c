// The truth here is PyTorch's own way of computing: its schedulers keep the last value and change it step by step
// (StepLR, MultiStepLR, ExponentialLR, LinearLR, PolynomialLR, CosineAnnealingLR), count periods as they go
// (CosineAnnealingWarmRestarts), or use other closed forms than ours (CyclicLR, OneCycleLR). Written anew from the
// rules of torch/optim/lr_scheduler.py, with none of the library's helpers.
import { describe, expect, test } from 'vitest';
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

type Values = readonly number[];

const { PI, cos, floor } = Math;

/** The values for epochs 0 to `last`, each made from the one before. */
function chain(initial: number, last: number, next: (lr: number, epoch: number) => number): Values {
  const lrs = [initial];
  for (let epoch = 1; epoch <= last; epoch++) lrs.push(next(lrs[epoch - 1] as number, epoch));
  return lrs;
}

const torch = {
  stepLR: (lr: number, stepSize: number, gamma: number, last: number) =>
    chain(lr, last, (v, epoch) => (epoch % stepSize === 0 ? v * gamma : v)),

  multiStepLR(lr: number, milestones: number[], gamma: number, last: number) {
    const decay = (v: number, epoch: number) => v * gamma ** milestones.filter((m) => m === epoch).length;
    return chain(decay(lr, 0), last, decay);
  },

  multiplicativeLR: (lr: number, lambda: (epoch: number) => number, last: number) =>
    chain(lr, last, (v, epoch) => v * lambda(epoch)),

  // Finds the rate before annealing again in each epoch, from the current one.
  swaLR(lr: number, swaLr: number, annealEpochs: number, anneal: (x: number) => number, last: number) {
    const alphaAt = (epoch: number) => anneal(Math.max(0, Math.min(1, epoch / Math.max(1, annealEpochs))));
    const first = annealEpochs === 0 ? 1 : 0;
    return Array.from({ length: last + 1 }, (_, k) => k).reduce<number[]>((lrs, k) => {
      const epoch = Math.max(first, k);
      const [current, before, alpha] = [lrs.at(-1) ?? lr, alphaAt(epoch - 1), alphaAt(epoch)];
      const initial = before === 1 ? swaLr : (current - before * swaLr) / (1 - before);
      lrs.push(swaLr * alpha + initial * (1 - alpha));
      return lrs;
    }, []);
  },

  exponentialLR: (lr: number, gamma: number, last: number) => chain(lr, last, (v) => v * gamma),

  linearLR: (lr: number, start: number, end: number, total: number, last: number) =>
    chain(lr * start, last, (v, epoch) =>
      epoch > total ? v : v * (1 + (end - start) / (total * start + (epoch - 1) * (end - start))),
    ),

  polynomialLR: (lr: number, total: number, power: number, last: number) =>
    chain(lr, last, (v, epoch) => (epoch > total ? v : v * ((1 - epoch / total) / (1 - (epoch - 1) / total)) ** power)),

  cosineAnnealingLR: (lr: number, tMax: number, etaMin: number, last: number) =>
    chain(lr, last, (v, epoch) =>
      (epoch - 1 - tMax) % (2 * tMax) === 0
        ? v + ((lr - etaMin) * (1 - cos(PI / tMax))) / 2
        : ((1 + cos((PI * epoch) / tMax)) / (1 + cos((PI * (epoch - 1)) / tMax))) * (v - etaMin) + etaMin,
    ),

  cosineAnnealingWarmRestarts(lr: number, t0: number, tMult: number, etaMin: number, last: number) {
    let cur = -1;
    let period = t0;
    return Array.from({ length: last + 1 }, () => {
      cur++;
      if (cur >= period) {
        cur -= period;
        period *= tMult;
      }
      return etaMin + ((lr - etaMin) * (1 + cos((PI * cur) / period))) / 2;
    });
  },

  cyclicLR(
    base: number,
    max: number,
    up: number,
    down: number,
    scale: (cycle: number, epoch: number) => number,
    last: number,
  ) {
    const total = up + down;
    const ratio = up / total;
    const amplitudes = Array.from({ length: last + 1 }, (_, epoch) => {
      const cycle = floor(1 + epoch / total);
      const x = 1 + epoch / total - cycle;
      return (max - base) * (x <= ratio ? x / ratio : (x - 1) / (ratio - 1)) * scale(cycle, epoch);
    });
    return { lr: amplitudes.map((a) => base + a), momentum: amplitudes.map((a) => max - a) };
  },

  oneCycleLR(levels: Values, pct: number, total: number, anneal: 'cos' | 'linear', last = total - 1) {
    const ends = levels.length === 4 ? [pct * total - 1, 2 * pct * total - 2, total - 1] : [pct * total - 1, total - 1];
    return Array.from({ length: last + 1 }, (_, epoch) => {
      let start = 0;
      for (const [i, end] of ends.entries()) {
        if (epoch <= end || i === ends.length - 1) {
          const share = (epoch - start) / (end - start);
          const [a, b] = [levels[i], levels[i + 1]] as [number, number];
          return anneal === 'cos' ? b + ((a - b) / 2) * (cos(PI * share) + 1) : (b - a) * share + a;
        }
        start = end;
      }
      throw new Error('unreachable');
    });
  },
};

const scales = {
  triangular: () => 1,
  triangular2: (cycle: number) => 1 / 2 ** (cycle - 1),
  exp_range: (_: number, epoch: number) => 0.99 ** epoch,
};

/** The largest distance from the truth over steps 1, 2, …, as a share of the truth's peak. */
function deviation(schedule: (step: number) => number, truth: Values): number {
  const peak = Math.max(...truth.map(Math.abs));
  // Math.max of a NaN is NaN, which passes no bound.
  return Math.max(...truth.map((value, k) => Math.abs(schedule(k + 1) - value) / peak));
}

const cases: [name: string, schedule: (step: number) => number, truth: Values][] = [
  ['StepLR', stepDecay(0.05, { every: 30 }), torch.stepLR(0.05, 30, 0.1, 300)],
  ['StepLR gamma 0.9', stepDecay(3, { every: 1, factor: 0.9 }), torch.stepLR(3, 1, 0.9, 500)],
  ['MultiStepLR', piecewiseConstant(0.05, { boundaries: [30, 80] }), torch.multiStepLR(0.05, [30, 80], 0.1, 100)],
  [
    'MultiStepLR repeated, unordered, 0',
    piecewiseConstant(1, { boundaries: [9, 4, 9, 0], factor: 0.5 }),
    torch.multiStepLR(1, [9, 4, 9, 0], 0.5, 20),
  ],
  [
    'MultiplicativeLR',
    multiplicative(0.05, (k) => (k % 7 === 0 ? 0.5 : 1.01)),
    torch.multiplicativeLR(0.05, (epoch) => (epoch % 7 === 0 ? 0.5 : 1.01), 400),
  ],
  [
    'MultiplicativeLR by the epoch',
    multiplicative(2, (k) => 1 - 1 / (k + 1)),
    torch.multiplicativeLR(2, (epoch) => epoch / (epoch + 1), 1000),
  ],
  ...[0, 1, 10, 25].flatMap((annealSteps): typeof cases => [
    [
      `SWALR cos in ${annealSteps}`,
      swaAnnealing(0.1, { swaLr: 0.03, annealSteps }),
      torch.swaLR(0.1, 0.03, annealSteps, (x) => (1 - cos(PI * x)) / 2, 40),
    ],
    [
      `SWALR linear in ${annealSteps}, rising`,
      swaAnnealing(0.01, { swaLr: 0.05, annealSteps, anneal: 'linear' }),
      torch.swaLR(0.01, 0.05, annealSteps, (x) => x, 40),
    ],
  ]),
  ['ExponentialLR', exponentialDecay(0.05, { gamma: 0.95 }), torch.exponentialLR(0.05, 0.95, 1000)],
  ['ExponentialLR by rate', exponentialDecay(0.05, { rate: 0.01 }), torch.exponentialLR(0.05, Math.exp(-0.01), 1000)],
  ['ExponentialLR growing', exponentialDecay(1e-7, { gamma: 1.1 }), torch.exponentialLR(1e-7, 1.1, 150)],
  ['LinearLR defaults, beyond the end', linear(0.05), torch.linearLR(0.05, 1 / 3, 1, 5, 50)],
  ['LinearLR', linear(0.05, { from: 0.05, steps: 40 }), torch.linearLR(0.05, 0.05, 1, 40, 80)],
  ['LinearLR down to 0', linear(2, { from: 1, to: 0, steps: 1000 }), torch.linearLR(2, 1, 0, 1000, 1000)],
  ['PolynomialLR defaults, beyond the end', polynomial(0.05), torch.polynomialLR(0.05, 5, 1, 20)],
  ['PolynomialLR', polynomial(0.05, { steps: 500, power: 0.9 }), torch.polynomialLR(0.05, 500, 0.9, 600)],
  ['PolynomialLR power 3', polynomial(1, { steps: 77, power: 3 }), torch.polynomialLR(1, 77, 3, 100)],
  ['CosineAnnealingLR', cosine(0.1, { steps: 100 }), torch.cosineAnnealingLR(0.1, 100, 0, 100)],
  [
    'CosineAnnealingLR to a minimum',
    cosine(0.1, { steps: 5000, min: 0.003 }),
    torch.cosineAnnealingLR(0.1, 5000, 0.003, 5000),
  ],
  ['CosineAnnealingLR of 1 step', cosine(0.1, { steps: 1, min: 0.01 }), torch.cosineAnnealingLR(0.1, 1, 0.01, 1)],
  ['CosineAnnealingLR rising', cosine(0.04, { steps: 300, min: 0.4 }), torch.cosineAnnealingLR(0.04, 300, 0.4, 300)],
  [
    'CosineAnnealingWarmRestarts',
    cosineWarmRestarts(0.05, { first: 20 }),
    torch.cosineAnnealingWarmRestarts(0.05, 20, 1, 0, 200),
  ],
  [
    'CosineAnnealingWarmRestarts ×2',
    cosineWarmRestarts(0.05, { first: 10, multiplier: 2, min: 0.001 }),
    torch.cosineAnnealingWarmRestarts(0.05, 10, 2, 0.001, 1300),
  ],
  // Restarts at k = 333, where Math.log(1000)/Math.log(10) is just under 3 and names the wrong period.
  [
    'CosineAnnealingWarmRestarts ×10',
    cosineWarmRestarts(1, { first: 3, multiplier: 10 }),
    torch.cosineAnnealingWarmRestarts(1, 3, 10, 0, 40_000),
  ],
  [
    'CyclicLR defaults',
    cyclic({ base: 0.01, max: 0.1 }),
    torch.cyclicLR(0.01, 0.1, 2000, 2000, scales.triangular, 9000).lr,
  ],
  ...(['triangular', 'triangular2', 'exp_range'] as const).flatMap((mode): typeof cases => {
    const shape = { stepsUp: 7, stepsDown: 13, mode, gamma: 0.99 };
    return [
      [
        `CyclicLR ${mode}`,
        cyclic({ base: 0.01, max: 0.1, ...shape }),
        torch.cyclicLR(0.01, 0.1, 7, 13, scales[mode], 500).lr,
      ],
      [
        `CyclicLR ${mode}, momentum`,
        cyclicMomentum(shape),
        torch.cyclicLR(0.8, 0.9, 7, 13, scales[mode], 500).momentum,
      ],
      [
        `CyclicLR ${mode}, momentum bounds`,
        cyclicMomentum({ base: 0.5, max: 0.99, ...shape }),
        torch.cyclicLR(0.5, 0.99, 7, 13, scales[mode], 500).momentum,
      ],
    ];
  }),
  [
    'OneCycleLR defaults',
    oneCycle(0.01, { totalSteps: 1000 }),
    torch.oneCycleLR([0.01 / 25, 0.01, 0.01 / 25e4], 0.3, 1000, 'cos'),
  ],
  [
    'OneCycleLR defaults, momentum',
    oneCycleMomentum({ totalSteps: 1000 }),
    torch.oneCycleLR([0.95, 0.85, 0.95], 0.3, 1000, 'cos'),
  ],
  // The phases end between steps (0.37·41 is none), before the first step (0), and at the last one (1); two phases
  // overlap (0.7).
  ...[0, 0.1, 0.37, 0.5, 0.7, 1].flatMap((pctStart) =>
    (['cos', 'linear'] as const).flatMap((anneal): typeof cases => {
      const shape = { totalSteps: 41, pctStart, anneal };
      const bounds = { base: 0.6, max: 0.9 };
      const name = `OneCycleLR ${pctStart} ${anneal}`;
      return [
        [
          name,
          oneCycle(2, { ...shape, divFactor: 10, finalDivFactor: 100 }),
          torch.oneCycleLR([0.2, 2, 0.002], pctStart, 41, anneal),
        ],
        [
          `${name}, three phases`,
          oneCycle(2, { ...shape, divFactor: 10, finalDivFactor: 100, threePhase: true }),
          torch.oneCycleLR([0.2, 2, 0.2, 0.002], pctStart, 41, anneal),
        ],
        [
          `${name}, momentum`,
          oneCycleMomentum({ ...shape, ...bounds }),
          torch.oneCycleLR([0.9, 0.6, 0.9], pctStart, 41, anneal),
        ],
        [
          `${name}, three phases, momentum`,
          oneCycleMomentum({ ...shape, ...bounds, threePhase: true }),
          torch.oneCycleLR([0.9, 0.6, 0.9, 0.9], pctStart, 41, anneal),
        ],
      ];
    }),
  ),
  // SequentialLR: from each milestone on, the scheduler starts at its own epoch 0.
  [
    'SequentialLR',
    sequence([linear(0.05, { from: 0.1, steps: 20 }), exponentialDecay(0.05, { gamma: 0.9 }), constant(0.001)], {
      boundaries: [20, 50],
    }),
    [...torch.linearLR(0.05, 0.1, 1, 20, 19), ...torch.exponentialLR(0.05, 0.9, 29), ...Array<number>(30).fill(0.001)],
  ],
  // ChainedScheduler: each multiplies what it finds by its own change.
  [
    'ChainedScheduler',
    multiply(exponentialDecay(0.05, { gamma: 0.9 }), linear(1, { from: 0.1, steps: 20 })),
    torch
      .linearLR(1, 0.1, 1, 20, 60)
      .map((factor, epoch) => factor * (torch.exponentialLR(0.05, 0.9, 60)[epoch] as number)),
  ],
];

describe('PyTorch, to 1e-9 of the peak', () => {
  test.each(cases)('%s', (_, schedule, truth) => {
    expect(deviation(schedule, truth)).toBeLessThan(1e-9);
  });

  test.each(cases)(
    '%s: the comparison sees a schedule that is one step late, or 2e-9 too large',
    (_, schedule, truth) => {
      const varies = new Set(truth).size > 1;
      if (varies) expect(deviation((step) => schedule(Math.max(step - 1, 1)), truth)).toBeGreaterThan(1e-9);
      expect(deviation((step) => schedule(step) * (1 + 2e-9), truth)).toBeGreaterThan(1e-9);
      expect(deviation((step) => (step === truth.length ? Number.NaN : schedule(step)), truth)).not.toBeLessThan(1e-9);
    },
  );

  test('common mistakes in the formulas are detected', () => {
    const { PI, cos, min } = Math;
    const truth = torch.cosineAnnealingLR(0.1, 100, 0.01, 100);
    expect(deviation((step) => 0.01 + (0.09 * (1 + cos((PI * min(step - 1, 99)) / 99))) / 2, truth)).toBeGreaterThan(
      1e-4,
    );
    expect(deviation((step) => (0.1 * (1 + cos((PI * (step - 1)) / 100))) / 2, truth)).toBeGreaterThan(1e-2);
    // 1cycle with whole phases, as if PyTorch's did not end a step early.
    const oneCycleTruth = torch.oneCycleLR([0.04, 1, 4e-6], 0.3, 100, 'linear');
    expect(
      deviation(
        (step) => (step - 1 <= 30 ? 0.04 + (0.96 * (step - 1)) / 30 : 1 + ((4e-6 - 1) * (step - 31)) / 70),
        oneCycleTruth,
      ),
    ).toBeGreaterThan(1e-3);
  });
});

describe('a schedule holds its last value beyond its end, where PyTorch does not', () => {
  test('cosine: PyTorch rises again', () => {
    expect(torch.cosineAnnealingLR(0.1, 10, 0.02, 20)[20]).toBeCloseTo(0.1, 12);
    for (const step of [11, 12, 21, 1e6]) expect(cosine(0.1, { steps: 10, min: 0.02 })(step)).toBe(0.02);
  });

  test('oneCycle: PyTorch has one more value, past the minimum, and then throws', () => {
    const end = 0.04 / 1e4;
    expect(torch.oneCycleLR([0.04, 1, end], 0.3, 10, 'linear', 10)[10]).toBeLessThan(0);
    for (const step of [10, 11, 12, 1e6]) expect(oneCycle(1, { totalSteps: 10, anneal: 'linear' })(step)).toBe(end);
  });
});

describe('values by hand', () => {
  const at = (schedule: (step: number) => number, steps: number[]) => steps.map(schedule);
  const near = (expected: number[]) => expected.map((value) => expect.closeTo(value, 14));

  test('constant', () => expect(at(constant(0.3), [1, 2, 1e9])).toEqual([0.3, 0.3, 0.3]));

  test('stepDecay: the default factor', () =>
    expect(at(stepDecay(1, { every: 2 }), [1, 2, 3, 4, 5])).toEqual(near([1, 1, 0.1, 0.1, 0.01])));

  test('exponentialDecay', () => {
    expect(at(exponentialDecay(8, { gamma: 0.5 }), [1, 2, 3, 4])).toEqual([8, 4, 2, 1]);
    expect(at(exponentialDecay(1, { rate: 1 }), [1, 2, 3])).toEqual(near([1, 0.36787944117144233, 0.1353352832366127]));
  });

  test('inverseTimeDecay', () =>
    expect(at(inverseTimeDecay(1, { rate: 1 }), [1, 2, 3, 4, 10])).toEqual([1, 1 / 2, 1 / 3, 1 / 4, 1 / 10]));

  test('piecewiseConstant', () => {
    const values = { boundaries: [2, 4], values: [5, 7, 1] };
    expect(at(piecewiseConstant(values), [1, 2, 3, 4, 5, 99])).toEqual([5, 5, 7, 7, 1, 1]);
    expect(at(piecewiseConstant(123, values), [1, 2, 3, 4, 5, 99])).toEqual([5, 5, 7, 7, 1, 1]);
    expect(at(piecewiseConstant({ boundaries: [2, 2], values: [5, 7, 1] }), [1, 2, 3])).toEqual([5, 5, 1]);
    expect(at(piecewiseConstant({ boundaries: [], values: [5] }), [1, 2])).toEqual([5, 5]);
    expect(at(piecewiseConstant(8, { boundaries: [3, 1, 3], factor: 0.5 }), [1, 2, 3, 4])).toEqual([8, 4, 4, 1]);
    expect(at(piecewiseConstant(1, { boundaries: [1] }), [1, 2])).toEqual([1, 0.1]);
  });

  test('linear', () => {
    expect(at(linear(3), [1, 2, 3, 4, 5, 6, 7])).toEqual(near([1, 1.4, 1.8, 2.2, 2.6, 3, 3]));
    expect(at(linear(1, { from: 0, to: 2, steps: 4 }), [1, 2, 3, 4, 5, 6])).toEqual([0, 0.5, 1, 1.5, 2, 2]);
  });

  test('polynomial', () => {
    expect(at(polynomial(5), [1, 2, 3, 4, 5, 6, 7])).toEqual(near([5, 4, 3, 2, 1, 0, 0]));
    expect(at(polynomial(16, { steps: 4, power: 2 }), [1, 2, 3, 4, 5, 6])).toEqual([16, 9, 4, 1, 0, 0]);
  });

  test('cosine', () => {
    expect(at(cosine(3, { steps: 4, min: 1 }), [1, 2, 3, 4, 5, 9])).toEqual(
      near([3, 2 + Math.SQRT1_2, 2, 2 - Math.SQRT1_2, 1, 1]),
    );
    // Both ends exactly, where min + (lr − min) would round.
    expect(at(cosine(0.1, { steps: 7, min: 0.7 }), [1, 8])).toEqual([0.1, 0.7]);
  });

  test('cosineWarmRestarts', () => {
    expect(at(cosineWarmRestarts(2, { first: 2 }), [1, 2, 3, 4, 5])).toEqual(near([2, 1, 2, 1, 2]));
    expect(at(cosineWarmRestarts(2, { first: 1, multiplier: 2 }), [1, 2, 3, 4, 6, 8])).toEqual(
      near([2, 2, 1, 2, 1, 2]),
    );
    // 1 + 2 + … + 2⁵¹ steps are done: a restart far out, found at once.
    expect(cosineWarmRestarts(2, { first: 1, multiplier: 2 })(2 ** 52)).toBe(2);
  });

  test('cyclic, cyclicMomentum', () => {
    const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect(at(cyclic({ base: 1, max: 3, stepsUp: 2 }), steps)).toEqual([1, 2, 3, 2, 1, 2, 3, 2, 1]);
    expect(at(cyclic({ base: 1, max: 3, stepsUp: 2, mode: 'triangular2' }), steps)).toEqual([
      1, 2, 3, 2, 1, 1.5, 2, 1.5, 1,
    ]);
    expect(
      at(cyclic({ base: 0, max: 4, stepsUp: 1, stepsDown: 2, mode: 'exp_range', gamma: 0.5 }), steps.slice(0, 5)),
    ).toEqual([0, 2, 0.5, 0, 0.25]);
    expect(cyclic({ base: 1, max: 3 })(2001)).toBe(3);
    expect(at(cyclicMomentum({ stepsUp: 2 }), steps.slice(0, 5))).toEqual(near([0.9, 0.85, 0.8, 0.85, 0.9]));
    expect(cyclicMomentum()(2001)).toBe(0.8);
  });

  test('oneCycle, oneCycleMomentum', () => {
    // Phases of 10 steps: the rise ends at k = 0.5·10 − 1 = 4, the fall at 9; with three at 4, 8 and 9.
    const shape = { totalSteps: 10, pctStart: 0.5, anneal: 'linear' } as const;
    const three = { ...shape, threePhase: true };
    const steps = [1, 2, 3, 5, 6, 9, 10, 11];
    expect(at(oneCycle(10, { ...shape, divFactor: 5, finalDivFactor: 2 }), steps)).toEqual(
      near([2, 4, 6, 10, 8.2, 2.8, 1, 1]),
    );
    expect(at(oneCycle(10, { ...three, divFactor: 5, finalDivFactor: 2 }), steps)).toEqual(
      near([2, 4, 6, 10, 8, 2, 1, 1]),
    );
    expect(at(oneCycleMomentum(shape), steps)).toEqual(near([0.95, 0.925, 0.9, 0.85, 0.87, 0.93, 0.95, 0.95]));
    expect(at(oneCycleMomentum({ ...three, base: 0.5, max: 0.9 }), steps)).toEqual(
      near([0.9, 0.8, 0.7, 0.5, 0.6, 0.9, 0.9, 0.9]),
    );
  });

  test('oneCycle with a rise of zero steps starts at the peak (PyTorch divides by 0)', () => {
    expect(torch.oneCycleLR([0.04, 1, 4e-6], 0.1, 10, 'cos')[0]).toBeNaN();
    expect(oneCycle(1, { totalSteps: 10, pctStart: 0.1 })(1)).toBe(1);
    expect(oneCycle(1, { totalSteps: 1, pctStart: 1 })(1)).toBe(1);
  });

  test('warmup', () => {
    const schedule = exponentialDecay(8, { gamma: 0.5 });
    expect(at(warmup(schedule, { steps: 4 }), [1, 2, 3, 4, 5, 6, 7])).toEqual([2, 4, 6, 8, 8, 4, 2]);
    expect(at(warmup(schedule, { steps: 2, from: 0.5 }), [1, 2, 3, 4])).toEqual([6, 8, 8, 4]);
    expect(at(warmup(schedule, { steps: 0 }), [1, 2, 3])).toEqual([8, 4, 2]);
  });

  test('warmupStableDecay', () => {
    const options = { warmup: 2, stable: 3, decay: 4 };
    const steps = [1, 2, 3, 5, 6, 7, 8, 9, 10, 99];
    expect(at(warmupStableDecay(4, options), steps)).toEqual([2, 4, 4, 4, 3, 2, 1, 0, 0, 0]);
    expect(at(warmupStableDecay(5, { ...options, min: 1 }), steps)).toEqual([2.5, 5, 5, 5, 4, 3, 2, 1, 1, 1]);
    const wave = near([1, 2, 2, 2, 1 + Math.SQRT1_2, 1, 1 - Math.SQRT1_2, 0, 0, 0]);
    expect(at(warmupStableDecay(2, { ...options, shape: 'cosine' }), steps)).toEqual(wave);
    expect(at(warmupStableDecay(2, { ...options, shape: 'sqrt' }), [6, 7, 9, 10])).toEqual(
      near([1, 2 - Math.SQRT2, 0, 0]),
    );
    expect(at(warmupStableDecay(4, { warmup: 0, stable: 0, decay: 2 }), [1, 2, 3])).toEqual([2, 0, 0]);
  });

  test('multiply, sequence, perEpoch', () => {
    const count = (step: number) => step;
    expect(at(multiply(count, constant(2)), [1, 2, 3])).toEqual([2, 4, 6]);
    expect(at(sequence([count, (t) => 10 * t, (t) => 100 * t], { boundaries: [2, 3] }), [1, 2, 3, 4, 5])).toEqual([
      1, 2, 10, 100, 200,
    ]);
    expect(at(sequence([count, (t) => 10 * t], { boundaries: [0] }), [1, 2])).toEqual([10, 20]);
    expect(at(sequence([count], { boundaries: [] }), [1, 2])).toEqual([1, 2]);
    expect(at(perEpoch(count, 3), [1, 2, 3, 4, 6, 7])).toEqual([1, 1, 1, 2, 2, 3]);
  });

  test('multiplicative: the factor of step t is that of k = t − 1', () =>
    expect(
      at(
        multiplicative(1, (k) => k),
        [1, 2, 3, 4, 5, 3, 0, 6],
      ),
    ).toEqual([1, 1, 2, 6, 24, 2, 1, 120]));

  test('swaAnnealing: the defaults, and 0 steps', () => {
    expect(at(swaAnnealing(1, { swaLr: 0.5 }), [1, 6, 11, 1000])).toEqual([1, 0.75, 0.5, 0.5]);
    expect(at(swaAnnealing(1, { swaLr: 0.5, annealSteps: 4, anneal: 'linear' }), [1, 2, 5])).toEqual([1, 0.875, 0.5]);
    expect(at(swaAnnealing(1, { swaLr: 0.5, annealSteps: 0 }), [1, 2])).toEqual([0.5, 0.5]);
  });

  test('nesterovMomentum: 1 − 2^(−1 − log₂ n)', () => {
    expect(at(nesterovMomentum(), [1, 250, 251, 500, 501, 751, 12_250, 12_251, 1e6])).toEqual(
      near([0.5, 0.5, 0.75, 0.75, 1 - 1 / 6, 0.875, 1 - 1 / 98, 0.99, 0.99]),
    );
    for (const n of [1, 2, 3, 7, 40]) expect(nesterovMomentum()(250 * n)).toBeCloseTo(1 - 2 ** (-1 - Math.log2(n)), 14);
  });
});
