// A call that vm's timeout interrupts runs no `finally`. What it left half changed cannot be saved as if it were whole.
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import {
  Adam,
  GradAccumulator,
  Lookahead,
  ScheduleFreeSGD,
  SGD,
  saveCheckpoint,
  WeightAverage,
} from '../../../lib/index.js';
import { scratch } from '../../support/checkpoint.js';

const path = `${scratch()}/run.safetensors`;
const large = 1 << 20; // so large that the calls take nearly all the time, and one of them is interrupted

/** Calls a function again and again, until the timeout interrupts it. */
function interrupt(call: () => void): void {
  const run = () => runInNewContext('for (;;) call()', { call }, { timeout: 30 });
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_SCRIPT_EXECUTION_TIMEOUT' }));
}

const optimizers = [
  ['SGD', (w: Float32Array, lr: () => number) => new SGD({ w }, { lr })],
  ['Lookahead', (w: Float32Array, lr: () => number) => new Lookahead(new Adam({ w }, { lr }))],
] as const;

test.each(optimizers)('%s: a step', async (_, make) => {
  const w = new Float32Array(4);
  let hangs = false;
  const optimizer = make(w, () => {
    while (hangs);
    return 0.1;
  });
  optimizer.step({ w: new Float32Array(4) });
  hangs = true;
  interrupt(() => optimizer.step({ w: new Float32Array(4) }));
  hangs = false;
  const message =
    /in the middle of a call, expected to wait until that call has returned \(or vm's timeout interrupted/;
  expect(() => optimizer.step({ w: new Float32Array(4) })).toThrow(message);
  expect(() => optimizer.stateDict()).toThrow(message);
  await expect(saveCheckpoint(path, { params: { w }, optimizer })).rejects.toThrow(message);
});

test('a hook may save', () => {
  const sgd = new SGD(new Float32Array(1), { lr: 1 });
  const counts: number[] = [];
  sgd.registerStepPreHook((optimizer) => counts.push(optimizer.stateDict().stepCount));
  sgd.registerStepPostHook((optimizer) => counts.push(optimizer.stateDict().stepCount));
  sgd.step(new Float32Array(1));
  expect(counts).toEqual([0, 1]);
});

/** Interrupts calls of new objects until one of them was half done, and returns its error. */
function errorOf<T>(make: () => T, call: (object: T) => void, save: (object: T) => void): [T, string] {
  for (let attempt = 0; attempt < 100; attempt++) {
    const object = make();
    interrupt(() => call(object));
    try {
      save(object);
    } catch (error) {
      return [object, (error as Error).message];
    }
  }
  return [make(), 'no error'];
}

test('eval and train of a schedule-free class', () => {
  const make = () => {
    const optimizer = new ScheduleFreeSGD(new Float32Array(large));
    optimizer.step(new Float32Array(large).fill(1));
    return optimizer;
  };
  const [, found] = errorOf(
    make,
    (optimizer) => {
      optimizer.eval();
      optimizer.train();
    },
    (optimizer) => void optimizer.stateDict(),
  );
  expect(found).toContain("vm's timeout interrupted");
});

const many = () => Array.from({ length: 16 }, () => new Float32Array(large / 16));

test.each(['update', 'swap'] as const)('%s of a WeightAverage', (method) => {
  const make = () => {
    const average = new WeightAverage(many(), { decay: 0.5 });
    average.update();
    return average;
  };
  const message = "WeightAverage: this: an average whose last call vm's timeout interrupted, expected a new one";
  const [average, found] = errorOf(
    make,
    (each) => each[method](),
    (each) => void (method === 'update' ? each.stateDict() : each.swap()),
  );
  expect(found).toContain(message);
  expect(() => average[method]()).toThrow(message);
});

test('add of a GradAccumulator, until it is reset', () => {
  const grads = many();
  const make = () => new GradAccumulator(many());
  const [sum, found] = errorOf(
    make,
    (each) => each.add(grads),
    (each) => void each.stateDict(),
  );
  const message =
    "GradAccumulator: this: sums whose last change vm's timeout interrupted, expected a call of reset() first";
  expect(found).toBe(message);
  expect(() => sum.grads).toThrow(message);
  expect(() => sum.add(grads)).toThrow(message);
  sum.reset();
  sum.add(grads);
  expect(sum.count).toBe(1);
});
