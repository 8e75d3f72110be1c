// Lookahead gives the bits of a loop written out by hand, and passes on every other member of the inner optimizer.
import { describe, expect, test } from 'vitest';
import { Adam, allocate, createOptimizer, Lookahead, optimizers, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import type { Any } from '../../support/rig.js';

const f = Math.fround;
const grad = (step: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(step * 7 + i));

function refused(type: typeof TypeError | typeof RangeError, message: RegExp, action: () => unknown): void {
  expect(action).toThrow(message);
  expect(action).toThrow(type);
}

/** The options of a step of any class. */
const given = (name: string): object => (optimizers[name]?.needsLoss ? { loss: 1 } : {});

/** DoG begins with steps of 1e-6·lr, of which float32 shows too little. */
const make = (name: string, w: Float32Array) => createOptimizer(name, w, { lr: name === 'dog' ? 100 : 0.1 });

/** k steps of a bare optimizer, then slow and fast weights by the formula. */
function byHand(name: string, k: number, alpha: number, steps: number): Float32Array {
  const w = f32(1, -2, 3, 0.5);
  const slow = w.slice();
  const inner = make(name, w);
  for (let step = 1; step <= steps; step++) {
    inner.step(grad(step, 4), given(name));
    if (step % k !== 0) continue;
    for (let i = 0; i < 4; i++) {
      slow[i] = f(slow[i]! + f(f(alpha) * f(w[i]! - slow[i]!)));
      w[i] = slow[i]!;
    }
  }
  return w;
}

const scheduleFree = (name: string): boolean => name.startsWith('schedulefree');

describe.each(Object.keys(optimizers).filter((name) => !scheduleFree(name)))('%s', (name) => {
  test('equals the formula', () => {
    for (const [k, alpha] of [
      [1, 0.5],
      [3, 0.8],
      [5, 1],
    ] as const) {
      const w = f32(1, -2, 3, 0.5);
      const lookahead = new Lookahead(make(name, w), { k, alpha });
      for (let step = 1; step <= 11; step++) lookahead.step(grad(step, 4), given(name));
      expect(w).toEqual(byHand(name, k, alpha, 11));
      // With alpha 1 the slow weights are the fast ones. Otherwise k must matter.
      // AdagradDA computes its weights from its state alone.
      if (alpha < 1 && name !== 'adagradda') expect(w).not.toEqual(byHand(name, k + 1, alpha, 11));
    }
  });
});

test.each(Object.keys(optimizers).filter(scheduleFree))(
  '%s, whose params follow from its state, is refused',
  (name) => {
    const inner = createOptimizer(name, f32(1));
    refused(
      TypeError,
      /^Lookahead: optimizer: a ScheduleFree\w+, expected an optimizer that does not rewrite its params from its own state$/,
      () => new Lookahead(inner),
    );
    expect(inner.step(f32(1))).toEqual({ applied: true });
  },
);

test('several pending steps give the bits of the same steps one by one', async () => {
  const w = allocate(4);
  w.set([1, -2, 3, 0.5]);
  const lookahead = new Lookahead(new Adam(w, { lr: 0.1 }), { k: 2 });
  const results = await Promise.all(
    [1, 2, 3, 4, 5].map((step) => {
      const g = allocate(4);
      g.set(grad(step, 4));
      return lookahead.stepAsync(g);
    }),
  );
  expect(
    results.every(({ applied }) => applied),
    'every step must be applied',
  ).toBe(true);
  expect(w).toEqual(byHand('adam', 2, 0.5, 5));
});

test('the slow weights start at the first step of their param, not at construction', () => {
  const [a, b] = [f32(1), f32(1)];
  const lookahead = new Lookahead(new SGD([a, b], { lr: 1 }), { k: 2, alpha: 0.5 });
  a[0] = 10;
  lookahead.step([f32(1), null]); // a: 9
  b[0] = 20;
  lookahead.step([f32(1), f32(4)]); // a: 8 → (10 + 8)/2; b: 16 → (20 + 16)/2
  expect([a[0], b[0]]).toEqual([9, 18]);
});

test('steps before the wrapping do not count', () => {
  const w = f32(1);
  const sgd = new SGD(w, { lr: 1 });
  sgd.step(f32(-9)); // 10
  const lookahead = new Lookahead(sgd, { k: 2, alpha: 0.5 });
  lookahead.step(f32(2)); // 8, and the second step of the optimizer
  expect(w[0]).toBe(9);
});

test('a skipped step does not count', () => {
  const w = f32(4);
  const lookahead = new Lookahead(new SGD(w, { lr: 1, skipNonFinite: true }), { k: 2, alpha: 0.5 });
  lookahead.step(f32(1));
  expect(lookahead.step(f32(Number.NaN))).toMatchObject({ applied: false });
  expect([w[0], lookahead.stepCount, lookahead.skippedSteps]).toEqual([3, 1, 1]);
  lookahead.step(f32(1));
  expect(w[0]).toBe(3);
});

test('a resumed run continues bit for bit', () => {
  const [w, resumed] = [f32(1, -2, 3, 0.5), f32(0, 0, 0, 0)];
  const make = (x: Float32Array): Lookahead<Adam> => new Lookahead(new Adam({ x }, { lr: 0.1 }), { k: 3 });
  const first = make(w);
  for (let step = 1; step <= 4; step++) first.step({ x: grad(step, 4) });
  const saved = structuredClone(first.stateDict());
  resumed.set(w);
  const second = make(resumed);
  second.loadStateDict(saved);
  for (let step = 5; step <= 10; step++) for (const each of [first, second]) each.step({ x: grad(step, 4) });
  expect(resumed).toEqual(w);
  expect(second.stateDict()).toEqual(first.stateDict());
});

test('a state without the slow weights of an updated param is refused', () => {
  const w = f32(1, 2);
  const lookahead = new Lookahead(new SGD(w, { lr: 0.5 }), { k: 2 });
  lookahead.step(f32(1, 1));
  const dict = structuredClone(lookahead.stateDict());
  refused(TypeError, /^Lookahead\.loadStateDict: slow\[0\]: undefined, expected a Float32Array/, () =>
    lookahead.loadStateDict({ ...dict, slow: {} }),
  );
  expect(lookahead.stateDict()).toEqual(dict);
});

test('all members but the state are those of the inner optimizer', () => {
  const adam = new Adam([f32(1)], { lr: 0.1, ema: 0.5 });
  const lookahead = new Lookahead(adam);
  expect(lookahead.optimizer).toBe(adam);
  expect(lookahead.paramGroups).toBe(adam.paramGroups);
  expect(lookahead.emaParams).toBe(adam.emaParams);
  lookahead.lr = 0.5;
  expect([lookahead.lr, adam.lr, lookahead.stepCount, lookahead.skippedSteps]).toEqual([0.5, 0.5, 0, 0]);
  lookahead.addParamGroup({ params: [f32(2)] });
  expect(adam.paramGroups.length).toBe(2);
  expect(String(lookahead)).toBe(
    `Lookahead (\n  k: 5\n  alpha: 0.5\n  optimizer: ${String(adam).replaceAll('\n', '\n  ')}\n)`,
  );
  lookahead.dispose();
  lookahead[Symbol.dispose]();
  refused(TypeError, /^Adam: this: a disposed optimizer/, () => lookahead.step([f32(1), f32(1)]));
});

test('invalid arguments are refused', () => {
  const adam = (): Adam => new Adam(f32(1));
  refused(TypeError, /^Lookahead: optimizer: an object, expected an optimizer/, () => new Lookahead({} as Any));
  refused(TypeError, /^Lookahead: K: unknown option, expected k/, () => new Lookahead(adam(), { K: 1 } as Any));
  for (const k of [0, -1, 1.5, Number.NaN])
    refused(RangeError, /^Lookahead: k: .*an integer in \[1, inf\)/, () => new Lookahead(adam(), { k }));
  for (const alpha of [0, -1, 1.1, Number.NaN])
    refused(RangeError, /^Lookahead: alpha: .*\(0, 1\]/, () => new Lookahead(adam(), { alpha }));
  const taken = adam();
  const first = new Lookahead(taken);
  refused(
    TypeError,
    /^Lookahead: optimizer: one that a Lookahead has, expected one of its own/,
    () => new Lookahead(taken),
  );

  first.step(f32(1));
  const dict = first.stateDict();
  const load = (change: object) => () => first.loadStateDict({ ...dict, ...change } as Any);
  refused(RangeError, /^Lookahead\.loadStateDict: k: 4, expected 5/, load({ k: 4 }));
  refused(RangeError, /^Lookahead\.loadStateDict: alpha: 1, expected 0\.5/, load({ alpha: 1 }));
  refused(RangeError, /^Lookahead\.loadStateDict: version: 2, expected 1/, load({ version: 2 }));
  refused(TypeError, /^Lookahead\.loadStateDict: optimizer: "Adam", expected "Lookahead"/, load({ optimizer: 'Adam' }));
  refused(TypeError, /^Lookahead\.loadStateDict: slow: 7: unknown/, load({ slow: { 7: f32(1) } }));
  refused(
    RangeError,
    /^Lookahead\.loadStateDict: slow\["?0"?\]: length 2, expected 1/,
    load({ slow: { 0: f32(1, 2) } }),
  );
  refused(TypeError, /^Adam\.loadStateDict: /, load({ inner: { ...dict.inner, optimizer: 'SGD' } }));
  expect(first.stateDict()).toEqual(dict);
});
