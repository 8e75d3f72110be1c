// dispose() of every class: twice is fine, and every other call afterwards is an error.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Optimizer } from '../../lib/core/optimizer.js';
import { type Any, classes, numbers, refused, rig, titled } from '../support/rig.js';

describe.each(titled(classes))('%s', (_, c) => {
  const who = c.declaration.name;

  const w = () => numbers(4, 1);

  test('dispose may be called twice, and every other member throws or rejects afterwards', async () => {
    const { optimizer, a } = rig(c, { ema: 0.5 });
    const group = optimizer.paramGroups[0] as Any;
    optimizer.dispose();
    optimizer.dispose();
    optimizer[Symbol.dispose]();
    const after = a.slice();
    const members: [string, () => unknown][] = [
      ['step', () => optimizer.step({ a: null, b: null })],
      ['paramGroups', () => optimizer.paramGroups],
      ['lr', () => optimizer.lr],
      ['lr =', () => (optimizer.lr = 1)],
      ['stepCount', () => optimizer.stepCount],
      ['skippedSteps', () => optimizer.skippedSteps],
      ['emaParams', () => optimizer.emaParams],
      ['addParamGroup', () => optimizer.addParamGroup({ params: { c: w() } })],
      ['stateDict', () => optimizer.stateDict()],
      ['loadStateDict', () => optimizer.loadStateDict(rig(c, { ema: 0.5 }).optimizer.stateDict())],
      ['toString', () => optimizer.toString()],
      ['registerStepPreHook', () => optimizer.registerStepPreHook(() => {})],
      ['registerStepPostHook', () => optimizer.registerStepPostHook(() => {})],
      ['group.lr =', () => (group.lr = 0.5)],
      ...['averagedParams', 'train', 'eval']
        .filter((name) => name in optimizer)
        .map((name): [string, () => unknown] => [name, () => (optimizer as Any)[name]()]),
    ];
    for (const [, use] of members) refused(TypeError, `${who}: this: a disposed optimizer`, use);
    expect(inspect(optimizer)).toBe(`${who} (disposed)`);
    await optimizer.stepAsync({ a: null, b: null }).then(
      () => expect.fail('stepAsync: no error'),
      (error) =>
        refused(TypeError, `${who}: this: a disposed optimizer`, () => {
          throw error;
        }),
    );
    expect(a).toEqual(after);
    // A new member must be named here too.
    const prototype = Object.getOwnPropertyNames(Optimizer.prototype);
    const hooks = ['constructor', 'constants', 'kernel', 'initial', 'start', 'scalarsAfter', 'conflict', 'dispose'];
    hooks.push('inputs', 'firstScalars', 'stateArrays', 'forEachParam', 'mode', 'loadMode');
    const named = ['stepAsync', ...members.map(([name]) => name.split(' ')[0])];
    expect(
      prototype.filter((name) => !hooks.includes(name) && !named.includes(name)),
      'members of Optimizer that this test does not name',
    ).toEqual([]);
  });
});
