// The study's losses and gradients, against known values, automatic differentiation and slopes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Random } from '../../../bench/common/random.js';
import { loadFolder, split } from '../../../bench/study/data.js';
import { descend } from '../../../bench/study/descend.js';
import { score } from '../../../bench/study/experiment.js';
import type { Problem, Settings } from '../../../bench/study/job.js';
import { crossEntropy, loadTensorFlow, Network } from '../../../bench/study/network.js';
import { settingsOf } from '../../../bench/study/settings.js';
import { hidden, imagesOfTerm, sums } from '../../../bench/study/sums.js';
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

  const at = (problem: Problem) => {
    const sum = sums[problem](data, settings);
    const random = new Random(2, problem);
    const near = (size: number): Float64Array => sum.start.map((value) => value + size * random.normal());
    const [x, u, v] = [near(0.3), near(1), near(1)];
    const product = (i: number, factor: number): Float64Array => {
      const out = new Float64Array(x.length);
      sum.addProduct(i, x, v, out, factor);
      return out;
    };
    return { ...sum, x, u, v, product };
  };
  const moved = (x: Float64Array, v: Float64Array, by: number): Float64Array => x.map((xk, k) => xk + by * v[k]!);

  test('the products of softmax regression are those of its Hessian, because its outputs are linear', () => {
    const { N, f, x, v, product } = at('softmax');
    const [above, below] = [new Float64Array(x.length), new Float64Array(x.length)];
    for (const i of [0, N - 1]) {
      f(i, moved(x, v, 1e-5), above);
      f(i, moved(x, v, -1e-5), below);
      for (const [k, value] of product(i, 3).entries())
        expect(value / 3).toBeCloseTo((above[k]! - below[k]!) / 2e-5, 6);
    }
  });

  test('the products of the autoencoder are Jᵀ·H·J·v, with slopes of its outputs', () => {
    const { N, x, u, v, product } = at('autoencoder');
    const size = imagesOfTerm(settings);
    // The images of 4 × 4 are halved.
    const pixelsOf = (image: number): number[] =>
      [0, 2, 8, 10].map((first) => {
        const block = [0, 1, 4, 5].map((more) => data.train.inputs[16 * image + first + more]!);
        return block.reduce((sum, each) => sum + each / 4 / 255, 0);
      });
    const outputsAt = (x: Float64Array, image: number): number[] => {
      const pixels = pixelsOf(image);
      const weight = (j: number, k: number): number => x[4 * j + k]!;
      const h = Array.from({ length: hidden }, (_, j) => {
        const sum = pixels.reduce((sum, pixel, k) => sum + weight(j, k) * pixel, x[4 * hidden + j]!);
        return 1 / (1 + Math.exp(-sum));
      });
      return pixels.map((_, k) => h.reduce((sum, hj, j) => sum + weight(j, k) * hj, x[5 * hidden + k]!));
    };
    const slopes = (direction: Float64Array, image: number): number[] => {
      const below = outputsAt(moved(x, direction, -1e-5), image);
      return outputsAt(moved(x, direction, 1e-5), image).map((above, k) => (above - below[k]!) / 2e-5);
    };
    for (const i of [0, N - 1]) {
      let truth = 0;
      for (let image = i * size; image < (i + 1) * size; image++) {
        const along = slopes(v, image);
        slopes(u, image).forEach((slope, k) => {
          truth += (2 / size) * slope * along[k]!;
        });
      }
      expect(product(i, 3).reduce((sum, each, k) => sum + each * u[k]!, 0) / 3 / truth).toBeCloseTo(1, 6);
    }
  });

  test('the products of Hessian-free optimization are work: its first iteration takes more than four passes', () => {
    let passes = 0;
    const job = { kind: 'descent', problem: 'autoencoder', method: 'hessianFree', passes: 12 } as const;
    const { values } = descend(job, data, settings, () => passes++);
    expect(passes).toBe(12);
    expect(values.length).toBe(13);
    // The gradient at the start, at least ten products over a sixth of the functions, and one evaluation.
    expect(new Set(values.slice(0, 1 + Math.floor(1 + (10 * 7) / 5 / 6 + 1))).size).toBe(1);
    expect(values.at(-1)).toBeLessThan(values[0]!);
    for (const [pass, value] of values.entries()) expect(value).toBeLessThanOrEqual(values[pass - 1] ?? value);
  });
});
