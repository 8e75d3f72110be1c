// A network with one hidden layer, its gradient written by hand. ensemble.mts trains it; it does nothing alone.

export interface Arrays {
  readonly [name: string]: Float32Array;
  readonly w1: Float32Array;
  readonly b1: Float32Array;
  readonly w2: Float32Array;
  readonly b2: Float32Array;
}

export const [inputs, hidden, classes] = [2, 32, 3];

/** The arrays of weights or of gradients, filled with zeros. */
export function arrays(): Arrays {
  const zeros = (length: number): Float32Array => new Float32Array(length);
  return { w1: zeros(inputs * hidden), b1: zeros(hidden), w2: zeros(hidden * classes), b2: zeros(classes) };
}

/** Pseudo-random numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function initialize(weights: Arrays, random: () => number): void {
  for (const [name, scale] of [
    ['w1', 4],
    ['w2', 0.5],
  ] as const)
    for (let i = 0; i < weights[name].length; i++) weights[name][i] = scale * (random() - 0.5);
}

/** Points on three arms of a spiral, some of them with a wrong label. */
export function spiral(count: number, random: () => number, wrong = 0): { points: Float32Array; labels: Int32Array } {
  const points = new Float32Array(2 * count);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const [arm, radius] = [i % classes, random()];
    const angle = 4 * arm + 4 * radius + 0.5 * (random() - 0.5);
    points.set([radius * Math.sin(angle), radius * Math.cos(angle)], 2 * i);
    labels[i] = random() < wrong ? Math.floor(random() * classes) : arm;
  }
  return { points, labels };
}

/** b + x·w, with w as a matrix of inputs × outputs. */
function layer(x: Float32Array, w: Float32Array, b: Float32Array): Float32Array {
  const y = b.slice();
  for (let i = 0; i < x.length; i++) for (let j = 0; j < y.length; j++) y[j]! += x[i]! * w[i * y.length + j]!;
  return y;
}

export function forward(weights: Arrays, x: Float32Array): { h: Float32Array; logits: Float32Array } {
  const h = layer(x, weights.w1, weights.b1).map((v) => Math.max(v, 0));
  return { h, logits: layer(h, weights.w2, weights.b2) };
}

/** The logits of several points, one row each. */
export function logitsOf(weights: Arrays, points: Float32Array): Float32Array {
  const all = new Float32Array((points.length / inputs) * classes);
  for (let i = 0; i < points.length / inputs; i++)
    all.set(forward(weights, points.subarray(inputs * i, inputs * (i + 1))).logits, classes * i);
  return all;
}

/** Adds to `grads` what the gradient of one point's logits gives. */
export function backward(weights: Arrays, grads: Arrays, x: Float32Array, h: Float32Array, dz: Float32Array): void {
  const dh = h.map((v, j) => (v > 0 ? dz.reduce((sum, d, c) => sum + d * weights.w2[j * classes + c]!, 0) : 0));
  for (const [input, d, w, b] of [
    [x, dh, grads.w1, grads.b1],
    [h, dz, grads.w2, grads.b2],
  ] as const) {
    for (let i = 0; i < input.length; i++) for (let j = 0; j < d.length; j++) w[i * d.length + j]! += input[i]! * d[j]!;
    for (let j = 0; j < d.length; j++) b[j]! += d[j]!;
  }
}

/** Softmax minus the label: the gradient of the cross-entropy for the logits. */
export function crossEntropyGradient(logits: Float32Array, label: number): Float32Array {
  const most = Math.max(...logits);
  const e = logits.map((z) => Math.exp(z - most));
  const sum = e.reduce((a, b) => a + b);
  return e.map((v, c) => v / sum - (c === label ? 1 : 0));
}

/** The share of rows whose largest number is at the label. */
export function accuracy(rows: Float32Array, labels: Int32Array): number {
  let right = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = rows.subarray(classes * i, classes * (i + 1));
    if (row.indexOf(Math.max(...row)) === labels[i]) right++;
  }
  return right / labels.length;
}
