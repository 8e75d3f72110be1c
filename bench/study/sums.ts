import type { Data } from './data.js';
import type { Settings } from './job.js';
import { Random } from './random.js';

export type Vector = Float32Array | Float64Array;

/** A sum of N functions, as `minimize` takes it, and where to begin. */
export interface Sum {
  readonly N: number;
  readonly f: (i: number, x: Vector, grad: Vector) => number;
  readonly start: Float64Array;
}

/** How many functions, and the images of each, where there are enough. */
export const terms = 30;
export const imagesOfTerm = (settings: Settings): number =>
  Math.floor(Math.min(settings.train, settings.quick ? 300 : 600) / terms);
/** Of softmax regression: what holds its minimum in place. */
export const decay = 1e-3;
/** Of the autoencoder. */
export const hidden = 16;

export const sums = { softmax, autoencoder } satisfies Record<string, (data: Data, settings: Settings) => Sum>;
export type Problem = keyof typeof sums;

/** The mean of the terms. */
export function meanOf({ N, f }: Pick<Sum, 'N' | 'f'>, x: Vector): number {
  const grad = new Float64Array(x.length);
  let sum = 0;
  for (let i = 0; i < N; i++) sum += f(i, x, grad);
  return sum / N;
}

/** The first training images in units of 255; square ones at half their side, so that a pass takes milliseconds. */
function imagesOf({ inputs, train }: Data, count: number): Float64Array[] {
  const half = Math.sqrt(inputs) / 2;
  return Array.from({ length: count }, (_, image) => {
    const pixels = Float64Array.from(train.inputs.subarray(image * inputs, (image + 1) * inputs), (p) => p / 255);
    if (!Number.isInteger(half)) return pixels;
    return Float64Array.from({ length: half * half }, (_, k) => {
      const at = 4 * half * Math.floor(k / half) + 2 * (k % half);
      return (pixels[at]! + pixels[at + 1]! + pixels[at + 2 * half]! + pixels[at + 2 * half + 1]!) / 4;
    });
  });
}

/** Softmax regression: the mean cross-entropy of a mini-batch, plus decay/2·‖x‖². */
function softmax(data: Data, settings: Settings): Sum {
  const { classes } = data;
  const size = imagesOfTerm(settings);
  const images = imagesOf(data, terms * size);
  const width = images[0]!.length;
  const biases = classes * width;
  const z = new Float64Array(classes);
  const f = (i: number, x: Vector, grad: Vector): number => {
    let value = 0;
    for (let k = 0; k < x.length; k++) {
      const w = x[k]!;
      value += (decay / 2) * w * w;
      grad[k] = decay * w;
    }
    for (let n = i * size; n < (i + 1) * size; n++) {
      const v = images[n]!;
      const label = data.train.labels[n]!;
      for (let c = 0; c < classes; c++) {
        let sum = x[biases + c]!;
        for (let j = 0; j < width; j++) sum += x[c * width + j]! * v[j]!;
        z[c] = sum;
      }
      const most = z.reduce((a, b) => Math.max(a, b));
      const logSum = most + Math.log(z.reduce((sum, each) => sum + Math.exp(each - most), 0));
      value += (logSum - z[label]!) / size;
      for (let c = 0; c < classes; c++) {
        const error = (Math.exp(z[c]! - logSum) - (c === label ? 1 : 0)) / size;
        for (let j = 0; j < width; j++) grad[c * width + j]! += error * v[j]!;
        grad[biases + c]! += error;
      }
    }
    return value;
  };
  return { N: terms, f, start: new Float64Array(biases + classes) };
}

/** SFO's authors' demonstration: a sigmoid autoencoder with tied weights, the mean squared distance of a mini-batch. */
function autoencoder(data: Data, settings: Settings): Sum {
  const size = imagesOfTerm(settings);
  const images = imagesOf(data, terms * size);
  const visible = images[0]!.length;
  // x holds the weights (a row for each hidden unit), the hidden units' biases, the outputs' biases.
  const weights = visible * hidden;
  const outputs = weights + hidden;
  const random = new Random(settings.seed, 'autoencoder');
  const start = new Float64Array(outputs + visible);
  for (let k = 0; k < weights; k++) start[k] = (2 * random.uniform() - 1) / Math.sqrt(visible);

  const h = new Float64Array(hidden);
  const error = new Float64Array(visible);
  const f = (i: number, x: Vector, grad: Vector): number => {
    let value = 0;
    grad.fill(0);
    for (let n = i * size; n < (i + 1) * size; n++) {
      const v = images[n]!;
      for (let k = 0; k < visible; k++) error[k] = x[outputs + k]! - v[k]!;
      for (let j = 0; j < hidden; j++) {
        let sum = x[weights + j]!;
        for (let k = 0; k < visible; k++) sum += x[j * visible + k]! * v[k]!;
        const active = 1 / (1 + Math.exp(-sum));
        h[j] = active;
        for (let k = 0; k < visible; k++) error[k]! += x[j * visible + k]! * active;
      }
      for (let k = 0; k < visible; k++) {
        const e = error[k]!;
        value += (e * e) / size;
        error[k] = (2 * e) / size;
        grad[outputs + k]! += error[k]!;
      }
      for (let j = 0; j < hidden; j++) {
        const active = h[j]!;
        let sum = 0;
        for (let k = 0; k < visible; k++) sum += x[j * visible + k]! * error[k]!;
        const b = sum * active * (1 - active);
        for (let k = 0; k < visible; k++) grad[j * visible + k]! += error[k]! * active + b * v[k]!;
        grad[weights + j]! += b;
      }
    }
    return value;
  };
  return { N: terms, f, start };
}
