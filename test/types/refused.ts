// Compiled, never run: programs that TypeScript must refuse. An unused @ts-expect-error is an error.
import {
  Adam,
  createOptimizer,
  GradAccumulator,
  groupBy,
  HessianFree,
  LARS,
  LBFGS,
  Lookahead,
  minimize,
  ScheduleFreeSGD,
  SFO,
  SGD,
} from '../../lib/index.js';

declare const w: Float32Array, g: Float32Array, f64: Float64Array;
interface Model {
  layers: { weight: Float32Array; bias: Float32Array }[];
  head: Float32Array;
}
declare const model: Model;
const fn = (x: Float32Array, grad: Float32Array): number => x.length + grad.length;
const terms = { N: 3, f: (i: number, x: Float32Array, grad: Float32Array): number => i + x.length + grad.length };

// ---- Params ----

// @ts-expect-error a Float64Array
new Adam(f64);
// @ts-expect-error a Float64Array in a tree
new Adam({ a: { b: f64 } });
// @ts-expect-error numbers
new Adam({ a: [1, 2] });
// @ts-expect-error a Map
new Adam(new Map([['w', w]]));
// @ts-expect-error a string in a tree
new Adam({ w, activation: 'relu' });
// @ts-expect-error a group inside a tree
new Adam({ a: { params: w } });
// @ts-expect-error a shape is a list of numbers
new Adam({ data: w, shape: '2x3' });
// @ts-expect-error undefined
new Adam({ w, b: undefined });
declare const withoutBias: { weight: Float32Array; bias: Float32Array | null };
// @ts-expect-error null
new Adam({ fc: withoutBias });
declare const maybe: { weight: Float32Array; bias?: Float32Array };
// @ts-expect-error a param that may be absent
new Adam({ fc: maybe });

// ---- Gradients and averages ----

// @ts-expect-error b is missing
new Adam({ a: w, b: w }).step({ a: g });
// @ts-expect-error a list for a record
new Adam({ a: w }).step([g]);
// @ts-expect-error a record for a list
new Adam([w]).step({ a: g });
// @ts-expect-error a record for one param
new Adam(w).step({ a: g });
// @ts-expect-error no such param
new Adam({ a: w }).step({ a: g, c: g });
// @ts-expect-error bias is missing
new Adam(model).step({ layers: [{ weight: g }], head: g });
// @ts-expect-error undefined is no gradient
new Adam({ a: w }).step({ a: undefined });
// @ts-expect-error a path that is none
new Adam({ a: [w, { b: w }] }).step({ 'a.0': g, 'a.1.c': null });
// @ts-expect-error b of the second group is missing
new Adam([{ params: { a: w } }, { params: { b: w } }]).step({ a: g });
// @ts-expect-error no such average
new Adam({ a: w }, { ema: 0.9 }).emaParams?.b;
// @ts-expect-error absent without ema
new Adam({ a: w }).emaParams.a;
// @ts-expect-error no such average
new ScheduleFreeSGD([w]).averagedParams[1];
// @ts-expect-error another structure
new Lookahead(new Adam({ a: w })).step([g]);
// @ts-expect-error another structure
new GradAccumulator({ a: w }).add([g]);

// ---- Options ----

// @ts-expect-error lr has no default
new SGD(w, { momentum: 0.9 });
// @ts-expect-error nor without options
new SGD(w);
// @ts-expect-error one group lacks lr
new SGD([{ params: w, lr: 0.1 }, { params: w }]);
// @ts-expect-error lr has no default
new LARS(w);
// @ts-expect-error an option of another class in a group
new Adam([{ params: w, momentum: 0.9 }]);
// @ts-expect-error an option of the optimizer alone in a group
new Adam([{ params: w, clipNorm: 1 }]);
// @ts-expect-error an option of another class in an added group
new Adam({ w }).addParamGroup({ params: { b: w }, momentum: 0.9 });
// @ts-expect-error a Float64Array in an added group
new Adam({ w }).addParamGroup({ params: { b: f64 } });
// @ts-expect-error weightDecay is an option of the param groups
new Adam(w).weightDecay = 0.1;
// @ts-expect-error clipNorm is an option of the constructor
new Adam(w).clipNorm = 1;
// @ts-expect-error momentum is an option of the inner optimizer's param groups
new Lookahead(new SGD(w, { lr: 1 })).momentum = 0.9;
// @ts-expect-error no such class
createOptimizer('adamm', w);
// @ts-expect-error an option of another class
createOptimizer('adam', w, { momentum: 0.9 });
// @ts-expect-error lr has no default
createOptimizer('sgd', w);
// @ts-expect-error nor with other options
createOptimizer('SGD', w, { momentum: 0.9 });
// @ts-expect-error a Float64Array
createOptimizer('adam', f64);
// @ts-expect-error a Float64Array
groupBy({ w: f64 }, () => undefined);

// ---- Second order ----

// @ts-expect-error gradients of another structure
new LBFGS({ a: w }, { grads: [g] });
// @ts-expect-error null is nothing to fill
new LBFGS({ a: { b: w } }, { grads: { a: null } });
// @ts-expect-error null is nothing to fill
new LBFGS({ a: w }, { grads: { a: null } });
// @ts-expect-error null is nothing to fill
new HessianFree({ a: w }, { grads: { a: null }, gaussNewton() {} });
// @ts-expect-error groups
new SFO([{ params: w }], { N: 2, f: () => 1 });
// @ts-expect-error historySize is L-BFGS's
minimize(fn, w, { method: 'adam', lr: 0.1, historySize: 5 });
// @ts-expect-error lr has no default
minimize(fn, w, { method: 'sgd' });
// @ts-expect-error lr is a first-order method's
minimize(fn, w, { method: 'lbfgs', lr: 0.1 });
// @ts-expect-error momentum is not Adam's
minimize(terms, w, { method: 'adam', momentum: 0.9 });
// @ts-expect-error sfo works on terms
minimize(fn, w, { method: 'sfo' });
// @ts-expect-error one function has no passes
minimize(fn, w, { method: 'adam', passes: 3 });
// @ts-expect-error betas are not SFO's
minimize(terms, w, { method: 'sfo', betas: [0.9, 0.99] });
