// wrap(SOAP) and wrap(Shampoo): filters of TensorFlow.js are matrices whose columns are the outputs.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Shampoo, SOAP } from '../../../lib/index.js';
import { wrap } from '../../../lib/tfjs/index.js';
import { numbers } from '../../support/random.js';
import { bitsOf, onBackend, values, variable } from '../../support/tfjs.js';

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b);

describe.each([
  ['SOAP', SOAP],
  ['Shampoo', Shampoo],
] as const)('%s', (_, Class) => {
  onBackend('cpu');

  test.each([
    [
      [2, 2, 3, 4],
      [12, 4],
    ],
    [
      [3, 8],
      [3, 8],
    ],
    [[5], [5]],
  ])('a variable of shape %j is a param of shape %j', (shape, seen) => {
    const w = variable(numbers(size(shape), 1), shape, 'w');
    const optimizer = wrap(Class as typeof SOAP, { lr: 0.1 });
    const data = numbers(size(shape), 1);
    const plain = new (Class as typeof SOAP)({ data, shape: seen }, { lr: 0.1 });
    for (let step = 0; step < 3; step++) {
      optimizer.applyGradients({ w: tf.tensor(numbers(size(shape), 2 + step), shape) });
      plain.step(numbers(size(shape), 2 + step));
    }
    expect(bitsOf(values(w))).toEqual(bitsOf(data));
    w.dispose();
    optimizer.dispose();
  });
});
