// The addon's functions, called directly: a wrong argument, or memory that is gone, gives an error and no crash.
import { describe, expect, test } from 'vitest';
import { Control } from '../../../lib/engine/engine.js';
import { findAddon } from '../../../lib/engine/prebuilds.js';
import type { Any } from '../../support/rig.js';
import { sample } from '../../support/sample.js';
import { detach } from '../../support/sparse.js';

const addon = findAddon().addon as Any;
const native = addon.engine(addon.isas[0]);
const stride = 7 + 1; // of SGD: the constants that all kernels share, and lr
const ahead = 2 * Control.length; // floats of the control block

/** A plan of SGD, with one param of 4 elements, and the memory that it shares. */
function plan({
  memory = new Float32Array(ahead + stride + 1),
  param = new Float32Array(4),
  grad = new Float32Array(4),
} = {}) {
  const step = native.createPlan(1, stride, memory);
  native.setTensor(step, 0, 'sgd', param, [], null, 0);
  step(0, grad.fill(1));
  const control = new Float64Array(memory.buffer, memory.byteOffset, Control.length);
  control[Control.gradScale] = 1;
  control[Control.maxNorm] = Number.POSITIVE_INFINITY;
  memory.set([1, Number.POSITIVE_INFINITY, 0, 1, 0, 0, 0, 0.5], ahead);
  const rowOf = new Int32Array(memory.buffer, memory.byteOffset + 4 * (ahead + stride), 1);
  return { step, control, rowOf, memory, param, grad };
}

test('a plan steps', () => {
  const { step, control, param } = plan();
  step();
  expect(control[Control.fault]).toBe(0);
  expect([...param]).toEqual([-0.5, -0.5, -0.5, -0.5]);
});

test('a plan whose caller has looked at the lengths steps alike', () => {
  const { step, param } = plan();
  step(true);
  expect([...param]).toEqual([-0.5, -0.5, -0.5, -0.5]);
});

const odd: readonly unknown[] = [
  undefined,
  null,
  true,
  -1,
  0,
  0.5,
  2 ** 32,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1n,
  '',
  'sgd',
  Symbol('s'),
  {},
  [],
  [1],
  [{}],
  new Array(9),
  () => {},
  new Float32Array(0),
  new Float32Array(3),
  new Float64Array(64),
  new Int32Array(2),
  new Uint8Array(5),
  new ArrayBuffer(8),
  new DataView(new ArrayBuffer(8)),
  new Proxy([], {}),
  new Proxy(new Float32Array(4), {}),
  Object.create(Float32Array.prototype),
  new Float32Array(new SharedArrayBuffer(64)),
]; // prettier-ignore

test('any arguments end in a result or an error', () => {
  // Engines of one instruction set, and functions for the whole process that a test may call.
  const functions = [...Object.entries(native), ...Object.entries(addon)].filter(
    ([name, value]) => typeof value === 'function' && name !== 'setThreads',
  ) as [string, (...given: unknown[]) => unknown][];
  expect(functions.length).toBeGreaterThan(25);
  const seconds = sample(odd, 8);
  const thirds = sample([undefined, 'sgd', new Float32Array(40), 4], 2);
  let errors = 0;
  for (const [name, call] of functions) {
    for (const first of [...odd, plan().step, addon.createBlock(4)]) {
      for (const second of seconds) {
        for (const third of thirds) {
          try {
            call(first, second, third, second, [second], first, 1);
          } catch (error) {
            errors++;
            expect(error, name).toBeInstanceOf(Error);
          }
        }
      }
    }
  }
  expect(errors).toBeGreaterThan(1000);
});

describe('a plan', () => {
  test.each<[string, (given: ReturnType<typeof plan>) => void, number]>([
    ['a detached param', ({ param }) => detach(param), 2],
    ['a detached gradient', ({ grad }) => detach(grad), 2],
  ])('%s is a fault, and nothing changes', (_, spoil, fault) => {
    const given = plan();
    spoil(given);
    given.step();
    expect(given.control[Control.fault]).toBe(fault);
    expect(given.control[Control.faultTensor]).toBe(0);
    expect(Array.from({ length: given.param.length }, (_, i) => given.param[i])).not.toContain(-0.5);
  });

  test('a detached moving average is a fault, and nothing changes', () => {
    const { step, control, param } = plan();
    const ema = new Float32Array(4);
    native.setTensor(step, 0, 'sgd', param, [], ema, 0);
    step(0, new Float32Array(4).fill(1));
    detach(ema);
    for (const given of [[], [true]]) {
      control[Control.fault] = 0;
      step(...given); // a caller looks at params and gradients alone
      expect(control[Control.fault]).toBe(2);
      expect([...param]).toEqual([0, 0, 0, 0]);
    }
  });

  test('rows and values that are detached after they were registered', () => {
    for (const which of [0, 1]) {
      const { step, control, param } = plan();
      const grad = [new Int32Array([1]), new Float32Array([7])] as const;
      native.setRowGrad(step, 0, ...grad);
      detach(grad[which] as Float32Array);
      step();
      expect(control[Control.fault]).toBe(2);
      expect([...param]).toEqual([0, 0, 0, 0]);
    }
  });

  test('a row number out of range, and a tensor without a kernel or a gradient, are errors', () => {
    const { step, rowOf } = plan();
    for (const row of [1, 2 ** 31 - 1]) {
      rowOf[0] = row;
      expect(step).toThrow('a constants row');
      const none = plan({ param: new Float32Array(0), grad: new Float32Array(0) });
      none.rowOf[0] = row;
      expect(none.step).toThrow('a constants row');
    }
    const empty = native.createPlan(1, stride, new Float32Array(ahead + stride + 1));
    expect(empty).toThrow('a tensor without a kernel');
    native.setTensor(empty, 0, 'sgd', new Float32Array(4), [], null, 0);
    expect(empty).toThrow('a gradient');
  });

  test('the shared memory must be large enough and aligned, and must stay', () => {
    const small = new Float32Array(ahead + stride);
    expect(() => native.createPlan(1, stride, small)).toThrow('of the wrong size');
    expect(() => native.createPlan(1, 2, new Float32Array(99))).toThrow('of the wrong size');
    expect(() => native.createPlan(2 ** 24, stride, new Float32Array(99))).toThrow('of the wrong size');
    expect(() => native.createPlan(1, stride, new Float32Array(new ArrayBuffer(400), 4, 90))).toThrow(
      'of the wrong size',
    );
    const { step, memory } = plan();
    detach(memory);
    expect(step).toThrow('the memory of the plan was detached');
  });

  test('state in bfloat16 has two numbers in each float, and is for element-wise kernels only', () => {
    const step = native.createPlan(1, 47, new Float32Array(ahead + 48));
    const param = new Float32Array(5);
    const set = (kernel: string, length: number, first: unknown) => (): unknown =>
      native.setTensor(step, 0, kernel, param, [new Float32Array(length), new Float32Array(length)], null, 0, 0, first);
    set('adam', 3, 0)();
    set('adam', 5, undefined)();
    expect(set('adam', 2, 0)).toThrow('state too short');
    expect(set('adam', 4, undefined)).toThrow('state too short');
    expect(set('adam-cautious', 5, 0)).toThrow('takes no state in bfloat16');
    expect(set('adam', 3, -1)).toThrow('firstElement');
    expect(set('adam', 3, 'x')).toThrow('firstElement');
  });

  test('a plan that was freed is refused', () => {
    const { step, param } = plan();
    native.freePlan(step);
    native.freePlan(step);
    expect(step).toThrow('the plan was freed');
    expect(() => step(0, param)).toThrow('the plan was freed');
    expect(() => native.stepAsync(step, () => {})).toThrow('one that was freed');
  });

  test('nothing changes a plan while its step runs on another thread', async () => {
    const [memory, param, grad] = [ahead + stride + 1, 4, 4].map((length) => addon.allocate(length));
    const { step } = plan({ memory, param, grad });
    await new Promise<void>((resolve) => {
      expect(native.stepAsync(step, resolve)).toBe(false);
      expect(step).toThrow('runs on another thread');
      for (const call of [
        () => native.stepAsync(step, () => {}),
        () => step(0, grad),
        () => native.setTensor(step, 0, 'sgd', param, [], null, 0),
        () => native.freePlan(step),
      ])
        expect(call).toThrow('runs on another thread');
    });
    expect(param[0]).toBe(-0.5);
  });

  test('a step on memory that JavaScript can free runs before stepAsync returns', async () => {
    const { step, param } = plan();
    expect(native.stepAsync(step, () => expect.unreachable())).toBe(true);
    expect(param[0]).toBe(-0.5);
    detach(param);
    await new Promise(setImmediate);
  });

  test('a small step runs before stepAsync returns, once a first step has measured it', async () => {
    const [memory, param, grad] = [ahead + stride + 1, 4, 4].map((length) => addon.allocate(length));
    const { step } = plan({ memory, param, grad });
    step();
    expect(native.stepAsync(step, () => expect.unreachable())).toBe(true);
    expect(param[0]).toBe(-1);
    step();
    expect(param[0]).toBe(-1.5);
    await new Promise(setImmediate);
  });

  test('a getter among the state cannot free the param', () => {
    const [step, param] = [native.createPlan(1, 16, new Float32Array(ahead + 17)), new Float32Array(4)];
    const state: object[] = [];
    Object.defineProperty(state, 0, {
      enumerable: true,
      get: () => {
        detach(param);
        return addon.createBlock(4);
      },
    });
    expect(() => native.setTensor(step, 0, 'adagrad', param, state, null, 0)).not.toThrow();
    step(0, new Float32Array(0));
    expect(step).not.toThrow();
  });
});

describe('a block', () => {
  test('is read and written as a whole', () => {
    const block = addon.createBlock(3);
    addon.fillBlock(block, 2);
    const copy = new Float32Array(3);
    addon.readBlock(block, copy);
    expect([...copy]).toEqual([2, 2, 2]);
    addon.writeBlock(block, Float32Array.of(4, 5, 6));
    addon.readBlock(block, copy);
    expect([...copy]).toEqual([4, 5, 6]);
    for (const length of [0, 2, 4])
      expect(() => addon.readBlock(block, new Float32Array(length))).toThrow('not as long as the block');
  });

  test('outlives its views, and they outlive it', () => {
    const block = addon.createBlock(3);
    const view = addon.viewBlock(block);
    view.fill(7);
    const copy = new Float32Array(3);
    addon.readBlock(block, copy);
    expect([...copy]).toEqual([7, 7, 7]);
    addon.freeBlock(block);
    addon.freeBlock(block);
    expect(() => addon.readBlock(block, copy)).toThrow('one that was freed');
    expect(() => addon.viewBlock(block)).toThrow('one that was freed');
    expect([...view]).toEqual([7, 7, 7]);
  });

  test('lives as long as a plan uses it', () => {
    const [memory, block] = [new Float32Array(ahead + 40), addon.createBlock(4)];
    const step = native.createPlan(1, 6 + 4, memory);
    native.setTensor(step, 0, 'adagrad', new Float32Array(4), [block], null, 0);
    step(0, new Float32Array(4).fill(1));
    addon.freeBlock(block);
    for (let i = 0; i < 100; i++) addon.createBlock(4);
    step();
    expect(() => native.setTensor(step, 0, 'adagrad', new Float32Array(4), [block], null, 0)).toThrow('was freed');
  });
});
