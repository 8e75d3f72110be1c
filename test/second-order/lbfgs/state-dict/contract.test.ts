// LBFGS: saving, loading and dispose().
import { expect, test } from 'vitest';
import { LBFGS } from '../../../../lib/index.js';
import { bytes, f32 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { bowl } from '../../../support/second-order/functions.js';
import { setup } from '../../../support/second-order/lbfgs.js';

test('a resumed run continues bit for bit, through structuredClone', () => {
  for (const options of [
    { maxIterations: 3 },
    { maxIterations: 2, historySize: 2 },
    { maxIterations: 1, lineSearch: 'none', lr: 0.1 },
  ]) {
    const { x, lbfgs, closure } = setup(options);
    for (let i = 0; i < 6; i++) lbfgs.step(closure);
    const other = setup(options, [...x]);
    other.lbfgs.loadStateDict(structuredClone(lbfgs.stateDict()));
    expect(other.lbfgs.stepCount).toBe(lbfgs.stepCount);
    for (let i = 0; i < 6; i++) {
      expect(other.lbfgs.step(other.closure)).toEqual(lbfgs.step(closure));
      expect(bytes(other.x)).toEqual(bytes(x));
    }
    expect(other.lbfgs.stateDict()).toEqual(lbfgs.stateDict());
  }
});

test('a state dict has the documented form', () => {
  const { lbfgs, closure } = setup({ maxIterations: 4, lr: () => 1 });
  expect(lbfgs.stateDict()).toEqual({
    version: 1,
    optimizer: 'LBFGS',
    stepCount: 0,
    skippedSteps: 0,
    paramGroups: [
      {
        lr: { schedule: true },
        historySize: 10,
        lineSearch: 'strong-wolfe',
        maxIterations: 4,
        maxEvaluations: 21,
        gradTol: 1e-7,
        funTol: 1e-9,
        stepTol: 1e-9,
        params: [0],
      },
    ],
    state: { 0: { step: 0, oldDirs: f32(), oldStps: f32() } },
  });
  lbfgs.step(closure);
  const dict = lbfgs.stateDict() as Any;
  expect(dict).toMatchObject({ stepCount: 1, state: { 0: { step: 4 } } });
  expect(dict.state[0].oldStps).toHaveLength(8);
  // A copy.
  dict.state[0].oldStps.fill(0);
  expect((lbfgs.stateDict() as Any).state[0].oldStps).not.toEqual(dict.state[0].oldStps);
});

test('each param has its part of the pairs', () => {
  const [a, b, empty] = [f32(2), f32(3, 4), f32()];
  const grads = { a: f32(0), empty: f32(), b: f32(0, 0) };
  const lbfgs = new LBFGS({ a, empty, b }, { grads, maxIterations: 3, gradTol: 0 });
  const closure = () => bowl(a, grads.a) + bowl(b, grads.b) + (a[0]! * b[0]!) / 4;
  lbfgs.step(() => {
    const loss = closure();
    grads.a[0]! += b[0]! / 4;
    grads.b[0]! += a[0]! / 4;
    return loss;
  });
  const { state, paramGroups } = lbfgs.stateDict() as Any;
  expect(paramGroups[0].params).toEqual(['a', 'empty', 'b']);
  expect([state.a.oldDirs.length, state.empty.oldDirs.length, state.b.oldDirs.length]).toEqual([3, 0, 6]);
});

test('loading restores the options, and keeps a live Schedule', () => {
  const { lbfgs, closure } = setup({ maxIterations: 4, lr: 0.5, historySize: 3 });
  lbfgs.step(closure);
  const dict = lbfgs.stateDict();
  const plain = setup();
  plain.lbfgs.loadStateDict(dict);
  expect(plain.lbfgs.lr).toBe(0.5);
  expect(plain.lbfgs.stateDict()).toEqual(dict);
  const live = setup({ lr: () => 0.75 });
  const scheduled = setup({ lr: () => 0.5 }).lbfgs.stateDict();
  live.lbfgs.loadStateDict(scheduled);
  expect(live.lbfgs.lr).toBe(0.75);
  const constant = setup({ lr: 0.25 });
  for (const [lbfgs, other] of [
    [live.lbfgs, dict],
    [constant.lbfgs, scheduled],
  ] as const) {
    const { lr } = lbfgs;
    expect(() => lbfgs.loadStateDict(other)).toThrow(/^LBFGS\.loadStateDict: paramGroups\[0\]\.lr: .* Schedule/);
    lbfgs.loadStateDict(other, { schedules: 'keep' });
    expect(lbfgs.lr).toBe(lr);
  }
});

test("a dict of an earlier version, which has PyTorch's names of the tolerances, loads", () => {
  const { lbfgs } = setup({ gradTol: 0.5, funTol: 0.25, stepTol: 0.25 });
  const dict = lbfgs.stateDict() as Any;
  const { gradTol, funTol, stepTol, ...group } = dict.paramGroups[0];
  const earlier = { ...dict, paramGroups: [{ ...group, toleranceGrad: 0.5, toleranceChange: 0.25 }] };
  const resumed = setup();
  resumed.lbfgs.loadStateDict(earlier);
  expect(resumed.lbfgs.stateDict()).toEqual(dict);
});

test('names in any order', () => {
  const [x, y] = [new Float32Array(3), new Float32Array(4)];
  const make = (params: Any) =>
    new LBFGS(params, { grads: Object.fromEntries(Object.keys(params).map((k) => [k, params[k].slice()])) as Any });
  const dict = make({ x, y }).stateDict();
  expect(make({ y, x }).stateDict().paramGroups[0]!.params).toEqual(['y', 'x']);
  make({ y, x }).loadStateDict(dict);
});

test('a dict that does not fit is refused and changes nothing', () => {
  const { lbfgs, closure } = setup({ maxIterations: 4 });
  lbfgs.step(closure);
  const dict = lbfgs.stateDict() as Any;
  const target = setup({ maxIterations: 4 });
  target.lbfgs.step(target.closure);
  const before = target.lbfgs.stateDict();
  const group = dict.paramGroups[0];
  const state = dict.state[0];
  const withState = (change: object) => ({ ...dict, state: { 0: { ...state, ...change } } });
  for (const [bad, text] of [
    [null, /^TypeError: LBFGS\.loadStateDict: dict: null/],
    [{ ...dict, version: 2 }, /^RangeError: LBFGS\.loadStateDict: version: 2, expected 1$/],
    [{ ...dict, optimizer: 'Adam' }, /^TypeError: LBFGS\.loadStateDict: optimizer: "Adam", expected "LBFGS"$/],
    [{ ...dict, stepCount: -1 }, /^RangeError: LBFGS\.loadStateDict: stepCount: -1/],
    [{ ...dict, paramGroups: [] }, /^RangeError: LBFGS\.loadStateDict: paramGroups: 0 group/],
    [
      { ...dict, paramGroups: [{ ...group, params: ['w'] }] },
      /^TypeError: LBFGS\.loadStateDict: paramGroups\[0\]\.params/,
    ],
    [{ ...dict, paramGroups: [{ ...group, historySize: 0 }] }, /^RangeError: LBFGS\.loadStateDict: historySize: 0/],
    [
      { ...dict, paramGroups: [{ ...group, size: 0 }] },
      /^TypeError: LBFGS\.loadStateDict: paramGroups\[0\]: size: unknown/,
    ],
    [
      { ...dict, paramGroups: [{ ...group, historySize: 3 }] },
      /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldStps: 4 pairs/,
    ],
    [{ ...dict, state: {} }, /^TypeError: LBFGS\.loadStateDict: state\[0\]: undefined/],
    [{ ...dict, state: { ...dict.state, w: state } }, /^TypeError: LBFGS\.loadStateDict: state\["w"\]: no such param/],
    [withState({ step: 0.5 }), /^RangeError: LBFGS\.loadStateDict: state\[0\]\.step: 0\.5/],
    [withState({ extra: 1 }), /^TypeError: LBFGS\.loadStateDict: state\[0\]: extra: unknown option/],
    [withState({ oldStps: [] }), /^TypeError: LBFGS\.loadStateDict: state\[0\]\.oldStps/],
    [withState({ oldStps: f32(1) }), /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldStps: 0\.5 pairs/],
    [withState({ oldDirs: f32(1, 2) }), /^RangeError: LBFGS\.loadStateDict: state\[0\]\.oldDirs: length 2, expected 8/],
    [withState({ oldDirs: new Float32Array(8) }), /^RangeError: LBFGS\.loadStateDict: state: .* of pair 0/],
  ] as const) {
    expect(thrown(() => target.lbfgs.loadStateDict(bad))).toMatch(text);
    expect(target.lbfgs.stateDict()).toEqual(before);
  }
});

test('dispose may be called twice, and every other call afterwards is an error', () => {
  const { lbfgs, closure } = setup();
  lbfgs.dispose();
  lbfgs[Symbol.dispose]();
  for (const use of [
    () => lbfgs.step(closure),
    () => lbfgs.lr,
    () => lbfgs.stepCount,
    () => lbfgs.stateDict(),
    () => lbfgs.loadStateDict({} as Any),
    () => String(lbfgs),
  ]) {
    expect(thrown(use)).toBe('TypeError: LBFGS: this: a disposed optimizer, expected one that is not disposed');
  }
});
