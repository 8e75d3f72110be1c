// The line search tries the steps that SciPy's DCSRCH tries, a translation of MINPACK-2 by other hands: scipy.json,
// from
// lbfgsb.py.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LineSearch, type Trial } from '../../../lib/second-order/lbfgs/line-search.js';
import { finish } from '../../../lib/second-order/task.js';

const recorded = (
  JSON.parse(readFileSync(join(__dirname, '../../support/second-order/scipy.json'), 'utf8')) as {
    readonly lineSearches: Readonly<Record<string, readonly (readonly number[])[]>>;
  }
).lineSearches;

/** A function on a line, and its slope. */
type Line = (a: number) => readonly [value: number, slope: number];

const gamma = (beta: number) => Math.sqrt(1 + beta ** 2) - beta;
const yanai =
  (b1: number, b2: number): Line =>
  (a) => {
    const [left, right] = [Math.sqrt((1 - a) ** 2 + b2 ** 2), Math.sqrt(a ** 2 + b1 ** 2)];
    return [gamma(b1) * left + gamma(b2) * right, (gamma(b1) * (a - 1)) / left + (gamma(b2) * a) / right];
  };
const lines: Readonly<Record<string, Line>> = {
  1: (a) => [-a / (a * a + 2), (a * a - 2) / (a * a + 2) ** 2],
  2: (a) => [(a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3],
  3: (a) => {
    const [beta, frequency] = [0.01, (39 * Math.PI) / 2];
    const near = Math.abs(a - 1) < beta;
    const corner = near ? (a - 1) ** 2 / (2 * beta) + beta / 2 : Math.abs(a - 1);
    const slope = near ? (a - 1) / beta : Math.sign(a - 1);
    const wave = (1 - beta) * Math.cos(frequency * a);
    return [corner + ((1 - beta) / frequency) * Math.sin(frequency * a), slope + wave];
  },
  4: yanai(0.001, 0.001),
  5: yanai(0.01, 0.001),
  6: yanai(0.001, 0.01),
  kink: (a) => [Math.abs(a - 1.3), a < 1.3 ? -1 : 1],
  scarcely: (a) => [-a + 1.49997 * a ** 2 - 0.49998 * a ** 3, -1 + 2.99994 * a - 1.49994 * a ** 2],
};

function search(line: Line, first: number) {
  const steps: number[] = [];
  const [value, slope] = line(0);
  const start: Trial = { step: 0, value, slope, grad: new Float64Array(0) };
  const grad = () => new Float64Array(0);
  const found = finish(
    new LineSearch([grad(), grad(), grad()]).run(start, first, (trial) => {
      steps.push(trial.step);
      [trial.value, trial.slope] = line(trial.step);
    }),
  );
  return { steps, found };
}

describe.each(Object.keys(recorded))('function %s', (name) => {
  test.each(recorded[name]!.map((steps) => [steps[0]!, steps] as const))('from %f', (first, truth) => {
    const { steps, found } = search(lines[name]!, first);
    // If the bracket becomes too narrow SciPy gives up, and evaluates the best step once more.
    const expected = truth.filter((step, i) => truth.indexOf(step) === i);
    expect(steps).toHaveLength(expected.length);
    for (const [i, step] of steps.entries()) expect(step / expected[i]!).toBeCloseTo(1, 6);
    const [value, slope] = lines[name]!(0);
    expect(found?.value).toBeLessThanOrEqual(value + 1e-4 * (found?.step as number) * slope);
    const isGivenUp = truth.length > expected.length || truth.length === 20;
    if (!isGivenUp) expect(Math.abs(found?.slope as number)).toBeLessThanOrEqual(0.9 * -slope);
    else expect(found?.value).toBe(Math.min(...steps.map((step) => lines[name]!(step)[0])));
  });
});

describe('beyond what DCSRCH does', () => {
  test('it never returns to a point that was not finite, or beyond it', () => {
    for (const wall of [0.3, 0.9, 1e-3]) {
      // The function decreases up to the wall.
      const { steps, found } = search((a) => (a < wall ? [-a, -1] : [Number.NaN, Number.NaN]), 1);
      let ceiling = Number.POSITIVE_INFINITY;
      for (const step of steps) {
        expect(step).toBeLessThan(ceiling);
        if (step >= wall) ceiling = step;
      }
      expect(found?.step).toBeGreaterThan(0.7 * wall);
    }
  });
});
