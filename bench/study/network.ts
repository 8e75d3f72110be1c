import * as tfjs from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import type { Random } from '../common/random.js';
import type { Param } from '../common/schuss.js';

type Tf = typeof tfjs;
type Matrix = tfjs.Tensor2D;

/** A differentiable loss as a function of the logits. */
export type Loss = (logits: Matrix) => tfjs.Scalar;

/** TensorFlow.js with its WebAssembly backend, which computes the same numbers on every machine. */
export async function loadTensorFlow(): Promise<Tf> {
  await tfjs.setBackend('wasm');
  await tfjs.ready();
  return tfjs;
}

/**
 * A classifier of fully connected layers with ReLU between them. The parameters are Float32Arrays
 * (weight, bias, weight, bias, …) that an optimizer updates in place; TensorFlow.js computes loss and gradients from them.
 */
export class Network {
  readonly params: Float32Array[];
  readonly #tf: Tf;
  readonly #sizes: readonly number[];

  /** @param sizes - Widths of the layers, from inputs to classes. Initial weights are drawn from N(0, 0.05²); biases are 0. */
  constructor(tf: Tf, sizes: readonly number[], random: Random) {
    this.#tf = tf;
    this.#sizes = sizes;
    this.params = sizes
      .slice(1)
      .flatMap((width, i) => [
        Float32Array.from({ length: (sizes[i] as number) * width }, () => 0.05 * random.normal()),
        new Float32Array(width),
      ]);
  }

  /** `params`, with shapes on the weight matrices for optimizers that use rows and columns. */
  get shaped(): Param[] {
    return this.params.map((data, i) =>
      i % 2 === 1 ? data : { data, shape: [this.#sizes[i >> 1] as number, this.#sizes[(i >> 1) + 1] as number] },
    );
  }

  /** The loss of a batch, and its gradients in the order of `params`. */
  lossAndGradients(inputs: Float32Array, loss: Loss): { loss: number; gradients: Float32Array[] } {
    let value = Number.NaN;
    let gradients: Float32Array[] = [];
    // `tidy` searches its return value for tensors, element by element. Assigning to outer variables is 20 times faster.
    this.#tf.tidy(() => {
      const x = this.#tf.tensor2d(inputs, [inputs.length / (this.#sizes[0] as number), this.#sizes[0] as number]);
      const result = this.#tf.valueAndGrads((...params: tfjs.Tensor[]) => loss(this.#forward(x, params)))(
        this.#tensors(this.params),
      );
      value = result.value.dataSync()[0] as number;
      gradients = result.grads.map((gradient) => gradient.dataSync() as Float32Array);
    });
    return { loss: value, gradients };
  }

  /** The logits of any number of examples, with the network's own or other parameters. */
  logits(inputs: Float32Array, params: readonly Float32Array[] = this.params): Float32Array {
    let logits = new Float32Array(0);
    this.#tf.tidy(() => {
      const x = this.#tf.tensor2d(inputs, [inputs.length / (this.#sizes[0] as number), this.#sizes[0] as number]);
      logits = this.#forward(x, this.#tensors(params)).dataSync() as Float32Array<ArrayBuffer>;
    });
    return logits;
  }

  #tensors(params: readonly Float32Array[]): tfjs.Tensor[] {
    return params.map((param, i) => {
      const layer = i >> 1;
      const width = this.#sizes[layer + 1] as number;
      return i % 2 === 0 ? this.#tf.tensor2d(param, [this.#sizes[layer] as number, width]) : this.#tf.tensor1d(param);
    });
  }

  #forward(x: Matrix, params: readonly tfjs.Tensor[]): Matrix {
    const layers = params.length / 2;
    let h = firstLayer(this.#tf, x)(params[0] as Matrix, params[1] as tfjs.Tensor1D);
    for (let layer = 1; layer < layers; layer++) {
      h = denseLayer(this.#tf, layer < layers - 1)(
        h,
        params[2 * layer] as Matrix,
        params[2 * layer + 1] as tfjs.Tensor1D,
      );
    }
    return h;
  }
}

/** The first layer. Its inputs are data, so no gradient is computed for them. */
function firstLayer(tf: Tf, x: Matrix): (weight: Matrix, bias: tfjs.Tensor1D) => Matrix {
  return differentiable(tf, (weight: Matrix, bias: tfjs.Tensor1D) => {
    const value = tf.fused.matMul({ a: x, b: weight, bias, activation: 'relu' }) as Matrix;
    return {
      value,
      saved: [value],
      backward(dy, [y]: Matrix[]) {
        const dz = tf.mul(dy, tf.step(y as Matrix));
        return [tf.matMul(tf.transpose(x), dz), tf.sum(dz, 0)];
      },
    };
  });
}

// TensorFlow.js computes the gradient of a matrix product with a transposed operand, for which its wasm backend has only a
// plain loop. Transposing first uses the fast path: a step takes 3 ms instead of 14 ms.
function denseLayer(tf: Tf, relu: boolean): (x: Matrix, weight: Matrix, bias: tfjs.Tensor1D) => Matrix {
  return differentiable(tf, (x: Matrix, weight: Matrix, bias: tfjs.Tensor1D) => {
    const value = tf.fused.matMul({ a: x, b: weight, bias, activation: relu ? 'relu' : 'linear' }) as Matrix;
    return {
      value,
      saved: [x, weight, value],
      backward(dy, saved: Matrix[]) {
        const [x, weight, y] = saved as [Matrix, Matrix, Matrix];
        const dz = relu ? tf.mul(dy, tf.step(y)) : dy;
        return [tf.matMul(dz, tf.transpose(weight)), tf.matMul(tf.transpose(x), dz), tf.sum(dz, 0)];
      },
    };
  });
}

/** Mean cross-entropy of softmax(logits) against the labels. */
export function crossEntropy(tf: Tf, labels: Int32Array): Loss {
  return differentiable(tf, (logits: Matrix) => {
    const truth = tf.oneHot(tf.tensor1d(labels, 'int32'), logits.shape[1]);
    const shifted = tf.sub(logits, tf.max(logits, 1, true));
    const logProbabilities = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
    return {
      value: tf.neg(tf.div(tf.sum(tf.mul(logProbabilities, truth)), labels.length)) as tfjs.Scalar,
      saved: [tf.div(tf.sub(tf.exp(logProbabilities), truth), labels.length)],
      backward: (_, [gradient]) => [gradient as Matrix],
    };
  });
}

/** A loss computed outside TensorFlow.js: `compute` takes the logits, writes their gradient and returns the loss. */
export function externalLoss(tf: Tf, compute: (logits: Float32Array, gradient: Float32Array) => number): Loss {
  return differentiable(tf, (logits: Matrix) => {
    const gradient = new Float32Array(logits.size);
    const value = tf.scalar(compute(logits.dataSync() as Float32Array, gradient));
    return { value, saved: [tf.tensor2d(gradient, logits.shape)], backward: (_, [gradient]) => [gradient as Matrix] };
  });
}

interface Differentiable<Out> {
  readonly value: Out;
  /** Tensors that the backward pass needs. */
  readonly saved: tfjs.Tensor[];
  /** Gradients of the inputs, from the gradient of the value. */
  backward(dy: Out, saved: Matrix[]): tfjs.Tensor[];
}

/** `tf.customGrad` with types for the inputs and the saved tensors. */
function differentiable<In extends tfjs.Tensor[], Out extends tfjs.Tensor>(
  tf: Tf,
  forward: (...inputs: In) => Differentiable<Out>,
): (...inputs: In) => Out {
  const call = tf.customGrad((...args: (tfjs.Tensor | tfjs.GradSaveFunc)[]) => {
    const save = args.pop() as tfjs.GradSaveFunc;
    const { value, saved, backward } = forward(...(args as In));
    save(saved);
    return { value, gradFunc: (dy: Out, kept: tfjs.Tensor[]) => backward(dy, kept as Matrix[]) };
  });
  return call as (...inputs: In) => Out;
}
