// patch and unpatch: which namespaces they change, and that nothing is left behind.
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { buildSync } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import * as ours from '../../../lib/tfjs/index.js';
import type { Any } from '../../support/bad-input.js';
import { freshBackend } from '../../support/tfjs.js';

const { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop } = ours;

const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };

beforeAll(() => freshBackend('cpu'));

test('namespaces that share a map can be patched and unpatched in any order', () => {
  const map = tf.serialization.SerializationMap.getMap().classNameMap;
  const before = { ...map };
  const other = { train: { ...factories }, serialization: tf.serialization };
  for (const [first, second] of [
    [tf, other],
    [other, tf],
  ] as const) {
    ours.patch(tf);
    ours.patch(other);
    ours.unpatch(first);
    expect(map['Adam']?.[0]).toBe(ours.AdamOptimizer);
    ours.unpatch(second);
    expect({ ...map }).toEqual(before);
  }
});

describe('other builds of TensorFlow.js', () => {
  test('a frozen ES module namespace can be patched, together with layers', () => {
    const dist = dirname(require.resolve('@tensorflow/tfjs-core'));
    const layersDist = dirname(require.resolve('@tensorflow/tfjs-layers'));
    const [file] = buildSync({
      stdin: {
        contents: `import * as tf from '@tensorflow/tfjs-core';
          import { getOptimizer } from ${JSON.stringify(join(layersDist, 'optimizers.js'))};
          export { tf, getOptimizer };`,
        resolveDir: __dirname,
      },
      alias: { '@tensorflow/tfjs-core': join(dist, 'index.js') },
      bundle: true,
      format: 'cjs',
      platform: 'node',
      write: false,
      logLevel: 'error',
    }).outputFiles;
    const module = { exports: {} as Any };
    new Function('require', 'module', 'exports', (file as { text: string }).text)(require, module, module.exports);
    const { tf: esm, getOptimizer } = module.exports;
    expect(esm.train).not.toBe(tf.train);
    const namespace = Object.freeze({ ...esm });
    const { adam: before } = esm.train;
    ours.patch(namespace);
    expect(esm.train.adam()).toBeInstanceOf(ours.AdamOptimizer);
    expect(getOptimizer('rmsprop')).toBeInstanceOf(ours.RMSPropOptimizer);
    expect(tf.train.adam()).not.toBeInstanceOf(ours.AdamOptimizer); // the other copy
    ours.unpatch(namespace);
    expect(esm.train.adam).toBe(before);
    expect(getOptimizer('rmsprop')).not.toBeInstanceOf(ours.RMSPropOptimizer);
  });
});
