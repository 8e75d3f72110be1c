// The state of SFO: a resumed run has the same bits, and a dict that does not fit changes nothing.
import { describe, expect, test } from 'vitest';
import { SFO, type SFOOptions, type SFOStateDict } from '../../../../lib/index.js';
import { bytes, f32 } from '../../../support/arrays.js';
import { type Any, detached, thrown } from '../../../support/bad-input.js';
import { sample } from '../../../support/sample.js';

/** Waves on bowls, so that steps fail at times. */
function waves(i: number, x: Float32Array, grad: Float32Array): number {
  let value = 0;
  for (let k = 0; k < x.length; k++) {
    const [c, away] = [0.5 + ((7 * i + 3 * k) % 11) / 3, x[k]! - Math.sin(i + k * k)];
    value += (c * away ** 2) / 2 + 0.3 * Math.cos(3 * x[k]! + i);
    grad[k] = c * away - 0.9 * Math.sin(3 * x[k]! + i);
  }
  return value;
}
type Built = { readonly x: Float32Array; readonly sfo: SFO<Float32Array> };
const build = (N: number, length: number, options: object = {}): Built => {
  const x: Float32Array = new Float32Array(length).fill(0.7);
  const all: SFOOptions<Float32Array> = { N, f: waves, ...options };
  return { x, sfo: new SFO(x, all) };
};
const steps = ({ sfo }: Built, count: number) => Array.from({ length: count }, () => sfo.step());

describe.each([
  ['the whole space', 8, 5],
  ['a subspace', 8, 60],
  ['one term', 1, 3],
] as const)('in %s', (_, N, length) => {
  test.each([
    {},
    { selection: 'random', seed: 5 },
    { selection: 'cyclic', initialActive: 4 },
    { hessianUpdate: 'rank1', historySize: 2, maxGradientNoise: Number.POSITIVE_INFINITY },
  ])('a resumed run continues bit for bit: %o', (options) => {
    for (const before of sample([0, 1, 7, 40, 90], 1, length)) {
      const run = build(N, length, options);
      steps(run, before);
      const dict = structuredClone(run.sfo.stateDict());
      const resumed = build(N, length);
      resumed.x.set(run.x);
      resumed.sfo.loadStateDict(dict);
      expect(resumed.sfo.stateDict()).toEqual(dict);
      expect(resumed.sfo.stepCount).toBe(run.sfo.stepCount);
      expect(steps(resumed, 60)).toEqual(steps(run, 60));
      expect(bytes(resumed.x)).toEqual(bytes(run.x));
    }
  });
});

test('the params may be restored after the state, and a replaced term stays replaced', () => {
  const run = build(6, 40);
  steps(run, 50);
  run.sfo.replace(3);
  const resumed = build(6, 40);
  resumed.sfo.loadStateDict(run.sfo.stateDict());
  resumed.x.set(run.x);
  expect(resumed.sfo.step()).toEqual(run.sfo.step());
  expect(steps(resumed, 20)).toEqual(steps(run, 20));
});

test('params that were changed meanwhile are where the next step starts', () => {
  const run = build(6, 40);
  steps(run, 50);
  const resumed = build(6, 40);
  resumed.sfo.loadStateDict(run.sfo.stateDict());
  for (const { x } of [run, resumed]) x.fill(0.25);
  expect(steps(resumed, 20)).toEqual(steps(run, 20));
});

test('a state dict has the documented form, and its arrays are copies', () => {
  const params = { v: f32(1, 2), w: f32(3) };
  const sfo = new SFO(params, {
    N: 2,
    seed: 9,
    f(i, { v, w }, grads) {
      grads.v.set(v.map((a) => a - i));
      grads.w.set(w);
      return ((v[0]! - i) ** 2 + (v[1]! - i) ** 2 + w[0]! ** 2) / 2;
    },
  });
  for (let k = 0; k < 10; k++) sfo.step();
  const dict = sfo.stateDict();
  expect(dict).toMatchObject({ version: 1, optimizer: 'SFO', stepCount: sfo.stepCount, skippedSteps: 0 });
  expect(dict.paramGroups).toEqual([
    {
      params: ['v', 'w'],
      N: 2,
      seed: 9,
      historySize: 10,
      hessianInit: 1e5,
      initialActive: 2,
      maxDeviation: 1e8,
      selection: 'distance',
      maxGradientNoise: 1,
      maxStepRatio: 10,
      minStep: 1e-8,
      hessianUpdate: 'bfgs',
    },
  ]);
  expect(Object.keys(dict.state)).toEqual(['v', 'w']);
  expect([...dict.state['v']!.point, ...dict.state['w']!.point]).toEqual([...params.v, ...params.w]);
  const before = structuredClone(dict);
  sfo.step();
  expect(dict).toEqual(before);
  sfo.loadStateDict(dict);
  for (const state of Object.values(dict.state)) state.lastPoint.fill(9);
  dict.model.z.fill(9);
  dict.model.terms.grad.fill(9);
  expect(sfo.stateDict()).toEqual(before);
});

test('hyper-parameters are taken over', () => {
  const run = build(6, 4, { selection: 'cyclic', historySize: 3 });
  const other = build(6, 4);
  other.sfo.loadStateDict(run.sfo.stateDict());
  expect(other.sfo.stateDict().paramGroups[0]).toMatchObject({ selection: 'cyclic', historySize: 3 });
});

describe('a dict that does not fit is refused and changes nothing', () => {
  const run = build(6, 40);
  steps(run, 60);
  const dict = run.sfo.stateDict() as Any;
  const group = dict.paramGroups[0];
  const state = dict.state[0];
  const withGroup = (change: object) => ({ ...dict, paramGroups: [{ ...group, ...change }] });
  const withState = (change: object) => ({ ...dict, state: { 0: { ...state, ...change } } });
  const withModel = (change: object) => ({ ...dict, model: { ...dict.model, ...change } });
  const withTerms = (change: object) => withModel({ terms: { ...dict.model.terms, ...change } });
  const withCounters = (change: object) => withModel({ counters: { ...dict.model.counters, ...change } });
  const short = new Float64Array(1);
  const set = (array: Float64Array, k: number, value: number) => array.map((v, i) => (i === k ? value : v));
  const { terms } = dict.model;

  test.each([
    [null, 'TypeError: SFO.loadStateDict: dict: null, expected what stateDict() returned'],
    [{}, 'RangeError: SFO.loadStateDict: version: undefined, expected 1'],
    [{ ...dict, version: 2 }, 'RangeError: SFO.loadStateDict: version: 2, expected 1'],
    [{ ...dict, optimizer: 'LBFGS' }, 'TypeError: SFO.loadStateDict: optimizer: "LBFGS", expected "SFO"'],
    [{ ...dict, stepCount: 0.5 }, 'RangeError: SFO.loadStateDict: stepCount: 0.5'],
    [withGroup({ N: 7 }), 'RangeError: SFO.loadStateDict: paramGroups[0].N: 7, expected 6, as this SFO has'],
    [withGroup({ params: ['w'] }), 'TypeError: SFO.loadStateDict: paramGroups[0].params'],
    [withGroup({ historySize: 0 }), 'RangeError: SFO.loadStateDict: historySize: 0'],
    [withGroup({ history: 0 }), 'TypeError: SFO.loadStateDict: paramGroups[0]: history: unknown option'],
    [{ ...dict, state: {} }, 'TypeError: SFO.loadStateDict: state[0]: undefined'],
    [{ ...dict, state: { ...dict.state, w: state } }, 'TypeError: SFO.loadStateDict: state["w"]: no such param'],
    [withState({ point: new Float32Array(3) }), 'RangeError: SFO.loadStateDict: state[0].point: length 3, expected 40'],
    [withState({ point: new Float64Array(40) }), 'TypeError: SFO.loadStateDict: state[0].point: Float64Array(40)'],
    [withState({ point: detached(40) }), 'RangeError: SFO.loadStateDict: state[0].point: length 0, expected 40'],
    [
      withState({ lastPoint: new Float32Array(40).fill(Number.NaN) }),
      'RangeError: SFO.loadStateDict: state[0].lastPoint[0]: NaN, expected a finite number',
    ],
    [withState({ basis: new Float64Array(41) }), 'RangeError: SFO.loadStateDict: state[0].basis: length 41'],
    [withState({ basis: new Float64Array(40 * 21) }), 'RangeError: SFO.loadStateDict: state[0].basis: length 840'],
    [withState({ basis: new Float64Array(0) }), 'RangeError: SFO.loadStateDict: state[0].basis: length 0'],
    [{ ...dict, model: undefined }, 'TypeError: SFO.loadStateDict: model: options: undefined'],
    [withModel({ z: short }), 'RangeError: SFO.loadStateDict: model.z: length 1, expected 21'],
    [withModel({ lowRank: short }), 'RangeError: SFO.loadStateDict: model.lowRank: length 1, expected 441'],
    [withModel({ origin: f32(1) }), 'TypeError: SFO.loadStateDict: model.origin: Float32Array(1)'],
    [withModel({ extra: 1 }), 'TypeError: SFO.loadStateDict: model: extra: unknown option'],
    [withCounters({ random: 0.5 }), 'RangeError: SFO.loadStateDict: model.counters: random: 0.5'],
    [withCounters({ stepScale: '1' }), 'TypeError: SFO.loadStateDict: model.counters: stepScale: "1"'],
    [withCounters({ evaluations: -1 }), 'RangeError: SFO.loadStateDict: model.counters: evaluations: -1'],
    [withTerms({ index: new Float64Array(0) }), 'RangeError: SFO.loadStateDict: model.terms: index: length 0'],
    [withTerms({ index: set(terms.index, 0, 6) }), 'RangeError: SFO.loadStateDict: model.terms: index[0]: 6'],
    [withTerms({ index: set(terms.index, 1, 0) }), 'RangeError: SFO.loadStateDict: model.terms: index[1]: 0'],
    [withTerms({ changes: set(terms.changes, 0, 11) }), 'RangeError: SFO.loadStateDict: model.terms: changes[0]: 11'],
    [withTerms({ columns: set(terms.columns, 0, 0.5) }), 'RangeError: SFO.loadStateDict: model.terms: columns[0]: 0.5'],
    [withTerms({ steps: short }), 'RangeError: SFO.loadStateDict: model.terms: steps: length 1'],
    [withTerms({ vectors: short }), 'RangeError: SFO.loadStateDict: model.terms: vectors: length 1'],
    [withTerms({ signs: short }), 'RangeError: SFO.loadStateDict: model.terms: signs: length 1'],
    [withTerms({ grad: undefined }), 'TypeError: SFO.loadStateDict: model.terms: grad: undefined'],
  ] as [unknown, string][])('%#', (bad, text) => {
    const target = build(6, 40);
    steps(target, 5);
    const before = target.sfo.stateDict();
    expect(thrown(() => target.sfo.loadStateDict(bad as SFOStateDict)).slice(0, text.length)).toBe(text);
    expect(target.sfo.stateDict()).toEqual(before);
  });

  test('params in another order', () => {
    const make = (params: Record<string, Float32Array>) => new SFO(params, { N: 2, f: () => 0 });
    const saved = make({ v: f32(1), w: f32(2) }).stateDict();
    expect(thrown(() => make({ w: f32(1), v: f32(2) }).loadStateDict(saved))).toBe(
      'TypeError: SFO.loadStateDict: paramGroups[0].params: ["v", "w"], expected ["w", "v"], in this order',
    );
  });

  test('a call during a step', () => {
    const inner: string[] = [];
    const sfo: SFO<Float32Array> = new SFO(f32(1) as Float32Array, {
      N: 2,
      f(i, x, grads) {
        inner.push(
          thrown(() => sfo.stateDict()),
          thrown(() => sfo.loadStateDict(saved)),
        );
        return waves(i, x, grads);
      },
    });
    const saved = sfo.stateDict();
    sfo.step();
    for (const text of inner) expect(text).toMatch('TypeError: SFO: this: an optimizer in the middle of a call');
  });
});
