// `params` that lack a param of an optimizer: an error before anything is written or changed. Otherwise the loaded run would
// have the state of that param, and other weights.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { DataParallel, ShardedOptimizer } from '../../../lib/distributed/index.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import {
  Adam,
  CheckpointError,
  CheckpointManager,
  HessianFree,
  LBFGS,
  Lookahead,
  loadCheckpoint,
  SAM,
  SFO,
  SGD,
  saveCheckpoint,
  WeightAverage,
} from '../../../lib/index.js';
import * as tfjs from '../../../lib/tfjs/index.js';
import { f32 } from '../../support/arrays.js';
import { type Any, scratch } from '../../support/checkpoint.js';
import { freshBackend } from '../../support/tfjs.js';

const folder = scratch();
let files = 0;
const newPath = (): string => join(folder, `held-${files++}.safetensors`);

const refusal = async (call: Promise<unknown>): Promise<[string, string, string]> => {
  const error = (await call.then(
    () => undefined,
    (e: unknown) => e,
  )) as CheckpointError;
  expect(error).toBeInstanceOf(CheckpointError);
  return [error.code, error.path, error.message];
};

/** An optimizer of `a` and `extra`, the latter added later. */
const grown = (a = f32(1, 2), extra = f32(3, 4)) => {
  const adam = new Adam({ a }, { lr: 0.1 }) as Adam;
  adam.addParamGroup({ params: { extra } });
  return { a, extra, adam };
};

test('a param that addParamGroup added is missed: when saving, and when loading', async () => {
  const path = newPath();
  const { a, extra, adam } = grown();
  adam.step({ a: f32(1, 1), extra: f32(1, 1) });
  const lacking = { params: { a }, optimizer: adam };
  const text = `${JSON.stringify(path)}: params: the optimizer has the param "extra", expected it among params`;
  expect(await refusal(saveCheckpoint(path, lacking))).toEqual(['SCHUSS_MISMATCH', path, `saveCheckpoint: ${text}`]);
  expect(existsSync(path)).toBe(false);
  await saveCheckpoint(path, { params: { a, extra }, optimizer: adam });
  adam.step({ a: f32(1, 1), extra: f32(1, 1) });
  const before = [a.slice(), extra.slice(), adam.stateDict()];
  expect((await refusal(loadCheckpoint(path, lacking)))[2]).toBe(`loadCheckpoint: ${text}`);
  expect([a, extra, adam.stateDict()]).toEqual(before);
  expect(adam.stepCount).toBe(2);
  await loadCheckpoint(path, { params: { a, extra }, optimizer: adam });
  expect(adam.stepCount).toBe(1);
  await loadCheckpoint(path, { params: { a, extra }, only: 'params' });
  expect((await refusal(loadCheckpoint(path, { params: { a }, only: 'params' })))[2]).toContain(
    'a param "extra", expected only the 1 params of this run',
  );
});

test('a CheckpointManager neither writes nor loads it, and keeps the files that it has', async () => {
  const directory = join(folder, 'manager');
  const manager = new CheckpointManager(directory);
  const { a, extra, adam } = grown();
  await manager.save(1, { params: { a, extra }, optimizer: adam });
  expect((await refusal(manager.save(2, { params: { a }, optimizer: adam })))[2]).toBe(
    `CheckpointManager.save: ${JSON.stringify(join(directory, 'step-0000000002.safetensors'))}: params: the optimizer has the param "extra", expected it among params`,
  );
  expect(readdirSync(directory)).toHaveLength(1);
  expect((await refusal(manager.load({ params: { a }, optimizer: adam })))[2]).toContain(
    'params: the optimizer has the param "extra"',
  );
});

test('wrappers and the second order; an optimizer among objects may have params elsewhere', async () => {
  const [a, b] = [f32(1, 2), f32(3, 4)];
  const params = { a, b };
  const closure = (): number => 0;
  const optimizers: Any[] = [
    new Lookahead(new Adam(params)),
    new SAM(new SGD(params, { lr: 0.1 })),
    new LBFGS(params, { grads: { a: f32(0, 0), b: f32(0, 0) } }),
    new HessianFree(params, { grads: { a: f32(0, 0), b: f32(0, 0) }, gaussNewton: closure } as Any),
    new SFO(params, { N: 2, f: closure }),
  ];
  for (const optimizer of optimizers) {
    const { name } = optimizer.constructor;
    expect((await refusal(saveCheckpoint(newPath(), { params: { a }, optimizer })))[2], name).toContain(
      ': params: the optimizer has the param "b", expected it among params',
    );
  }
  const other = new SGD({ c: f32(1) }, { lr: 1 });
  await saveCheckpoint(newPath(), { params, objects: { other } });
});

test('many ranks: the same error on each, and no file', async () => {
  const world = new OwnWorld(new SingleTransport(), 1);
  const make: [string, (params: Any) => Promise<Any>][] = [
    ['DataParallel', (params) => DataParallel.create(new Adam(params) as Any, world)],
    ['DataParallel', (params) => DataParallel.create(new Lookahead(new Adam(params)) as Any, world)],
    ['DataParallel', (params) => DataParallel.create(new SAM(new Adam(params)) as Any, world)],
    ['ShardedOptimizer', (params) => ShardedOptimizer.create(Adam as Any, params, { lr: 0.1 }, world)],
  ];
  for (const [who, create] of make) {
    const path = newPath();
    const params = { a: f32(1, 2), b: f32(3, 4) };
    const optimizer = await create(params);
    const lacking = { params: { a: params.a }, optimizer, world };
    expect((await refusal(saveCheckpoint(path, lacking)))[2], who).toContain('the optimizer has the param "b"');
    expect(existsSync(path)).toBe(false);
    await saveCheckpoint(path, { ...lacking, params });
    expect((await refusal(loadCheckpoint(path, lacking)))[2]).toContain('params: the optimizer has');
    await loadCheckpoint(path, { ...lacking, params });
  }
});

test('TensorFlow.js: the variables that are trained', async () => {
  await freshBackend('cpu');
  const [v, u] = [tf.variable(tf.tensor1d([1, 2]), true, 'v'), tf.variable(tf.tensor1d([3]), true, 'u')];
  const optimizer: Any = tfjs.wrap(Adam, { lr: 0.1 });
  optimizer.minimize(() => tf.add(tf.sum(tf.square(v)), tf.sum(tf.square(u))));
  const [values, rest] = [(await v.data()) as Float32Array, (await u.data()) as Float32Array];
  for (const given of [optimizer, optimizer.optimizer]) {
    expect((await refusal(saveCheckpoint(newPath(), { params: { v: values }, optimizer: given })))[2]).toContain('"u"');
    await saveCheckpoint(newPath(), { params: { v: values, u: rest.slice() }, optimizer: given });
  }
});

test('the same name, or the same memory in any pieces, is enough', async () => {
  const flat = f32(1, 2, 3, 4);
  const [a, b] = [flat.subarray(0, 2), flat.subarray(2)];
  const adam = new Adam({ a, b });
  adam.step({ a: f32(1, 1), b: f32(1, 1) });
  const average = new WeightAverage({ a, b }, { decay: 0.9 });
  for (const params of [
    { a, b },
    { model: { a, b } },
    [{ params: { a } }, { params: { b } }],
    { flat },
    flat,
    { pieces: [flat.subarray(0, 1), flat.subarray(1, 3), flat.subarray(3)] },
    { a: f32(0, 0), b: f32(0, 0), more: f32(1) },
    average.averagedParams,
  ] as object[])
    await saveCheckpoint(newPath(), { params, optimizer: adam });
  for (const params of [{ flat: flat.subarray(0, 3) }, { c: f32(0, 0), d: f32(0, 0) }, [a]])
    expect((await refusal(saveCheckpoint(newPath(), { params, optimizer: adam })))[2]).toContain(
      'expected it among params',
    );
  // Params without names have their indices.
  await saveCheckpoint(newPath(), { params: [f32(1), f32(2)], optimizer: new Adam([f32(1), f32(2)]) });
  await saveCheckpoint(newPath(), { params: { w: a }, optimizer: new Adam(a) });
  const empty = new Adam({ a, none: f32() });
  await saveCheckpoint(newPath(), { params: { a }, optimizer: empty });
});
