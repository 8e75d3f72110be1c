// Trains a deep autoencoder of digits by Hessian-free optimization, as its papers do, and by SGD with momentum.
//
// npx tsx examples/autoencoder.mts
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gaussNewtonProduct, HessianFree, SGD } from 'schuss';

// 40 digits of 7 × 7 pixels. The network squeezes each into 3 numbers: 49-24-12-3-12-24-49, sigmoid units.
const sizes = [49, 24, 12, 3, 12, 24, 49];
const count = 40;
const depth = sizes.length - 1;
const folder = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src', 'digits');
const images = Array.from({ length: 10 }, (_, digit) => {
  const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), 'utf8')) as { data: number[] };
  return Array.from({ length: count / 10 }, (_, i) => shrunk(data.slice(784 * i, 784 * (i + 1))));
}).flat();

/** A digit in 7 × 7 pixels, each the mean of 4 × 4. */
function shrunk(pixels: readonly number[]): Float64Array {
  const small = new Float64Array(49);
  pixels.forEach((ink, p) => {
    small[7 * Math.floor(p / 112) + Math.floor((p % 28) / 4)]! += ink / 16;
  });
  return small;
}

/** For each layer its weights, outputs × inputs, and after them its biases. */
type Layers = readonly Float32Array[];
const newLayers = (): Float32Array[] =>
  Array.from({ length: depth }, (_, l) => new Float32Array(sizes[l + 1]! * (sizes[l]! + 1)));

// Sparse initialization (Martens 2010): each unit has 15 connections at most, with normal weights.
let seed = 1;
const uniform = (): number => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return (seed + 0.5) / 2147483648;
};
const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
function initial(): Float32Array[] {
  seed = 1;
  const layers = newLayers();
  layers.forEach((w, l) => {
    for (let unit = 0; unit < sizes[l + 1]!; unit++)
      for (let k = 0; k < Math.min(15, sizes[l]!); k++)
        w[unit * sizes[l]! + Math.floor(uniform() * sizes[l]!)] = normal();
  });
  return layers;
}

/** out ← W·h + b. */
function apply(w: Float32Array, h: Float64Array, out: Float64Array): void {
  const [inputs, outputs] = [h.length, out.length];
  for (let j = 0; j < outputs; j++) {
    let sum = w[outputs * inputs + j]!;
    for (let k = 0; k < inputs; k++) sum += w[j * inputs + k]! * h[k]!;
    out[j] = sum;
  }
}

/** The activations of each image, by layer: left by the last forward pass. */
const activations = images.map((image) => [image, ...sizes.slice(1).map((size) => new Float64Array(size))]);

function forward(layers: Layers): void {
  for (const h of activations)
    layers.forEach((w, l) => {
      const out = h[l + 1]!;
      apply(w, h[l]!, out);
      for (let j = 0; j < out.length; j++) out[j] = 1 / (1 + Math.exp(-out[j]!));
    });
}

/** Adds to `grads` what the images give whose derivatives for the sums of the last layer are in `top`. */
function backward(layers: Layers, top: Float64Array, grads: Layers): void {
  for (const g of grads) g.fill(0);
  activations.forEach((h, n) => {
    let delta: Float64Array = top.subarray(49 * n, 49 * (n + 1));
    for (let l = depth - 1; l >= 0; l--) {
      const [w, g, below] = [layers[l]!, grads[l]!, h[l]!];
      const [inputs, outputs] = [below.length, delta.length];
      const next = new Float64Array(inputs);
      for (let j = 0; j < outputs; j++) {
        const d = delta[j]!;
        for (let k = 0; k < inputs; k++) {
          g[j * inputs + k]! += d * below[k]!;
          next[k]! += d * w[j * inputs + k]!;
        }
        g[outputs * inputs + j]! += d;
      }
      for (let k = 0; k < inputs; k++) next[k]! *= below[k]! * (1 - below[k]!);
      delta = next;
    }
  });
}

/** The sum of the cross-entropies of an image's pixels, the mean over images. Fills `grads`. */
function lossAndGradient(layers: Layers, grads: Layers): number {
  forward(layers);
  const top = new Float64Array(49 * count);
  let loss = 0;
  activations.forEach((h, n) => {
    for (let k = 0; k < 49; k++) {
      const [ink, out] = [h[0]![k]!, Math.min(1 - 1e-12, Math.max(1e-12, h[depth]![k]!))];
      loss -= (ink * Math.log(out) + (1 - ink) * Math.log(1 - out)) / count;
      top[49 * n + k] = (out - ink) / count;
    }
  });
  backward(layers, top, grads);
  return loss;
}

/** The loss of outputs equal to the images. It is above 0, because pixels are grey. */
function leastLoss(): number {
  let loss = 0;
  for (const image of images)
    for (const ink of image)
      if (ink > 0 && ink < 1) loss -= (ink * Math.log(ink) + (1 - ink) * Math.log(1 - ink)) / count;
  return loss;
}

/** Half the squared distance of pixels from their reconstruction, the mean over images. */
function distance(): number {
  let sum = 0;
  for (const h of activations) for (let k = 0; k < 49; k++) sum += (h[0]![k]! - h[depth]![k]!) ** 2 / 2 / count;
  return sum;
}

// Products with the Gauss-Newton matrix. z are the sums of the last layer. In a step, they follow the closure at the same
// params, so its activations are there.
const gaussNewton = gaussNewtonProduct<Layers, Layers>({
  outputs: 49 * count,
  jvp(layers, v, jv) {
    activations.forEach((h, n) => {
      let moved = new Float64Array(49); // the change of the activations of a layer; the image stands still
      for (let l = 0; l < depth; l++) {
        const [below, inputs, outputs] = [h[l]!, sizes[l]!, sizes[l + 1]!];
        const next = new Float64Array(outputs);
        for (let j = 0; j < outputs; j++) {
          let sum = v[l]![outputs * inputs + j]!;
          for (let k = 0; k < inputs; k++)
            sum += v[l]![j * inputs + k]! * below[k]! + layers[l]![j * inputs + k]! * moved[k]!;
          if (l < depth - 1) sum *= h[l + 1]![j]! * (1 - h[l + 1]![j]!);
          next[j] = sum;
        }
        moved = next;
      }
      jv.set(moved, 49 * n);
    });
  },
  // Cross-entropy of sigmoid outputs: the Hessian for z is diagonal, out·(1 − out).
  lossHessian(_, u) {
    activations.forEach((h, n) => {
      for (let k = 0; k < 49; k++) u[49 * n + k]! *= (h[depth]![k]! * (1 - h[depth]![k]!)) / count;
    });
  },
  vjp: backward,
});

/** Gradients and products of a run. */
const most = 700;
const seconds = (begin: number): string => ((performance.now() - begin) / 1000).toFixed(1);

// Hessian-free. A product costs about as much as a gradient, so both are counted.
let begin = performance.now();
let [params, grads] = [initial(), newLayers()];
const hessianFree = new HessianFree(params, { grads, gaussNewton });
let work = 0;
let loss = lossAndGradient(params, grads);
console.log(
  `at the start: loss ${loss.toFixed(3)}, squared error ${distance().toFixed(3)}; no loss is below ${leastLoss().toFixed(3)}`,
);
while (work < most) {
  const result = hessianFree.step(() => lossAndGradient(params, grads));
  work += result.evaluations + result.cgIterations + 1;
  loss = result.loss;
}
forward(params);
console.log(
  `Hessian-free: ${hessianFree.stepCount} steps, ${work} gradients and products, ${seconds(begin)} s: loss ${loss.toFixed(3)}, squared error ${distance().toFixed(3)}`,
);

// SGD with Nesterov momentum on the same full batch, for as many gradients, at the best of three learning rates.
begin = performance.now();
let best = { loss: Number.POSITIVE_INFINITY, squared: Number.NaN, lr: Number.NaN };
for (const lr of [0.1, 0.3, 1]) {
  [params, grads] = [initial(), newLayers()];
  const sgd = new SGD(params, { lr, momentum: 0.95, nesterov: true });
  for (let step = 0; step < work; step++) {
    loss = lossAndGradient(params, grads);
    sgd.step(grads);
  }
  loss = lossAndGradient(params, grads);
  if (loss < best.loss) best = { loss, squared: distance(), lr };
}
console.log(
  `SGD with momentum: ${work} steps at lr ${best.lr}, ${seconds(begin)} s for three rates: loss ${best.loss.toFixed(3)}, squared error ${best.squared.toFixed(3)}`,
);
