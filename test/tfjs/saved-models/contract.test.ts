// model.save with the optimizer, and loadLayersModel: the run goes on, or a warning says what is lost.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as schuss from '../../../lib/index.js';
import { cosine, cyclic, linear, multiply, optimizers, warmup } from '../../../lib/index.js';
import * as ours from '../../../lib/tfjs/index.js';
import type { Any } from '../../support/bad-input.js';
import { numbers } from '../../support/random.js';
import { onBackend, values } from '../../support/tfjs.js';

onBackend('cpu');

let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  vi.spyOn(console, 'warn').mockImplementation((...words) => {
    if (String(words[0]).startsWith('schuss')) warnings.push(words.join(' '));
  });
});
afterEach(() => vi.restoreAllMocks());

function modelWith(optimizer: tf.Optimizer): layers.Sequential {
  const net = layers.sequential({
    layers: [
      layers.layers.dense({
        units: 3,
        inputShape: [4],
        kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
      }),
    ],
  });
  net.compile({ optimizer, loss: 'meanSquaredError' });
  return net;
}

async function train(net: layers.LayersModel, steps: number, seed = 1): Promise<void> {
  const [x, y] = [tf.tensor(numbers(32, seed), [8, 4]), tf.tensor(numbers(24, seed + 1), [8, 3])];
  for (let i = 0; i < steps; i++) await net.trainOnBatch(x, y);
}

/** Saves a model and loads it, through JSON as in a file. */
async function reload(net: layers.LayersModel): Promise<layers.LayersModel> {
  let saved: tf.io.ModelArtifacts = {};
  await net.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = { ...artifacts, trainingConfig: JSON.parse(JSON.stringify(artifacts.trainingConfig)) };
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' as const } };
    }),
    { includeOptimizer: true },
  );
  return layers.loadLayersModel(tf.io.fromMemory(saved));
}

const weightsOf = (net: layers.LayersModel) => net.getWeights().map((w) => [...values(w)]);
const inner = (net: layers.LayersModel): Any => (net.optimizer as ours.WrappedOptimizer).optimizer;

/** Trains, saves and loads, and compares how both go on. */
async function goesOn(optimizer: tf.Optimizer): Promise<layers.LayersModel> {
  const net = modelWith(optimizer);
  await train(net, 5);
  const loaded = await reload(net);
  const config = net.optimizer.getConfig();
  expect(loaded.optimizer.getConfig()).toEqual(config);
  await train(net, 4, 5);
  await train(loaded, 4, 5);
  expect(weightsOf(loaded)).toEqual(weightsOf(net));
  expect((loaded.optimizer as Any).learningRate).toBe((net.optimizer as Any).learningRate);
  return loaded;
}

const rate = warmup(multiply(cosine(0.05, { steps: 12 }), linear(1, { from: 0.5 })), { steps: 3 });

describe('a schedule of the library goes on', () => {
  const { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop } = ours;
  test.each([
    ['sgd', () => sgd(rate)],
    ['momentum', () => momentum(rate, 0.9)],
    ['adagrad', () => adagrad(rate)],
    ['adadelta', () => adadelta(rate)],
    [
      'adam',
      () =>
        adam(rate, undefined, undefined, undefined, { clipNorm: 1, ema: 0.9, weightDecay: cosine(0.1, { steps: 20 }) }),
    ],
    ['adamax', () => adamax(rate)],
    ['rmsprop', () => rmsprop(rate, 0.9, 0.5)],
  ] as [string, () => tf.Optimizer][])('%s', async (_, make) => {
    await goesOn(make());
    expect(warnings).toEqual([]);
  });

  test.each(Object.values(optimizers).map((Class) => [Class.optimizerName, Class] as const))(
    'wrap(%s)',
    async (_, Class) => {
      await goesOn(
        ours.wrap(Class as Any, { lr: rate, ema: 0.9, clipNorm: 1, skipNonFinite: true, gradNorm: true } as Any),
      );
      expect(warnings).toEqual([]);
    },
  );

  test('with strings and pairs that TensorFlow.js would rewrite', async () => {
    const lr = cyclic({ base: 1e-3, max: 0.1, stepsUp: 3, mode: 'exp_range', gamma: 0.9 });
    const options = { lr, betas: [linear(0.9, { from: 0.5, to: 1, steps: 8 }), 0.99] } as Any;
    const loaded = await goesOn(ours.wrap(schuss.Adam, options));
    expect(inner(loaded).paramGroups[0].lr.name).toBe('cyclic');
  });
});

describe('what else a saved model holds', () => {
  test('options that were set after construction', async () => {
    const optimizer = ours.adam(0.1);
    const net = modelWith(optimizer);
    await train(net, 2);
    const [group] = inner(net).paramGroups;
    group.weightDecay = 0.25;
    group.clipValue = 0.5;
    group.maximize = true;
    const loaded = await reload(net);
    await train(net, 3, 5);
    await train(loaded, 3, 5);
    expect(weightsOf(loaded)).toEqual(weightsOf(net));
  });

  test('the averages of ema, in every factory', async () => {
    for (const optimizer of [
      ours.sgd(0.1, { ema: 0.5 }),
      ours.adam(0.1, undefined, undefined, undefined, { ema: 0.5 }),
    ]) {
      const net = modelWith(optimizer);
      await train(net, 3);
      const loaded = await reload(net);
      await train(net, 2, 5);
      await train(loaded, 2, 5);
      const averages = (of: layers.LayersModel) =>
        Object.values(inner(of).emaParams).map((a) => [...(a as Float32Array)]);
      expect(averages(loaded)).toEqual(averages(net));
      expect(averages(net)).not.toEqual(weightsOf(net));
      net.optimizer.dispose();
    }
    expect(warnings).toEqual([]);
  });

  test('the mode of a ScheduleFree optimizer: a step in eval mode is still refused, and train() goes on', async () => {
    const net = modelWith(ours.wrap(schuss.ScheduleFreeAdamW, { lr: 0.1 }));
    await train(net, 4);
    inner(net).eval();
    const loaded = await reload(net);
    await expect(train(loaded, 1)).rejects.toThrow(/train\(\)/);
    for (const each of [net, loaded]) {
      inner(each).train();
      await train(each, 3, 5);
    }
    expect(weightsOf(loaded)).toEqual(weightsOf(net));
    expect(warnings).toEqual([]);
  });

  test('the number of skipped steps', async () => {
    const net = modelWith(ours.wrap(schuss.Adam, { skipNonFinite: true }));
    await train(net, 2);
    await net.trainOnBatch(tf.fill([8, 4], Number.NaN), tf.zeros([8, 3]));
    const loaded = await reload(net);
    for (const each of [net, loaded]) await train(each, 1);
    expect(inner(loaded).skippedSteps).toBe(1);
    expect(inner(loaded).stateDict().stepCount).toBe(3);
  });
});

describe('a warning says what is lost', () => {
  test('a Schedule of your own, once', async () => {
    const own = (step: number) => 0.1 / step;
    const net = modelWith(ours.wrap(schuss.Adam, { lr: own, betas: [0.9, (step) => 0.9 + step / 1000] }));
    await train(net, 1);
    const loaded = await reload(net);
    await reload(net);
    expect(warnings).toEqual([
      'schuss/tfjs: a saved model cannot hold all of Adam: lr is a Schedule of your own. The model has its present value; set learningRate again after loading.',
      'schuss/tfjs: a saved model cannot hold all of Adam: betas[1] is a Schedule of your own. The model has its present value; set betas[1] again after loading.',
    ]);
    expect((loaded.optimizer as Any).learningRate).toBe(0.05);
    warnings = [];
    const combined = modelWith(ours.sgd(multiply(own, cosine(1, { steps: 9 }))));
    await train(combined, 1);
    await reload(combined);
    expect(warnings).toEqual([expect.stringMatching(/SGDOptimizer: lr is a Schedule of your own/)]);
  });

  test('a schedule that the config of a factory cannot hold', async () => {
    const net = modelWith(ours.adam(0.1));
    await train(net, 1);
    inner(net).paramGroups[0].betas = [cosine(0.9, { steps: 9 }), 0.999];
    await reload(net);
    expect(warnings).toEqual([expect.stringMatching(/AdamOptimizer: betas\[0\] is a Schedule/)]);
  });

  test('groups with different options', async () => {
    const [a, b] = [tf.variable(tf.ones([2])), tf.variable(tf.ones([2]))];
    const adam = ours.wrap(schuss.Adam, { lr: rate });
    adam.applyGradients({ [a.name]: tf.ones([2]) });
    adam.applyGradients({ [b.name]: tf.ones([2]) });
    adam.getConfig();
    expect(warnings).toEqual([]);
    adam.optimizer.paramGroups[1]!.lr = 0.5;
    adam.getConfig();
    expect(warnings).toEqual([expect.stringMatching(/Adam: paramGroups\[1\] has other options than paramGroups\[0\]/)]);
    const dict = adam.stateDict();
    expect(() => ours.wrap(schuss.Adam, { lr: rate }).loadStateDict(dict)).toThrow(
      new TypeError(
        'Adam: paramGroups[1]: other options than paramGroups[0], expected the same options before the first step (after it, the groups can differ)',
      ),
    );
  });

  test("the averages of ema under TensorFlow.js's names", async () => {
    ours.patch(tf);
    try {
      const net = modelWith(ours.adam(0.1, undefined, undefined, undefined, { ema: 0.5 }));
      await train(net, 2);
      await reload(net);
      expect(warnings).toEqual([expect.stringMatching(/AdamOptimizer: .* ema starts anew/)]);
    } finally {
      ours.unpatch(tf);
    }
  });
});

test("TensorFlow.js's own optimizer loads a model that was saved with a schedule under its names", async () => {
  ours.patch(tf);
  let artifacts: tf.io.ModelArtifacts = {};
  try {
    const net = modelWith(ours.adam(rate));
    await train(net, 4);
    await net.save(
      tf.io.withSaveHandler(async (given) => {
        artifacts = given;
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' as const } };
      }),
      { includeOptimizer: true },
    );
  } finally {
    ours.unpatch(tf);
  }
  const plain = await layers.loadLayersModel(tf.io.fromMemory(artifacts));
  expect(plain.optimizer).toBeInstanceOf(tf.AdamOptimizer);
  expect((plain.optimizer as Any).learningRate).toBe(rate(5));
});

test('options of a state dict that was loaded before the first step hold in it', () => {
  const w = tf.variable(tf.zeros([2]));
  const first = ours.wrap(schuss.SGD, { lr: 1, clipNorm: 1, ema: 0.5 } as Any);
  first.applyGradients({ [w.name]: tf.tensor([3, 4]) });
  const resumed = ours.wrap(schuss.SGD, { lr: 1, gradNorm: true } as Any);
  resumed.loadStateDict(first.stateDict());
  w.assign(tf.zeros([2]));
  resumed.applyGradients({ [w.name]: tf.tensor([3, 4]) });
  expect([...values(w)].map((x) => x.toFixed(5))).toEqual(['-0.60000', '-0.80000']);
  expect(resumed.stateDict().options).toEqual(first.stateDict().options);
  expect(resumed.getConfig()).toMatchObject({ clipNorm: 1, ema: 0.5, gradNorm: false });
});

test('a damaged config is refused', () => {
  const [Class, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap['SchussAdam'] as Any;
  expect(() => fromConfig(Class, { lr: 1, schuss: '{' })).toThrow(
    new TypeError('Adam: schuss: damaged JSON, expected a config that getConfig returned'),
  );
  const unknown = JSON.stringify({ schedules: { lr: { schedule: 'next', arguments: [] } } });
  expect(() => fromConfig(Class, { lr: 1, schuss: unknown })).toThrow(/^Adam: schedule: "next", expected a schedule/);
});
