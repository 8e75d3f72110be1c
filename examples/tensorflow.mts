// Trains a TensorFlow.js model with schuss: an optimizer of ours in compile(), then the whole program's by patch().
//
// npx tsx examples/tensorflow.mts
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { cosine, warmup } from 'schuss';
import { adamW, patch, unpatch } from 'schuss/tfjs';

// Whether a point lies in a circle.
const side = 16;
const points = Array.from({ length: side * side }, (_, i) => [
  (2 * (i % side)) / (side - 1) - 1,
  (2 * Math.floor(i / side)) / (side - 1) - 1,
]);
const xs = tf.tensor2d(points as [number, number][]);
const ys = tf.tensor2d(points.map(([x, y]) => [x! ** 2 + y! ** 2 < 0.5 ? 1 : 0]));

function model(): Sequential {
  return sequential({
    layers: [
      layers.dense({ units: 16, activation: 'relu', inputShape: [2] }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
  });
}

const [epochs, batchSize] = [20, 16];
const steps = epochs * Math.ceil(points.length / batchSize);

async function train(network: Sequential, optimizer: string | tf.Optimizer): Promise<number> {
  network.compile({ optimizer, loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  const { history } = await network.fit(xs, ys, { epochs, batchSize, verbose: 0 });
  return history['acc']!.at(-1) as number;
}

// 1. Any class of schuss, with what tf.train lacks: a warm-up, decay, clipping.
const lr = warmup(cosine(0.1, { steps: steps - 50 }), { steps: 50 });
console.log(`adamW: accuracy ${(await train(model(), adamW(lr, { weightDecay: 0.01, clipNorm: 1 }))).toFixed(3)}`);

// 2. Programs that you do not want to change: tf.train and compile({ optimizer: 'adam' }) now use schuss.
patch(tf);
console.log(`patched: accuracy ${(await train(model(), tf.train.adam(0.05))).toFixed(3)}`);
unpatch(tf);
