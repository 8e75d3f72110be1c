// Compressed gradients against the formula in float64: what each step gets, bit for bit.
import { describe, expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { SGD } from '../../../lib/index.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { numbers, random } from '../../support/random.js';

/** A deliberately wrong rule, or none. */
interface Mistake {
  readonly truncates?: boolean;
  readonly forgets?: 'contributions' | 'sums';
  readonly sequential?: boolean;
  readonly unscaled?: boolean;
}

const f = Math.fround;
const largest = (2 - 2 ** -7) * 2 ** 127;

/** The nearest number of 8 bits: the exponent by division, and the tie by comparison. */
function bfloat16(x: number, truncates = false): number {
  if (!Number.isFinite(x) || x === 0) return x;
  let unit = 2 ** -133; // of the smallest normal numbers, and of all denormals
  while (Math.abs(x) / unit >= 256) unit *= 2;
  const count = x / unit; // exact
  const down = Math.floor(count);
  const rest = count - down;
  const isUp = rest > 0.5 || (rest === 0.5 && Math.abs(down) % 2 === 1);
  const rounded = (truncates ? Math.trunc(count) : isUp ? down + 1 : down) * unit;
  return Math.abs(rounded) > largest ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}

const finite = (x: number): number => (Number.isFinite(x) ? x : 0);

/** The sum over the ranks of one element, and the residuals, as the documentation says it. */
class Element {
  readonly contributions: number[];
  sum = 0;
  factor = 1;

  constructor(
    size: number,
    readonly mistake: Mistake,
  ) {
    this.contributions = Array.from({ length: size }, () => 0);
  }

  step(grads: readonly number[], factor: number): number {
    const { truncates, forgets, sequential, unscaled } = this.mistake;
    const ratio = unscaled ? 1 : f(this.factor / factor);
    const given = grads.map((g, rank) => f(g + f(ratio * this.contributions[rank]!)));
    const parts = given.map((x) => bfloat16(x, truncates));
    for (const [rank, x] of given.entries())
      this.contributions[rank] = forgets === 'contributions' ? 0 : finite(x - parts[rank]!);
    if (sequential) while (parts.length > 1) parts.splice(0, 2, f(parts[0]! + parts[1]!));
    for (let d = 1; d < parts.length; d *= 2)
      for (let i = 0; i + d < parts.length; i += 2 * d) parts[i] = f(parts[i]! + parts[i + d]!);
    const y = f(parts[0]! + f(ratio * this.sum));
    const rounded = bfloat16(y, truncates);
    this.sum = forgets === 'sums' ? 0 : finite(y - rounded);
    this.factor = factor;
    return rounded;
  }
}

const lengths = { w: 700, b: 5 };
const steps = 4;
const weightOf = (rank: number, step: number): number => (step === 3 ? 0.25 : 1 + ((rank + step) % 3));

/** Gradients of many sizes; some tie, some have a size at the ends of float32, and one is not finite. */
function gradOf(rank: number, step: number, length: number): Float32Array {
  const next = random(97 * rank + step + 3);
  const values = numbers(length, 5 * rank + step);
  return values.map((x, i) => {
    if (i === 7) return 1 + 2 ** -8 * (2 * step + 1); // a tie
    if (i === 9) return 2 ** -130 * next();
    if (i === 11 && step === 1) return 3.4e38; // rounds to infinity
    if (i === 13 && step === 2 && rank === 0) return Number.NaN;
    return x * 10 ** Math.floor(8 * next() - 4);
  });
}

/** What each step gets, on rank 0. */
async function run(size: number): Promise<number[][]> {
  const ranks = await onRanks(size, async (world) => {
    const params = { w: new Float32Array(lengths.w), b: new Float32Array(lengths.b) };
    const optimizer = await DataParallel.create(new SGD(params, { lr: 0 }), world, {
      compression: 'bf16',
      bucketBytes: 512,
    });
    const seen: number[][] = [];
    optimizer.registerStepPreHook((_, grads) => {
      const { w, b } = grads as unknown as typeof params;
      seen.push([...w, ...b]);
    });
    for (let step = 0; step < steps; step++) {
      const grads = { w: gradOf(world.rank, step, lengths.w), b: gradOf(world.rank, step + 50, lengths.b) };
      await optimizer.step(grads, { weight: weightOf(world.rank, step), gradScale: step === 2 ? 0.1 : 1 });
    }
    return seen;
  });
  for (const seen of ranks) expect(seen).toEqual(ranks[0]);
  return ranks[0]!;
}

function truth(size: number, mistake: Mistake = {}): number[][] {
  const elements = Array.from({ length: lengths.w + lengths.b }, () => new Element(size, mistake));
  return Array.from({ length: steps }, (_, step) => {
    const weights = Array.from({ length: size }, (_, rank) => weightOf(rank, step));
    const grads = weights.map((weight, rank) =>
      [...gradOf(rank, step, lengths.w), ...gradOf(rank, step + 50, lengths.b)].map((g) => f(weight * g)),
    );
    const factor = (step === 2 ? 0.1 : 1) / weights.reduce((sum, weight) => sum + weight); // exact in any order
    return elements.map((element, i) =>
      element.step(
        grads.map((grad) => grad[i]!),
        factor,
      ),
    );
  });
}

describe.each([1, 2, 3, 4])('%i ranks', (size) => {
  test('each step gets the rounded sums, with what was lost before', async () => {
    expect(await run(size)).toEqual(truth(size));
  });
});

const mistakes: readonly (readonly [name: string, mistake: Mistake])[] = [
  ['rounded toward zero', { truncates: true }],
  ['without feedback of the contributions', { forgets: 'contributions' }],
  ['without feedback of the sums', { forgets: 'sums' }],
  ['summed one after the other', { sequential: true }],
  ['with residuals of another weight', { unscaled: true }],
];

test.each(mistakes)('a sum %s fails', (_, mistake) => {
  expect(truth(4, mistake)).not.toEqual(truth(4));
});

test('nothing is lost for ever: all steps together are the sum of all gradients', async () => {
  const count = 100;
  const grads = [numbers(40, 1), numbers(40, 2), numbers(40, 3)];
  const [seen] = await onRanks(3, async (world) => {
    const params = new Float32Array(40);
    const optimizer = await DataParallel.create(new SGD(params, { lr: 0 }), world, { compression: 'bf16' });
    const sums = new Float64Array(40);
    optimizer.registerStepPreHook((_, given) => {
      for (const [i, g] of (given as unknown as Float32Array).entries()) sums[i]! += g;
    });
    for (let step = 0; step < count; step++) await optimizer.step(grads[world.rank]!);
    return sums;
  });
  for (const [i, sum] of (seen as Float64Array).entries()) {
    const each = grads.map((grad) => grad[i]!);
    // A residual is at most half a unit of its number: 2⁻⁸ of it. Roundings of float32 add up to 2⁻²⁴ of a sum, each step.
    const most = each.reduce((total, g) => total + Math.abs(g), 0);
    const bound = most * (4 * 2 ** -8 + count * 4 * 2 ** -24);
    const exact = count * each.reduce((total, g) => total + g, 0);
    expect(Math.abs(sum - exact)).toBeLessThanOrEqual(bound);
    // Without feedback the same loss comes in every step.
    const careless = count * bfloat16(each.reduce((total, g) => total + bfloat16(g), 0));
    if (i === 0) expect(Math.abs(careless - exact)).toBeGreaterThan(bound);
  }
});
