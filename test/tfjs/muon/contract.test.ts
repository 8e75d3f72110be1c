// wrap(Muon): TensorFlow.js has kernels of inputs × outputs, and filters of height × width × inputs × outputs.
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import { Muon, type MuonOptions } from '../../../lib/index.js';
import { muon, wrap } from '../../../lib/tfjs/index.js';
import { numbers } from '../../support/random.js';
import { bitsOf, onBackend, values, variable } from '../../support/tfjs.js';

const transposed = (x: Float32Array, columns: number): Float32Array =>
  x.map((_, i) => x[(i % (x.length / columns)) * columns + Math.floor(i / (x.length / columns))]!);

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  /** A variable of this shape after three steps of wrap(Muon). */
  function trained(shape: number[], options: MuonOptions): Float32Array {
    const size = shape.reduce((a, b) => a * b);
    const w = variable(numbers(size, 1), shape, 'w');
    const optimizer = wrap(Muon, options);
    for (let step = 0; step < 3; step++) optimizer.applyGradients({ w: tf.tensor(numbers(size, 2 + step), shape) });
    const found = values(w);
    w.dispose();
    optimizer.dispose();
    return found;
  }

  test.each([[[3, 8]], [[8, 3]]])("a kernel of shape %j moves as PyTorch's transposed weight", (shape) => {
    const [inputs, outputs] = shape as [number, number];
    const weight = transposed(numbers(24, 1), outputs);
    const inPyTorch = new Muon({ data: weight, shape: [outputs, inputs] }, { lr: 0.1 });
    for (let step = 0; step < 3; step++) inPyTorch.step(transposed(numbers(24, 2 + step), outputs));
    const found = trained([inputs, outputs], { lr: 0.1 });
    for (const [i, w] of transposed(weight, inputs).entries()) expect(found[i]).toBeCloseTo(w, 5);
    const rows = trained([inputs, outputs], { lr: 0.1, outputs: 'rows' });
    expect(Math.abs(rows[0]! - found[0]!)).toBeGreaterThan(1e-3);
  });

  test('a filter is a matrix whose columns are the outputs', () => {
    const data = numbers(48, 1);
    const plain = new Muon({ data, shape: [12, 4] }, { lr: 0.1, outputs: 'columns' });
    for (let step = 0; step < 3; step++) plain.step(numbers(48, 2 + step));
    expect(bitsOf(trained([2, 2, 3, 4], { lr: 0.1 }))).toEqual(bitsOf(data));
  });

  test('kernels and filters take Muon, biases AdamW', () => {
    const shapes: Record<string, number[]> = { bias: [4], kernel: [3, 4], filter: [2, 2, 3, 4] };
    const variables = Object.entries(shapes).map(([key, shape]) =>
      variable(
        numbers(
          shape.reduce((a, b) => a * b),
          1,
        ),
        shape,
        key,
      ),
    );
    const optimizer = muon(0.1);
    const step = () =>
      optimizer.applyGradients(variables.map((v) => ({ name: v.name, tensor: tf.onesLike(v) as tf.Tensor })));
    step();
    expect(Object.keys(shapes).map((key) => optimizer.optimizer.methodOf(key))).toEqual(['adamw', 'muon', 'muon']);
    // The state of a bias comes first: a new optimizer takes it all before its first step.
    const saved = optimizer.stateDict();
    const copies = variables.map((v) => values(v));
    const next = muon(0.1);
    next.loadStateDict(saved);
    step();
    const expected = variables.map((v) => bitsOf(values(v)));
    for (const [i, v] of variables.entries()) v.assign(tf.tensor(copies[i]!, v.shape));
    next.applyGradients(variables.map((v) => ({ name: v.name, tensor: tf.onesLike(v) as tf.Tensor })));
    expect(variables.map((v) => bitsOf(values(v)))).toEqual(expected);
  });
});

describe('a model', () => {
  onBackend('cpu');

  test('trains, and its config keeps the layout', async () => {
    const model = layers.sequential({
      layers: [
        layers.layers.dense({ units: 4, inputShape: [3], activation: 'tanh' }),
        layers.layers.dense({ units: 2 }),
      ],
    });
    const optimizer = wrap(Muon, { lr: 0.02 });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const [x, y] = [tf.tensor(numbers(48, 1), [16, 3]), tf.tensor(numbers(32, 2), [16, 2])];
    const { history } = await model.fit(x, y, { epochs: 30, verbose: 0 });
    expect(history['loss']!.at(-1) as number).toBeLessThan(0.8 * (history['loss']![0] as number));
    expect(optimizer.getConfig()).toMatchObject({ outputs: 'columns', lr: 0.02 });
  });

  test('other options are refused as in the class', () => {
    expect(() => wrap(Muon, null as never)).toThrow(TypeError);
    expect(() => wrap(Muon, { outputs: 'rowz' as never })).toThrow(RangeError);
  });
});
