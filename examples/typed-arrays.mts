// A two-layer network with a hand-written gradient, on plain Float32Arrays, learns to tell the three arms of a spiral apart.
//
// npx tsx examples/typed-arrays.mts
import { AdamW, cosine, groupBy } from 'schuss';

const [classes, perClass, hidden, steps] = [3, 100, 64, 400];
const n = classes * perClass;

// Pseudo-random numbers, the same in each run (mulberry32).
let seed = 1;
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const inputs = new Float32Array(2 * n);
const labels = Uint8Array.from({ length: n }, (_, i) => i % classes);
for (const [i, label] of labels.entries()) {
  const radius = random();
  const angle = 4 * label + 4 * radius + 0.4 * (random() - 0.5);
  inputs.set([radius * Math.sin(angle), radius * Math.cos(angle)], 2 * i);
}

const weights = {
  'hidden.weight': Float32Array.from({ length: 2 * hidden }, () => 2 * (random() - 0.5)),
  'hidden.bias': new Float32Array(hidden),
  'out.weight': Float32Array.from({ length: hidden * classes }, () => (random() - 0.5) / 4),
  'out.bias': new Float32Array(classes),
};
const grads = {
  'hidden.weight': new Float32Array(2 * hidden),
  'hidden.bias': new Float32Array(hidden),
  'out.weight': new Float32Array(hidden * classes),
  'out.bias': new Float32Array(classes),
};

/** Adds the gradient of the mean cross-entropy to `grads`. Returns the loss and the number of correct predictions. */
function lossAndGradient(): { loss: number; right: number } {
  const { 'hidden.weight': w1, 'hidden.bias': b1, 'out.weight': w2, 'out.bias': b2 } = weights;
  const { 'hidden.weight': g1, 'hidden.bias': gb1, 'out.weight': g2, 'out.bias': gb2 } = grads;
  const h = new Float32Array(hidden);
  const p = new Float32Array(classes);
  let loss = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    const [x, y] = [inputs[2 * i]!, inputs[2 * i + 1]!];
    for (let j = 0; j < hidden; j++) h[j] = Math.max(0, w1[2 * j]! * x + w1[2 * j + 1]! * y + b1[j]!);
    for (let c = 0; c < classes; c++) {
      p[c] = b2[c]!;
      for (let j = 0; j < hidden; j++) p[c]! += w2[c * hidden + j]! * h[j]!;
    }
    const most = Math.max(...p);
    const label = labels[i]!;
    if (p[label] === most) right++;
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += p[c] = Math.exp(p[c]! - most);
    loss -= Math.log(p[label]! / sum) / n;
    for (let c = 0; c < classes; c++) p[c] = (p[c]! / sum - (c === label ? 1 : 0)) / n; // from here on the gradient
    for (let c = 0; c < classes; c++) gb2[c]! += p[c]!;
    for (let j = 0; j < hidden; j++) {
      if (h[j] === 0) continue;
      let back = 0;
      for (let c = 0; c < classes; c++) {
        g2[c * hidden + j]! += p[c]! * h[j]!;
        back += p[c]! * w2[c * hidden + j]!;
      }
      gb1[j]! += back;
      g1[2 * j]! += back * x;
      g1[2 * j + 1]! += back * y;
    }
  }
  return { loss, right };
}

// No decay on biases. zeroGrads sets the gradients to 0 in the pass that reads them, ready for the next sum.
const adamw = new AdamW(
  groupBy(weights, (name) => (name.endsWith('.bias') ? { weightDecay: 0 } : undefined)),
  { lr: cosine(0.02, { steps }), clipNorm: 1, zeroGrads: true },
);
for (let step = 1; step <= steps; step++) {
  const { loss, right } = lossAndGradient();
  const { gradNorm } = adamw.step(grads);
  if (step % 100 === 0 || step === 1)
    console.log(`step ${step}: loss ${loss.toFixed(4)}, accuracy ${right / n}, |gradient| ${gradNorm?.toFixed(4)}`);
}
