// The study's losses and gradients, against known values, automatic differentiation and slopes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadFolder, split } from '../../../bench/study/data.js';
import { score } from '../../../bench/study/experiment.js';
import type { Settings } from '../../../bench/study/job.js';
import { crossEntropy, loadTensorFlow, Network } from '../../../bench/study/network.js';
import { Random } from '../../../bench/study/random.js';
import { settingsOf } from '../../../bench/study/settings.js';
import { sums } from '../../../bench/study/sums.js';
import { imageFolder } from './images.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('loss and accuracy of known logits', () => {
  const examples = { inputs: new Float32Array(0), labels: Int32Array.of(0, 1) };
  const { loss, accuracy } = score(Float32Array.of(0, 0, 1000, 0), examples, 2);
  expect(loss).toBeCloseTo((Math.log(2) + 1000) / 2, 10);
  expect(accuracy).toBe(0.5);
});

test('the gradients are those of automatic differentiation', async () => {
  const tf = await loadTensorFlow();
  // It registers the gradients of TensorFlow.js's own operations.
  await import('@tensorflow/tfjs-layers');
  const sizes = [5, 7, 6, 3];
  const network = new Network(tf, sizes, new Random(1, 'weights'));
  const random = new Random(1, 'inputs');
  const inputs = Float32Array.from({ length: 20 }, () => 50 * random.normal());
  const labels = Int32Array.of(0, 2, 1, 1);
  const { loss, gradients } = network.lossAndGradients(inputs, crossEntropy(tf, labels));

  const params = network.params.map((param, i) =>
    tf.tensor(param, i % 2 ? [param.length] : [sizes[i / 2]!, sizes[i / 2 + 1]!]),
  );
  const truth = tf.valueAndGrads((...p) => {
    let h: ReturnType<typeof tf.tensor> = tf.tensor2d(inputs, [4, 5]);
    for (let i = 0; i < 3; i++) {
      h = tf.add(tf.matMul(h, p[2 * i]!), p[2 * i + 1]!);
      if (i < 2) h = tf.relu(h);
    }
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(labels, 'int32'), 3), h) as ReturnType<typeof tf.scalar>;
  })(params);
  expect(loss).toBeCloseTo(truth.value.dataSync()[0]!, 5);
  for (const [i, grad] of truth.grads.entries()) {
    for (const [k, value] of grad.dataSync().entries()) expect(gradients[i]![k]).toBeCloseTo(value, 4);
  }
});

describe('sums', () => {
  const settings: Settings = { ...settingsOf({ seed: 5 }), train: 90, validation: 10 };
  const data = split(loadFolder(imageFolder(join(folder, 'sums'), 100)), settings);
  test.each(Object.entries(sums))('the gradients of %s are its slopes', (_, sumOf) => {
    const { N, f, start } = sumOf(data, settings);
    const random = new Random(1, 'point');
    const x = start.map((value) => value + 0.3 * random.normal());
    const [grad, unused] = [new Float64Array(x.length), new Float64Array(x.length)];
    for (const i of [0, N - 1]) {
      f(i, x, grad);
      for (const k of x.keys()) {
        const at = (step: number): number =>
          f(
            i,
            x.map((value, j) => (j === k ? value + step : value)),
            unused,
          );
        expect(grad[k]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 6);
      }
    }
  });
});
