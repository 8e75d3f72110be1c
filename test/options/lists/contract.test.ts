// Lists of the user: an array may say that `map` must make something else of it. We do not ask it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, test } from 'vitest';
import {
  Adam,
  averagePredictions,
  averageWeights,
  piecewiseConstant,
  ReduceOnPlateau,
  readSafetensors,
  SGD,
  writeSafetensors,
} from '../../../lib/index.js';
import { sgd } from '../../../lib/tfjs/index.js';
import { onBackend, values, variable } from '../../support/tfjs.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-lists-'));
const file = join(folder, 'a.safetensors');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const strange = <T>(...list: T[]): T[] => Object.assign(list, { constructor: { [Symbol.species]: 1 } as never });
const w = (): Float32Array => new Float32Array([1, 2]);

test('this list has another species', () => {
  expect(() => strange(1).map((x) => x)).toThrow('not a constructor');
});

describe('such a list is as good as any other', () => {
  test.each<[string, () => unknown]>([
    ['betas', () => new Adam(w(), { betas: strange(0.8, 0.9) as never })],
    ['params and gradients', () => new SGD(strange(w()), { lr: 1 }).step(strange(w()))],
    ['groups', () => new SGD(strange({ params: strange(w()) }) as never, { lr: 1 })],
    ['a shape', () => new SGD({ data: w(), shape: strange(1, 2) as never }, { lr: 1 })],
    [
      'a dict',
      () => new SGD(w(), { lr: 1 }).loadStateDict({ paramGroups: strange({ lr: 2, params: strange(0) }) } as never),
    ],
    ['min', () => new ReduceOnPlateau(new SGD(w(), { lr: 1 }), { min: strange(0.1) })],
    ['boundaries', () => piecewiseConstant({ boundaries: strange(1), values: strange(1, 2) })],
    ['members', () => averagePredictions(strange(w(), w()), { weights: strange(1, 2) })],
    ['models', () => averageWeights(strange(w(), w()))],
  ])('%s', (_, use) => {
    expect(use).not.toThrow(/constructor|species/);
  });

  test('shapes and names of safetensors', async () => {
    await writeSafetensors(file, { a: { data: w(), shape: strange(1, 2) } });
    const { tensors } = await readSafetensors(file, { names: strange('a') });
    expect(Object.keys(tensors)).toEqual(['a']);
  });

  describe('gradients by name', () => {
    onBackend('cpu');
    test('applyGradients', () => {
      const v = variable([1, 2]);
      sgd(1).applyGradients(strange({ name: v.name, tensor: tf.tensor([1, 1]) }));
      expect([...values(v)]).toEqual([0, 1]);
    });
  });
});
