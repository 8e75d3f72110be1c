// wrap: variables come and go, options, and models of tfjs-layers.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import { Adam, AdamW, backend, SGD } from '../../../lib/index.js';
import { wrap } from '../../../lib/tfjs/index.js';
import { numbers } from '../../support/random.js';
import { bitsOf, onBackend, values, variable } from '../../support/tfjs.js';

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  describe('variables', () => {
    test('state belongs to the name of a variable, which may appear late, be absent, or return', () => {
      const plain = { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4, 5), c: Float32Array.of(6) };
      const v = {
        a: variable(plain.a.slice(), [2], 'a'),
        b: variable(plain.b.slice(), [3], 'b'),
        c: variable(plain.c.slice(), [1], 'c'),
      };
      const adam = wrap(Adam, { lr: 0.1 });
      const reference = new Adam(plain, { lr: 0.1 });
      const g = { a: Float32Array.of(1, -1), b: Float32Array.of(1, 2, -3), c: Float32Array.of(0.5) };
      type Key = keyof typeof v;
      const step = (...keys: Key[]): void => {
        adam.applyGradients(Object.fromEntries(keys.map((key) => [key, tf.tensor(g[key])])));
        reference.step(
          Object.fromEntries(
            (['a', 'b', 'c'] as Key[]).map((key) => [key, keys.includes(key) ? g[key] : null]),
          ) as typeof g,
        );
      };
      step('a');
      step('b', 'a');
      step('c');
      step('c', 'a', 'b');
      step('b');
      for (const key of ['a', 'b', 'c'] as Key[]) expect(bitsOf(values(v[key]))).toEqual(bitsOf(plain[key]));
      expect(adam.optimizer.paramGroups.map(({ params }) => Object.keys(params))).toEqual([['a'], ['b'], ['c']]);
    });

    test('a variable that appears later gets the current options of group 0', () => {
      const [a, b] = [variable([1], [1], 'a'), variable([1], [1], 'b')];
      const sgd = wrap(SGD, { lr: 0.1 });
      const ones = tf.ones([1]);
      sgd.applyGradients({ a: ones });
      sgd.optimizer.lr = 0.5;
      sgd.applyGradients({ a: ones, b: ones });
      expect(a.dataSync()[0]).toBeCloseTo(0.4);
      expect(b.dataSync()[0]).toBeCloseTo(0.5);
      sgd.learningRate = 0.25;
      sgd.applyGradients({ a: ones, b: ones });
      expect(b.dataSync()[0]).toBeCloseTo(0.25);
    });

    test('a variable that is disposed and recreated under its name keeps its state, even if its memory was reused', () => {
      const n = 10_000;
      const make = (): tf.Variable => tf.tidy(() => variable(new Float32Array(n).fill(1), [n], 'w'));
      const w = make();
      const adam = wrap(Adam, { lr: 0.1 });
      const plain = new Float32Array(n).fill(1);
      const reference = new Adam(plain, { lr: 0.1 });
      const g = numbers(n, 7);
      adam.applyGradients({ w: tf.tensor(g) });
      reference.step(g);
      w.dispose();
      const other = tf.tidy(() => variable(new Float32Array(n), [n], 'other'));
      adam.applyGradients({ other: tf.tensor(g) });
      const again = make();
      adam.applyGradients({ w: tf.tensor(g) });
      plain.fill(1);
      reference.step(g);
      expect(bitsOf(values(again))).toEqual(bitsOf(plain));
      expect(adam.optimizer.stateDict().state).toMatchObject({ w: { step: 2 }, other: { step: 1 } });
      expect(other.dataSync()[0]).not.toBe(0);
    });

    test('scalars, empty variables and unusual names work', () => {
      const [s, e, n, t] = [
        variable([2], []),
        variable([], [0, 3]),
        variable([1], [1], '123456789'), // TensorFlow.js names variables '0', '1', … itself
        variable([1], [1], 'params'),
      ];
      const sgd = wrap(SGD, { lr: 1 });
      for (let i = 0; i < 2; i++)
        sgd.applyGradients({
          [s.name]: tf.scalar(0.5),
          [e.name]: tf.zeros([0, 3]),
          123456789: tf.ones([1]),
          params: tf.ones([1]),
        });
      expect([s, e, n, t].map((v) => v.arraySync())).toEqual([1, [], [-1], [-1]]);
    });

    test('minimize trains the variables of varList', () => {
      const [a, b] = [variable([1]), variable([1])];
      const sgd = wrap(SGD, { lr: 0.5 });
      const cost = sgd.minimize(() => tf.sum(tf.add(tf.square(a), tf.square(b))) as tf.Scalar, true, [b]);
      expect(cost?.dataSync()[0]).toBe(2);
      expect([a.dataSync()[0], b.dataSync()[0]]).toEqual([1, 0]);
    });

    test('two optimizers may take turns on a variable', () => {
      const w = variable([8]);
      const [one, two] = [wrap(SGD, { lr: 1 }), wrap(SGD, { lr: 2 })];
      for (let i = 0; i < 2; i++) for (const sgd of [one, two]) sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(2);
    });
  });

  describe('options', () => {
    test('schedules get the step, and learningRate can be read and set, also before the first step', () => {
      const w = variable([0]);
      const sgd = wrap(SGD, { lr: (step) => step });
      expect(sgd.learningRate).toBe(1);
      for (let i = 0; i < 3; i++) sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-6);
      expect(sgd.learningRate).toBe(4);
      sgd.learningRate = 0.5;
      sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-6.5);
      const later = wrap(SGD, { lr: 1, momentum: 0.5 });
      later.learningRate = 4;
      later.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-10.5);
      expect(later.optimizer.paramGroups[0]).toMatchObject({ lr: 4, momentum: 0.5 });
    });

    test('an option that changes the formula takes effect at the next step, also for the same gradient tensor', () => {
      const w = variable([0]);
      const sgd = wrap(SGD, { lr: 1 });
      const gradients = { [w.name]: tf.ones([1]) };
      sgd.applyGradients(gradients);
      sgd.optimizer.paramGroups[0]!.momentum = 0.5;
      for (let i = 0; i < 2; i++) sgd.applyGradients(gradients);
      expect(w.dataSync()[0]).toBe(-3.5);
    });

    test('clipNorm clips over all variables, and the norm is reported', () => {
      const [a, b] = [variable([0]), variable([0])];
      const sgd = wrap(SGD, { lr: 1, clipNorm: 1 });
      expect(sgd.applyGradients({ [a.name]: tf.tensor([30]), [b.name]: tf.tensor([40]) })).toEqual({
        applied: true,
        gradNorm: 50,
      });
      expect([a.dataSync()[0], b.dataSync()[0]]).toEqual([expect.closeTo(-0.6), expect.closeTo(-0.8)]);
    });

    test('skipNonFinite leaves variables, state and iterations unchanged', () => {
      const w = variable([1, 2]);
      const adam = wrap(Adam, { skipNonFinite: true });
      const { dataId } = w;
      expect(
        adam.applyGradients({ [w.name]: tf.tensor([Number.NaN, 1]) }).applied,
        'a step with NaN must be skipped',
      ).toBe(false);
      expect(w.arraySync()).toEqual([1, 2]);
      if (name === 'elsewhere') expect(w.dataId).toBe(dataId); // the variable is not assigned
      expect([adam.iterations, adam.optimizer.skippedSteps]).toEqual([0, 1]);
      expect(
        adam.applyGradients({ [w.name]: tf.tensor([1, 1]) }).applied,
        'a step with finite gradients must be applied',
      ).toBe(true);
      expect(adam.iterations).toBe(1);
    });

    test('emaParams is a record by variable name', () => {
      const w = variable([1], [1], 'w');
      const sgd = wrap(SGD, { lr: 1, ema: 0.5 });
      sgd.applyGradients({ w: tf.ones([1]) });
      expect(sgd.optimizer.emaParams).toEqual({ w: Float32Array.of(0.5) });
      expect(w.dataSync()[0]).toBe(0);
    });
  });

  describe('layers', () => {
    const [x, y] = [numbers(32 * 6, 1), numbers(32 * 2, 2)];
    const inputs = (): [tf.Tensor, tf.Tensor] => [tf.tensor(x, [32, 6]), tf.tensor(y, [32, 2])];
    const model = (optimizer: tf.Optimizer): layers.Sequential => {
      const made = layers.sequential({
        layers: [
          layers.layers.dense({
            units: 8,
            activation: 'tanh',
            inputShape: [6],
            kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
          }),
          layers.layers.batchNormalization(),
          layers.layers.dense({ units: 2, kernelInitializer: layers.initializers.glorotUniform({ seed: 2 }) }),
        ],
      });
      made.compile({ optimizer, loss: 'meanSquaredError' });
      return made;
    };
    const lossesOf = async (net: layers.LayersModel, epochs: number): Promise<number[]> => {
      const [a, b] = inputs();
      return (await net.fit(a, b, { epochs, batchSize: 8, shuffle: false, verbose: 0 })).history['loss'] as number[];
    };

    test('fit lowers the loss and leaks no tensor', async () => {
      const net = model(wrap(AdamW, { lr: 0.02 }));
      const [first] = await lossesOf(net, 1);
      const before = tf.memory().numTensors;
      const losses = await lossesOf(net, 20);
      expect(losses.at(-1)).toBeLessThan(0.5 * (first as number));
      expect(tf.memory().numTensors - before).toBeLessThan(50); // from fit itself and inputs(), not from 80 steps
    });

    test('a model that is saved and loaded with its optimizer continues bit for bit', async () => {
      const net = model(wrap(Adam, { lr: 0.01, weightDecay: 0.01 }));
      await lossesOf(net, 2);
      let artifacts: tf.io.ModelArtifacts | undefined;
      await net.save(
        tf.io.withSaveHandler(async (given) => {
          artifacts = given;
          return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
        }),
        { includeOptimizer: true },
      );
      const loaded = await layers.loadLayersModel(tf.io.fromMemory(artifacts as tf.io.ModelArtifacts));
      expect(loaded.optimizer.getConfig()).toEqual(net.optimizer.getConfig());
      const expected = await lossesOf(net, 2);
      expect(await lossesOf(loaded, 2)).toEqual(expected);
      expect(loaded.optimizer.iterations).toBe(16);
      expect(loaded.getWeights().map(values)).toEqual(net.getWeights().map(values));
    });
  });
});

test('runs on the native backend', () => expect(backend().name).toBe('native'));
