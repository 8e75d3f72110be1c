// What a user of TensorFlow.js may try first: the error says what to do instead.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { expect, test } from 'vitest';
import { Adam, AdamW, saveCheckpoint } from '../../../lib/index.js';
import { adam, adamW, amsgrad, muon, rmsprop, wrap } from '../../../lib/tfjs/index.js';
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

test('no error offers an option that is an argument, or that TensorFlow.js does not have', () => {
  const makers: ((options: object) => unknown)[] = [
    (options) => adamW(0.1, options),
    (options) => amsgrad(0.1, options),
    (options) => wrap(Adam, options),
  ];
  const messages = makers.map((make) => {
    try {
      make({ nonsense: 1 });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  });
  for (const message of messages) expect(message).toMatch(/nonsense: unknown option, expected one of .*betas, eps/);
  for (const message of messages) expect(message).not.toContain('zeroGrads');
  expect(messages.map((message) => message.includes(' lr,'))).toEqual([false, false, true]);
  expect(messages.map((message) => message.includes('amsgrad'))).toEqual([true, false, true]);
  expect(() => adamW(0.1, { epsilon: 1 } as never)).toThrow('AdamW: epsilon: unknown option, expected eps');
});

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
  for (const name of ['zeroGrads', 'zeroGrad', 'zero_grad'])
    expect(() => (one[name] = true)).toThrow(
      TypeError(`AdamW: ${name}: no member, expected nothing: TensorFlow.js makes new gradients for each step`),
    );
  for (const name of ['paramGroups', 'emaParams', 'stepCount', 'skippedSteps'])
    expect(() => one[name]).toThrow(
      TypeError(`AdamW: ${name}: no member, expected optimizer.${name}, after the first step`),
    );
  expect(() => one['state_dict']).toThrow(TypeError('AdamW: state_dict: no member, expected stateDict()'));
  for (const [theirs, option, member] of [
    [adam(0.1), 'betas', 'beta1 and beta2'],
    [adam(0.1), 'eps', 'epsilon'],
    [rmsprop(0.1), 'alpha', 'decay'],
  ] as const)
    expect(() => ((theirs as unknown as Record<string, unknown>)[option] = 0.5)).toThrow(
      `${option}: an option, not a member, expected ${member}`,
    );
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
