// The optimizers of tf.train on schuss's kernels: every wrong argument is refused, in the library's error shape.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import * as ours from '../../../../lib/tfjs/index.js';
import { freshBackend } from '../../../support/tfjs.js';

const { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop } = ours;

const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };

describe('errors', () => {
  beforeAll(() => freshBackend('cpu'));

  test.each([
    [() => sgd(undefined as never), TypeError('SGDOptimizer: learningRate: undefined, expected a number')],
    [
      () => sgd('1' as never),
      TypeError('SGDOptimizer: learningRate: "1", expected a number in (-inf, inf) or a Schedule'),
    ],
    [() => sgd(Number.NaN), RangeError('SGDOptimizer: learningRate: NaN, expected a finite number')],
    [() => momentum(0.1, undefined as never), TypeError('MomentumOptimizer: momentum: undefined, expected a number')],
    [() => momentum(0.1, 0.9, 1 as never), TypeError('MomentumOptimizer: useNesterov: 1, expected true or false')],
    [() => adagrad(0.1, -1), RangeError('AdagradOptimizer: initialAccumulatorValue: -1, expected [0, inf)')],
    [() => adadelta(0.1, 2), RangeError('AdadeltaOptimizer: rho: 2, expected [0, 1]')],
    [() => adadelta(0.1, 0.9, 0), RangeError('AdadeltaOptimizer: epsilon: 0, expected (0, inf)')],
    [() => adam(0.1, 1), RangeError('AdamOptimizer: beta1: 1, expected [0, 1)')],
    [() => adam(0.1, 0.9, 1.5), RangeError('AdamOptimizer: beta2: 1.5, expected [0, 1)')],
    [() => adam(0.1, 0.9, 0.9, -1), RangeError('AdamOptimizer: epsilon: -1, expected [0, inf)')],
    [() => adamax(0.1, 0.9, 0.9, null, -1), RangeError('AdamaxOptimizer: decay: -1, expected [0, inf)')],
    [
      () => rmsprop(null as never),
      TypeError('RMSPropOptimizer: learningRate: null, expected a number in (-inf, inf) or a Schedule'),
    ],
    [
      () => adam(0.1, 0.9, 0.9, null, { clipNorn: 1 } as never),
      /^AdamOptimizer: clipNorn: unknown option, expected clipNorm/,
    ],
    ...[
      ['lr', 'learningRate'],
      ['learning_rate', 'learningRate'],
      ['eps', 'epsilon'],
      ['beta_1', 'beta1'],
      ['betas', 'beta1 and beta2'],
    ].map(([option, argument]): [() => unknown, Error] => [
      () => adam(0.1, 0.9, 0.9, null, { [option!]: 1 } as never),
      TypeError(
        `AdamOptimizer: ${option}: an option, expected the argument ${argument} (the arguments are learningRate, beta1, beta2, epsilon, options)`,
      ),
    ]),
    [() => rmsprop(0.1, 0.9, 0, null, false, { alpha: 1 } as never), /: an option, expected the argument decay/],
    [() => momentum(0.1, 0.9, false, { nesterov: true } as never), /: an option, expected the argument useNesterov/],
    [() => adam(0.1, 0.9, 0.9, null, { clipNorm: -1 }), RangeError('AdamOptimizer: clipNorm: -1, expected (0, inf)')],
    [() => adam(0.1, 0.9, 0.9, null, null as never), /^AdamOptimizer: options: null/],
    [() => ours.patch({} as never), /^patch: tf: an object, expected TensorFlow\.js/],
    [() => ours.patch(null as never), /^patch: tf: null/],
    [() => ours.patch({ train: {} }), TypeError('patch: tf.train.sgd: undefined, expected a function')],
    [() => ours.patch({ train: Object.freeze({ ...factories }) }), /^patch: tf\.train\.sgd: a property that is/],
    [() => ours.unpatch(undefined as never), /^unpatch: tf: undefined/],
  ])('%s', (action, error) => expect(action).toThrow(error as Error));

  test('an invalid learning rate and invalid weights are refused and change nothing', async () => {
    const w = tf.variable(tf.tensor([1, 2]));
    const one = adam(0.1);
    one.applyGradients({ [w.name]: tf.tensor([1, 2]) });
    expect(() => (one.learningRate = Number.NaN)).toThrow(
      RangeError('AdamOptimizer: learningRate: NaN, expected a finite number'),
    );
    const dict = one.stateDict();
    const iter = { name: 'iter', tensor: tf.scalar(3, 'int32') };
    await expect(one.setWeights([])).rejects.toThrow(/^AdamOptimizer: weights: an empty list/);
    await expect(one.setWeights([{ name: 'v/m', tensor: tf.tensor([1, 2]) }])).rejects.toThrow(
      RangeError('AdamOptimizer: weights[0]: shape [2], expected "iter", which is one number'),
    );
    await expect(one.setWeights([{ name: 'iter', tensor: tf.scalar(-1) }])).rejects.toThrow(/^AdamOptimizer: iter: -1/);
    await expect(one.setWeights([iter, { name: `${w.name}/m`, tensor: tf.tensor([1]) }])).rejects.toThrow(/length 1/);
    await expect(
      one.setWeights([iter, { name: `${w.name}/m`, tensor: tf.tensor([1, 2], [2], 'int32') }]),
    ).rejects.toThrow(/a tensor of int32, expected one of float32/);
    await expect(sgd(1).setWeights([iter, iter])).rejects.toThrow(/^SGDOptimizer: weights: 1 beside "iter"/);
    expect(one.stateDict()).toEqual(dict);
    one.dispose();
    await expect(one.getWeights()).rejects.toThrow(/a disposed optimizer/);
    w.dispose();
  });
});
