import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  Adam,
  AdamW,
  allocate,
  createOptimizer,
  inspectCheckpoint,
  Lookahead,
  loadCheckpoint,
  RMSprop,
  SGD,
  saveCheckpoint,
} from '../../lib/index.js';
import type { OptimizerClass } from '../../lib/optimizers/index.js';
import { scratch } from '../support/checkpoint.js';
import { allClasses } from '../support/classes.js';
import { firstDifference } from '../support/engines.js';

const folder = scratch();
const [length, half] = [1000, { stateDtype: 'bfloat16' } as const];
const start = (n = length): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i));
const grad = (t: number, n = length): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.cos(i * (t + 1)));

type Stepped = { step(grads: Float32Array): unknown };
function train(optimizer: Stepped, from: number, to: number): void {
  for (let t = from; t < to; t++) optimizer.step(grad(t));
}
const isHalf = (array: unknown): boolean =>
  new Uint32Array((array as Float32Array).slice().buffer).every((bits) => (bits & 0xffff) === 0);

describe('the option', () => {
  test('accepts two formats and refuses others', () => {
    new Adam(start(), { stateDtype: 'float32' });
    expect(() => new Adam(start(), { stateDtype: 'float16' as never })).toThrow(
      /^Adam: stateDtype: "float16", expected "float32" or "bfloat16"$/,
    );
    expect(() => new Adam(start(), { stateDtype: 2 as never })).toThrow(/stateDtype/);
  });

  test('is of the optimizer, not of a group', () => {
    expect(() => new Adam([{ params: start(), stateDtype: 'bfloat16' }] as never)).toThrow(/stateDtype/);
  });

  test('is printed and is an option of createOptimizer', () => {
    expect(String(new Adam(start(), half))).toContain("stateDtype: 'bfloat16'");
    expect(String(new Adam(start()))).not.toContain('stateDtype');
    const created = createOptimizer('adamw', start(), half);
    train(created, 0, 1);
    expect(isHalf(created.stateDict().state['0']!['expAvg'])).toBe(true);
  });

  test('float32 is the same as without the option', () => {
    const [a, b] = [start(), start()];
    train(new Adam(a, { stateDtype: 'float32' }), 0, 3);
    train(new Adam(b), 0, 3);
    expect(a).toEqual(b);
  });
});

test('a variance that is the difference of two arrays is refused', () => {
  const create = (): RMSprop => new RMSprop(start(4), { ...half, centered: true });
  expect(create).toThrow(
    'RMSprop: stateDtype: "bfloat16" for params, expected "float32" for rmsprop-centered (it takes the difference of two of its arrays)',
  );
});

test('a loaded state replaces that of a step, at odd lengths, too', () => {
  const adam = new Adam({ a: start(7), b: start(8) }, half);
  const { blocks, dict } = { blocks: [] as number[], dict: adam.stateDict() };
  adam.step({ a: grad(0, 7), b: grad(0, 8) });
  adam.loadStateDict(dict);
  for (const { expAvg, expAvgSq } of Object.values(adam.stateDict().state))
    blocks.push(...(expAvg as Float32Array), ...(expAvgSq as Float32Array));
  expect(blocks).toEqual(new Array(30).fill(0));
});

test('classes without it are refused with the reason, before anything else', () => {
  const refused = allClasses.flatMap(([Class, { name }]) => {
    try {
      new (Class as OptimizerClass)([{ data: start(12), shape: [3, 4] }], {
        lr: 0.1,
        ...half,
        ...(name === 'MomentumOptimizer' ? { momentum: 0.9 } : {}),
      });
      return [];
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
      const given = `${name}: stateDtype: "bfloat16" for params[0], expected "float32" for `;
      expect((error as Error).message.startsWith(given), (error as Error).message).toBe(true);
      return [name];
    }
  });
  expect(refused).toMatchInlineSnapshot(`
    [
      "LARS",
      "LAMB",
      "Adafactor",
      "FTRL",
      "ASGD",
      "ScheduleFreeSGD",
      "ScheduleFreeAdamW",
      "AdagradDA",
      "COCOB",
      "MADGRAD",
      "Sophia",
      "Shampoo",
      "SOAP",
      "StableAdamW",
      "NovoGrad",
      "AdamMini",
      "SM3",
      "Prodigy",
      "DAdaptAdamW",
      "DoG",
      "DoWG",
      "Fromage",
      "MARS",
      "Muon",
      "PolyakSGD",
      "Momo",
      "MomoAdam",
    ]
  `);
});

test('options that select a kernel without it are refused, and change nothing', () => {
  for (const options of [{ cautious: true }, { rowWise: true }, { rowSteps: true }])
    expect(() => new Adam([{ data: start(12), shape: [3, 4] }], { ...half, ...options })).toThrow(
      /^Adam: stateDtype: "bfloat16" for params\[0\], expected "float32" for adam-/,
    );
  const adam = new Adam(start(), half);
  train(adam, 0, 1);
  const before = adam.stateDict();
  expect(() => {
    adam.paramGroups[0]!.cautious = true;
  }).toThrow(
    new TypeError(
      'Adam: stateDtype: "bfloat16" for params, expected "float32" for adam-cautious (it updates more than one element at a time)',
    ),
  );
  expect(adam.paramGroups[0]!.cautious).toBe(false);
  expect(adam.stateDict()).toEqual(before);
  train(adam, 1, 2);
});

describe('the state', () => {
  test('is saved as float32, which has all its numbers; the average is float32', () => {
    const adam = new Adam(start(), { ...half, amsgrad: true, ema: 0.9 });
    train(adam, 0, 3);
    const { expAvg, expAvgSq, maxExpAvgSq, ema } = adam.stateDict().state['0'] as Record<string, unknown>;
    for (const array of [expAvg, expAvgSq, maxExpAvgSq]) {
      expect(array).toBeInstanceOf(Float32Array);
      expect(isHalf(array)).toBe(true);
    }
    expect(isHalf(ema)).toBe(false);
  });

  test('a resumed run has the bits of one that was not interrupted', () => {
    const [whole, parts] = [start(), start()];
    const one = new AdamW(whole, { ...half, ema: 0.9 });
    train(one, 0, 8);
    const first = new AdamW(parts, { ...half, ema: 0.9 });
    train(first, 0, 3);
    const second = new AdamW(parts, { ...half, ema: 0.9 });
    second.loadStateDict(structuredClone(first.stateDict()));
    train(second, 3, 8);
    expect(parts).toEqual(whole);
    expect(second.stateDict()).toEqual(one.stateDict());
  });

  test('of one format loads into the other, and each keeps its own', () => {
    const [a, b] = [new Adam(start()), new Adam(start(), half)];
    train(a, 0, 3);
    train(b, 0, 3);
    const [floats, halves] = [a.stateDict(), b.stateDict()];
    a.loadStateDict(halves);
    b.loadStateDict(floats);
    expect(a.stateDict().state).toEqual(halves.state);
    expect(a.stateDict().options).toEqual(floats.options);
    const rounded = b.stateDict().state['0']!['expAvg'] as Float32Array;
    const exact = floats.state['0']!['expAvg'] as Float32Array;
    expect(isHalf(rounded)).toBe(true);
    for (const [i, x] of exact.entries()) expect(Math.abs(rounded[i]! - x)).toBeLessThanOrEqual(Math.abs(x) / 256);
    train(a, 3, 4);
    train(b, 3, 4);
    expect(isHalf(a.stateDict().state['0']!['expAvg'])).toBe(false);
    expect(isHalf(b.stateDict().state['0']!['expAvg'])).toBe(true);
  });

  test('follows a change of an option that needs another array', () => {
    const adam = new Adam(start(), half);
    train(adam, 0, 2);
    adam.paramGroups[0]!.amsgrad = true;
    train(adam, 2, 4);
    expect(isHalf(adam.stateDict().state['0']!['maxExpAvgSq'])).toBe(true);
  });

  test('stays in a skipped step', () => {
    const adam = new Adam(start(), { ...half, skipNonFinite: true });
    train(adam, 0, 2);
    const before = adam.stateDict().state;
    adam.step(new Float32Array(length).fill(Number.NaN));
    expect(adam.stateDict().state).toEqual(before);
  });
});

test('a step on another thread has the same bits', async () => {
  const n = 100_003;
  const [a, b, g] = [allocate(n), start(n), allocate(n)];
  a.set(b);
  const [later, now] = [new Adam(a, half), new Adam(b, half)];
  for (let t = 0; t < 3; t++) {
    g.set(grad(t, n));
    await later.stepAsync(g);
    now.step(g);
  }
  expect(firstDifference(a, b)).toBe(-1);
  const [one, other] = [later, now].map((adam) => adam.stateDict().state['0'] as Record<string, unknown>);
  for (const name of ['expAvg', 'expAvgSq'])
    expect(firstDifference(one![name] as Float32Array, other![name] as Float32Array), name).toBe(-1);
});

test('params with their own counts of updates round by their own', () => {
  const [a, b] = [start(), start()];
  const both = new Adam([a, b], half);
  both.step([grad(0), null]);
  for (let t = 0; t < 3; t++) both.step([grad(t + 1), grad(t)]);
  const alone = start();
  train(new Adam(alone, half), 0, 3);
  expect(b).toEqual(alone);
});

test('a checkpoint has the state in BF16, and loads into both formats', async () => {
  const paths = [join(folder, 'half'), join(folder, 'whole')] as const;
  const w = start();
  const adam = new Adam({ w }, { ...half, ema: 0.9 });
  adam.step({ w: grad(0) });
  await saveCheckpoint(paths[0], { params: { w }, optimizer: adam });
  const { tensors } = await inspectCheckpoint(paths[0]);
  expect(Object.fromEntries(Object.entries(tensors).map(([name, { dtype }]) => [name, dtype]))).toEqual({
    w: 'F32',
    'optimizer.w.expAvg': 'BF16',
    'optimizer.w.expAvgSq': 'BF16',
    'optimizer.w.ema': 'F32',
  });
  expect(tensors['optimizer.w.expAvg']!.shape).toEqual([length]);
  for (const options of [half, {}]) {
    const other = start().fill(0);
    const loaded = new Adam({ w: other }, { ...options, ema: 0.9 });
    await loadCheckpoint(paths[0], { params: { w: other }, optimizer: loaded });
    expect(other).toEqual(w);
    expect(loaded.stateDict().state).toEqual(adam.stateDict().state);
  }
  const float32 = new Adam({ w }, {});
  float32.step({ w: grad(0) });
  await saveCheckpoint(paths[1], { params: { w }, optimizer: float32 });
  const narrow = new Adam({ w }, half);
  await loadCheckpoint(paths[1], { params: { w }, optimizer: narrow });
  expect(isHalf(narrow.stateDict().state['w']!['expAvg'])).toBe(true);
});

test('a Lookahead has its own weights in F32', async () => {
  const path = join(folder, 'lookahead');
  const w = start();
  const optimizer = new Lookahead(new SGD({ w }, { lr: 0.1, momentum: 0.9, ...half }));
  optimizer.step({ w: grad(0) });
  await saveCheckpoint(path, { params: { w }, optimizer });
  const { tensors } = await inspectCheckpoint(path);
  const dtypes = Object.entries(tensors).map(([name, { dtype }]) => `${name} ${dtype}`);
  expect(dtypes.filter((name) => name.endsWith('BF16'))).toEqual(['optimizer.w.velocity BF16']);
  await loadCheckpoint(path, { params: { w }, optimizer });
});
