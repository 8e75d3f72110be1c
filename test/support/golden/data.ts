/** Seeded weights and gradients: the same in every run. */
import { normal, random } from '../random.js';

/** Rows and columns of params that have a shape, by their length. */
export function shapeOf(length: number): readonly [rows: number, columns: number] {
  const rows = new Map([
    [9, 9],
    [15, 3],
    [1000, 125],
    [1003, 17],
  ]).get(length);
  return [rows ?? 1, length / (rows ?? 1)];
}

/**
 * A third of the weights is 0: there no |w| hides an error of the update. The others keep away from it: where decay
 * alone drives a weight through 0, the sign of the next normalised step hangs on a rounding, and no bound holds.
 */
export function weights(length: number, seed: number): Float32Array {
  const next = random(seed);
  const scales = [0, 1, 0.05];
  return Float32Array.from({ length }, (_, i) => {
    const x = normal(next);
    return (scales[i % 3] ?? 0) * (x < 0 ? x - 0.2 : x + 0.2);
  });
}

/**
 * 'plain': around 1, with zeros. 'wild': also from 1.3e-19 to 1e18, the range whose squares float32 can hold. Some
 * elements go from one end to the other between steps.
 */
export type Kind = 'plain' | 'wild';

export function gradient(length: number, seed: number, kind: Kind, magnitude: number): Float32Array {
  const next = random(seed);
  const power = (from: number, to: number): number => (next() < 0.5 ? -1 : 1) * 10 ** (from + (to - from) * next());
  const wild = kind === 'wild';
  // Ten elements of a kind each against three scales of weights: every pair occurs. The first one is ordinary.
  const element = (i: number): number => {
    switch (i % 10) {
      case 4:
        return 0;
      case 5:
        return wild ? power(-18.9, -10) : power(-3, 0); // tiny
      case 6:
        return wild ? power(10, 18) : power(0, 1); // huge
      case 7:
        return next() < 0.7 ? 0 : normal(next); // seldom
      case 8:
        return wild ? power(-6, 6) : power(-2, 1); // changing
      case 9:
        return 0.3 + 0.1 * normal(next); // with a mean: s - a² cancels
      default:
        return normal(next);
    }
  };
  return Float32Array.from({ length }, (_, i) => element(i) * magnitude);
}
