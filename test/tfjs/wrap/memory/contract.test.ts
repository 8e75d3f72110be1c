// wrap: variables are updated in place, and no other tensor's memory changes.
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../../../lib/index.js';
import { wrap } from '../../../../lib/tfjs/index.js';
import { numbers } from '../../../support/random.js';
import { all } from '../../../support/sample.js';
import { onBackend, values, variable } from '../../../support/tfjs.js';

interface WasmBackend {
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number; readonly refCount: number } };
  readonly wasm: { readonly HEAPU8: Uint8Array };
}
const heap = (): Uint8Array => (tf.backend() as unknown as WasmBackend).wasm.HEAPU8;
const offset = (x: tf.Tensor): number => (tf.backend() as unknown as WasmBackend).dataIdMap.get(x.dataId).memoryOffset;

/** Repeats an action that allocates memory until the heap has grown; returns how often. */
function untilGrown(action: () => void): number {
  const before = heap().buffer;
  let times = 0;
  while (heap().buffer === before) {
    action();
    times++;
  }
  return times;
}
const growHeap = (): void => void untilGrown(() => tf.zeros([2 ** 18]));

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  test.skipIf(name === 'elsewhere')('variables stay in place from the second step on', () => {
    const w = variable(numbers(10, 1));
    const sgd = wrap(SGD, { lr: 0.1 });
    const place = (): unknown =>
      name === 'cpu' ? (tf.backend() as MathBackendCPU).data.get(w.dataId).values : offset(w);
    const step = (): unknown => sgd.applyGradients({ [w.name]: tf.ones([10]) });
    step();
    const [dataId, before, value] = [w.dataId, place(), values(w)];
    step();
    expect(w.dataId).toBe(dataId);
    expect(place()).toBe(before);
    expect(values(w)).toEqual(value.map((x) => Math.fround(x - Math.fround(0.1))));
  });

  test("the user's array does not change", () => {
    const array = Float32Array.of(1, 2, 3);
    const w = variable(array);
    wrap(SGD, { lr: 1 }).applyGradients({ [w.name]: tf.ones([3]) });
    expect(array).toEqual(Float32Array.of(1, 2, 3));
    expect(values(w)).toEqual(Float32Array.of(0, 1, 2));
  });

  test('dataSync returns an ordinary Float32Array', () => {
    const w = variable([1, 2]);
    wrap(SGD, { lr: 1 }).applyGradients({ [w.name]: tf.ones([2]) });
    expect(w.dataSync()).toStrictEqual(Float32Array.of(0, 1));
  });

  test('values that were read do not change, nor do tensors made of them', async () => {
    const w = variable([1, 2]);
    const sgd = wrap(SGD, { lr: 1 });
    const step = (): unknown => sgd.applyGradients({ [w.name]: tf.ones([2]) });
    step();
    const arrays = [
      w.dataSync(),
      await w.data(),
      new Float32Array(((await w.bytes()) as Uint8Array).buffer),
      w.bufferSync().values,
    ];
    arrays.push(tf.tidy(() => tf.reshape(w, [2, 1]).dataSync()));
    const tensors = [tf.tensor(w.dataSync()), (await w.buffer()).toTensor()];
    if (name !== 'wasm') tensors.push(tf.real(tf.complex(w, w)));
    step();
    for (const array of arrays) expect(array).toStrictEqual(Float32Array.of(0, 1));
    for (const tensor of tensors) expect(tensor.arraySync()).toEqual([0, 1]);
    expect(w.arraySync()).toEqual([-1, 0]);
  });

  test.each([
    [
      'clones',
      (w: tf.Variable) => tf.clone(w),
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['reshapes', (w: tf.Variable) => tf.reshape(w, [4]), [1, 2, 3, 4]],
    ['slices', (w: tf.Variable) => tf.slice(w, [1, 0], [1, 2]), [[3, 4]]],
    ['parts', (w: tf.Variable) => tf.unstack(w)[0] as tf.Tensor, [1, 2]],
    ['gathers', (w: tf.Variable) => tf.gather(w, [1]), [[3, 4]]],
  ])('%s keep their values, made before the first step and later', (_, make, expected) => {
    const w = variable([1, 2, 3, 4], [2, 2]);
    const sgd = wrap(SGD, { lr: 1 });
    const step = (): unknown => sgd.applyGradients({ [w.name]: tf.ones([2, 2]) });
    const before = make(w);
    step();
    const after = make(w);
    step();
    expect(before.arraySync()).toEqual(expected);
    expect(after.arraySync()).toEqual(tf.sub(tf.tensor(expected), 1).arraySync());
    expect(values(w)).toEqual(Float32Array.of(-1, 0, 1, 2));
  });

  test('two variables made of one array or tensor, or assigned from each other, are independent', () => {
    const array = Float32Array.of(1, 2);
    const shared = tf.tensor(array);
    const [a, b, c, d] = [variable(array), tf.variable(shared), tf.variable(shared), variable([0, 0])];
    const sgd = wrap(SGD, { lr: 1 });
    const step = (): unknown =>
      sgd.applyGradients({
        [a.name]: tf.tensor([1, 1]),
        [b.name]: tf.tensor([2, 2]),
        [c.name]: tf.tensor([3, 3]),
        [d.name]: tf.tensor([4, 4]),
      });
    d.assign(a);
    step();
    expect([a, b, c, d].map((v) => v.arraySync())).toEqual([
      [0, 1],
      [-1, 0],
      [-2, -1],
      [-3, -2],
    ]);
    d.assign(a); // as a target network copies weights
    step();
    expect([a, b, c, d].map((v) => v.arraySync())).toEqual([
      [-1, 0],
      [-3, -2],
      [-5, -4],
      [-4, -3],
    ]);
    expect(shared.arraySync()).toEqual([1, 2]);
  });

  test('a variable made from the result of dataSync is independent', () => {
    const a = variable([1, 2]);
    const sgd = wrap(SGD, { lr: 1 });
    sgd.applyGradients({ [a.name]: tf.ones([2]) });
    const b = variable(a.dataSync() as Float32Array);
    sgd.applyGradients({ [a.name]: tf.ones([2]), [b.name]: tf.fill([2], 2) });
    expect([a.arraySync(), b.arraySync()]).toEqual([
      [-1, 0],
      [-2, -1],
    ]);
  });

  test('gradients are not changed and may share memory', () => {
    const [a, b, c] = [variable([1, 2]), variable([3, 4]), variable([5, 6], [1, 2])];
    const gradient = tf.tensor([1, -1]);
    const sgd = wrap(SGD, { lr: 1, clipNorm: 100, weightDecay: 0.5, maximize: true });
    for (let i = 0; i < 2; i++)
      sgd.applyGradients({
        [a.name]: gradient,
        [b.name]: tf.clone(gradient),
        [c.name]: tf.reshape(gradient, [1, 2]),
      });
    expect(gradient.arraySync()).toEqual([1, -1]);
    const plain = [Float32Array.of(1, 2), Float32Array.of(3, 4), Float32Array.of(5, 6)];
    const reference = new SGD(plain, { lr: 1, clipNorm: 100, weightDecay: 0.5, maximize: true });
    for (let i = 0; i < 2; i++) reference.step(plain.map(() => Float32Array.of(1, -1)));
    expect([a, b, c].map(values)).toEqual(plain);
  });

  test('a variable may be its own gradient and that of another', () => {
    const [a, b] = [variable([1, 2]), variable([3, 4])];
    const sgd = wrap(SGD, { lr: 0.5 });
    for (let i = 0; i < 2; i++) sgd.applyGradients({ [a.name]: a, [b.name]: a });
    expect([a.arraySync(), b.arraySync()]).toEqual([
      [0.25, 0.5],
      [2.25, 2.5],
    ]);
  });

  test('the result of dataSync may be a gradient', () => {
    const a = variable([1, 2]);
    const sgd = wrap(SGD, { lr: 0.5 });
    for (let i = 0; i < 3; i++) sgd.applyGradients({ [a.name]: tf.tensor(a.dataSync()) });
    expect(a.arraySync()).toEqual([0.125, 0.25]);
  });

  test("values that the user assigns are used, also where variables take over each other's memory", () => {
    const n = 50_000;
    const [a, b, c] = [0, 1, 2].map(() => variable(new Float32Array(n))) as [tf.Variable, tf.Variable, tf.Variable];
    const [zeros, ones] = [tf.zeros([n]), tf.ones([n])];
    const sgd = wrap(SGD, { lr: 1 });
    const step = (): unknown => sgd.applyGradients({ [a.name]: ones, [b.name]: ones, [c.name]: zeros });
    const places = (): number[] => [a, b, c].map(offset);
    for (let i = 0; i < 5; i++) {
      step();
      const before = name === 'wasm' ? places() : [];
      for (const [k, v] of [a, b, c, a].entries()) tf.tidy(() => v.assign(tf.fill([n], 10 * k + i)));
      // Otherwise this tests less than its title says.
      if (name === 'wasm') expect(places().filter((place) => before.includes(place)).length).toBeGreaterThan(1);
    }
    step();
    expect([a, b, c].map((v) => v.dataSync()[n - 1])).toEqual([33, 13, 24]);
  });

  test('hundreds of steps leak no tensor', () => {
    const [w, b] = [variable(numbers(12, 1), [4, 3], 'w'), variable([0, 0, 0], [3], 'b')];
    const x = tf.tensor(numbers(20, 2), [5, 4]);
    const adam = wrap(Adam, { lr: 0.01 });
    const steps = all ? 1000 : 300;
    const step = (): unknown => adam.minimize(() => tf.mean(tf.square(tf.add(tf.matMul(x, w), b))) as tf.Scalar);
    step();
    const before = { ...tf.memory() };
    for (let i = 0; i < steps - 1; i++) step();
    const { numTensors, numDataBuffers, numBytes } = tf.memory();
    expect({ numTensors, numDataBuffers, numBytes }).toEqual({
      numTensors: before.numTensors,
      numDataBuffers: before.numDataBuffers,
      numBytes: before.numBytes,
    });
    expect(adam.optimizer.stepCount).toBe(steps);
  });

  test('matMul and conv2d use the new weights after a step', () => {
    const w = variable([1, 2, 3, 4], [2, 2], 'w');
    const filter = variable([1, 2], [1, 1, 1, 2], 'filter');
    const bias = variable([0, 0], [2], 'bias');
    const [x, image] = [tf.ones([3, 2]) as tf.Tensor2D, tf.ones([1, 2, 2, 1]) as tf.Tensor4D];
    const outputs = (): unknown => [
      tf.matMul(x, w).arraySync(),
      tf.fused.matMul({ a: x, b: w, bias }).arraySync(),
      tf.conv2d(image, filter as tf.Tensor4D, 1, 'valid').arraySync(),
      tf.fused.conv2d({ x: image, filter: filter as tf.Tensor4D, strides: 1, pad: 'valid', bias }).arraySync(),
    ];
    const sgd = wrap(SGD, { lr: 1 });
    const ones = { w: tf.ones([2, 2]), filter: tf.ones([1, 1, 1, 2]), bias: tf.fill([2], -1) };
    for (let i = 0; i < 3; i++) {
      outputs();
      sgd.applyGradients(ones);
      const down = i + 1; // each weight decreased by this, and the bias increased
      const [product, pixel] = [
        [4 - 2 * down, 6 - 2 * down],
        [1 - down, 2 - down],
      ];
      const image2x2 = (p: number[]): number[][][][] => [
        [
          [p, p],
          [p, p],
        ],
      ];
      const raised = (row: number[]): number[] => row.map((v) => v + down);
      expect(outputs()).toEqual([
        [product, product, product],
        Array(3).fill(raised(product)),
        image2x2(pixel),
        image2x2(raised(pixel)),
      ]);
    }
  });

  test.runIf(name === 'wasm')('the heap may grow between steps and under variables without gradients', () => {
    const [a, b] = [variable(numbers(100, 1), [100], 'a'), variable(numbers(100, 2), [100], 'b')];
    const plain = { a: values(a), b: values(b) };
    const adam = wrap(Adam, { lr: 0.1 });
    const reference = new Adam(plain, { lr: 0.1 });
    const g = numbers(100, 3);
    const step = (withB: boolean): void => {
      adam.applyGradients({ a: tf.tensor(g), b: (withB ? tf.tensor(g) : null) as tf.Tensor });
      reference.step({ a: g, b: withB ? g : null });
    };
    step(true);
    growHeap();
    step(true);
    growHeap();
    step(false);
    growHeap();
    step(false);
    step(true);
    expect([values(a), values(b)]).toEqual([plain.a, plain.b]);
  });

  test.runIf(all && name === 'wasm')(
    'the heap may grow while a step fetches gradients from another backend',
    async () => {
      const size = 2 ** 18;
      const [a, b] = [variable([0, 0], [2], 'a'), variable(new Float32Array(size), [size], 'b')];
      const sgd = wrap(SGD, { lr: 1 });
      await tf.setBackend('cpu');
      const elsewhere = Array.from({ length: 200 }, () => tf.ones([size]));
      await tf.setBackend('wasm');
      const steps = untilGrown(() => sgd.applyGradients({ a: tf.ones([2]), b: elsewhere.pop() as tf.Tensor }));
      expect([a.arraySync(), b.dataSync()[size - 1]]).toEqual([[-steps, -steps], -steps]);
    },
  );

  test.runIf(name === 'wasm')('the heap may grow while a step allocates memory for a variable', () => {
    const size = 2 ** 18;
    const [a, b] = [variable([0, 0], [2], 'a'), variable(new Float32Array(size), [size], 'b')];
    const sgd = wrap(SGD, { lr: 1 });
    const gradients = { a: tf.ones([2]), b: tf.ones([size]) };
    const clones: tf.Tensor[] = [];
    const steps = untilGrown(() => {
      clones.push(tf.clone(b));
      sgd.applyGradients(gradients);
    });
    expect([a.arraySync(), b.dataSync()[size - 1]]).toEqual([[-steps, -steps], -steps]);
    for (const [i, clone] of clones.entries()) expect(clone.dataSync()[size - 1]).toBe(i === 0 ? 0 : -i);
  });
});
