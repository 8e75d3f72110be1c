import type * as tfjs from '@tensorflow/tfjs-core';
import type * as tfjsLayers from '@tensorflow/tfjs-layers';
import { alternate, type Contender, secondsOf } from './alternate.js';
import type { Context } from './context.js';
import { type Measured, type PairRow, pair } from './results.js';
import { fillGrads, fillStart } from './task.js';

const backends = ['cpu', 'wasm'] as const;
const batchSize = 32;
/** Batches in an epoch, the unit that is timed. */
const batches = 4;
const [inputs, outputs] = [784, 10];

/** The largest relative difference of the losses. It is not 0 because TensorFlow.js computes powers of beta in float32. */
const tolerance = 1e-3;

/** A whole `model.fit` of TensorFlow.js, with its own Adam and with that of schuss/tfjs. */
export async function modelFit({ settings, say }: Context): Promise<Measured<{ rows: PairRow[] }>> {
  try {
    const tf = await import('@tensorflow/tfjs-core');
    const layers = await import('@tensorflow/tfjs-layers');
    await import('@tensorflow/tfjs-backend-cpu');
    await import('@tensorflow/tfjs-backend-wasm');
    const { adam } = await import('../common/schuss-tfjs.js');
    tf.enableProdMode();
    const rows: PairRow[] = [];
    for (const backend of backends) {
      for (const units of settings.quick ? [32] : [32, 512]) {
        const shape = `${inputs}-${units}-${outputs}`;
        say(`model.fit on ${backend}, ${shape}`);
        await tf.setBackend(backend);
        const ours = startOn({ tf, layers, backend, units }, 'ours', adam(1e-3));
        const theirs = startOn({ tf, layers, backend, units }, 'theirs', tf.train.adam(1e-3));
        const [a, b] = [await ours.loss(3), await theirs.loss(3)];
        if (!(Math.abs(a - b) <= tolerance * Math.abs(b)))
          throw new Error(`tf.train.adam reaches a loss of ${b} on ${backend}, schuss/tfjs ${a}`);
        const outcomes = await alternate([ours, theirs], settings.pace);
        const what = `${backend}, ${shape}, batches of ${batchSize}`;
        // Times of a step, as in the other rows.
        const ofStep = (name: string): number[] => secondsOf(outcomes, name).map((seconds) => seconds / batches);
        rows.push(pair(what, ours.params, ofStep('ours'), ofStep('theirs')));
        for (const contender of [ours, theirs]) contender.dispose();
      }
    }
    return { rows };
  } catch (error) {
    return { skipped: (error as Error).message };
  }
}

interface Fitting extends Contender {
  readonly params: number;
  /** The loss after this many more epochs. */
  loss(epochs: number): Promise<number>;
  dispose(): void;
}

interface Place {
  readonly tf: typeof tfjs;
  readonly layers: typeof tfjsLayers;
  readonly backend: string;
  /** Width of the hidden layer. */
  readonly units: number;
}

/** A model of one hidden layer that is fitted epoch by epoch. Its initial weights are the same for each optimizer. */
function startOn({ tf, layers, backend, units }: Place, name: string, optimizer: tfjs.Optimizer): Fitting {
  const kernel = (seed: number) => layers.initializers.glorotUniform({ seed });
  const { dense } = layers.layers;
  const model = layers.sequential({
    layers: [
      dense({ units, activation: 'relu', inputShape: [inputs], kernelInitializer: kernel(1) }),
      dense({ units: outputs, kernelInitializer: kernel(2) }),
    ],
  });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const rows = batchSize * batches;
  const x = tf.tensor2d(fillStart(new Float32Array(rows * inputs)), [rows, inputs]);
  const y = tf.tensor2d(fillGrads(new Float32Array(rows * outputs)), [rows, outputs]);
  const train = (epochs: number) =>
    model.fit(x, y, { epochs, batchSize, shuffle: false, verbose: 0, yieldEvery: 'never' });
  return {
    name,
    params: model.countParams(),
    async run(epochs) {
      await tf.setBackend(backend);
      const start = performance.now();
      await train(epochs);
      return (performance.now() - start) / 1000;
    },
    async loss(epochs) {
      return (await train(epochs)).history['loss']?.at(-1) as number;
    },
    dispose() {
      model.dispose();
      optimizer.dispose();
      tf.dispose([x, y]);
    },
  };
}
