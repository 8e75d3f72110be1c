// Recipes of schedules: plain data from which the same schedule is made again.
import { describe, expect, test } from 'vitest';
import * as schedules from '../../../lib/schedules/index.js';
import { recipeOf, scheduleFrom } from '../../../lib/schedules/recipe.js';
import { type Any, thrown } from '../../support/bad-input.js';

const { constant, cosine, exponentialDecay, linear, multiply, perEpoch, piecewiseConstant, sequence, warmup } =
  schedules;

const examples: Record<string, () => (step: number) => number> = {
  constant: () => constant(0.3),
  cosine: () => cosine(0.1, { steps: 30, min: 0.01 }),
  cosineWarmRestarts: () => schedules.cosineWarmRestarts(1, { first: 7, multiplier: 2 }),
  cyclic: () => schedules.cyclic({ base: 0.1, max: 1, stepsUp: 5, mode: 'exp_range', gamma: 0.9 }),
  cyclicMomentum: () => schedules.cyclicMomentum({ stepsUp: 4, stepsDown: 9 }),
  exponentialDecay: () => exponentialDecay(1, { rate: 0.1 }),
  'exponentialDecay, gamma': () => exponentialDecay(1, { gamma: 0.9 }),
  inverseTimeDecay: () => schedules.inverseTimeDecay(1, { rate: 0.1 }),
  linear: () => linear(1),
  multiplicative: () => schedules.multiplicative(0.1, constant(0.9)),
  multiply: () => multiply(cosine(0.1, { steps: 20 }), linear(1, { from: 0.1, steps: 4 })),
  nesterovMomentum: () => schedules.nesterovMomentum(),
  oneCycle: () => schedules.oneCycle(1, { totalSteps: 40, anneal: 'linear', threePhase: true }),
  oneCycleMomentum: () => schedules.oneCycleMomentum({ totalSteps: 40 }),
  perEpoch: () => perEpoch(schedules.stepDecay(1, { every: 2 }), 5),
  piecewiseConstant: () => piecewiseConstant(1, { boundaries: [3, 9] }),
  'piecewiseConstant, values': () => piecewiseConstant({ boundaries: [3], values: [1, 2] }),
  polynomial: () => schedules.polynomial(1, { steps: 20, power: 2 }),
  sequence: () => sequence([constant(1), warmup(cosine(1, { steps: 9 }), { steps: 4 })], { boundaries: [10] }),
  stepDecay: () => schedules.stepDecay(1, { every: 3 }),
  swaAnnealing: () => schedules.swaAnnealing(0.1, { swaLr: 0.05, annealSteps: 7, anneal: 'linear' }),
  warmup: () => warmup(constant(0.5), { steps: 8, from: 0.2 }),
  warmupStableDecay: () => schedules.warmupStableDecay(1, { warmup: 3, stable: 5, decay: 9, shape: 'sqrt' }),
};

describe('a recipe', () => {
  test('there is an example of every export', () => {
    expect(new Set(Object.keys(examples).map((title) => title.split(',')[0]))).toEqual(new Set(Object.keys(schedules)));
  });

  test.each(Object.entries(examples))('%s: the same values after JSON, and the same recipe again', (_, make) => {
    const schedule = make();
    const recipe = recipeOf(schedule);
    const again = scheduleFrom('test', JSON.parse(JSON.stringify(recipe)));
    for (let step = 0; step < 60; step++) expect(again(step)).toBe(schedule(step));
    expect(recipeOf(again)).toEqual(JSON.parse(JSON.stringify(recipe)));
  });

  test("later changes to the caller's options have no effect", () => {
    const options = { boundaries: [3, 9], values: [1, 2, 3] };
    const recipe = recipeOf(piecewiseConstant(options));
    const before = JSON.stringify(recipe);
    const schedule = piecewiseConstant(options);
    options.boundaries[0] = 100;
    options.values.fill(7);
    expect(JSON.stringify(recipeOf(schedule))).toBe(before);
  });

  test('a function of the user has none, nor has a schedule that contains one', () => {
    const own = (step: number) => 1 / step;
    for (const schedule of [
      own,
      multiply(constant(1), own),
      schedules.multiplicative(1, own),
      perEpoch(own, 3),
      warmup(sequence([own], { boundaries: [] }), { steps: 3 }),
    ])
      expect(recipeOf(schedule)).toBeUndefined();
  });

  test('anything else is refused', () => {
    for (const [recipe, shown] of [
      [null, 'null'],
      [5, '5'],
      [{}, 'an object'],
      [{ schedule: 'eval', arguments: [] }, '"eval"'],
      [{ schedule: 'toString', arguments: [] }, '"toString"'],
    ] as const)
      expect(thrown(() => scheduleFrom('Adam', recipe))).toBe(
        `TypeError: Adam: schedule: ${shown}, expected a schedule of schuss`,
      );
    expect(thrown(() => scheduleFrom('Adam', { schedule: 'cosine', arguments: [1, { steps: 0 }] }))).toMatch(
      /^RangeError: cosine: steps: 0/,
    );
    const nested = { schedule: 'multiply', arguments: [{ schedule: 'x', arguments: [] }, 1] };
    expect(thrown(() => scheduleFrom('Adam', nested as Any))).toMatch(/^TypeError: Adam: schedule: "x"/);
  });
});
