import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers'; // registers the gradients of operations, too
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Adagrad, Adam, AdamW, backend, cosine, type Optimizer, RMSprop, SGD } from '../../../lib/index.js';
import { wrap } from '../../../lib/tfjs/index.js';

// A backend whose memory the adapter can't know: the cpu backend under another name.
tf.registerBackend('elsewhere', () => new MathBackendCPU());
tf.copyRegisteredKernels('cpu', 'elsewhere');

interface WasmBackend {
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number; readonly refCount: number } };
  readonly wasm: { readonly HEAPU8: Uint8Array };
}
const heap = (): Uint8Array => (tf.backend() as unknown as WasmBackend).wasm.HEAPU8;
const offset = (x: tf.Tensor): number => (tf.backend() as unknown as WasmBackend).dataIdMap.get(x.dataId).memoryOffset;

/** A copy of a tensor's values. */
const values = (x: tf.Tensor): Float32Array => Float32Array.from(x.dataSync());
/** Compares to the bit. */
const bits = (x: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(x).buffer);

/** Numbers in [-1, 1) that are the same each time. */
function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

/** Does something that takes memory for good, until the heap has grown; returns how often. */
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

test('runs on the native backend', () => expect(backend().name).toBe('native'));

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  beforeAll(async () => {
    await tf.setBackend(name);
    await tf.ready();
  });
  beforeEach(() => tf.engine().startScope());
  afterEach(() => {
    tf.engine().endScope();
    tf.disposeVariables();
  });

  // In a tidy, so that the variable alone holds its memory.
  const variable = (from: Float32Array | number[], shape: number[] = [from.length], name?: string): tf.Variable =>
    tf.tidy(() => tf.variable(tf.tensor(from, shape), true, name));

  describe('is bit for bit the plain optimizer', () => {
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
      const start = { kernel: noise(8 * 5, 1), bias: noise(5, 2), scale: noise(1, 3), cube: noise(12, 4) };
      const shapes = { kernel: [8, 5], bias: [5], scale: [], cube: [2, 3, 2] };
      const entries = Object.keys(start) as (keyof typeof start)[];
      const variables = Object.fromEntries(
        entries.map((key) => [key, variable(start[key].slice(), shapes[key], key)]),
      ) as Record<keyof typeof start, tf.Variable>;
      const plain = Object.fromEntries(entries.map((key) => [key, start[key].slice()]));
      const reference: Optimizer = new Class(plain, options);
      const wrapped = wrap(Class, options);
      const [x, y] = [tf.tensor(noise(64 * 8, 5), [64, 8]), tf.tensor(noise(64 * 5, 6), [64, 5])];
      const loss = (): tf.Scalar => {
        const out = tf.mul(tf.add(tf.matMul(x, variables.kernel), variables.bias), variables.scale);
        return tf.add(tf.mean(tf.square(tf.sub(out, y))), tf.mean(tf.square(variables.cube))) as tf.Scalar;
      };
      const first = loss().dataSync()[0] as number;
      for (let i = 0; i < 20; i++) {
        const { grads } = tf.variableGrads(loss);
        reference.step(Object.fromEntries(entries.map((key) => [key, values(grads[key] as tf.Tensor)])));
        wrapped.applyGradients(grads);
        for (const key of entries) expect(bits(values(variables[key]))).toEqual(bits(plain[key] as Float32Array));
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

  describe('memory', () => {
    test.skipIf(name === 'elsewhere')('variables stay where they are from the second step on', () => {
      const w = variable(noise(10, 1));
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

    test("the user's array is left alone", () => {
      const array = Float32Array.of(1, 2, 3);
      const w = variable(array);
      wrap(SGD, { lr: 1 }).applyGradients({ [w.name]: tf.ones([3]) });
      expect(array).toEqual(Float32Array.of(1, 2, 3));
      expect(values(w)).toEqual(Float32Array.of(0, 1, 2));
    });

    test('what dataSync returns looks like any Float32Array', () => {
      const w = variable([1, 2]);
      wrap(SGD, { lr: 1 }).applyGradients({ [w.name]: tf.ones([2]) });
      expect(w.dataSync()).toStrictEqual(Float32Array.of(0, 1));
    });

    test('what was read keeps its values, as do tensors that are made of it', async () => {
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

    test('two variables of one array, one tensor, or assigned from each other are independent', () => {
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
      d.assign(a); // as a target network takes its weights
      step();
      expect([a, b, c, d].map((v) => v.arraySync())).toEqual([
        [-1, 0],
        [-3, -2],
        [-5, -4],
        [-4, -3],
      ]);
      expect(shared.arraySync()).toEqual([1, 2]);
    });

    test('a variable made from what dataSync returned is independent', () => {
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

    test('a variable may be a gradient: its own, and of another', () => {
      const [a, b] = [variable([1, 2]), variable([3, 4])];
      const sgd = wrap(SGD, { lr: 0.5 });
      for (let i = 0; i < 2; i++) sgd.applyGradients({ [a.name]: a, [b.name]: a });
      expect([a.arraySync(), b.arraySync()]).toEqual([
        [0.25, 0.5],
        [2.25, 2.5],
      ]);
    });

    test('what dataSync returned may be a gradient', () => {
      const a = variable([1, 2]);
      const sgd = wrap(SGD, { lr: 0.5 });
      for (let i = 0; i < 3; i++) sgd.applyGradients({ [a.name]: tf.tensor(a.dataSync()) });
      expect(a.arraySync()).toEqual([0.125, 0.25]);
    });

    test('values that the user assigns count, also where variables take over memory from each other', () => {
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
        // Else this tests less than it says.
        if (name === 'wasm') expect(places().filter((place) => before.includes(place)).length).toBeGreaterThan(1);
      }
      step();
      expect([a, b, c].map((v) => v.dataSync()[n - 1])).toEqual([33, 13, 24]);
    });

    test('no tensor is lost in 1000 steps', () => {
      const [w, b] = [variable(noise(12, 1), [4, 3], 'w'), variable([0, 0, 0], [3], 'b')];
      const x = tf.tensor(noise(20, 2), [5, 4]);
      const adam = wrap(Adam, { lr: 0.01 });
      const step = (): unknown => adam.minimize(() => tf.mean(tf.square(tf.add(tf.matMul(x, w), b))) as tf.Scalar);
      step();
      const before = { ...tf.memory() };
      for (let i = 0; i < 999; i++) step();
      const { numTensors, numDataBuffers, numBytes } = tf.memory();
      expect({ numTensors, numDataBuffers, numBytes }).toEqual({
        numTensors: before.numTensors,
        numDataBuffers: before.numDataBuffers,
        numBytes: before.numBytes,
      });
      expect(adam.optimizer.stepCount).toBe(1000);
    });

    test('weights that matMul and conv2d have seen are seen anew after a step', () => {
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
        const down = i + 1; // by which each weight went down, and the bias up
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

    test.runIf(name === 'wasm')('the heap may grow between steps and under variables that take no part', () => {
      const [a, b] = [variable(noise(100, 1), [100], 'a'), variable(noise(100, 2), [100], 'b')];
      const plain = { a: values(a), b: values(b) };
      const adam = wrap(Adam, { lr: 0.1 });
      const reference = new Adam(plain, { lr: 0.1 });
      const g = noise(100, 3);
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

    test.runIf(name === 'wasm')('the heap may grow while a step fetches gradients from another backend', async () => {
      const size = 2 ** 18;
      const [a, b] = [variable([0, 0], [2], 'a'), variable(new Float32Array(size), [size], 'b')];
      const sgd = wrap(SGD, { lr: 1 });
      await tf.setBackend('cpu');
      const elsewhere = Array.from({ length: 200 }, () => tf.ones([size]));
      await tf.setBackend('wasm');
      const steps = untilGrown(() => sgd.applyGradients({ a: tf.ones([2]), b: elsewhere.pop() as tf.Tensor }));
      expect([a.arraySync(), b.dataSync()[size - 1]]).toEqual([[-steps, -steps], -steps]);
    });

    test.runIf(name === 'wasm')('the heap may grow while a step makes memory of its own for a variable', () => {
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

  describe('variables', () => {
    test('state goes by name: variables that come later, stay away, or come back', () => {
      const plain = { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4, 5), c: Float32Array.of(6) };
      const v = {
        a: variable(plain.a.slice(), [2], 'a'),
        b: variable(plain.b.slice(), [3], 'b'),
        c: variable(plain.c.slice(), [1], 'c'),
      };
      const adam = wrap(Adam, { lr: 0.1 });
      const reference = new Adam(plain, { lr: 0.1 });
      const g = { a: Float32Array.of(1, -1), b: Float32Array.of(1, 2, -3), c: Float32Array.of(0.5) };
      type Key = keyof typeof v;
      const step = (...keys: Key[]): void => {
        adam.applyGradients(Object.fromEntries(keys.map((key) => [key, tf.tensor(g[key])])));
        reference.step(
          Object.fromEntries((['a', 'b', 'c'] as Key[]).map((key) => [key, keys.includes(key) ? g[key] : null])),
        );
      };
      step('a');
      step('b', 'a');
      step('c');
      step('c', 'a', 'b');
      step('b');
      for (const key of ['a', 'b', 'c'] as Key[]) expect(bits(values(v[key]))).toEqual(bits(plain[key]));
      expect(adam.optimizer.paramGroups.map(({ params }) => Object.keys(params))).toEqual([['a'], ['b'], ['c']]);
    });

    test('a variable that appears later takes the options that group 0 has then', () => {
      const [a, b] = [variable([1], [1], 'a'), variable([1], [1], 'b')];
      const sgd = wrap(SGD, { lr: 0.1 });
      const ones = tf.ones([1]);
      sgd.applyGradients({ a: ones });
      sgd.optimizer.lr = 0.5;
      sgd.applyGradients({ a: ones, b: ones });
      expect(a.dataSync()[0]).toBeCloseTo(0.4);
      expect(b.dataSync()[0]).toBeCloseTo(0.5);
      sgd.learningRate = 0.25;
      sgd.applyGradients({ a: ones, b: ones });
      expect(b.dataSync()[0]).toBeCloseTo(0.25);
    });

    test('one that is disposed and made again under its name goes on with its state; its memory may go to another', () => {
      const n = 10_000;
      const make = (): tf.Variable => tf.tidy(() => variable(new Float32Array(n).fill(1), [n], 'w'));
      const w = make();
      const adam = wrap(Adam, { lr: 0.1 });
      const plain = new Float32Array(n).fill(1);
      const reference = new Adam(plain, { lr: 0.1 });
      const g = noise(n, 7);
      adam.applyGradients({ w: tf.tensor(g) });
      reference.step(g);
      w.dispose();
      const other = tf.tidy(() => variable(new Float32Array(n), [n], 'other'));
      adam.applyGradients({ other: tf.tensor(g) });
      const again = make();
      adam.applyGradients({ w: tf.tensor(g) });
      plain.fill(1);
      reference.step(g);
      expect(bits(values(again))).toEqual(bits(plain));
      expect(adam.optimizer.stateDict().state).toMatchObject({ w: { step: 2 }, other: { step: 1 } });
      expect(other.dataSync()[0]).not.toBe(0);
    });

    test('scalars, empty variables, and names like numbers or members of objects', () => {
      const [s, e, n, t] = [
        variable([2], []),
        variable([], [0, 3]),
        variable([1], [1], '7'),
        variable([1], [1], 'params'),
      ];
      const sgd = wrap(SGD, { lr: 1 });
      for (let i = 0; i < 2; i++)
        sgd.applyGradients({
          [s.name]: tf.scalar(0.5),
          [e.name]: tf.zeros([0, 3]),
          7: tf.ones([1]),
          params: tf.ones([1]),
        });
      expect([s, e, n, t].map((v) => v.arraySync())).toEqual([1, [], [-1], [-1]]);
    });

    test('minimize trains what varList names', () => {
      const [a, b] = [variable([1]), variable([1])];
      const sgd = wrap(SGD, { lr: 0.5 });
      const cost = sgd.minimize(() => tf.sum(tf.add(tf.square(a), tf.square(b))) as tf.Scalar, true, [b]);
      expect(cost?.dataSync()[0]).toBe(2);
      expect([a.dataSync()[0], b.dataSync()[0]]).toEqual([1, 0]);
    });

    test('two optimizers may take turns on a variable', () => {
      const w = variable([8]);
      const [one, two] = [wrap(SGD, { lr: 1 }), wrap(SGD, { lr: 2 })];
      for (let i = 0; i < 2; i++) for (const sgd of [one, two]) sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(2);
    });
  });

  describe('options', () => {
    test('schedules are asked for the step; learningRate reads and sets, before the first step too', () => {
      const w = variable([0]);
      const sgd = wrap(SGD, { lr: (step) => step });
      expect(sgd.learningRate).toBe(1);
      for (let i = 0; i < 3; i++) sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-6);
      expect(sgd.learningRate).toBe(4);
      sgd.learningRate = 0.5;
      sgd.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-6.5);
      const later = wrap(SGD, { lr: 1, momentum: 0.5 });
      later.learningRate = 4;
      later.applyGradients({ [w.name]: tf.ones([1]) });
      expect(w.dataSync()[0]).toBe(-10.5);
      expect(later.optimizer.paramGroups[0]).toMatchObject({ lr: 4, momentum: 0.5 });
    });

    test('an option that changes the formula holds from the next step on, with the same gradient tensor too', () => {
      const w = variable([0]);
      const sgd = wrap(SGD, { lr: 1 });
      const gradients = { [w.name]: tf.ones([1]) };
      sgd.applyGradients(gradients);
      sgd.optimizer.paramGroups[0]!.momentum = 0.5;
      for (let i = 0; i < 2; i++) sgd.applyGradients(gradients);
      expect(w.dataSync()[0]).toBe(-3.5);
    });

    test('clipNorm clips over all variables and the norm is reported', () => {
      const [a, b] = [variable([0]), variable([0])];
      const sgd = wrap(SGD, { lr: 1, clipNorm: 1 });
      expect(sgd.applyGradients({ [a.name]: tf.tensor([30]), [b.name]: tf.tensor([40]) })).toEqual({
        applied: true,
        gradNorm: 50,
      });
      expect([a.dataSync()[0], b.dataSync()[0]]).toEqual([expect.closeTo(-0.6), expect.closeTo(-0.8)]);
    });

    test('skipNonFinite leaves variables, state and iterations', () => {
      const w = variable([1, 2]);
      const adam = wrap(Adam, { skipNonFinite: true });
      const { dataId } = w;
      expect(adam.applyGradients({ [w.name]: tf.tensor([Number.NaN, 1]) }).applied).toBe(false);
      expect(w.arraySync()).toEqual([1, 2]);
      if (name === 'elsewhere') expect(w.dataId).toBe(dataId); // not even assigned
      expect([adam.iterations, adam.optimizer.skippedSteps]).toEqual([0, 1]);
      expect(adam.applyGradients({ [w.name]: tf.tensor([1, 1]) }).applied).toBe(true);
      expect(adam.iterations).toBe(1);
    });

    test('ema is there by variable name', () => {
      const w = variable([1], [1], 'w');
      const sgd = wrap(SGD, { lr: 1, ema: 0.5 });
      sgd.applyGradients({ w: tf.ones([1]) });
      expect(sgd.optimizer.emaParams).toEqual({ w: Float32Array.of(0.5) });
      expect(w.dataSync()[0]).toBe(0);
    });
  });

  describe('saving', () => {
    const [x, y] = [noise(40, 1), noise(20, 2)];
    const cases = [
      ['Adam', Adam, { amsgrad: true, ema: 0.9 }],
      // Its state holds a number beside the count: the last momentum, not a float32.
      ['SGD', SGD, { lr: 0.1, momentum: (step: number) => 0.9 - 0.1 / step, nesterov: true }],
    ] as unknown as [string, typeof Adam, object][];
    const train = (optimizer: tf.Optimizer, w: tf.Variable, b: tf.Variable, steps: number): void => {
      for (let i = 0; i < steps; i++) {
        optimizer.minimize(
          () =>
            tf.mean(
              tf.square(tf.sub(tf.add(tf.matMul(tf.tensor(x, [10, 4]), w), b), tf.tensor(y, [10, 2]))),
            ) as tf.Scalar,
          false,
          [w, b],
        );
      }
    };

    /** Trains ten steps, and rewinds to the fifth: w and b as they were, and what they became. */
    function run(Class: typeof Adam, options: object) {
      const [w, b] = [variable(noise(8, 3), [4, 2], 'w'), variable([0, 0], [2], 'b')];
      const optimizer = wrap(Class, options);
      train(optimizer, w, b, 5);
      return { optimizer, w, b, middle: [values(w), values(b)] as const, finish: () => train(optimizer, w, b, 5) };
    }
    const copy = async (weights: ReturnType<tf.Optimizer['getWeights']>) =>
      (await weights).map(({ name, tensor }) => ({
        name,
        tensor: tf.tensor(Array.from(tensor.dataSync()), tensor.shape, tensor.dtype as 'float32'),
      }));

    test.each(cases)(
      '%s: getWeights and setWeights continue bit for bit, by name and by position',
      async (_, Class, options) => {
        const { optimizer, w, b, middle, finish } = run(Class, options);
        const saved = await copy(optimizer.getWeights());
        expect(saved.map(({ name }) => name).slice(0, 2)).toEqual(['iter', 'w/step']);
        for (const { tensor } of saved.filter(({ name }) => /^w[/](expAvg|velocity)/.test(name)))
          expect(tensor.shape).toEqual([4, 2]);
        finish();
        const end = [values(w), values(b)];

        w.assign(tf.tensor(middle[0], [4, 2]));
        b.assign(tf.tensor(middle[1]));
        await optimizer.setWeights(saved);
        expect(optimizer.iterations).toBe(5);
        train(optimizer, w, b, 5);
        expect([values(w), values(b)].map(bits)).toEqual(end.map(bits));

        const [w2, b2] = [variable(middle[0], [4, 2], 'w2'), variable(middle[1], [2], 'b2')];
        const resumed = wrap(Class, options);
        await resumed.setWeights(saved);
        expect(resumed.iterations).toBe(5);
        // Saved again before it trained.
        const again = await resumed.getWeights();
        expect(again.map(({ name, tensor }) => [name, values(tensor)])).toEqual(
          saved.map(({ name, tensor }) => [name, values(tensor)]),
        );
        train(resumed, w2, b2, 5);
        expect([values(w2), values(b2)].map(bits)).toEqual(end.map(bits));
        expect(resumed.iterations).toBe(10);
      },
    );

    test.each(cases)('%s: loadStateDict before the first step continues bit for bit', (_, Class, options) => {
      const { optimizer, w, b, middle, finish } = run(Class, options);
      const dict = structuredClone(optimizer.stateDict());
      finish();
      const end = [values(w), values(b)];
      tf.disposeVariables();
      const [w2, b2] = [variable(middle[0], [4, 2], 'w'), variable(middle[1], [2], 'b')];
      const resumed = wrap(Class, options);
      resumed.loadStateDict({ ...dict, skippedSteps: 3 });
      for (const state of Object.values(dict.state))
        for (const array of Object.values(state)) if (typeof array !== 'number') array.fill(7);
      expect(resumed.iterations).toBe(5);
      train(resumed, w2, b2, 5);
      expect([values(w2), values(b2)].map(bits)).toEqual(end.map(bits));
      expect(resumed.optimizer.skippedSteps).toBe(3);
    });

    test('state that was loaded waits for a variable that comes later', () => {
      const ones = tf.ones([1]);
      const [a, b] = [variable([1], [1], 'a'), variable([1], [1], 'b')];
      const first = wrap(Adam, { lr: 0.1 });
      first.applyGradients({ a: ones, b: tf.fill([1], 5) });
      const resumed = wrap(Adam, { lr: 1 });
      resumed.loadStateDict(first.stateDict());
      expect(resumed.learningRate).toBe(0.1);
      const before = b.dataSync()[0] as number;
      resumed.applyGradients({ a: ones });
      resumed.applyGradients({ b: ones });
      expect(resumed.stateDict()).toMatchObject({ stepCount: 3, state: { a: { step: 2 }, b: { step: 2 } } });
      const plain = Float32Array.of(before);
      const reference = new Adam({ b: plain }, { lr: 0.1 });
      const { b: state } = first.stateDict().state;
      reference.loadStateDict({ ...reference.stateDict(), state: { b: state as never } });
      reference.step({ b: Float32Array.of(1) });
      expect(values(b)).toEqual(plain);
      expect(a.dataSync()[0]).toBeCloseTo(0.8);
    });

    test('getWeights may be called often: its tensors stay the same, and go with dispose', async () => {
      const { optimizer } = run(Adam, {});
      const first = await optimizer.getWeights();
      const before = tf.memory().numTensors;
      for (let i = 0; i < 10; i++) await optimizer.getWeights();
      expect((await optimizer.getWeights()).map(({ tensor }) => tensor)).toEqual(first.map(({ tensor }) => tensor));
      expect(tf.memory().numTensors).toBe(before);
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(before - first.length);
    });

    test('getConfig makes the same optimizer again; a schedule becomes its number', () => {
      const w = variable([1]);
      const adam = wrap(Adam, { lr: (step) => 1 / step, betas: [0.5, (step) => 0.9 + step / 100], clipNorm: 2 });
      adam.applyGradients({ [w.name]: tf.ones([1]) });
      adam.optimizer.paramGroups[0]!.eps = 1e-3;
      const config = JSON.parse(JSON.stringify(adam.getConfig()));
      expect(config).toMatchObject({ lr: 0.5, betas: [0.5, 0.92], clipNorm: 2, eps: 1e-3, amsgrad: false });
      expect(adam.getClassName()).toBe('SchussAdam');
      const [Class, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap['SchussAdam'] as unknown as [
        never,
        (c: never, config: object) => tf.Optimizer,
      ];
      expect(fromConfig(Class, config).getConfig()).toEqual(config);
    });
  });

  describe('layers', () => {
    const [x, y] = [noise(32 * 6, 1), noise(32 * 2, 2)];
    const inputs = (): [tf.Tensor, tf.Tensor] => [tf.tensor(x, [32, 6]), tf.tensor(y, [32, 2])];
    const model = (optimizer: tf.Optimizer): layers.Sequential => {
      const made = layers.sequential({
        layers: [
          layers.layers.dense({
            units: 8,
            activation: 'tanh',
            inputShape: [6],
            kernelInitializer: layers.initializers.glorotUniform({ seed: 1 }),
          }),
          layers.layers.batchNormalization(),
          layers.layers.dense({ units: 2, kernelInitializer: layers.initializers.glorotUniform({ seed: 2 }) }),
        ],
      });
      made.compile({ optimizer, loss: 'meanSquaredError' });
      return made;
    };
    const lossesOf = async (net: layers.LayersModel, epochs: number): Promise<number[]> => {
      const [a, b] = inputs();
      return (await net.fit(a, b, { epochs, batchSize: 8, shuffle: false, verbose: 0 })).history['loss'] as number[];
    };

    test('fit lowers the loss, and loses no tensor', async () => {
      const net = model(wrap(AdamW, { lr: 0.02 }));
      const [first] = await lossesOf(net, 1);
      const before = tf.memory().numTensors;
      const losses = await lossesOf(net, 20);
      expect(losses.at(-1)).toBeLessThan(0.5 * (first as number));
      expect(tf.memory().numTensors - before).toBeLessThan(50); // what fit itself and inputs() leave behind, not 80 steps
    });

    test('a model saved with its optimizer continues bit for bit, beside the first', async () => {
      const net = model(wrap(Adam, { lr: 0.01, weightDecay: 0.01 }));
      await lossesOf(net, 2);
      let artifacts: tf.io.ModelArtifacts | undefined;
      await net.save(
        tf.io.withSaveHandler(async (given) => {
          artifacts = given;
          return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
        }),
        { includeOptimizer: true },
      );
      const loaded = await layers.loadLayersModel(tf.io.fromMemory(artifacts as tf.io.ModelArtifacts));
      expect(loaded.optimizer.getConfig()).toEqual(net.optimizer.getConfig());
      const expected = await lossesOf(net, 2);
      expect(await lossesOf(loaded, 2)).toEqual(expected);
      expect(loaded.optimizer.iterations).toBe(16);
      expect(loaded.getWeights().map(values)).toEqual(net.getWeights().map(values));
    });
  });

  describe('errors', () => {
    const ones = (): tf.Tensor => tf.ones([2]);

    test('of options come from wrap', () => {
      expect(() => wrap(Adam, { zeroGrads: true } as object)).toThrow(
        TypeError(
          'Adam: zeroGrads: true, expected false (in TensorFlow.js other tensors may share the memory of a gradient)',
        ),
      );
      expect(() => wrap(Adam, { lr: -1 })).toThrow(RangeError('Adam: lr: -1, expected [0, inf)'));
      expect(() => wrap(Adam, { learningRate: 1 } as object)).toThrow(/^Adam: learningRate: unknown option/);
      expect(() => wrap(Adam, null as never)).toThrow(TypeError);
      expect(() => wrap(SGD)).toThrow(/^SGD: lr: undefined/);
      expect(() => wrap(tf.AdamOptimizer as never)).toThrow(/^wrap: Class: .*, expected an optimizer class of schuss/);
      expect(() => wrap('adam' as never)).toThrow(
        TypeError('wrap: Class: "adam", expected an optimizer class of schuss, such as Adam'),
      );
    });

    test.each([
      [
        'an unknown name',
        () => ({ nobody: ones() }),
        TypeError('SGD: gradients["nobody"]: no variable has this name, expected the name of a tf.Variable'),
      ],
      [
        'a wrong shape of the same size',
        () => ({ w: tf.ones([2, 1]) }),
        RangeError('SGD: gradients["w"]: shape [2,1], expected [2], that of the variable'),
      ],
      [
        'a scalar',
        () => ({ w: tf.scalar(1) }),
        RangeError('SGD: gradients["w"]: shape [], expected [2], that of the variable'),
      ],
      [
        'int32',
        () => ({ w: tf.ones([2], 'int32') }),
        TypeError('SGD: gradients["w"]: a tensor of int32, expected one of float32'),
      ],
      ['an array', () => ({ w: [1, 2] }), TypeError('SGD: gradients["w"]: [1, 2], expected a tf.Tensor or null')],
      [
        'a disposed tensor',
        () => ({ w: disposed() }),
        TypeError('SGD: gradients["w"]: a disposed tensor, expected a live one'),
      ],
      [
        'two for one',
        () => [
          { name: 'w', tensor: ones() },
          { name: 'w', tensor: ones() },
        ],
        TypeError('SGD: gradients["w"]: a second gradient, expected one a variable'),
      ],
      [
        'an int32 variable',
        () => ({ w: ones(), i: ones() }),
        TypeError('SGD: gradients["i"]: a variable of int32, expected one of float32'),
      ],
    ])('of gradients change nothing: %s', (_, gradients, error) => {
      const w = variable([1, 2], [2], 'w');
      tf.variable(tf.ones([2], 'int32'), true, 'i');
      const sgd = wrap(SGD, { lr: 1, momentum: 0.5 });
      expect(() => sgd.applyGradients(gradients() as never)).toThrow(error);
      sgd.applyGradients({ w: ones() });
      expect(() => sgd.applyGradients(gradients() as never)).toThrow(error);
      expect(w.arraySync()).toEqual([0, 1]);
      expect(sgd.iterations).toBe(1);
    });
    function disposed(): tf.Tensor {
      const x = ones();
      x.dispose();
      return x;
    }

    test('a variable that comes back in another shape is refused', () => {
      variable([1, 2], [2], 'w');
      const sgd = wrap(SGD, { lr: 1 });
      sgd.applyGradients({ w: ones() });
      tf.disposeVariables();
      variable([1, 2, 3], [3], 'w');
      expect(() => sgd.applyGradients({ w: tf.ones([3]) })).toThrow(
        RangeError('SGD: gradients["w"]: a variable of shape [3], expected [2], that of the state under its name'),
      );
    });

    test('a schedule out of range changes nothing', () => {
      const w = variable([1, 2], [2], 'w');
      const sgd = wrap(SGD, { lr: (step) => (step === 2 ? -1 : 1) });
      sgd.applyGradients({ w: ones() });
      expect(() => sgd.applyGradients({ w: ones() })).toThrow(RangeError);
      expect(w.arraySync()).toEqual([0, 1]);
    });

    test('of state that does not fit change nothing', async () => {
      const w = variable([1, 2], [2], 'w');
      const adam = wrap(Adam, { lr: 1 });
      adam.applyGradients({ w: ones() });
      const dict = adam.stateDict();
      expect(() => wrap(SGD, { lr: 1 }).loadStateDict(dict)).toThrow(
        TypeError('SGD.loadStateDict: optimizer: "Adam", expected "SGD"'),
      );
      expect(() => wrap(Adam).loadStateDict(null as never)).toThrow(/^Adam\.loadStateDict: /);
      await expect(adam.setWeights([{ name: 'iter', tensor: tf.scalar(-1) }])).rejects.toThrow(/^Adam: iter: -1/);
      await expect(adam.setWeights([{ name: 'nonsense', tensor: ones() }])).rejects.toThrow(
        /^Adam: setWeights: "nonsense"/,
      );
      await expect(adam.setWeights([{ name: 'w/expAvg', tensor: tf.ones([3]) }])).rejects.toThrow(
        /^Adam\.loadStateDict: state\["w"\]/,
      );
      expect(adam.stateDict()).toEqual(dict);

      // Where the variables are not known yet, it shows in the step.
      const other = wrap(Adam, { lr: 1 });
      other.loadStateDict({
        ...dict,
        state: { w: { step: 1, expAvg: new Float32Array(3), expAvgSq: new Float32Array(3) } },
      });
      const before = w.arraySync();
      expect(() => other.applyGradients({ w: ones() })).toThrow(
        /^Adam\.loadStateDict: state\["w"\]\.expAvg: length 3, expected 2/,
      );
      other.loadStateDict({ ...dict, state: { p: dict.state['w'] as never, q: dict.state['w'] as never } });
      expect(() => other.applyGradients({ w: ones() })).toThrow(
        RangeError(
          'Adam: state: for "p", "q", expected it for "w" (loaded state is matched by name, else by position)',
        ),
      );
      expect(w.arraySync()).toEqual(before);
    });

    test('what needs variables says so before the first step, and everything after dispose', () => {
      const w = variable([1, 2], [2], 'w');
      const sgd = wrap(SGD, { lr: 1 });
      expect(() => sgd.optimizer).toThrow(/^SGD: optimizer: not there before the first step/);
      expect(() => sgd.stateDict()).toThrow(/^SGD: optimizer: not there before the first step/);
      expect(sgd.applyGradients({ w: null as never })).toEqual({ applied: false });
      sgd.applyGradients({ w: ones() });
      const inner = sgd.optimizer;
      sgd.dispose();
      sgd.dispose();
      for (const use of [
        () => sgd.optimizer,
        () => sgd.learningRate,
        () => sgd.stateDict(),
        () => sgd.applyGradients({ w: ones() }),
        () => inner.stepCount,
      ]) {
        expect(use).toThrow(TypeError('SGD: this: a disposed optimizer, expected one in use'));
      }
      expect(w.arraySync()).toEqual([0, 1]);
    });
  });
});

test('variables may move between backends while they are trained', async () => {
  const plain = { w: noise(6, 1), other: noise(3, 2) };
  await tf.setBackend('cpu');
  const v = {
    w: tf.variable(tf.tensor(plain.w.slice()), true, 'w'),
    other: tf.variable(tf.tensor(plain.other.slice()), true, 'other'),
  };
  const adam = wrap(Adam, { lr: 0.1 });
  const reference = new Adam(plain, { lr: 0.1 });
  const clones: [tf.Tensor, Float32Array][] = [];
  for (const [i, name] of ['cpu', 'wasm', 'elsewhere', 'cpu', 'elsewhere', 'wasm', 'wasm'].entries()) {
    const g = { w: noise(6, 10 + i), other: i % 3 === 0 ? noise(3, 20 + i) : null };
    const gradients = { w: tf.tensor(g.w), other: g.other === null ? null : tf.tensor(g.other) };
    await tf.setBackend(name);
    adam.applyGradients(gradients as never);
    reference.step(g);
    for (const key of ['w', 'other'] as const) {
      expect(bits(values(v[key]))).toEqual(bits(plain[key]));
      clones.push([tf.clone(v[key]), plain[key].slice()]);
    }
  }
  for (const [clone, expected] of clones) expect(bits(values(clone))).toEqual(bits(expected));
});
