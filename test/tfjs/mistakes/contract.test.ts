// What a user of TensorFlow.js may try first: the error says what to do instead.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { expect, test } from 'vitest';
import { Adam, AdamW, saveCheckpoint } from '../../../lib/index.js';
import { adam, adamW, muon, wrap } from '../../../lib/tfjs/index.js';
import { onBackend, variable } from '../../support/tfjs.js';

onBackend('cpu');

const net = (): layers.Sequential =>
  layers.sequential({ layers: [layers.layers.dense({ units: 1, inputShape: [2] })] });
const use = '(for TensorFlow.js: train with wrap(Class, options) of schuss/tfjs, save with model.save)';

test.each([
  ['a variable', () => variable([1, 2]), `params: a Variable, expected a Float32Array, { data, shape }, a list or`],
  ['a record of tensors', () => ({ w: tf.ones([2]) }), `params["w"]: a Tensor, expected a Float32Array or`],
  ['the weights of a model', () => net().trainableWeights, `params[0]: a LayerVariable, expected a Float32Array or`],
  ['a model', net, `params: a Sequential, expected a Float32Array, { data, shape }, a list or`],
])('new Adam of %s', (_, params, message) => {
  const create = () => new Adam(params() as never);
  expect(create).toThrow(`Adam: ${message}`);
  expect(create).toThrow(use);
});

test('a record with one of the names is a record of params', () => {
  class Net {
    trainableWeights = [new Float32Array(2)];
    constraint = new Float32Array(1);
  }
  expect(() => new Adam(new Net())).not.toThrow();
});

test.each([
  [
    () => wrap(AdamW, net() as never),
    'AdamW: options: a Sequential, expected an object of options (variables come with the steps: model.compile({ optimizer }) or minimize(f))',
  ],
  [
    () => adamW({ lr: 0.1 } as never),
    'AdamW: learningRate: an object, expected a number or a Schedule (options are the last argument, after it)',
  ],
  [
    () => muon({ lr: 0.1 } as never),
    'Muon: learningRate: an object, expected a number or a Schedule (options are the last argument, after it)',
  ],
  [
    () => adamW(0.1, { learningRate: 1 } as never),
    'AdamW: learningRate: an option, expected the first argument, learningRate',
  ],
])('%s', (action, message) => expect(action).toThrow(TypeError(message)));

test('a checkpoint of an optimizer alone, or of tensors', async () => {
  const one = wrap(Adam);
  await expect(saveCheckpoint('never', { optimizer: one } as never)).rejects.toThrow(
    /optimizer: .*, expected an optimizer of params \(for TensorFlow\.js: model\.save\(…, \{ includeOptimizer: true \}\)\)/,
  );
  await expect(saveCheckpoint('never', { params: net().getWeights() } as never)).rejects.toThrow(use);
});

test('state of tf.train in a wrapped optimizer', async () => {
  const w = variable([1, 2], [2], 'w');
  const theirs = tf.train.adam(0.1);
  theirs.minimize(() => tf.sum(tf.square(w)));
  await expect(wrap(Adam).setWeights(await theirs.getWeights())).rejects.toThrow(
    TypeError(
      'Adam: setWeights: "w/m", expected state of Adam (state of tf.train goes into adam() and the like of schuss/tfjs, not wrap())',
    ),
  );
  theirs.dispose();
});

test('every optimizer has setLearningRate', () => {
  for (const one of [wrap(Adam), adamW(0.1), adam(0.1)]) {
    one.setLearningRate(0.5);
    expect(one.learningRate).toBe(0.5);
  }
});

test('names of tf.train that a wrapped optimizer lacks', () => {
  const one = wrap(AdamW) as unknown as Record<string, unknown>;
  for (const [name, place] of [
    ['learningrate', 'learningRate'],
    ['learning_rate', 'learningRate'],
    ['beta1', 'optimizer.paramGroups[0].betas, after the first step'],
    ['beta2', 'optimizer.paramGroups[0].betas, after the first step'],
    ['epsilon', 'optimizer.paramGroups[0].eps, after the first step'],
    ['weight_decay', 'optimizer.paramGroups[0].weightDecay, after the first step'],
  ] as const)
    expect(() => (one[name] = 0.1)).toThrow(TypeError(`AdamW: ${name}: no member, expected ${place}`));
  const own = adam(0.1);
  own.beta1 = own.beta2 = own.epsilon = 0.5;
  expect([own.beta1, own.beta2, own.epsilon]).toEqual([0.5, 0.5, 0.5]);
});

test('an optimizer prints its options before the first step', () => {
  expect(String(wrap(AdamW))).toMatch(/lr: 0\.001\n/);
});

test('an optimizer that goes from model to model saves the state of the present one', async () => {
  for (const one of [wrap(Adam), adam(0.1)]) {
    let w = variable([1, 2]);
    for (let i = 0; i < 5; i++) {
      w.dispose();
      w = variable([1, 2]);
      one.minimize(() => tf.sum(tf.square(w)), false, [w]);
    }
    const saved = await one.getWeights();
    expect(new Set(saved.slice(1).map(({ name }) => name.split('/')[0]))).toEqual(new Set([w.name]));
    // Where all are gone, the state of all is there.
    w.dispose();
    expect((await one.getWeights()).length).toBeGreaterThan(saved.length);
    one.dispose();
  }
});
