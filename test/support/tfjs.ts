import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients of operations
import { afterEach, beforeAll, beforeEach } from 'vitest';

// A backend whose memory the adapter cannot know: the cpu backend under another name.
tf.registerBackend('elsewhere', () => new MathBackendCPU());
tf.copyRegisteredKernels('cpu', 'elsewhere');

/** Starts a backend, without the tensors and variables of other test files in the same worker. */
export async function freshBackend(name: string): Promise<void> {
  tf.engine().reset();
  await tf.setBackend(name);
  await tf.ready();
}

/** Runs the tests of a describe block on a backend; each frees its tensors and variables. */
export function onBackend(name: string): void {
  beforeAll(() => freshBackend(name));
  beforeEach(() => {
    tf.disposeVariables(); // other files of the same worker may have left some
    tf.engine().startScope();
  });
  afterEach(() => {
    tf.engine().endScope();
    tf.disposeVariables();
  });
}

/** A variable that alone holds its memory. */
export const variable = (from: Float32Array | number[], shape: number[] = [from.length], name?: string): tf.Variable =>
  tf.tidy(() => tf.variable(tf.tensor(from, shape), true, name));

/** A copy of a tensor's values. */
export const values = (x: tf.Tensor): Float32Array => Float32Array.from(x.dataSync());

/** The bits of values, so that −0 is not 0. */
export const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(x).buffer);
