import { describe, expect, test } from 'vitest';
import { SAM, SGD } from '../../../lib/index.js';
import { weights } from '../../support/golden/data.js';

const U = 2 ** -24;
const [rho, lr, steps] = [0.3, 0.05, 20];

/** The gradient of Σ (1 + i mod 3)·w⁴/4, in the given arithmetic. */
const quartic = (w: number, i: number): number => (1 + (i % 3)) * w ** 3;

/** Where the climb leads to, in float64. */
type Climb = (w: readonly number[][], g: readonly number[][], scale: number) => number[][];

const norm = (all: readonly number[][]): number => Math.sqrt(all.flat().reduce((sum, x) => sum + x * x, 0));
const zip = (w: readonly number[][], g: readonly number[][], of: (w: number, g: number) => number): number[][] =>
  w.map((row, p) => row.map((x, i) => of(x, g[p]![i]!)));

const plain: Climb = (w, g) => {
  const k = rho / (norm(g as number[][]) + 1e-12);
  return zip(w, g, (x, y) => x + k * y);
};
const adaptive: Climb = (w, g) => {
  const k = rho / (norm(zip(w, g, (x, y) => Math.abs(x) * y)) + 1e-12);
  return zip(w, g, (x, y) => x + k * x * x * y);
};

interface Step {
  before: number[][];
  climbed: number[][];
  after: number[][];
}

function record(isAdaptive: boolean): Step[] {
  const params = [1, 7, 64].map((length, p) => weights(length, 50 + p));
  const sam = new SAM(new SGD(params, { lr }), { rho, adaptive: isAdaptive });
  const seen = (): number[][] => params.map((w) => Array.from(w));
  const grads = (): Float32Array[] => params.map((w) => w.map(quartic));
  return Array.from({ length: steps }, () => {
    const before = seen();
    sam.firstStep(grads(), { gradScale: 1 });
    const climbed = seen();
    sam.secondStep(grads());
    return { before, climbed, after: seen() };
  });
}

/** Whether all steps are those of `climb`, and then of SGD from the point before it. */
function agrees(recorded: readonly Step[], climb: Climb): boolean {
  const near = (a: number, b: number, size: number): boolean => Math.abs(a - b) <= 8 * U * size;
  return recorded.every(({ before, climbed, after }) => {
    const g = before.map((row) => row.map((x, i) => Math.fround(quartic(x, i))));
    const expected = climb(before, g, 1);
    return before.every((row, p) =>
      row.every((x, i) => {
        const [up, end] = [climbed[p]![i]!, after[p]![i]!];
        const pull = lr * Math.fround(quartic(up, i));
        return (
          near(up, expected[p]![i]!, Math.abs(x) + Math.abs(expected[p]![i]! - x)) &&
          near(end, x - pull, Math.abs(x) + Math.abs(pull))
        );
      }),
    );
  });
}

const wrong: Record<string, Climb> = {
  'no climb': (w) => zip(w, w, (x) => x),
  'a climb downhill': (w, g) => zip(w, plain(w, g, 1), (x, up) => 2 * x - up),
  'not normalised': (w, g) => zip(w, g, (x, y) => x + rho * y),
  'the norm of each param': (w, g) => w.map((row, p) => plain([row], [g[p]!], 1)[0]!),
  'the square of the norm': (w, g) => zip(w, g, (x, y) => x + (rho / norm(g as number[][]) ** 2) * y),
  'rho twice': (w, g) => zip(w, plain(w, g, 1), (x, up) => x + rho * (up - x)),
};
const wrongAdaptive: Record<string, Climb> = {
  plain,
  'the norm of g': (w, g) => zip(w, g, (x, y) => x + (rho / norm(g as number[][])) * x * x * y),
  '|w| once': (w, g) => {
    const k = rho / norm(zip(w, g, (x, y) => Math.abs(x) * y));
    return zip(w, g, (x, y) => x + k * Math.abs(x) * y);
  },
};

describe.each([
  ['SAM', false, plain, wrong],
  ['ASAM', true, adaptive, { ...wrongAdaptive, ...wrong }],
] as const)('%s', (_, isAdaptive, right, mistakes) => {
  const recorded = record(isAdaptive);
  test('each step agrees with float64', () => expect(agrees(recorded, right)).toBe(true));
  test.each(Object.entries(mistakes))('differs from: %s', (_, climb) => expect(agrees(recorded, climb)).toBe(false));
});
