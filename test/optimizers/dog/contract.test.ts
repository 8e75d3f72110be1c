// DoG and DoWG: what is theirs about groups, late params and resumed runs.
import { describe, expect, test } from 'vitest';
import { DoG, DoWG } from '../../../lib/index.js';

const gradient = (w: Float32Array): Float32Array => w.map((x) => 2 * x);
const numbersOf = (optimizer: DoG | DoWG): unknown[] =>
  Object.values(optimizer.stateDict().state).map((state) => [state['r'], state['G']]);

describe.each([
  ['DoG', DoG, { repsRel: 0.01 }],
  ['L-DoG', DoG, { repsRel: 0.01, layerWise: true }],
  ['DoWG', DoWG, {}],
] as const)('%s', (name, Class, options) => {
  const create = Class as new (params: object, given?: object) => DoG;

  test('r and G are 0 before the first step, and those of the first group later', () => {
    const [a, b, c] = [Float32Array.of(1, 2), Float32Array.of(-3), Float32Array.of(5)];
    const optimizer = new create([{ params: [a, b] }, { params: [c] }], options);
    expect([optimizer.r, optimizer.G]).toEqual([0, 0]);
    for (let s = 0; s < 4; s++) optimizer.step([gradient(a), s === 2 ? null : gradient(b), gradient(c)]);
    const [first, second, third] = numbersOf(optimizer);
    expect(first).toEqual([optimizer.r, optimizer.G]);
    expect(optimizer.r).toBeGreaterThan(0);
    expect(third).not.toEqual(first);
    if (name === 'L-DoG') expect(second).not.toEqual(first);
    else expect(second).toEqual(first);
  });

  test('each group is as if it were alone', () => {
    const run = (lists: readonly (readonly Float32Array[])[]): Float32Array[] => {
      const params = lists.map((list) => list.map((array) => array.slice()));
      const optimizer = new create(
        params.map((list) => ({ params: list })),
        options,
      );
      for (let s = 0; s < 5; s++) optimizer.step(params.flat().map(gradient));
      return params.flat();
    };
    const [a, b, c] = [Float32Array.of(1, 2), Float32Array.of(-3), Float32Array.of(5)];
    expect(run([[a, b], [c]])).toEqual([...run([[a, b]]), ...run([[c]])]);
    // In one group, c changes the steps of the others, unless each param has its own numbers.
    const together = run([[a, b, c]]);
    if (name === 'L-DoG') expect(together).toEqual(run([[a, b], [c]]));
    else expect(together).not.toEqual(run([[a, b], [c]]));
  });

  test('a group that is added later begins with its first step', () => {
    const [a, b] = [Float32Array.of(1, 2), Float32Array.of(-3)];
    const alone = b.slice();
    const optimizer = new create({ a }, options);
    for (let s = 0; s < 5; s++) optimizer.step({ a: gradient(a) });
    optimizer.addParamGroup({ params: { b } });
    const other = new create({ b: alone }, options);
    for (let s = 0; s < 5; s++) {
      optimizer.step({ a: gradient(a), b: gradient(b) } as never);
      other.step({ b: gradient(alone) });
    }
    expect(b).toEqual(alone);
    expect(optimizer.stateDict().state['b']).toEqual(other.stateDict().state['b']);
  });

  test('a param whose first gradient comes late measures its distance from then on', () => {
    const [a, b] = [Float32Array.of(1, 2), Float32Array.of(-3)];
    const optimizer = new create({ a, b }, options);
    for (let s = 0; s < 3; s++) optimizer.step({ a: gradient(a), b: null });
    b[0] = 7; // by someone else
    optimizer.step({ a: gradient(a), b: gradient(b) });
    expect(optimizer.stateDict().state['b']?.['initial']).toEqual(Float32Array.of(7));
    expect(optimizer.r).toBeLessThan(5);
  });

  test('a resumed run goes on bit by bit', () => {
    const runs = [false, true].map((resumes) => {
      const params = [Float32Array.of(1, 2, 3), Float32Array.of(-1, 0.5)];
      let optimizer = new create(params, options);
      for (let s = 0; s < 5; s++) optimizer.step(params.map(gradient));
      if (resumes) {
        const dict = structuredClone(optimizer.stateDict());
        optimizer = new create(params, options);
        optimizer.loadStateDict(dict);
      }
      for (let s = 0; s < 5; s++) optimizer.step(params.map(gradient));
      return { params, dict: optimizer.stateDict() };
    });
    expect(runs[1]).toEqual(runs[0]);
  });

  test('a skipped step changes neither r nor G', () => {
    const w = Float32Array.of(1, 2);
    const optimizer = new create(w, { ...options, skipNonFinite: true });
    expect(optimizer.step(Float32Array.of(Number.NaN, 1)).applied).toBe(false);
    expect([optimizer.r, optimizer.G]).toEqual([0, 0]);
    optimizer.step(gradient(w));
    const before = [optimizer.r, optimizer.G];
    optimizer.step(Float32Array.of(1, Number.POSITIVE_INFINITY));
    expect([optimizer.r, optimizer.G]).toEqual(before);
  });
});

test('DoG: with eps 0 and no gradient, nothing moves and the run has not begun', () => {
  const w = Float32Array.of(3, 4);
  const dog = new DoG(w, { eps: 0, repsRel: 0.1 });
  dog.step(new Float32Array(2));
  expect([...w, dog.G]).toEqual([3, 4, 0]);
  dog.step(Float32Array.of(6, 8));
  expect(dog.r).toBeCloseTo(0.6, 12);
  expect(dog.G).toBe(100);
});
