import { expect, test } from 'vitest';
import { power } from '../../lib/core/power.js';
import fc from '../support/property.js';
import { all } from '../support/sample.js';

// Each squaring doubles the relative error, so that of base^n is at most about n ulp.
test('power is base^exponent, and 0 below 1e-100', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.oneof(fc.nat(100), fc.nat(2 ** 31 - 1), fc.maxSafeNat()),
      (base, exponent) => {
        const expected = base ** exponent;
        const actual = power(base, exponent);
        if (expected < 1e-101) expect(actual).toBe(0);
        else if (expected > 1e-99)
          expect(Math.abs(actual - expected)).toBeLessThanOrEqual(4 * 2 ** -53 * (exponent + 1) * expected);
      },
    ),
    { numRuns: all ? 2000 : 500 },
  );
});

test('the ends', () => {
  expect([power(0, 0), power(0, 7), power(1, 2 ** 40), power(0.5, 10), power(0.9, 2 ** 40)]).toEqual([
    1,
    0,
    1,
    2 ** -10,
    0,
  ]);
});
