// HessianFree: saving, loading, checkpoints and dispose().
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inspectCheckpoint, loadCheckpoint, saveCheckpoint } from '../../../../lib/index.js';
import { bytes, f32 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { AnyHessianFree, setup } from '../../../support/second-order/hessian-free.js';

test('a resumed run continues bit for bit, through structuredClone', () => {
  for (const options of [{}, { maxIterations: 2, cgDecay: 0.5 }, { damping: 0.1, cgTol: 0, maxCgIterations: 1 }]) {
    const { x, hf, closure } = setup(options);
    for (let i = 0; i < 2; i++) hf.step(closure);
    const other = setup({}, [...x]);
    other.hf.loadStateDict(structuredClone(hf.stateDict()));
    expect(other.hf.stepCount).toBe(hf.stepCount);
    for (let i = 0; i < 2; i++) {
      expect(other.hf.step(other.closure)).toEqual(hf.step(closure));
      expect(bytes(other.x)).toEqual(bytes(x));
    }
    expect(other.hf.stateDict()).toEqual(hf.stateDict());
    // Without the last iterate, it would be another run.
    const forgetful = setup({}, [...x]);
    const dict = hf.stateDict() as Any;
    forgetful.hf.loadStateDict({ ...dict, state: { 0: { ...dict.state[0], cgIterate: new Float64Array(2) } } });
    forgetful.hf.step(forgetful.closure);
    hf.step(closure);
    expect(forgetful.hf.stateDict()).not.toEqual(hf.stateDict());
  }
});

test('a checkpoint resumes bit for bit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-hessian-free-'));
  try {
    const path = join(folder, 'run.safetensors');
    const [run, again] = [setup(), setup({ damping: 7 }, [3, 4])];
    for (let i = 0; i < 3; i++) run.hf.step(run.closure);
    await saveCheckpoint(path, { params: run.x, optimizer: run.hf });
    await loadCheckpoint(path, { params: again.x, optimizer: again.hf });
    expect(await inspectCheckpoint(path)).toMatchObject({ optimizer: 'HessianFree', step: 3 });
    for (const r of [run, again]) r.hf.step(r.closure);
    expect(bytes(again.x)).toEqual(bytes(run.x));
    expect(again.hf.stateDict()).toEqual(run.hf.stateDict());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a state dict has the documented form', () => {
  const { hf, closure } = setup();
  expect(hf.stateDict()).toEqual({
    version: 1,
    optimizer: 'HessianFree',
    stepCount: 0,
    skippedSteps: 0,
    paramGroups: [
      {
        damping: 1,
        cgDecay: 0.95,
        cgTol: 5e-4,
        maxCgIterations: 250,
        maxIterations: 1,
        maxEvaluations: Number.POSITIVE_INFINITY,
        gradTol: 1e-7,
        funTol: 1e-9,
        stepTol: 1e-9,
        params: [0],
      },
    ],
    state: { 0: { step: 0, cgIterate: new Float64Array(2) } },
  });
  hf.step(closure);
  const dict = hf.stateDict() as Any;
  expect(dict).toMatchObject({ stepCount: 1, state: { 0: { step: 1 } } });
  // A copy.
  dict.state[0].cgIterate.fill(0);
  expect((hf.stateDict() as Any).state[0].cgIterate).not.toEqual(dict.state[0].cgIterate);
});

test('names in any order', () => {
  const make = (names: readonly string[]) => {
    const params = Object.fromEntries(names.map((name) => [name, f32(name.length)]));
    const grads = Object.fromEntries(names.map((name) => [name, f32(0)]));
    return new AnyHessianFree(params, { grads, gaussNewton: () => {} });
  };
  const dict = make(['a', 'bb']).stateDict();
  dict.state.a.cgIterate[0] = 5;
  const other = make(['bb', 'a']);
  other.loadStateDict(dict);
  expect(other.stateDict().state.a.cgIterate[0]).toBe(5);
});

test('a dict that does not fit is refused and changes nothing', () => {
  const { hf, closure } = setup();
  hf.step(closure);
  const dict = hf.stateDict() as Any;
  const target = setup();
  target.hf.step(target.closure);
  const before = target.hf.stateDict();
  const group = dict.paramGroups[0];
  const state = dict.state[0];
  const withState = (change: object) => ({ ...dict, state: { 0: { ...state, ...change } } });
  for (const [bad, text] of [
    [null, /^TypeError: HessianFree\.loadStateDict: dict: null/],
    [{ ...dict, version: 2 }, /^RangeError: HessianFree\.loadStateDict: version: 2, expected 1$/],
    [
      { ...dict, optimizer: 'LBFGS' },
      /^TypeError: HessianFree\.loadStateDict: optimizer: "LBFGS", expected "HessianFree"$/,
    ],
    [
      { ...dict, paramGroups: [{ ...group, params: ['w'] }] },
      /^TypeError: HessianFree\.loadStateDict: paramGroups\[0\]\.params/,
    ],
    [{ ...dict, paramGroups: [{ ...group, damping: -1 }] }, /^RangeError: HessianFree\.loadStateDict: damping: -1/],
    [
      { ...dict, paramGroups: [{ ...group, size: 0 }] },
      /^TypeError: HessianFree\.loadStateDict: paramGroups\[0\]: size: unknown/,
    ],
    [{ ...dict, state: {} }, /^TypeError: HessianFree\.loadStateDict: state\[0\]: undefined/],
    [withState({ step: 0.5 }), /^RangeError: HessianFree\.loadStateDict: state\[0\]\.step: 0\.5/],
    [withState({ extra: 1 }), /^TypeError: HessianFree\.loadStateDict: state\[0\]: extra: unknown option/],
    [
      withState({ cgIterate: f32(1, 2) }),
      /^TypeError: HessianFree\.loadStateDict: state\[0\]\.cgIterate: Float32Array\(2\)/,
    ],
    [
      withState({ cgIterate: new Float64Array(3) }),
      /^RangeError: HessianFree\.loadStateDict: state\[0\]\.cgIterate: length 3, expected 2/,
    ],
    [
      withState({ cgIterate: Float64Array.of(1, Number.NaN) }),
      /^RangeError: HessianFree\.loadStateDict: state\[0\]\.cgIterate\[1\]: NaN/,
    ],
  ] as const) {
    expect(thrown(() => target.hf.loadStateDict(bad))).toMatch(text);
    expect(target.hf.stateDict()).toEqual(before);
  }
});

test('dispose may be called twice, and every other call afterwards is an error', () => {
  const { hf, closure } = setup();
  hf.dispose();
  hf[Symbol.dispose]();
  for (const use of [
    () => hf.step(closure),
    () => hf.damping,
    () => hf.stepCount,
    () => hf.stateDict(),
    () => hf.loadStateDict({} as Any),
    () => String(hf),
  ])
    expect(thrown(use)).toBe('TypeError: HessianFree: this: a disposed optimizer, expected one that is not disposed');
});
