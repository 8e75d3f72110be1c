import { expect, test, vi } from 'vitest';
import { DAdaptAdamW } from '../../../lib/index.js';

const gradient = (w: Float32Array): Float32Array => w.map((x) => 2 * x);

test('d is d0 before the first step, grows, and is the same in the state of each param', () => {
  const [a, b] = [Float32Array.of(1, 2), Float32Array.of(-3)];
  const optimizer = new DAdaptAdamW({ a, b }, { d0: 1e-3 });
  expect(optimizer.d).toBe(1e-3);
  for (let step = 0; step < 20; step++) optimizer.step({ a: gradient(a), b: step === 3 ? null : gradient(b) });
  expect(optimizer.d).toBeGreaterThan(0.1);
  const { state } = optimizer.stateDict();
  for (const key of ['a', 'b']) expect(state[key]).toMatchObject({ d: optimizer.d });
  expect(state['b']?.['numerator']).toBe(state['a']?.['numerator']);
});

test('a resumed run goes on bit by bit, with a param group that is added later', () => {
  const runs = [false, true].map((resumes) => {
    const params = [Float32Array.of(1, 2, 3), Float32Array.of(-1, 0.5)] as const;
    let optimizer = new DAdaptAdamW({ a: params[0] }, { d0: 1e-3 });
    for (let s = 0; s < 5; s++) optimizer.step({ a: gradient(params[0]) });
    if (resumes) {
      const dict = structuredClone(optimizer.stateDict());
      optimizer = new DAdaptAdamW({ a: params[0] }, { d0: 1e-3 });
      optimizer.loadStateDict(dict);
    }
    const { d } = optimizer;
    optimizer.addParamGroup({ params: { b: params[1] } });
    expect(optimizer.d).toBe(d);
    for (let s = 0; s < 5; s++)
      (optimizer as DAdaptAdamW).step({ a: gradient(params[0]), b: gradient(params[1]) } as never);
    return { params, dict: optimizer.stateDict() };
  });
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[0]?.dict.state['b']?.['d']).toBe(runs[0]?.dict.state['a']?.['d']);
});

test('groups with another lr are refused before anything changes, unless it is 0', () => {
  const [a, b] = [Float32Array.of(1, 2), Float32Array.of(3)];
  const optimizer = new DAdaptAdamW([
    { params: a, lr: 1 },
    { params: b, lr: 0.5 },
  ]);
  const before = optimizer.stateDict();
  expect(() => optimizer.step([gradient(a), gradient(b)])).toThrow(
    new RangeError('DAdaptAdamW: paramGroups[1].lr: 0.5, expected 1, as in another group, or 0'),
  );
  expect([a, b]).toEqual([Float32Array.of(1, 2), Float32Array.of(3)]);
  expect(optimizer.stateDict()).toEqual(before);
  optimizer.paramGroups[1]!.lr = 0;
  for (let s = 0; s < 3; s++) optimizer.step([gradient(a), gradient(b)]);
  expect(b).toEqual(Float32Array.of(3));
  expect(a[0]).toBeLessThan(1);
});

test('without gradients nothing moves, d stays, and an eps that is 0 in float32 makes no NaN', () => {
  const w = Float32Array.of(1, 2);
  const optimizer = new DAdaptAdamW(w, { weightDecay: 0.1, eps: 1e-300 });
  for (let s = 0; s < 3; s++) optimizer.step(new Float32Array(2));
  expect(w).toEqual(Float32Array.of(1, 2));
  expect(optimizer.d).toBe(1e-6);
  optimizer.step(Float32Array.of(0, 1));
  expect(w.every(Number.isFinite)).toBe(true);
});

test('a warning says that d has not grown after 100 steps', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    const stuck = new DAdaptAdamW(new Float32Array(2));
    for (let s = 0; s < 99; s++) stuck.step(new Float32Array(2));
    expect(warn).not.toHaveBeenCalled();
    stuck.step(new Float32Array(2));
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^DAdaptAdamW: d is still d0, 0\.000001, after 100 steps/),
      { type: 'SchussWarning', code: 'SCHUSS_D_STUCK' },
    );
  } finally {
    warn.mockRestore();
  }
});
