// The rows of "From optax" and the warm-up of "From Keras" against the formulas of these libraries, which count from 0,
// written anew in float64 and with none of the library's helpers.
import { describe, expect, test } from 'vitest';
import type { Schedule } from '../../../lib/index.js';
import * as library from '../../../lib/schedules/index.js';
import { read } from '../../support/root.js';

type AtCount = (count: number) => number;

const { PI, cos, floor, max, min } = Math;

const linear =
  (init: number, end: number, n: number): AtCount =>
  (count) =>
    (init - end) * (1 - min(max(count, 0), n) / n) + end;

const cosineDecay =
  (init: number, n: number, alpha: number): AtCount =>
  (count) =>
    init * ((1 - alpha) * 0.5 * (1 + cos((PI * min(count, n)) / n)) + alpha);

const join =
  (before: AtCount, after: AtCount, boundary: number): AtCount =>
  (count) =>
    count < boundary ? before(count) : after(count - boundary);

/** Between values at counts, by the weight of the value at the left, from 1 down to 0. */
const through =
  (points: readonly (readonly [number, number])[], weight: (x: number) => number): AtCount =>
  (count) => {
    const right = points.findIndex(([at]) => count < at);
    if (right === -1) return points.at(-1)![1];
    const [[from, a], [to, b]] = [points[right - 1]!, points[right]!];
    return b + (a - b) * weight((count - from) / (to - from));
  };

const [init, end, n, power, rate, alpha, a, peak, total, m, b, scale, v] = [
  0.3, 0.02, 37, 1.7, 0.6, 0.1, 0.004, 0.2, 150, 11, 40, 0.25, 0.7,
];
const [pct_start, lr] = [0.3, peak];
const [p, q] = [floor(0.3 * n), floor(0.85 * n)];
const boundary = 20;
const schedules = [library.constant(0.1), library.cosine(0.2, { steps: 30 })];
const boundaries = [boundary];
const values = {
  init,
  end,
  n,
  power,
  rate,
  alpha,
  a,
  peak,
  total,
  m,
  b,
  scale,
  v,
  pct_start,
  lr,
  p,
  q,
  schedules,
  boundaries,
};

const optax: Readonly<Record<string, AtCount>> = {
  'constant_schedule(v)': () => v,
  'linear_schedule(init, end, n)': linear(init, end, n),
  'polynomial_schedule(init, 0, power, n)': (count) => init * (1 - min(count, n) / n) ** power,
  'exponential_decay(init, n, rate)': (count) => init * rate ** (count / n),
  'exponential_decay(init, n, rate, staircase=True)': (count) => init * rate ** floor(count / n),
  'cosine_decay_schedule(init, n, alpha)': cosineDecay(init, n, alpha),
  'piecewise_constant_schedule(init, {b: scale})': (count) => (count < b ? init : init * scale),
  'warmup_constant_schedule(a, peak, n)': linear(a, peak, n),
  'warmup_cosine_decay_schedule(a, peak, n, total, end)': join(
    linear(a, peak, n),
    cosineDecay(peak, total - n, end / peak),
    n,
  ),
  'warmup_exponential_decay_schedule(a, peak, n, m, rate)': join(
    linear(a, peak, n),
    (count) => peak * rate ** (count / m),
    n,
  ),
  'cosine_onecycle_schedule(n, peak, pct_start)': through(
    [
      [0, peak / 25],
      [floor(pct_start * n), peak],
      [n, peak / 25 / 1e4],
    ],
    (x) => (cos(PI * x) + 1) / 2,
  ),
  'linear_onecycle_schedule(n, peak)': through(
    [
      [0, peak / 25],
      [p, peak],
      [q, peak / 25],
      [n, peak / 25 / 1e4],
    ],
    (x) => 1 - x,
  ),
  'join_schedules(schedules, boundaries)': join(() => 0.1, cosineDecay(0.2, 30, 0), boundary),
};

const keras: Readonly<Record<string, AtCount>> = {
  'CosineDecay(0, n, warmup_target=lr, warmup_steps=m)': join(linear(0, lr, m), cosineDecay(lr, n, 0), m),
};

/** The schedule that a page names beside a call: the first code of the second column. */
function counterpart(page: string, call: string): Schedule {
  const row = read('docs', 'guide', page)
    .split('\n')
    .find((line) => line.startsWith(`| \`${call}\` |`));
  const [, code] = /^\| `[^`]+` \| `([^`]+)`/.exec(row ?? '') ?? [];
  const names = { ...library, ...values };
  return new Function(...Object.keys(names), `return ${code}`)(...Object.values(names)) as Schedule;
}

/** The largest difference at the first steps, beyond the end of every schedule. */
const difference = (schedule: Schedule, truth: AtCount): number =>
  max(...Array.from({ length: 2 * total }, (_, count) => Math.abs(schedule(count + 1) - truth(count))));

describe.each([
  ['from-optax.md', optax],
  ['from-keras.md', keras],
])('%s', (page, truths) => {
  test.each(Object.entries(truths))('%s', (call, truth) => {
    expect(difference(counterpart(page, call), truth)).toBeLessThan(1e-15);
  });
});

test('the short form of a warm-up and its shift are not optax', () => {
  const truth = optax['warmup_cosine_decay_schedule(a, peak, n, total, end)']!;
  const short = library.warmup(library.cosine(peak, { steps: total - n, min: end }), { steps: n, from: a / peak });
  expect(difference(short, truth)).toBeGreaterThan(1e-3);
  expect(difference((step) => short(step - 1), truth)).toBeGreaterThan(1e-5);
  expect(short(0)).toBe(short(1));
});
