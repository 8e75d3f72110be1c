// Options that change between steps: another kernel with the same gradient arrays, and options that are switched off
// again.
import { describe, expect, test } from 'vitest';
import { rebind } from '../../lib/core/internals.js';
import { Adam, type Optimizer, RMSprop, SGD } from '../../lib/index.js';

const length = 100;
const changes: [string, (w: Float32Array) => Optimizer, (group: Record<string, unknown>) => void][] = [
  ['SGD gets momentum', (w) => new SGD(w, { lr: 0.1 }), (group) => Object.assign(group, { momentum: 0.9 })],
  ['RMSprop is centered', (w) => new RMSprop(w), (group) => Object.assign(group, { centered: true })],
  ['Adam gets amsgrad', (w) => new Adam(w), (group) => Object.assign(group, { amsgrad: true })],
];

describe.each(changes)('%s', (_name, make, change) => {
  test('the next step uses the gradient, whether it is the same array or an equal one', () => {
    const results = [true, false].map((same) => {
      const w = new Float32Array(length).fill(1);
      const g = new Float32Array(length).fill(0.5);
      const optimizer = make(w);
      optimizer.step(g);
      change(optimizer.paramGroups[0] as unknown as Record<string, unknown>);
      const before = w.slice();
      optimizer.step(same ? g : g.slice());
      expect(w).not.toEqual(before);
      return w;
    });
    expect(results[0]).toEqual(results[1]);
  });
});

test('a param that moved to other memory accepts the same gradient array', () => {
  const [w, moved, g] = [new Float32Array(length), new Float32Array(length), new Float32Array(length).fill(1)];
  const sgd = new SGD({ w }, { lr: 1 });
  sgd.step({ w: g });
  moved.set(w);
  rebind(sgd, 'w', moved);
  sgd.step({ w: g });
  expect([w[0], moved[0]]).toEqual([-1, -2]);
});

test('an option that was off when a dict was made is off after loading it', () => {
  const adam = new Adam(new Float32Array(1));
  const dict = adam.stateDict();
  (adam.paramGroups[0] as { clipValue: number }).clipValue = 0.1;
  adam.loadStateDict(dict);
  expect(adam.paramGroups[0]?.clipValue).toBeUndefined();
});

test('a group added later has the options of the constructor, not what was assigned since', () => {
  const sgd = new SGD({ a: new Float32Array(1) }, { lr: 0.1, momentum: 0.5 });
  sgd.lr = 0.7;
  sgd.paramGroups[0]!.momentum = 0.25;
  sgd.addParamGroup({ params: { b: new Float32Array(1) } });
  expect(sgd.paramGroups.map(({ lr, momentum }) => [lr, momentum])).toEqual([
    [0.7, 0.25],
    [0.1, 0.5],
  ]);
});
