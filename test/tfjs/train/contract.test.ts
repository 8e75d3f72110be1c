// The optimizers of tf.train on schuss's kernels: TensorFlow.js's own numbers, weights, memory and models.
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { backend, cosine } from '../../../lib/index.js';
import * as ours from '../../../lib/tfjs/index.js';
import { type Any, thrown } from '../../support/bad-input.js';
import { numbers } from '../../support/random.js';
import { all, sample } from '../../support/sample.js';
import { onBackend, variable } from '../../support/tfjs.js';

const { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop } = ours;

const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };

type Name = keyof typeof factories;

const names = Object.keys(factories) as Name[];

/**
 * Arguments that reach every part of a formula. `exact`: the bits are equal, because no power of a beta is involved.
 */
const cases: readonly [factory: Name, args: readonly unknown[], exact: boolean][] = [
  ['sgd', [0.1], true],
  ['momentum', [0.1, 0.9], true],
  ['momentum', [0.1, 0.9, true], true],
  ['momentum', [0.1, 0], true],
  ['adagrad', [0.1], true],
  ['adagrad', [0.1, 0.5], true],
  ['adadelta', [], true],
  ['adadelta', [1, 0.9, 1e-3], true],
  ['adam', [], false],
  ['adam', [0.1, 0.8, 0.9, 1e-3], false],
  ['adamax', [], false],
  ['adamax', [0.1, 0.8, 0.9, 1e-3, 0.1], false],
  ['rmsprop', [0.01], true],
  ['rmsprop', [0.01, 0.8, 0.9, 1e-3], true],
  ['rmsprop', [0.01, 0.8, 0.9, 1e-6, true], true],
];

const values = (x: tf.Tensor): number[] => Array.from(x.dataSync());

const make = (factory: Name, args: readonly unknown[]): ours.TrainOptimizer =>
  (factories[factory] as Any)(...args) as ours.TrainOptimizer;

const theirs = (factory: Name, args: readonly unknown[]): tf.Optimizer =>
  (tf.train[factory] as Any)(...args) as tf.Optimizer;

/** Two results may differ by this share of a step, because TensorFlow.js computes powers of beta in float32. */
const closeTo = (a: number[], b: number[], size = 1): void => {
  expect(a.length).toBe(b.length);
  for (const [i, x] of a.entries()) expect(Math.abs(x - b[i]!)).toBeLessThanOrEqual(2e-5 * size);
};

test('runs on the native backend', () => expect(backend().name).toBe('native'));

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}));
  onBackend(name);

  describe.each(sample(cases, name === 'cpu' ? 6 : 3))('%s %j', (factory, args, exact) => {
    /** Two variables for each optimizer, after `steps` steps with the same gradients, some of them null. */
    function pair(steps: number, mine = make(factory, args), other = theirs(factory, args)) {
      const start = [numbers(12, 1), numbers(5, 2)];
      const of = (who: string) => [variable(start[0]!, [4, 3], `${who}0`), variable(start[1]!, [5], `${who}1`)];
      const [a, b] = [of('a'), of('b')];
      for (let s = 0; s < steps; s++) {
        const gradients = [tf.tensor(numbers(12, 10 + s), [4, 3]), s % 3 === 1 ? null : tf.tensor(numbers(5, 40 + s))];
        for (const [optimizer, [v, w]] of [
          [mine, a],
          [other, b],
        ] as const)
          optimizer.applyGradients([
            { name: v!.name, tensor: gradients[0] as tf.Tensor },
            { name: w!.name, tensor: gradients[1] as tf.Tensor },
          ]);
      }
      return { mine, other, a, b };
    }

    test('has the numbers of tf.train', () => {
      const { mine, other, a, b } = pair(12);
      for (const [i, v] of a.entries()) {
        if (exact) expect(values(v)).toEqual(values(b[i]!));
        else closeTo(values(v), values(b[i]!));
      }
      expect(mine.iterations).toBe(other.iterations);
      expect(mine.getConfig()).toEqual(other.getConfig());
    });

    test('weights can be moved from an optimizer of tf.train and back', async () => {
      if (factory === 'adamax') return; // TensorFlow.js cannot
      const { mine, other, a, b } = pair(5);
      const [w1, w2] = [await mine.getWeights(), await other.getWeights()];
      expect(w1.map(({ name: id, tensor }) => [id.replace(/^a/, 'b'), tensor.shape, tensor.dtype])).toEqual(
        w2.map(({ name: id, tensor }) => [id, tensor.shape, tensor.dtype]),
      );
      for (const [i, { tensor }] of w1.entries()) closeTo(values(tensor), values(w2[i]!.tensor));
      // Two new optimizers continue, each with the other's state.
      const [next, nextOther] = [make(factory, args), theirs(factory, args)];
      const copy = (weights: typeof w1) => weights.map((w) => ({ ...w, tensor: tf.clone(w.tensor) }));
      const [forMine, forOther] = [copy(w2), copy(w1)];
      await next.setWeights(forMine);
      await nextOther.setWeights(forOther);
      expect([next.iterations, nextOther.iterations]).toEqual([5, 5]);
      for (const [optimizer, [v, w]] of [
        [next, a],
        [nextOther, b],
      ] as const)
        for (let s = 5; s < 9; s++)
          optimizer.applyGradients([
            { name: v!.name, tensor: tf.tensor(numbers(12, 10 + s), [4, 3]) },
            { name: w!.name, tensor: tf.tensor(numbers(5, 40 + s)) },
          ]);
      for (const [i, v] of a.entries()) closeTo(values(v), values(b[i]!));
    });

    test('getWeights and state dicts continue bit for bit', async () => {
      const mine = make(factory, args);
      const v = variable(numbers(6, 1), [2, 3], 'v');
      const step = (optimizer: tf.Optimizer, s: number) =>
        optimizer.applyGradients({ v: tf.tensor(numbers(6, 10 + s), [2, 3]) });
      for (let s = 0; s < 4; s++) step(mine, s);
      const [middle, weights, dict] = [values(v), await mine.getWeights(), mine.stateDict()];
      const saved = weights.map(({ name: id, tensor }) => ({
        name: id,
        tensor: tf.tensor(values(tensor), tensor.shape, tensor.dtype as 'float32'),
      }));
      for (let s = 4; s < 8; s++) step(mine, s);
      const end = values(v);
      const [byWeights, byDict] = [make(factory, args), make(factory, args)];
      await byWeights.setWeights(saved);
      byDict.loadStateDict(dict);
      for (const resumed of [byWeights, byDict]) {
        v.assign(tf.tensor(middle, [2, 3]));
        for (let s = 4; s < 8; s++) step(resumed, s);
        expect(values(v)).toEqual(end);
        expect(resumed.iterations).toBe(8);
      }
      // Also into an optimizer that has taken steps.
      v.assign(tf.tensor(middle, [2, 3]));
      await mine.setWeights(saved);
      for (let s = 4; s < 8; s++) step(mine, s);
      expect(values(v)).toEqual(end);
    });

    test('tf.memory() counts its state as that of tf.train, and dispose frees it', async () => {
      const v = variable([1, 2]);
      const gradients = { [v.name]: tf.tensor([1, 2]) };
      const before = { ...tf.memory() };
      /** The tensors and bytes that a first step allocates. */
      const added = (optimizer: tf.Optimizer): number[] => {
        const { numTensors, numBytes } = tf.memory();
        optimizer.applyGradients(gradients);
        return [tf.memory().numTensors - numTensors, tf.memory().numBytes - numBytes];
      };
      const [mine, other] = [make(factory, args), theirs(factory, args)];
      expect(added(mine)).toEqual(added(other));
      other.dispose();
      // The bytes that TensorFlow.js's momentum does not free.
      (other as unknown as { c?: tf.Tensor }).c?.dispose();
      for (let i = 0; i < 3; i++) await mine.getWeights();
      mine.applyGradients(gradients);
      mine.dispose();
      mine.dispose();
      const { numTensors, numBytes, numDataBuffers } = tf.memory();
      expect([numTensors, numBytes, numDataBuffers]).toEqual([
        before.numTensors,
        before.numBytes,
        before.numDataBuffers,
      ]);
    });
  });

  test.skipIf(name === 'elsewhere')(
    'thousands of steps of a model leak no tensor',
    () => {
      const x = tf.tensor(numbers(20, 2), [5, 4]);
      const w = variable(numbers(12, 1), [4, 3]);
      const b = variable([0, 0, 0]);
      const steps = all ? 5000 : 200;
      for (const optimizer of [adam(0.01), rmsprop(0.001, 0.9, 0.5, null, false, { clipNorm: 1, ema: 0.9 })]) {
        const step = (): unknown =>
          optimizer.minimize(() => tf.mean(tf.square(tf.add(tf.matMul(x, w), b))) as tf.Scalar);
        step();
        const before = { ...tf.memory() };
        for (let i = 0; i < steps; i++) step();
        const { numTensors, numDataBuffers, numBytes } = tf.memory();
        expect([numTensors, numDataBuffers, numBytes]).toEqual([
          before.numTensors,
          before.numDataBuffers,
          before.numBytes,
        ]);
        expect(optimizer.iterations).toBe(steps + 1);
        optimizer.dispose();
        expect(tf.memory().numTensors).toBe(before.numTensors - 4);
      }
    },
    120_000,
  );

  describe('options', () => {
    test('schedules, clipping and decay', () => {
      const w = variable([10]);
      const one = sgd((step) => step, { weightDecay: 0.5 });
      one.applyGradients({ [w.name]: tf.tensor([1]) }); // 10 - 1 * (1 + 5)
      expect(values(w)).toEqual([4]);
      one.applyGradients({ [w.name]: tf.tensor([1]) }); // 4 - 2 * (1 + 2)
      expect(values(w)).toEqual([-2]);
      expect(one.learningRate).toBe(3);
      expect(one.getConfig()).toEqual({ learningRate: 3, options: { weightDecay: 0.5 } });
      const clipped = sgd(1, { clipNorm: 1 });
      expect(clipped.applyGradients({ [w.name]: tf.tensor([50]) })).toEqual({ applied: true, gradNorm: 50 });
      expect(values(w)[0]).toBeCloseTo(-3);
    });

    test('learningRate and momentum can be set', () => {
      const w = variable([0]);
      const step = (optimizer: tf.Optimizer) => optimizer.applyGradients({ [w.name]: tf.tensor([1]) });
      const one = momentum(1, 0.5);
      one.learningRate = 2;
      step(one);
      expect(values(w)).toEqual([-2]);
      one.setLearningRate(4);
      step(one);
      expect(values(w)).toEqual([-8]);
      one.setMomentum(0);
      step(one);
      expect(values(w)).toEqual([-12]);
      expect(one.getConfig()).toEqual({ learningRate: 4, momentum: 0, useNesterov: false });
      one.learningRate = (s) => s;
      expect(one.learningRate).toBe(4);
    });

    test('arguments can be read and set under TensorFlow.js names, and lr is learningRate', () => {
      const w = variable([0]);
      const one = adam(0.1, 0.8, 0.9, 1e-3);
      expect([one.beta1, one.beta2, one.epsilon, one.lr]).toEqual([0.8, 0.9, 1e-3, 0.1]);
      const [nesterov, other] = [momentum(0.1, 0.9, true), factories.rmsprop(0.1, 0.8, 0.7, 1e-3, true)];
      expect([nesterov.momentum, nesterov.useNesterov]).toEqual([0.9, true]);
      expect([other.decay, other.momentum, other.epsilon, other.centered]).toEqual([0.8, 0.7, 1e-3, true]);
      one.beta1 = 0;
      one.lr = 0.5;
      one.epsilon = 0;
      one.applyGradients({ [w.name]: tf.tensor([2]) });
      expect(values(w)[0]).toBeCloseTo(-0.5, 6);
      expect(one.getConfig()).toEqual({ learningRate: 0.5, beta1: 0, beta2: 0.9, epsilon: 0 });
      expect(thrown(() => (one.beta1 = 1))).toBe('RangeError: AdamOptimizer: beta1: 1, expected [0, 1)');
      expect(thrown(() => ((one as Any).epsilon = '1'))).toMatch(
        /^TypeError: AdamOptimizer: epsilon: "1", expected a number/,
      );
      expect(thrown(() => ((other as Any).centered = 1))).toMatch(/centered: 1, expected true or false/);
      expect(thrown(() => (adam as Any)(0.1, { clipNorm: 1 }))).toMatch(
        /beta1: .* \(options are the last argument, after epsilon\)$/,
      );
      expect(one.beta1).toBe(0);
    });

    test.each<[string, (v: tf.Variable, g: tf.Tensor) => unknown, RegExp]>([
      ['pairs, as Keras has them', (v, g) => [[g, v]], /gradients\[0\]: \[.*\], expected \{ name, tensor \}/],
      ['tensors without names', (_, g) => [g], /gradients\[0\]: a Tensor, expected/],
      ['another key', (v, g) => [{ name: v.name, value: g }], /gradients\[0\]: an object, expected/],
      ['null in the list', () => [null], /gradients\[0\]: null, expected/],
      ['nothing', () => undefined, /gradients: undefined, expected a record of tensors by variable name/],
    ])('gradients that are %s are refused', (_, make, message) => {
      const w = variable([1]);
      const one = adam(0.1);
      expect(thrown(() => one.applyGradients(make(w, tf.tensor([1])) as never))).toMatch(message);
      expect([values(w), one.iterations]).toEqual([[1], 0]);
    });

    test('minimize returns the cost on request, and trains the variables of varList', () => {
      const [a, b] = [variable([2]), variable([3])];
      const loss = () => tf.sum(tf.add(tf.square(a), tf.square(b))) as tf.Scalar;
      expect(sgd(0.25).minimize(loss)).toBe(null);
      expect([values(a), values(b)]).toEqual([[1], [1.5]]);
      expect(values(sgd(0.25).minimize(loss, true, [a]) as tf.Scalar)).toEqual([3.25]);
      expect([values(a), values(b)]).toEqual([[0.5], [1.5]]);
      const { grads } = tf.variableGrads(loss);
      sgd(0.25).applyGradients(grads);
      expect([values(a), values(b)]).toEqual([[0.25], [0.75]]);
    });

    test('steps without any gradient count, as in TensorFlow.js', () => {
      const [w, v] = [variable([1]), variable([1])];
      const [mine, other] = [adam(0.1), tf.train.adam(0.1)];
      for (const [optimizer, x] of [
        [mine, w],
        [other, v],
      ] as const) {
        optimizer.applyGradients([{ name: x.name, tensor: null as never }]);
        optimizer.applyGradients([{ name: x.name, tensor: tf.tensor([0.3]) }]);
        expect(optimizer.iterations).toBe(2);
      }
      closeTo(values(w), values(v));
    });
  });

  describe('layers', () => {
    const model = (optimizer: tf.Optimizer | string): layers.Sequential => {
      const made = layers.sequential({
        layers: [
          layers.layers.dense({
            units: 8,
            activation: 'tanh',
            inputShape: [6],
            kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
          }),
          layers.layers.dense({ units: 2, kernelInitializer: layers.initializers.glorotUniform({ seed: 2 }) }),
        ],
      });
      made.compile({ optimizer, loss: 'meanSquaredError' });
      return made;
    };
    const lossesOf = async (net: layers.LayersModel, epochs: number, more: object = {}): Promise<number[]> => {
      const [a, b] = [tf.tensor(numbers(32 * 6, 1), [32, 6]), tf.tensor(numbers(32 * 2, 2), [32, 2])];
      const args = { epochs, batchSize: 8, shuffle: false, verbose: 0 as const, ...more };
      return (await net.fit(a, b, args)).history['loss'] as number[];
    };
    const saved = async (net: layers.LayersModel): Promise<tf.io.ModelArtifacts> => {
      let artifacts: tf.io.ModelArtifacts | undefined;
      const handler = tf.io.withSaveHandler(async (given) => {
        artifacts = given;
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' as const } };
      });
      await net.save(handler, { includeOptimizer: true });
      return artifacts as tf.io.ModelArtifacts;
    };

    test.each(sample(cases, 2))('fit, saving and loading with the optimizer: %s %j', async (factory, args) => {
      if (factory === 'rmsprop' && args[4] === true) return; // TensorFlow.js's NaN, see the docs
      const net = model(make(factory, args));
      const reference = factory === 'adamax' ? undefined : model(theirs(factory, args));
      const losses = await lossesOf(net, 3);
      if (reference !== undefined) closeTo(losses, await lossesOf(reference, 3), 5);
      const loaded = await layers.loadLayersModel(tf.io.fromMemory(await saved(net)));
      expect(loaded.optimizer.constructor).toBe(net.optimizer.constructor);
      expect(loaded.optimizer.getConfig()).toEqual(net.optimizer.getConfig());
      const expected = await lossesOf(net, 2);
      expect(await lossesOf(loaded, 2)).toEqual(expected);
      expect(loaded.getWeights().map(values)).toEqual(net.getWeights().map(values));
    });

    test('a callback can anneal the learning rate', async () => {
      const net = model(sgd(0.1));
      const rates: number[] = [];
      await lossesOf(net, 3, {
        callbacks: {
          onEpochEnd: () => {
            const optimizer = net.optimizer as ours.SGDOptimizer;
            optimizer.learningRate /= 2;
            rates.push(optimizer.learningRate);
          },
        },
      });
      expect(rates).toEqual([0.05, 0.025, 0.0125]);
    });

    test("patch: models compile by name, save under standard names and load with schuss's classes; unpatch undoes it", async () => {
      const before = Object.getOwnPropertyDescriptors(tf.train);
      const map = tf.serialization.SerializationMap.getMap().classNameMap;
      const registered = { ...map };
      const expected = model('adam');
      const losses = await lossesOf(expected, 2);
      ours.patch(tf);
      ours.patch(tf);
      try {
        for (const [id, Class] of Object.entries({
          sgd: ours.SGDOptimizer,
          adagrad: ours.AdagradOptimizer,
          adadelta: ours.AdadeltaOptimizer,
          adam: ours.AdamOptimizer,
          adamax: ours.AdamaxOptimizer,
          rmsprop: ours.RMSPropOptimizer,
        }))
          expect(model(id).optimizer).toBeInstanceOf(Class);
        expect(tf.train.momentum(0.1, 0.9)).toBeInstanceOf(ours.MomentumOptimizer);
        const net = model('adam');
        closeTo(await lossesOf(net, 2), losses, 5);
        const artifacts = await saved(net);
        expect(artifacts.trainingConfig?.optimizer_config).toMatchObject({ class_name: 'Adam' });
        const loaded = await layers.loadLayersModel(tf.io.fromMemory(artifacts));
        expect(loaded.optimizer).toBeInstanceOf(ours.AdamOptimizer);
        expect(await lossesOf(loaded, 2)).toEqual(await lossesOf(net, 2));
        ours.unpatch(tf);
        ours.unpatch(tf);
        // On other backends, TensorFlow.js's own optimizer loads the file.
        const plain = await layers.loadLayersModel(tf.io.fromMemory(artifacts));
        expect(plain.optimizer).not.toBeInstanceOf(ours.AdamOptimizer);
        expect(plain.optimizer.iterations).toBe(8);
      } finally {
        ours.unpatch(tf);
      }
      expect(Object.getOwnPropertyDescriptors(tf.train)).toEqual(before);
      expect({ ...map }).toEqual(registered);
      expect(model('adam').optimizer).toBeInstanceOf(tf.AdamOptimizer);
      expect(model('adam').optimizer).not.toBeInstanceOf(ours.TrainOptimizer);
      expect(adam().getClassName()).toBe('SchussAdamOptimizer');
    });
  });

  describe('the others', () => {
    const { adamW, amsgrad, nadam, radam, lion, muon, lamb, lars, adafactor, adEMAMix, ftrl, asgd, rprop } = ours;
    const { shampoo, soap } = ours;
    const others = { adamW, amsgrad, nadam, radam, lion, muon, lamb, lars, adafactor, adEMAMix, ftrl, asgd, rprop };
    test.each(Object.entries({ ...others, shampoo, soap }))('%s', (id, factory) => {
      const w = variable(numbers(6, 1), [2, 3], 'w');
      const rate = cosine(0.1, { steps: 50 });
      const optimizer = (factory as Any)(rate, { clipNorm: 10 }) as ours.WrappedOptimizer;
      const loss = () => tf.mean(tf.square(w)) as tf.Scalar;
      const first = values(loss())[0] as number;
      for (let i = 0; i < 10; i++) optimizer.minimize(loss);
      expect(values(loss())[0]).toBeLessThan(first);
      expect(optimizer.learningRate).toBeCloseTo(rate(11));
      if (id === 'amsgrad') expect(optimizer.optimizer.paramGroups[0]).toMatchObject({ amsgrad: true });
      if (id !== 'lars') expect(() => (factory as Any)()).not.toThrow();
      expect(() => (factory as Any)(0.1, { learningRate: 1 })).toThrow(
        /: learningRate: an option, expected the first arg/,
      );
      for (const options of [0.01, null, 'x'])
        expect(() => (factory as Any)(0.1, options)).toThrow(/: options: .*, expected an object/);
      expect(() => (factory as Any)(0.1, { lr: 0.5 })).toThrow(/: lr: an option, expected the first argument/);
    });
  });
});

test.each(cases)('setWeights works by position: %s %j', async (factory, args) => {
  await tf.setBackend('cpu');
  const w = tf.variable(tf.tensor([1, 2]));
  const start = w.dataSync();
  const gradients = { [w.name]: tf.tensor([0.5, -2]) };
  const mine = make(factory, args);
  mine.applyGradients(gradients);
  const renamed = (await mine.getWeights()).map(({ name, tensor }, i) => ({
    name: i === 0 ? name : `p${i}`,
    tensor: tf.clone(tensor),
  }));
  mine.applyGradients(gradients);
  const expected = values(w);
  const next = make(factory, args);
  w.assign(tf.tensor(start));
  make(factory, args).applyGradients(gradients);
  await next.setWeights(renamed);
  next.applyGradients(gradients);
  expect(values(w)).toEqual(expected);
  w.dispose();
});

test('epsilon defaults to that of the backend', async () => {
  class Half extends MathBackendCPU {
    override epsilon(): number {
      return 1e-4;
    }
  }
  tf.registerBackend('half', () => new Half());
  tf.copyRegisteredKernels('cpu', 'half');
  await tf.setBackend('half');
  const [a, b] = [tf.variable(tf.tensor([1])), tf.variable(tf.tensor([1]))];
  adagrad(0.1, 0).applyGradients([{ name: a.name, tensor: tf.tensor([1e-3]) }]);
  tf.train.adagrad(0.1, 0).applyGradients([{ name: b.name, tensor: tf.tensor([1e-3]) }]);
  expect(values(a)).toEqual(values(b));
  expect(adam().getConfig()).toMatchObject({ epsilon: 1e-4 });
  await tf.setBackend('cpu');
  tf.removeBackend('half');
});

test('a backend with inaccessible memory gives one warning, and correct steps', async () => {
  vi.resetModules();
  const fresh = (await import('../../../lib/tfjs/index.js')) as typeof ours;
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  warn.mockClear();
  await tf.setBackend('cpu');
  const w = tf.variable(tf.tensor([1]));
  const one = fresh.sgd(0.5);
  one.applyGradients({ [w.name]: tf.tensor([1]) });
  expect(warn).not.toHaveBeenCalled();
  await tf.setBackend('elsewhere');
  for (let i = 0; i < 3; i++) one.applyGradients({ [w.name]: tf.tensor([1]) });
  fresh.adam().applyGradients({ [w.name]: tf.tensor([0]) });
  expect(values(w)).toEqual([-1]);
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]?.[0]).toMatch(/^schuss\/tfjs: the memory of the backend "elsewhere" is out of reach/);
  warn.mockRestore();
});

test('every factory of tf.train has a counterpart', () => {
  const static_ = Object.getOwnPropertyNames(tf.train).filter((n) => !['length', 'name', 'prototype'].includes(n));
  expect(static_.sort()).toEqual([...names].sort());
});
