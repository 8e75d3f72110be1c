import type * as tfjs from '@tensorflow/tfjs-core';
import { versionOf } from '../../common/packages.js';
import { stepping } from '../alternate.js';
import { type Common, common, fillGrads, fillStart, methods, type Task } from '../task.js';
import { everyNth, type Peer, type Runner } from './peer.js';

type Tf = typeof tfjs;
type BackendName = 'cpu' | 'wasm';

const make: Record<Common, (tf: Tf) => tfjs.Optimizer> = {
  adam: (tf) => tf.train.adam(1e-3, 0.9, 0.999, 1e-8),
  sgd: (tf) => tf.train.sgd(0.01),
  momentum: (tf) => tf.train.momentum(0.01, 0.9),
  adagrad: (tf) => tf.train.adagrad(0.01, 0.1),
  rmsprop: (tf) => tf.train.rmsprop(1e-3, 0.9, 0, 1e-8),
};

async function loadTensorFlow(backend: BackendName): Promise<Tf> {
  const tf = await import('@tensorflow/tfjs-core');
  if (backend === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
  else await import('@tensorflow/tfjs-backend-wasm');
  // Production mode skips checks of each result, and the advice to use another package.
  tf.enableProdMode();
  await tf.setBackend(backend);
  await tf.ready();
  return tf;
}

/** A variable and its gradient on a backend, updated by an optimizer with TensorFlow.js's interface. */
async function startOn(backend: BackendName, { n }: Task, optimizer: (tf: Tf) => tfjs.Optimizer): Promise<Runner> {
  const tf = await loadTensorFlow(backend);
  const variable = tf.tidy(() => tf.variable(tf.tensor1d(fillStart(new Float32Array(n)))));
  const gradient = tf.tensor1d(fillGrads(new Float32Array(n)));
  const gradients = { [variable.name]: gradient };
  const stepper = optimizer(tf);
  const { run } = stepping('', () => stepper.applyGradients(gradients));
  return {
    async run(steps) {
      await tf.setBackend(backend);
      return run(steps);
    },
    async sample(stride) {
      await tf.setBackend(backend);
      return everyNth(variable.dataSync(), stride);
    },
    async dispose() {
      await tf.setBackend(backend);
      stepper.dispose();
      tf.dispose([variable, gradient]);
    },
  };
}

function tensorflow(backend: BackendName): Peer {
  return {
    id: `tfjs-${backend}`,
    label: `TensorFlow.js ${backend}`,
    methods: common,
    manyTensors: false,
    async load() {
      await loadTensorFlow(backend);
      return versionOf('@tensorflow/tfjs-core');
    },
    start: (task) => startOn(backend, task, make[task.method as Common]),
  };
}

export const tensorflowCpu = tensorflow('cpu');
export const tensorflowWasm = tensorflow('wasm');

/** schuss with TensorFlow.js's interface, on the memory of the wasm backend. */
export const schussInTensorflow: Peer = {
  id: 'schuss-tfjs',
  label: 'schuss/tfjs on wasm',
  methods: common,
  manyTensors: false,
  load: tensorflowWasm.load,
  async start(task) {
    const { wrap } = await import('../../common/schuss-tfjs.js');
    const { Class, options } = methods[task.method];
    return startOn('wasm', task, () => wrap(Class, options as never));
  },
};
