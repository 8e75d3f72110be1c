// Trains a brain.js network with an optimizer of schuss. Our arrays hold the weights and the gradients of the network.
//
// npx tsx examples/brain.mts
import brain from 'brain.js';
import { Adam, type Optimizer } from 'schuss';

/** The data of a brain.js network, by layer. Layer 0 is the input and has no weights. */
interface Layers {
  readonly sizes: number[];
  /** The weights of each node. */
  readonly weights: Float32Array[][];
  readonly biases: Float32Array[];
  readonly outputs: ArrayLike<number>[];
  /** (target − output)·slope of each node: minus the gradient with respect to its weighted sum. */
  readonly deltas: Float32Array[];
}

type Arrays = Record<string, Float32Array>;

/** Moves the weights of each layer of an initialized network into one array. Returns all arrays by name. */
function adopt(net: Layers): Arrays {
  const params: Arrays = {};
  for (let layer = 1; layer < net.sizes.length; layer++) {
    const width = net.sizes[layer - 1]!;
    const all = new Float32Array(net.sizes[layer]! * width);
    for (const [node, own] of net.weights[layer]!.entries()) {
      all.set(own, node * width);
      net.weights[layer]![node] = all.subarray(node * width, (node + 1) * width); // brain.js uses the view as before
    }
    params[`${layer}.weight`] = all;
    params[`${layer}.bias`] = net.biases[layer]!;
  }
  return params;
}

/** Replaces the learning rule of brain.js: sums the gradients and steps after each batch. */
function trainWith(net: brain.NeuralNetwork, create: (params: Arrays) => Optimizer, batch: number): void {
  const inner = net as unknown as Layers & { initialize(): void; adjustWeights(): void };
  let optimizer: Optimizer;
  let grads: Arrays;
  let count = 0;
  const { initialize } = inner;
  inner.initialize = () => {
    initialize.call(net);
    const params = adopt(inner);
    optimizer = create(params);
    grads = Object.fromEntries(Object.entries(params).map(([name, { length }]) => [name, new Float32Array(length)]));
  };
  inner.adjustWeights = () => {
    for (let layer = 1; layer < inner.sizes.length; layer++) {
      const incoming = inner.outputs[layer - 1]!;
      const weight = grads[`${layer}.weight`]!;
      const bias = grads[`${layer}.bias`]!;
      for (const [node, delta] of inner.deltas[layer]!.entries()) {
        bias[node]! -= delta;
        for (let k = 0; k < incoming.length; k++) weight[node * incoming.length + k]! -= delta * incoming[k]!;
      }
    }
    if (++count % batch === 0) optimizer.step(grads, { gradScale: 1 / batch });
  };
}

// The parity of four bits: impossible for a network of one layer, and slow for plain gradient descent.
const data = Array.from({ length: 16 }, (_, i) => {
  const bits = [i & 1, (i >> 1) & 1, (i >> 2) & 1, (i >> 3) & 1];
  return { input: bits, output: [bits.reduce((sum, bit) => sum ^ bit, 0)] };
});
const net = new brain.NeuralNetwork({ hiddenLayers: [12], activation: 'tanh' });
trainWith(net, (params) => new Adam(params, { lr: 0.02, zeroGrads: true }), data.length);
const { error, iterations } = net.train(data, { iterations: 3000, errorThresh: 0.002 });
const right = data.filter(({ input, output }) => Math.round(net.run(input)[0]!) === output[0]).length;
console.log(`${iterations} iterations: error ${error.toFixed(4)}, accuracy ${right / data.length}`);
