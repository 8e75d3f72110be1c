// What console.log shows of each public object: class, options, counts, params by name and shape, and no big arrays.
import { tmpdir } from 'node:os';
import { inspect } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import * as s from '../../lib/index.js';
import { adam, wrap } from '../../lib/tfjs/index.js';
import { f32 } from '../support/arrays.js';
import type { Any } from '../support/rig.js';
import '@tensorflow/tfjs-backend-cpu';

const shaped = (rows: number, columns: number) => ({ data: new Float32Array(rows * columns), shape: [rows, columns] });

/** An object prints the same by console.log and as a string. */
function shown(object: unknown): string {
  const text = inspect(object);
  expect(text).toBe(String(object));
  return text;
}

test('an optimizer: counts, options of the whole, groups with schedules by name, params by name and shape', () => {
  const params = { 'fc.weight': shaped(2, 3) as Any, 'fc.bias': f32(1, 2, 3) };
  const lr = s.warmup(s.cosine(0.1, { steps: 10 }), { steps: 5 });
  const optimizer = new s.Adam(params, { lr, clipNorm: 1.25, ema: 0.875, skipNonFinite: true });
  for (let i = 0; i < 3; i++) optimizer.step({ 'fc.weight': new Float32Array(6), 'fc.bias': f32(0, 0, 0) });
  optimizer.step({ 'fc.weight': new Float32Array(6), 'fc.bias': f32(0, Number.NaN, 0) });
  expect(shown(optimizer)).toBe(`Adam (
  stepCount: 3
  skippedSteps: 1
  clipNorm: 1.25
  skipNonFinite: true
  ema: 0.875
  group 0:
    lr: warmup(cosine(0.1, { steps: 10, min: 0 }), { steps: 5, from: 0 })
    betas: [0.9, 0.999]
    eps: 1e-8
    amsgrad: false
    biasCorrection: true
    rowWise: false
    rowSteps: false
    weightDecay: 0
    cautious: false
    maximize: false
    params (2, 9 elements):
      fc.weight: [2, 3]
      fc.bias: [3]
)`);
});

test('groups, params without names, the mode, and functions of the user', () => {
  const own = (step: number) => 1 / step;
  const groups = [{ params: [f32(1), f32(1, 2)], lr: own }, { params: f32(1, 2, 3) }] as Any;
  const optimizer = new s.ScheduleFreeSGD(groups, { lr: 0.5 });
  optimizer.eval();
  const text = shown(optimizer);
  expect(text).toContain("\n  mode: 'eval'\n  group 0:\n    lr: function own\n");
  expect(text).toContain('\n    params (2, 3 elements):\n      0: [1]\n      1: [2]\n  group 1:\n    lr: 0.5\n');
  expect(text).toContain('\n    params (1, 3 elements):\n      2: [3]\n)');
});

test('a model of many params shows the first hundred', () => {
  const params = Object.fromEntries(Array.from({ length: 123 }, (_, i) => [`w${i}`, f32(i)]));
  const text = shown(new s.SGD(params, { lr: 1 }));
  expect(text).toContain('    params (123, 123 elements):\n      w0: [1]\n');
  expect(text).toContain('      w99: [1]\n      … more params: 23\n)');
});

test('a schedule: its function and all settings', () => {
  for (const [schedule, text] of [
    [s.constant(0.5), 'constant(0.5)'],
    [
      s.oneCycle(1, { totalSteps: 9 }),
      "oneCycle(1, { totalSteps: 9, pctStart: 0.3, anneal: 'cos', threePhase: false, divFactor: 25, finalDivFactor: 10000 })",
    ],
    [
      s.sequence([s.constant(1), (k) => k], { boundaries: [3] }),
      'sequence([constant(1), a function], { boundaries: [3] })',
    ],
    [
      s.piecewiseConstant(1, { boundaries: Array.from({ length: 20 }, (_, i) => i) }),
      'piecewiseConstant(1, { boundaries: [0, 1, 2, 3, 4, 5, 6, 7, … 12 more], factor: 0.1 })',
    ],
  ] as const)
    expect(shown(schedule)).toBe(text);
});

test('Lookahead: its options and the inner optimizer, which moves to the right', () => {
  const lookahead = new s.Lookahead(new s.SGD({ w: f32(1) }, { lr: 1 }), { k: 7 });
  expect(shown(lookahead)).toContain(
    'Lookahead (\n  k: 7\n  alpha: 0.5\n  optimizer: SGD (\n    stepCount: 0\n    group 0:\n',
  );
  lookahead.dispose();
  expect(inspect(lookahead)).toContain('optimizer: SGD (disposed)\n)');
  expect(() => String(lookahead)).toThrow(/a disposed optimizer/);
});

test('LBFGS', () => {
  const w = { 'layer.w': f32(1, 2) };
  const lbfgs = new s.LBFGS(w, { grads: { 'layer.w': f32(0, 0) }, historySize: 7, lr: s.constant(1) });
  expect(shown(lbfgs)).toBe(`LBFGS (
  stepCount: 0
  lr: constant(1)
  historySize: 7
  lineSearch: 'strong-wolfe'
  maxIterations: 20
  maxEvaluations: 25
  gradTol: 1e-7
  funTol: 1e-9
  stepTol: 1e-9
  params (1, 2 elements):
    layer.w: [2]
)`);
  lbfgs.dispose();
  expect(inspect(lbfgs)).toBe('LBFGS (disposed)');
});

test('HessianFree', () => {
  const w = { 'layer.w': f32(1, 2) };
  const hf = new s.HessianFree(w, { grads: { 'layer.w': f32(0, 0) }, gaussNewton: () => {}, damping: 3 });
  expect(shown(hf)).toBe(`HessianFree (
  stepCount: 0
  damping: 3
  cgDecay: 0.95
  cgTol: 0.0005
  maxCgIterations: 250
  maxIterations: 1
  maxEvaluations: Infinity
  gradTol: 1e-7
  funTol: 1e-9
  stepTol: 1e-9
  params (1, 2 elements):
    layer.w: [2]
)`);
  hf.dispose();
  expect(inspect(hf)).toBe('HessianFree (disposed)');
});

test('SFO', () => {
  const sfo = new s.SFO(f32(1, 2), {
    N: 13,
    seed: 5,
    f: (_i, _x, grad: Any) => {
      grad.fill(1);
      return 1;
    },
  });
  const text = shown(sfo);
  expect(text).toMatch(/^SFO \(\n {2}stepCount: 0\n {2}N: 13\n {2}historySize: 10\n/);
  expect(text).toContain("\n  selection: 'distance'\n");
  expect(text).toContain('\n  seed: 5\n  params (1, 2 elements):\n    0: [2]\n)');
});

test('what stands around a step', async () => {
  const w = { w: f32(1, 2) };
  const sgd = new s.SGD(w, { lr: 0.1 });
  const plateau = new s.ReduceOnPlateau(sgd, { patience: 6 });
  expect(shown(plateau)).toMatch(/^ReduceOnPlateau \(\n {2}numBadEpochs: 0\n {2}cooldownCounter: 0\n {2}mode: 'min'\n/);
  plateau.update(0.5);
  expect(shown(plateau)).toContain('\n  best: 0.5\n');
  expect(shown(plateau)).toContain('\n  patience: 6\n');
  expect(shown(new s.LossScale({ initScale: 8 }))).toBe(
    'LossScale (\n  scale: 8\n  growthFactor: 2\n  backoffFactor: 0.5\n  growthInterval: 2000\n  growthTracker: 0\n)',
  );
  const sum = new s.GradAccumulator(w);
  sum.add({ w: f32(1, 1) });
  expect(shown(sum)).toBe('GradAccumulator (\n  count: 1\n  params (1, 2 elements):\n    w: [2]\n)');
  const average = new s.WeightAverage(w, { decay: 0.5 });
  expect(shown(average)).toBe(
    "WeightAverage (\n  mode: 'ema'\n  decay: 0.5\n  debias: false\n  count: 0\n  params (1, 2 elements):\n    w: [2]\n)",
  );
  const swa = new s.WeightAverage(w, { mode: 'swa' });
  swa.update();
  swa.swap();
  expect(shown(swa)).toContain("WeightAverage (\n  mode: 'swa'\n  count: 1\n  isSwapped: true\n");
  const one = (x: Float32Array) => x;
  expect(shown(new s.Ensemble([one, async (x: Float32Array) => x], { weights: [3, 1] }))).toBe(
    "Ensemble (\n  members: [function one, a function]\n  from: 'probabilities'\n  weights: [3, 1]\n  vote: false\n)",
  );
  expect(shown(new s.CheckpointManager(tmpdir(), { every: 10 }))).toBe(
    `CheckpointManager (\n  directory: '${tmpdir()}'\n  keep: 3\n  every: 10\n)`,
  );
});

test('optimizers of TensorFlow.js', async () => {
  await tf.setBackend('cpu'); // another file of this worker may have registered a faster one
  const wrapped = wrap(s.AdamW, { lr: 0.25 });
  expect(shown(wrapped)).toMatch(/^AdamW \(\n {2}lr: 0\.25\n {2}betas: \[0\.9, 0\.999\]\n {2}eps: 1e-8\n(.+\n)+\)$/);
  tf.variable(tf.zeros([2, 3]), true, 'print.w');
  wrapped.applyGradients({ 'print.w': tf.zeros([2, 3]) });
  expect(shown(wrapped)).toContain('\n      print.w: [2, 3]\n)');
  wrapped.dispose();
  expect(inspect(wrapped)).toBe('AdamW (disposed)');
  expect(shown(adam(0.5))).toMatch(/^AdamOptimizer \(\n/);
});

test('inside of other objects, too', () => {
  const text = inspect({ model: { optimizer: new s.SGD({ w: f32(1) }, { lr: 1 }) } }, { depth: 5 });
  expect(text).toContain('optimizer: SGD (\n');
});

test('a param group shows the values of its options', () => {
  const [group] = new s.SGD(f32(1), { lr: 0.5 }).paramGroups;
  expect(inspect(group)).toMatch(/lr: 0\.5/);
  expect(inspect(group)).not.toMatch(/Getter/);
  expect(Object.keys(group!)).toContain('lr');
});
