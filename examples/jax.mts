// Fits a polynomial: jax-js computes value and gradient (jit, on wasm), schuss takes the steps.
//
// npx tsx examples/jax.mts
import { defaultDevice, init, type Array as JaxArray, jit, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { Adam, cosine } from 'schuss';

await init('wasm');
defaultDevice('wasm');

type Params = { weight: JaxArray; bias: JaxArray };

const steps = 500;
const xs = Float32Array.from({ length: 200 }, (_, i) => i / 100 - 1);
const features = Float32Array.from({ length: 3 * xs.length }, (_, k) => xs[Math.floor(k / 3)]! ** ((k % 3) + 1));
const X = np.array(features).reshape([xs.length, 3]);
const y = np.array(xs.map((x) => 0.5 - 2 * x + 3 * x ** 3));

// jax-js counts references: pass `.ref` of an array that is used again.
const loss = jit(
  valueAndGrad(({ weight, bias }: Params) => np.mean(np.square(np.dot(X.ref, weight).add(bias).sub(y.ref)))),
);

const weights = { weight: new Float32Array(3), bias: new Float32Array(1) };
const adam = new Adam(weights, { lr: cosine(0.1, { steps }) });
for (let step = 1; step <= steps; step++) {
  const [value, grads] = loss({ weight: np.array(weights.weight), bias: np.array(weights.bias) });
  // jax-js arrays are immutable. So the weights live here, and each step passes them in and reads the gradients out.
  const [weight, bias] = await Promise.all([grads.weight.data(), grads.bias.data()]);
  adam.step({ weight: weight as Float32Array, bias: bias as Float32Array });
  const mean = await value.data();
  if (step % 100 === 0) console.log(`step ${step}: loss ${mean[0]!.toExponential(2)}`);
}
tree.dispose([X, y]);
console.log(`found ${[...weights.bias, ...weights.weight].map((v) => v.toFixed(3)).join(', ')}; exact 0.5, -2, 0, 3`);
