import fc from './property.js';
import { type Any, type Case, decay, type Options } from './rig.js';
import { all } from './sample.js';

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e3, max: Math.fround(1e3) });

/** Params and gradients of ordinary sizes. */
export const floats = (length: number) =>
  fc.array(float, { minLength: length, maxLength: length }).map((x) => Float32Array.from(x));

/** Options of all classes. Some classes have no weightDecay, and some allow no lr of 0. */
export function optionsOf(c: Case): fc.Arbitrary<Options> {
  const smallest = c.declaration.hyperParameters['lr']?.range?.startsWith('(') ? 1e-9 : 0;
  return fc.record(
    {
      lr: fc.oneof(
        fc.double({ min: smallest, max: 1, noNaN: true }),
        fc.constant((step: number) => 0.1 / step),
      ),
      ...decay(c, fc.double({ min: 0, max: 0.5, noNaN: true })),
      clipValue: fc.double({ min: 1e-3, max: 100, noNaN: true }),
      clipNorm: fc.double({ min: 1e-3, max: 100, noNaN: true }),
      ema: fc.double({ min: 0, max: 0.99, noNaN: true }),
      maximize: fc.boolean(),
      zeroGrads: fc.boolean(),
      skipNonFinite: fc.boolean(),
    },
    { requiredKeys: [] },
  );
}

/** The options without clipNorm: a norm over other parts rounds differently. */
export const withoutNorm = ({ clipNorm: _, ...rest }: Options): Options => rest;

/** Checks a property of every class: `runs` cases each, fewer in `npm test`. */
export const check = (property: fc.IProperty<Any>, runs = 15) => fc.assert(property, { numRuns: all ? runs : 4 });
