// wrap, for classes whose steps need the loss: minimize has it, and applyGradients must be given it.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import { Adam, Momo, MomoAdam, PolyakSGD } from '../../../lib/index.js';
import { wrap } from '../../../lib/tfjs/index.js';
import type { Any } from '../../support/bad-input.js';
import { onBackend, values, variable } from '../../support/tfjs.js';

const of = (...x: number[]): Float32Array => Float32Array.from(x);
const needy = [PolyakSGD, Momo, MomoAdam].map((Class) => [Class.optimizerName, Class as Any] as const);

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  test.each(needy)('%s: minimize hands over the loss', (_, Class) => {
    for (const listed of [false, true]) {
      const w = of(1, -2, 3);
      const v = variable(w.slice(), [3], 'w');
      const wrapped = wrap(Class, { lr: 0.5 });
      const plain = new Class({ w }, { lr: 0.5 });
      for (let step = 0; step < 4; step++) {
        const loss = wrapped.minimize(() => tf.sum(tf.square(v)) as tf.Scalar, step > 0, listed ? [v] : undefined);
        expect(loss === null).toBe(step === 0);
        const value = w.reduce((sum, x) => Math.fround(sum + Math.fround(x * x)), 0);
        if (loss !== null) expect(loss.dataSync()[0]).toBeCloseTo(value, 5);
        plain.step({ w: w.map((x) => 2 * x) }, { loss: loss?.dataSync()[0] ?? value });
        loss?.dispose();
      }
      expect(values(v)).toEqual(w);
      v.dispose();
    }
  });

  test.each(needy)('%s: applyGradients takes it, and is refused without', (title, Class) => {
    const w = of(1, -2, 3);
    const v = variable(w.slice(), [3], 'w');
    const wrapped = wrap(Class, { lr: 0.5 });
    const plain = new Class({ w }, { lr: 0.5 });
    const gradients = { w: tf.tensor1d([1, 2, 3]) };
    const refused = `${title}: loss: a step without it, expected minimize(f), or applyGradients(gradients, { loss })`;
    for (const options of [undefined, {}, { loss: '1' }])
      expect(() => wrapped.applyGradients(gradients, options as Any)).toThrow(refused);
    expect(values(v)).toEqual(w);
    wrapped.applyGradients(gradients, { loss: 2 });
    plain.step({ w: of(1, 2, 3) }, { loss: 2 });
    expect(values(v)).toEqual(w);
    expect(() => wrapped.applyGradients(gradients, { loss: Number.NaN })).toThrow(RangeError);
    expect(values(v)).toEqual(w);
  });

  test('another class refuses a loss', () => {
    variable(of(1), [1], 'u');
    expect(() => wrap(Adam).applyGradients({ u: tf.tensor1d([1]) }, { loss: 1 })).toThrow(/^Adam.step: loss: unknown/);
  });

  test('minimize leaves no tensors behind, also where the step is refused', () => {
    const v = variable(of(1, -2), [2], 'v');
    const wrapped = wrap(PolyakSGD);
    const run = (scale: number): void => {
      wrapped.minimize(() => tf.mul(tf.sum(tf.square(v)), scale) as tf.Scalar);
    };
    run(1);
    const before = tf.memory().numTensors;
    run(1);
    expect(() => run(Number.NaN)).toThrow(RangeError);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a model of tfjs-layers trains', async () => {
    const model = layers.sequential({
      layers: [layers.layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'zeros' })],
    });
    model.compile({ optimizer: wrap(MomoAdam, { lr: 0.1 }), loss: 'meanSquaredError' });
    const { history } = await model.fit(tf.ones([8, 2]), tf.ones([8, 1]), { epochs: 30, verbose: 0 });
    expect(history['loss']?.[0]).toBe(1);
    expect(history['loss']?.at(-1)).toBeLessThan(0.1);
  });
});
