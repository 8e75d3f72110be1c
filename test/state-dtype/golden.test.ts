// Adam with state in bfloat16, against the formulas written out here: the hash in BigInt, the rounding in float64.
import { describe, expect, test } from 'vitest';
import { Adam } from '../../lib/index.js';
import { nativeEngines, reference, withEngine } from '../support/engines.js';
import { random } from '../support/random.js';

const f = Math.fround;
const word = 0xffffffffn;

function murmur(x: bigint): bigint {
  let h = x & word;
  h = ((h ^ (h >> 16n)) * 0x85ebca6bn) & word;
  h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) & word;
  return h ^ (h >> 16n);
}

/** In [0, 1): the chance number of an element of the array at a place among the state, in an update. */
type Chance = (element: number, update: number, place: number, value: number) => number;

const chance: Chance = (element, update, place) => {
  const seed = murmur(BigInt(8 * update + Math.floor(place / 2)));
  const hash = murmur(BigInt(element) * 0x9e3779b1n + seed);
  return Number(place % 2 === 0 ? hash & 0xffffn : hash >> 16n) / 65536;
};

/** The neighbours in bfloat16, which has 8 significant bits and the exponents of float32. */
function rounded(x: number, chance: number): number {
  if (x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), -126);
  const unit = 2 ** (exponent - 7);
  const units = Math.abs(x) / unit;
  const below = Math.floor(units);
  return Math.sign(x) * unit * (units - below + chance >= 1 ? below + 1 : below);
}

const betas = [0.9, 0.999] as const;
const [lr, eps, length, updates] = [0.01, 1e-8, 301, 40];

const start = Float32Array.from({ length }, (_, i) => Math.sin(i));
const gradients = Array.from({ length: updates }, (_, t) => {
  const next = random(t + 1);
  return Float32Array.from({ length }, (_, i) => (next() - 0.3) * 10 ** ((i % 7) - 4));
});

interface Run {
  readonly w: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/** Each operation in float64, then rounded to float32. */
function expected(chanceOf: Chance): Run {
  const [w, m, v] = [start.slice(), new Float32Array(length), new Float32Array(length)];
  for (const [step, grad] of gradients.entries()) {
    const t = step + 1;
    const stepSize = f(lr / (1 - betas[0] ** t));
    const inverse = f(1 / Math.sqrt(1 - betas[1] ** t));
    for (let i = 0; i < length; i++) {
      const g = grad[i]!;
      const first = f(f(f(betas[0]) * m[i]!) + f(f(1 - betas[0]) * g));
      const second = f(f(f(betas[1]) * v[i]!) + f(f(f(1 - betas[1]) * g) * g));
      w[i] = w[i]! - f(f(stepSize * first) / f(f(f(Math.sqrt(second)) * inverse) + f(eps)));
      m[i] = rounded(first, chanceOf(i, t, 0, first));
      v[i] = rounded(second, chanceOf(i, t, 1, second));
    }
  }
  return { w, m, v };
}

function actual(): Run {
  const w = start.slice();
  const adam = new Adam(w, { lr, betas, eps, stateDtype: 'bfloat16' });
  for (const grad of gradients) adam.step(grad);
  const { expAvg, expAvgSq } = adam.stateDict().state['0'] as unknown as Record<string, Float32Array>;
  return { w, m: expAvg!, v: expAvgSq! };
}

const wrong: Readonly<Record<string, Chance>> = {
  'nearest rounding': () => 0.5,
  'cut off': () => 0,
  'the update is not in the hash': (element, _, place, value) => chance(element, 1, place, value),
  'the update is counted from 0': (element, update, place, value) => chance(element, update - 1, place, value),
  'the element is not in the hash': (_, update, place, value) => chance(0, update, place, value),
  'the second array takes the bits of the first': (element, update, _, value) => chance(element, update, 0, value),
  'the arrays exchange their bits': (element, update, place, value) => chance(element, update, 1 - place, value),
  'another hash': (element, update, place) =>
    Number(murmur(BigInt(element * 7919 + update * 2 + place)) >> 16n) / 65536,
};

describe.each([reference, ...nativeEngines].map((engine) => [`${engine.name} ${engine.isa}`, engine] as const))(
  '%s',
  (_, engine) => {
    test('has the bits of the formula', () => {
      expect(withEngine(engine, actual)).toEqual(expected(chance));
    });
  },
);

test.each(Object.entries(wrong))('a reference is refused: %s', (_, mistake) => {
  expect(withEngine(reference, actual)).not.toEqual(expected(mistake));
});

test('the second moment does not freeze, as it does with nearest rounding', () => {
  // 1 − β₂ is below half a unit of bfloat16, so nearest rounding keeps v for any gradient near its present size.
  const [g, length, updates] = [0.7, 4096, 3000];
  const w = new Float32Array(length);
  const adam = new Adam(w, { lr: 0, stateDtype: 'bfloat16' });
  const grad = new Float32Array(length).fill(g);
  for (let t = 0; t < updates; t++) adam.step(grad);
  const v = adam.stateDict().state['0']!['expAvgSq'] as Float32Array;
  const mean = v.reduce((sum, x) => sum + x, 0) / length;
  const exact = g ** 2 * (1 - 0.999 ** updates);
  expect(Math.abs(mean / exact - 1)).toBeLessThan(1e-3);
  let nearest = 0;
  for (let t = 0; t < updates; t++) nearest = rounded(0.999 * nearest + 0.001 * g ** 2, 0.5);
  expect(Math.abs(nearest / exact - 1)).toBeGreaterThan(0.1);
});
