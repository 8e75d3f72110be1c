// wrap: state is saved and restored by TensorFlow.js's means and by state dicts.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../../../lib/index.js';
import { wrap } from '../../../../lib/tfjs/index.js';
import { numbers } from '../../../support/random.js';
import { bitsOf, onBackend, values, variable } from '../../../support/tfjs.js';

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  const [x, y] = [numbers(40, 1), numbers(20, 2)];
  const cases = [
    ['Adam', Adam, { amsgrad: true, ema: 0.9 }],
    // Its state holds a number beside the count: the last momentum, not a float32.
    ['SGD', SGD, { lr: 0.1, momentum: (step: number) => 0.9 - 0.1 / step, nesterov: true }],
  ] as unknown as [string, typeof Adam, object][];
  const train = (optimizer: tf.Optimizer, w: tf.Variable, b: tf.Variable, steps: number): void => {
    for (let i = 0; i < steps; i++) {
      optimizer.minimize(
        () =>
          tf.mean(
            tf.square(tf.sub(tf.add(tf.matMul(tf.tensor(x, [10, 4]), w), b), tf.tensor(y, [10, 2]))),
          ) as tf.Scalar,
        false,
        [w, b],
      );
    }
  };

  /** Trains ten steps, and rewinds to the fifth: w and b as they were, and what they became. */
  function run(Class: typeof Adam, options: object) {
    const [w, b] = [variable(numbers(8, 3), [4, 2], 'w'), variable([0, 0], [2], 'b')];
    const optimizer = wrap(Class, options);
    train(optimizer, w, b, 5);
    return { optimizer, w, b, middle: [values(w), values(b)] as const, finish: () => train(optimizer, w, b, 5) };
  }
  const copy = async (weights: ReturnType<tf.Optimizer['getWeights']>) =>
    (await weights).map(({ name, tensor }) => ({
      name,
      tensor: tf.tensor(Array.from(tensor.dataSync()), tensor.shape, tensor.dtype as 'float32'),
    }));

  test.each(cases)(
    '%s: getWeights and setWeights continue bit for bit, by name and by position',
    async (_, Class, options) => {
      const { optimizer, w, b, middle, finish } = run(Class, options);
      const saved = await copy(optimizer.getWeights());
      expect(saved.map(({ name }) => name).slice(0, 2)).toEqual(['iter', 'w/step']);
      for (const { tensor } of saved.filter(({ name }) => /^w[/](expAvg|velocity)/.test(name)))
        expect(tensor.shape).toEqual([4, 2]);
      finish();
      const end = [values(w), values(b)];

      w.assign(tf.tensor(middle[0], [4, 2]));
      b.assign(tf.tensor(middle[1]));
      await optimizer.setWeights(saved);
      expect(optimizer.iterations).toBe(5);
      train(optimizer, w, b, 5);
      expect([values(w), values(b)].map(bitsOf)).toEqual(end.map(bitsOf));

      const [w2, b2] = [variable(middle[0], [4, 2], 'w2'), variable(middle[1], [2], 'b2')];
      const resumed = wrap(Class, options);
      await resumed.setWeights(saved);
      expect(resumed.iterations).toBe(5);
      // Saved again before it trained.
      const again = await resumed.getWeights();
      expect(again.map(({ name, tensor }) => [name, values(tensor)])).toEqual(
        saved.map(({ name, tensor }) => [name, values(tensor)]),
      );
      train(resumed, w2, b2, 5);
      expect([values(w2), values(b2)].map(bitsOf)).toEqual(end.map(bitsOf));
      expect(resumed.iterations).toBe(10);
    },
  );

  test.each(cases)('%s: loadStateDict before the first step continues bit for bit', (_, Class, options) => {
    const { optimizer, w, b, middle, finish } = run(Class, options);
    const dict = structuredClone(optimizer.stateDict());
    finish();
    const end = [values(w), values(b)];
    tf.disposeVariables();
    const [w2, b2] = [variable(middle[0], [4, 2], 'w'), variable(middle[1], [2], 'b')];
    const resumed = wrap(Class, options);
    resumed.loadStateDict({ ...dict, skippedSteps: 3 });
    for (const state of Object.values(dict.state))
      for (const array of Object.values(state)) if (typeof array !== 'number') array.fill(7);
    expect(resumed.iterations).toBe(5);
    train(resumed, w2, b2, 5);
    expect([values(w2), values(b2)].map(bitsOf)).toEqual(end.map(bitsOf));
    expect(resumed.optimizer.skippedSteps).toBe(3);
  });

  test('state that was loaded waits for a variable that comes later', () => {
    const ones = tf.ones([1]);
    const [a, b] = [variable([1], [1], 'a'), variable([1], [1], 'b')];
    const first = wrap(Adam, { lr: 0.1 });
    first.applyGradients({ a: ones, b: tf.fill([1], 5) });
    const resumed = wrap(Adam, { lr: 1 });
    resumed.loadStateDict(first.stateDict());
    expect(resumed.learningRate).toBe(0.1);
    const before = b.dataSync()[0] as number;
    resumed.applyGradients({ a: ones });
    resumed.applyGradients({ b: ones });
    expect(resumed.stateDict()).toMatchObject({ stepCount: 3, state: { a: { step: 2 }, b: { step: 2 } } });
    const plain = Float32Array.of(before);
    const reference = new Adam({ b: plain }, { lr: 0.1 });
    const { b: state } = first.stateDict().state;
    reference.loadStateDict({ ...reference.stateDict(), state: { b: state as never } });
    reference.step({ b: Float32Array.of(1) });
    expect(values(b)).toEqual(plain);
    expect(a.dataSync()[0]).toBeCloseTo(0.8);
  });

  test('getWeights may be called often: its tensors stay the same, and go with dispose', async () => {
    const { optimizer } = run(Adam, {});
    const first = await optimizer.getWeights();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 10; i++) await optimizer.getWeights();
    expect((await optimizer.getWeights()).map(({ tensor }) => tensor)).toEqual(first.map(({ tensor }) => tensor));
    expect(tf.memory().numTensors).toBe(before);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before - first.length);
  });

  test('getConfig makes the same optimizer again; a schedule becomes its number', () => {
    const w = variable([1]);
    const adam = wrap(Adam, { lr: (step) => 1 / step, betas: [0.5, (step) => 0.9 + step / 100], clipNorm: 2 });
    adam.applyGradients({ [w.name]: tf.ones([1]) });
    adam.optimizer.paramGroups[0]!.eps = 1e-3;
    const config = JSON.parse(JSON.stringify(adam.getConfig()));
    expect(config).toMatchObject({ lr: 0.5, betas: [0.5, 0.92], clipNorm: 2, eps: 1e-3, amsgrad: false });
    expect(adam.getClassName()).toBe('SchussAdam');
    const [Class, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap['SchussAdam'] as unknown as [
      never,
      (c: never, config: object) => tf.Optimizer,
    ];
    expect(fromConfig(Class, config).getConfig()).toEqual(config);
  });
});
