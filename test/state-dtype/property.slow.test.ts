// Training with state in bfloat16 ends where training with float32 ends, up to what the seed of the data changes.
import { expect, test } from 'vitest';
import { Random } from '../../bench/common/random.js';
import { crossEntropy, loadTensorFlow, Network } from '../../bench/study/network.js';
import { AdamW } from '../../lib/index.js';

const [inputs, classes, examples, batch, steps] = [16, 4, 512, 32, 250];
const seeds = [1, 2, 3, 4, 5];

/** Examples around one centre a class, so near each other that the classes overlap. */
function data(random: Random): { readonly x: Float32Array; readonly labels: Int32Array } {
  const centres = Float32Array.from({ length: classes * inputs }, () => 0.7 * random.normal());
  const labels = Int32Array.from({ length: examples }, (_, i) => i % classes);
  const x = Float32Array.from(
    { length: examples * inputs },
    (_, i) => centres[labels[Math.floor(i / inputs)]! * inputs + (i % inputs)]! + random.normal(),
  );
  return { x, labels };
}

test('the loss after training is that of float32, within the spread over seeds', async () => {
  const tf = await loadTensorFlow();
  const run = (seed: number, stateDtype: 'float32' | 'bfloat16'): number => {
    const random = new Random(seed, 'bfloat16');
    const { x, labels } = data(random);
    const network = new Network(tf, [inputs, 32, classes], random);
    const adamw = new AdamW(network.params, { lr: 3e-3, weightDecay: 0.01, stateDtype });
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const begin = (step * batch) % examples;
      const loss = crossEntropy(tf, labels.subarray(begin, begin + batch));
      const result = network.lossAndGradients(x.subarray(begin * inputs, (begin + batch) * inputs), loss);
      losses.push(result.loss);
      adamw.step(result.gradients);
    }
    return mean(losses.slice(-examples / batch));
  };
  const float32 = seeds.map((seed) => run(seed, 'float32'));
  const bfloat16 = seeds.map((seed) => run(seed, 'bfloat16'));
  const spread = Math.sqrt(mean(float32.map((loss) => (loss - mean(float32)) ** 2)));
  const differences = bfloat16.map((loss, i) => Math.abs(loss - float32[i]!));
  expect(spread).toBeGreaterThan(0);
  expect(bfloat16).not.toEqual(float32);
  expect(Math.max(...differences)).toBeLessThan(spread / 20);
  expect(Math.abs(mean(bfloat16) - mean(float32))).toBeLessThan(spread / 20);
});

const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;
