// Prodigy and DAdaptAdamW: what is theirs about d, groups, late params and resumed runs.
import { describe, expect, test, vi } from 'vitest';
import { DAdaptAdamW, Prodigy } from '../../../lib/index.js';

const gradient = (w: Float32Array): Float32Array => w.map((x) => 2 * x);

describe.each([
  ['Prodigy', Prodigy],
  ['DAdaptAdamW', DAdaptAdamW],
] as const)('%s', (name, Class) => {
  const create = Class as new (params: object, options?: object) => Prodigy;

  test('d is d0 before the first step, grows, and is the same in the state of each param', () => {
    const [a, b] = [Float32Array.of(1, 2), Float32Array.of(-3)];
    const optimizer = new create({ a, b }, { d0: 1e-3 });
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
      let optimizer = new create({ a: params[0] }, { d0: 1e-3 });
      for (let s = 0; s < 5; s++) optimizer.step({ a: gradient(params[0]) });
      if (resumes) {
        const dict = structuredClone(optimizer.stateDict());
        optimizer = new create({ a: params[0] }, { d0: 1e-3 });
        optimizer.loadStateDict(dict);
      }
      const { d } = optimizer;
      optimizer.addParamGroup({ params: { b: params[1] } });
      expect(optimizer.d).toBe(d);
      for (let s = 0; s < 5; s++) optimizer.step({ a: gradient(params[0]), b: gradient(params[1]) });
      return { params, dict: optimizer.stateDict() };
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]?.dict.state['b']?.['d']).toBe(runs[0]?.dict.state['a']?.['d']);
  });

  test('groups with another lr are refused before anything changes, unless it is 0', () => {
    const [a, b] = [Float32Array.of(1, 2), Float32Array.of(3)];
    const optimizer = new create([
      { params: a, lr: 1 },
      { params: b, lr: 0.5 },
    ]);
    const before = optimizer.stateDict();
    expect(() => optimizer.step([gradient(a), gradient(b)])).toThrow(
      new RangeError(`${name}: paramGroups[1].lr: 0.5, expected 1, as in another group, or 0`),
    );
    expect([a, b]).toEqual([Float32Array.of(1, 2), Float32Array.of(3)]);
    expect(optimizer.stateDict()).toEqual(before);
    optimizer.paramGroups[1]!.lr = 0;
    for (let s = 0; s < 3; s++) optimizer.step([gradient(a), gradient(b)]);
    expect(b).toEqual(Float32Array.of(3));
    expect(a[0]).toBeLessThan(1);
  });

  test.each([1e-8, 1e-300])('nothing moves without gradients, nor at lr 0: eps %s', (eps) => {
    const [w, v] = [Float32Array.of(1, 2), Float32Array.of(3)];
    const groups = [{ params: w }, { params: v, lr: 0 }];
    const optimizer = new create(groups, { weightDecay: 0.1, eps });
    for (let s = 0; s < 3; s++) optimizer.step([new Float32Array(2), new Float32Array(1)]);
    expect(w).toEqual(Float32Array.of(1, 2));
    expect(optimizer.d).toBe(1e-6);
    optimizer.step([Float32Array.of(1, 1), Float32Array.of(1)]);
    expect(v).toEqual(Float32Array.of(3));
  });

  test('a warning says that d has not grown after 100 steps, once for each d0', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const zeros = new Float32Array(2);
    try {
      // No other test has this d0.
      const stuck = new create(new Float32Array(2), { d0: 1.25e-6 });
      for (let s = 0; s < 99; s++) stuck.step(zeros);
      expect(warn).not.toHaveBeenCalled();
      stuck.step(zeros);
      expect(warn).toHaveBeenCalledExactlyOnceWith(
        expect.stringContaining(`${name}: d is still d0, 0.00000125, after 100 steps`),
        { type: 'SchussWarning', code: 'SCHUSS_D_STUCK' },
      );
      warn.mockClear();
      const slow = new create(new Float32Array(2), { lr: 1e-3, d0: 1.25e-6 });
      for (let s = 0; s < 100; s++) slow.step(zeros);
      expect(warn.mock.calls[0]?.[0]).toContain(
        `The lr is 0.001: ${name} finds the learning rate itself, so leave it at 1`,
      );
      const w = Float32Array.of(1, 2);
      const [another, fine] = [new create(new Float32Array(2), { d0: 1.25e-6 }), new create(w, { d0: 1.5e-6 })];
      for (let s = 0; s < 101; s++) {
        stuck.step(zeros);
        another.step(zeros);
        fine.step(gradient(w));
      }
      expect(warn).toHaveBeenCalledOnce();
      const further = new create(new Float32Array(2), { d0: 1.75e-6 });
      for (let s = 0; s < 100; s++) further.step(zeros);
      expect(warn).toHaveBeenCalledTimes(2);
    } finally {
      warn.mockRestore();
    }
  });
});

test('DAdaptAdamW: an eps that is 0 in float32 makes no NaN of an element without gradients', () => {
  const w = Float32Array.of(1, 2);
  new DAdaptAdamW(w, { eps: 1e-300 }).step(Float32Array.of(0, 1));
  expect(w.every(Number.isFinite)).toBe(true);
});
