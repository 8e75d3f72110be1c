import { Random } from '../common/random.js';
import type { Data } from './data.js';
import type { Problem, Settings } from './job.js';

export type Vector = Float32Array | Float64Array;

/** A sum of N functions in the form that `minimize` takes, and its starting point. */
export interface Sum {
  readonly N: number;
  readonly f: (i: number, x: Vector, grad: Vector) => number;
  readonly start: Float64Array;
  /** Adds to `out` the product of a term's Gauss-Newton matrix at x with v, times `factor`. */
  readonly addProduct: (i: number, x: Vector, v: Vector, out: Vector, factor: number) => void;
  /** The multiplications of such a product over those of the term's gradient. */
  readonly productCost: number;
}

/** Number of functions in a sum. */
export const terms = 30;
/** Number of images in a term: 20, or 10 in a quick study, or fewer if there are fewer training images. */
export const imagesOfTerm = (settings: Settings): number =>
  Math.floor(Math.min(settings.train, settings.quick ? 300 : 600) / terms);
/** Number of functions over which Hessian-free optimization takes its products. */
export const curvatureTerms = 5;
/** L2 penalty of softmax regression, which makes its minimum unique. */
const decay = 1e-3;
/** Number of hidden units of the autoencoder. */
export const hidden = 16;

export const sums: Readonly<Record<Problem, (data: Data, settings: Settings) => Sum>> = { softmax, autoencoder };

/** The mean of the terms. */
export function meanOf({ N, f }: Pick<Sum, 'N' | 'f'>, x: Vector): number {
  const grad = new Float64Array(x.length);
  let sum = 0;
  for (let i = 0; i < N; i++) sum += f(i, x, grad);
  return sum / N;
}

/** The first training images, with pixels divided by 255. Square images are halved in width and height to make a pass fast. */
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
  // Jᵀ·H·J·v: J has the derivatives of the z, H is the Hessian of the cross-entropy for them, diag(p) − p·pᵀ.
  const change = new Float64Array(classes);
  const addProduct: Sum['addProduct'] = (i, x, v, out, factor) => {
    for (let k = 0; k < x.length; k++) out[k]! += factor * decay * v[k]!;
    for (const image of images.slice(i * size, (i + 1) * size)) {
      for (let c = 0; c < classes; c++) {
        let sum = x[biases + c]!;
        let moved = v[biases + c]!;
        for (let j = 0; j < width; j++) {
          sum += x[c * width + j]! * image[j]!;
          moved += v[c * width + j]! * image[j]!;
        }
        z[c] = sum;
        change[c] = moved;
      }
      const most = z.reduce((a, b) => Math.max(a, b));
      const total = z.reduce((sum, each) => sum + Math.exp(each - most), 0);
      const p = z.map((each) => Math.exp(each - most) / total);
      const mean = p.reduce((sum, each, c) => sum + each * change[c]!, 0);
      for (let c = 0; c < classes; c++) {
        const u = (factor * p[c]! * (change[c]! - mean)) / size;
        for (let j = 0; j < width; j++) out[c * width + j]! += u * image[j]!;
        out[biases + c]! += u;
      }
    }
  };
  // For each weight and image, a gradient multiplies twice: z and the derivative. A product does so three times.
  return { N: terms, f, start: new Float64Array(biases + classes), addProduct, productCost: 3 / 2 };
}

/**
 * A sigmoid autoencoder with tied weights; the loss is the mean squared error of a mini-batch. The authors of SFO use it as
 * their demonstration.
 */
function autoencoder(data: Data, settings: Settings): Sum {
  const size = imagesOfTerm(settings);
  const images = imagesOf(data, terms * size);
  const visible = images[0]!.length;
  // x holds the weights (a matrix row for each hidden unit), then the biases of the hidden units, then those of the outputs.
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
  // Jᵀ·H·J·v: J has the derivatives of the outputs, H is the Hessian of the mean of squares for them, 2/size.
  const change = new Float64Array(visible);
  const addProduct: Sum['addProduct'] = (i, x, v, out, factor) => {
    for (const image of images.slice(i * size, (i + 1) * size)) {
      for (let k = 0; k < visible; k++) change[k] = v[outputs + k]!;
      for (let j = 0; j < hidden; j++) {
        let sum = x[weights + j]!;
        let moved = v[weights + j]!;
        for (let k = 0; k < visible; k++) {
          sum += x[j * visible + k]! * image[k]!;
          moved += v[j * visible + k]! * image[k]!;
        }
        const active = 1 / (1 + Math.exp(-sum));
        moved *= active * (1 - active);
        h[j] = active;
        for (let k = 0; k < visible; k++) change[k]! += v[j * visible + k]! * active + x[j * visible + k]! * moved;
      }
      for (let k = 0; k < visible; k++) {
        change[k]! *= (2 * factor) / size;
        out[outputs + k]! += change[k]!;
      }
      for (let j = 0; j < hidden; j++) {
        const active = h[j]!;
        let sum = 0;
        for (let k = 0; k < visible; k++) sum += x[j * visible + k]! * change[k]!;
        const b = sum * active * (1 - active);
        for (let k = 0; k < visible; k++) out[j * visible + k]! += change[k]! * active + b * image[k]!;
        out[weights + j]! += b;
      }
    }
  };
  // For each weight and image, a gradient multiplies five times, a product seven times.
  return { N: terms, f, start, addProduct, productCost: 7 / 5 };
}
