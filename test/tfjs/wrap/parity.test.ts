// wrap: the bits of the plain optimizer, on every backend.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Adagrad, Adam, AdamW, cosine, type Optimizer, RMSprop, SGD } from '../../../lib/index.js';
import { wrap } from '../../../lib/tfjs/index.js';
import { numbers } from '../../support/random.js';
import { bitsOf, onBackend, values, variable } from '../../support/tfjs.js';

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  const cases: [string, typeof Adam, object][] = [
    ['Adam', Adam, { lr: cosine(0.05, { steps: 20 }), clipNorm: 1 }],
    ['Adam with amsgrad and decay', Adam, { amsgrad: true, weightDecay: 0.01, clipValue: 0.2 }],
    ['AdamW', AdamW as never, { lr: 0.05, weightDecay: 0.1 }],
    ['SGD', SGD as never, { lr: 0.1 }],
    ['SGD with Nesterov momentum', SGD as never, { lr: 0.1, momentum: 0.9, nesterov: true }],
    ['RMSprop', RMSprop as never, { centered: true, momentum: 0.5 }],
    ['Adagrad', Adagrad as never, { lr: 0.1, lrDecay: 0.01 }],
  ];
  test.each(cases)('%s', (_, Class, options) => {
    const start = { kernel: numbers(8 * 5, 1), bias: numbers(5, 2), scale: numbers(1, 3), cube: numbers(12, 4) };
    const shapes = { kernel: [8, 5], bias: [5], scale: [], cube: [2, 3, 2] };
    const entries = Object.keys(start) as (keyof typeof start)[];
    const variables = Object.fromEntries(
      entries.map((key) => [key, variable(start[key].slice(), shapes[key], key)]),
    ) as Record<keyof typeof start, tf.Variable>;
    const plain = Object.fromEntries(entries.map((key) => [key, start[key].slice()]));
    const reference: Optimizer = new Class(plain, options);
    const wrapped = wrap(Class, options);
    const [x, y] = [tf.tensor(numbers(64 * 8, 5), [64, 8]), tf.tensor(numbers(64 * 5, 6), [64, 5])];
    const loss = (): tf.Scalar => {
      const out = tf.mul(tf.add(tf.matMul(x, variables.kernel), variables.bias), variables.scale);
      return tf.add(tf.mean(tf.square(tf.sub(out, y))), tf.mean(tf.square(variables.cube))) as tf.Scalar;
    };
    const first = loss().dataSync()[0] as number;
    for (let i = 0; i < 20; i++) {
      const { grads } = tf.variableGrads(loss);
      reference.step(Object.fromEntries(entries.map((key) => [key, values(grads[key] as tf.Tensor)])));
      wrapped.applyGradients(grads);
      for (const key of entries) expect(bitsOf(values(variables[key]))).toEqual(bitsOf(plain[key] as Float32Array));
    }
    expect(loss().dataSync()[0]).toBeLessThan(first);
    // Matrices have their shape, which some optimizers use.
    expect(wrapped.optimizer.paramGroups[0]?.params).toMatchObject({
      kernel: { shape: [8, 5] },
      bias: expect.any(Float32Array),
    });
    expect(wrapped.iterations).toBe(20);
  });

  test('with gradients as a list, in any order', () => {
    const [a, b] = [variable([1, 2], [2], 'a'), variable([3, 4, 5], [3], 'b')];
    const wrapped = wrap(Adam, { lr: 0.1 });
    const plain = { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4, 5) };
    const reference = new Adam(plain, { lr: 0.1 });
    const [ga, gb] = [tf.tensor([0.1, -0.2]), tf.tensor([1, 2, 3])];
    const list = [
      { name: 'a', tensor: ga },
      { name: 'b', tensor: gb },
    ];
    for (let i = 0; i < 5; i++) {
      wrapped.applyGradients(i % 2 === 0 ? list : [...list].reverse());
      reference.step({ a: Float32Array.of(0.1, -0.2), b: Float32Array.of(1, 2, 3) });
    }
    expect(values(a)).toEqual(plain.a);
    expect(values(b)).toEqual(plain.b);
  });
});

test('variables may move between backends while they are trained', async () => {
  const plain = { w: numbers(6, 1), other: numbers(3, 2) };
  await tf.setBackend('cpu');
  const v = {
    w: tf.variable(tf.tensor(plain.w.slice()), true, 'w'),
    other: tf.variable(tf.tensor(plain.other.slice()), true, 'other'),
  };
  const adam = wrap(Adam, { lr: 0.1 });
  const reference = new Adam(plain, { lr: 0.1 });
  const clones: [tf.Tensor, Float32Array][] = [];
  for (const [i, name] of ['cpu', 'wasm', 'elsewhere', 'cpu', 'elsewhere', 'wasm', 'wasm'].entries()) {
    const g = { w: numbers(6, 10 + i), other: i % 3 === 0 ? numbers(3, 20 + i) : null };
    const gradients = { w: tf.tensor(g.w), other: g.other === null ? null : tf.tensor(g.other) };
    await tf.setBackend(name);
    adam.applyGradients(gradients as never);
    reference.step(g);
    for (const key of ['w', 'other'] as const) {
      expect(bitsOf(values(v[key]))).toEqual(bitsOf(plain[key]));
      clones.push([tf.clone(v[key]), plain[key].slice()]);
    }
  }
  for (const [clone, expected] of clones) expect(bitsOf(values(clone))).toEqual(bitsOf(expected));
});
