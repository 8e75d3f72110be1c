// Loaded state reaches its variables although some have other names: those of a model that is loaded next to another one.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Adam } from '../../../lib/index.js';
import { adam, wrap } from '../../../lib/tfjs/index.js';
import { bitsOf, onBackend, values, variable } from '../../support/tfjs.js';

onBackend('cpu');

const step = (optimizer: tf.Optimizer, ...variables: tf.Variable[]): void => {
  optimizer.minimize(() => tf.addN(variables.map((v) => tf.sum(tf.square(v)))) as tf.Scalar, false, variables);
};
const copy = async (optimizer: tf.Optimizer) =>
  (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tf.clone(tensor) }));

describe.each([
  ['adam', () => adam(0.1)],
  ['wrap', () => wrap(Adam, { lr: 0.1 })],
])('%s', (_, make) => {
  /** Trains a and b, and returns the state, their values then, and their values after one more step. */
  async function trained() {
    const [a, b] = [variable([1, 2], [2], 'a'), variable([3, 4], [2], 'b')];
    const first = make();
    for (let i = 0; i < 20; i++) step(first, a, b);
    const saved = await copy(first);
    const [atA, atB] = [values(a), values(b)];
    step(first, a, b);
    const end = [values(a), values(b)].map(bitsOf);
    for (const v of [a, b]) v.dispose();
    first.dispose();
    return { saved, atA, atB, end };
  }

  test.each([
    ['the first', 'a_1', 'b'],
    ['the second', 'a', 'b_1'],
    ['both', 'a_1', 'b_1'],
  ])('positions decide if the new name is that of %s', async (_what, nameA, nameB) => {
    const { saved, atA, atB, end } = await trained();
    const [a, b] = [variable(atA, [2], nameA), variable(atB, [2], nameB)];
    const resumed = make();
    await resumed.setWeights(saved);
    step(resumed, a, b);
    expect([values(a), values(b)].map(bitsOf)).toEqual(end);
    expect((await resumed.getWeights()).length).toBe(saved.length);
  });

  test('layers of one kind, of which one now has the old name of another', async () => {
    const { saved, atA, atB, end } = await trained();
    const under = { a: 'dense_Dense1/kernel', b: 'dense_Dense2/kernel' };
    const renamed = saved.map(({ name, tensor }) => ({
      name: name.replace(/^([ab])[/]/, (_all, v: 'a' | 'b') => `${under[v]}/`),
      tensor,
    }));
    const [a, b] = [variable(atA, [2], 'dense_Dense2/kernel'), variable(atB, [2], 'dense_Dense3/kernel')];
    const resumed = make();
    await resumed.setWeights(renamed);
    step(resumed, a, b);
    expect([values(a), values(b)].map(bitsOf)).toEqual(end);
  });

  test('a variable of another length is refused', async () => {
    const { saved, atA } = await trained();
    const [a, b] = [variable(atA, [2], 'a_1'), variable([1, 2, 3], [3], 'b')];
    const resumed = make();
    await resumed.setWeights(saved);
    expect(() => step(resumed, a, b)).toThrow(/state\["b"\]\.expAvg: length 2, expected 3/);
    expect(values(a)).toEqual(atA);
  });

  test('names decide if all are known, in any order', async () => {
    const { saved, atA, atB, end } = await trained();
    const [b, a] = [variable(atB, [2], 'b'), variable(atA, [2], 'a')];
    const resumed = make();
    await resumed.setWeights(saved);
    step(resumed, b, a);
    expect([values(a), values(b)].map(bitsOf)).toEqual(end);
  });

  test('a new variable beside known ones starts without state', async () => {
    const { saved, atA, atB, end } = await trained();
    const [a, b, c] = [variable(atA, [2], 'a'), variable(atB, [2], 'b'), variable([5], [1], 'c')];
    const resumed = make();
    await resumed.setWeights(saved);
    step(resumed, a, b, c);
    expect([values(a), values(b)].map(bitsOf)).toEqual(end);
  });

  test('a variable unlike those whose state waits starts without state, then and later', async () => {
    const { saved, atA, atB, end } = await trained();
    const [a, b, head] = [variable(atA, [2], 'a'), variable(atB, [2], 'b'), variable([5], [1], 'head')];
    const resumed = make();
    await resumed.setWeights(saved);
    step(resumed, a, head);
    const [late, again] = [make(), variable(atA, [2], 'a_7')];
    await late.setWeights(saved);
    step(late, b);
    step(late, b, variable([5], [1], 'head_2'));
    expect(bitsOf(values(a))).toEqual(end[0]);
    expect(() => step(late, b, again)).toThrow(/: state: for "a", expected it for "a_7" \(loaded/);
  });

  test('state goes to the variables that live', async () => {
    const optimizer = make();
    const first = variable([1, 2], [2], 'k');
    for (let i = 0; i < 20; i++) step(optimizer, first);
    const [saved, at] = [await copy(optimizer), values(first)];
    step(optimizer, first);
    const end = bitsOf(values(first));
    first.dispose();
    const second = variable([0, 0], [2], 'k_1');
    step(optimizer, second);
    await optimizer.setWeights(saved);
    second.assign(tf.tensor1d(at));
    step(optimizer, second);
    expect(bitsOf(values(second))).toEqual(end);
  });

  test('else the step throws and changes nothing', async () => {
    const { saved, atA, atB } = await trained();
    const [a, b, c] = [variable(atA, [2], 'a_1'), variable(atB, [2], 'b'), variable([5], [1], 'c')];
    const resumed = make();
    await resumed.setWeights(saved);
    const at = values(b);
    expect(() => step(resumed, a, b, c)).toThrow(/: state: for "a", "b", expected it for "a_1", "b", "c" \(loaded/);
    expect(values(b)).toEqual(at);
    // Part of the variables; then one for which the rest of the state may be, or not.
    step(resumed, b);
    const rest = values(a);
    expect(() => step(resumed, a, b)).toThrow(/: state: for "a", expected it for "a_1" \(loaded/);
    expect(values(a)).toEqual(rest);
  });
});
