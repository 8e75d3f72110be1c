// Hessian-free optimization has the same bits on every instruction set and in JavaScript.
import { expect, test } from 'vitest';
import { minimize } from '../../../lib/index.js';
import { parityEngines, reference, withEngine } from '../../support/engines.js';
import { neurons } from '../../support/second-order/gauss-newton.js';

test.each([Float64Array, Float32Array])('%o', (Type) => {
  const { f, gaussNewton, squaredGradients } = neurons(50, 37, 5);
  const run = () => {
    const points: unknown[] = [];
    minimize<Float32Array | Float64Array>(f, new Type(37).fill(0.3), {
      method: 'hessian-free',
      gaussNewton,
      squaredGradients,
      damping: 0.1,
      maxIterations: 6,
      callback: ({ x, value, rho, cgIterations }) => {
        points.push([Buffer.from(x.buffer).toString('hex'), value, rho, cgIterations]);
      },
    });
    return points;
  };
  const expected = withEngine(reference, run);
  expect(expected).toHaveLength(6);
  for (const engine of parityEngines) expect(withEngine(engine, run)).toEqual(expected);
});
