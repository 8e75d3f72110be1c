// Compiled, never run: programs that TypeScript must accept.
import {
  Adam,
  type AdamOptions,
  createOptimizer,
  GradAccumulator,
  type Grads,
  groupBy,
  HessianFree,
  LARS,
  LBFGS,
  Lookahead,
  minimize,
  minimizeAsync,
  type Optimizer,
  type ParamTree,
  ScheduleFreeAdamW,
  SFO,
  SGD,
  WeightAverage,
} from '../../lib/index.js';
import { adamW, adam as tfAdam, wrap } from '../../lib/tfjs/index.js';

declare const w: Float32Array, g: Float32Array, f64: Float64Array;
declare const name: string, tree: ParamTree, grads: Grads;

interface Layer {
  weight: Float32Array;
  bias: { data: Float32Array; shape: number[] };
}
interface Model {
  layers: Layer[];
  head: Float32Array;
}
declare const model: Model;
const layer = { weight: g, bias: null };

// Gradients and averages have the structure of the params.
const adam = new Adam(model, { ema: 0.9 });
adam.step({ layers: [layer, layer], head: { rows: Int32Array.of(0), values: g } });
adam.step({ layers: [layer, null], head: g });
adam.step({ layers: null, head: g });
adam.step({ head: g, 'layers.0.weight': g, 'layers.0.bias': null });
export const ema: Float32Array | undefined = adam.emaParams?.layers[0]?.weight;
export const averaged: Float32Array = new ScheduleFreeAdamW({ a: [w, { b: w }] }).averagedParams.a[1].b;
new Adam(w).step(g);
new Adam([w, w]).step([g, null]);
const list: Float32Array[] = [g, g];
new Adam([w, w]).step(list);
new Adam(list).step([g]);
new Adam({ a: [w, { b: w }] }).step({ a: [g, { b: null }] });
new Adam({ a: [w, { b: w }] }).step({ 'a.0': g, 'a.1.b': null });
new Adam([{ params: { a: w }, lr: 0.1 }, { params: { b: w } }]).step({ a: g, b: g });
new Adam([{ params: [w] }, { params: w, betas: [0.5, 0.9] }]).step([g, g]);

// A type that is not known is checked at run time.
new Adam(tree).step(grads);
// biome-ignore lint/suspicious/noExplicitAny: what JSON.parse and deserialize return
const loaded: any = JSON.parse('{}');
new Adam({ w: loaded.w, b: [tree] }).step({ w: g, b: [g] });
const open: Adam = new Adam({ w });
open.addParamGroup({ params: { layer: model } });
open.step({ w: g, layer: null });

// Interfaces and variables as they are; shapes of any rank.
const shape = [2, 3];
const betas: [number, number] = [0.9, 0.99];
const options: AdamOptions = { betas, lr: (step) => 1 / step };
new Adam({ data: w, shape }, options);
new Adam([{ data: w, shape: [2, 3, 4] }, w], { betas });
new Adam([{ params: model, betas }]);

// A layer may be an instance of a class, with methods.
class Linear {
  readonly weight = new Float32Array(4);
  readonly bias = new Float32Array(2);
  readonly activate = (x: Float32Array): Float32Array => x;
  forward(x: Float32Array): Float32Array {
    return x;
  }
}
const network = { fc1: new Linear(), fc2: [new Linear()] as const };
const linear = { weight: g, bias: null };
const trained = new Adam(network, { ema: 0.9 });
trained.step({ fc1: linear, fc2: [linear] });
trained.step({ 'fc1.weight': g, 'fc1.bias': g, 'fc2.0.weight': g, 'fc2.0.bias': null });
export const averagedLinear: { readonly weight: Float32Array; readonly bias: Float32Array } | undefined =
  trained.emaParams?.fc1;

// Groups in a variable, whose records TypeScript gives each other's keys.
const inGroups = [{ params: { fc1: network.fc1 }, lr: 1e-4 }, { params: { fc2: network.fc2 } }];
new Adam(inGroups).step({ fc1: linear, fc2: [linear] });

// lr, where it has no default, from the options or from every group.
new SGD(w, { lr: 0.1, momentum: 0.9 });
new SGD([
  { params: w, lr: 0.1 },
  { params: [w], lr: () => 0.1 },
]);
new LARS(w, { lr: 0.1 });

// By name, in any case.
createOptimizer('Adam', model, { betas: [0.9, 0.99] }).step(grads);
createOptimizer('sgd', w, { lr: 0.1 });
createOptimizer(name, w, { anything: 1 }).step(g);

// Lookahead is an Optimizer.
const lookahead: Optimizer = new Lookahead(new Adam({ a: w }), { k: 5 });
lookahead.lr = () => 0.1;
lookahead.step({ a: g });
new Lookahead(new Adam({ a: w })).step({ a: g });
export const all: Optimizer[] = [adam, lookahead, new SGD(w, { lr: 1 }), new Lookahead(lookahead)];
export const exact: Optimizer<{ a: Float32Array }> = new Adam({ a: w });
{
  using one = new Adam(w);
  one.step(g);
}

// Around the step.
const groups = groupBy(model, (path, param) => (path.endsWith('bias') && param ? { weightDecay: 0 } : undefined));
new Adam(groups).step({ layers: [layer], head: g });
const sum = new GradAccumulator(model);
sum.add({ layers: [layer], head: g });
adam.step(sum.grads);
const average = new WeightAverage(model, { decay: 0.9 });
average.update();
const headOfAverage: Float32Array = average.averagedParams.head;
const inOrder: readonly Float32Array[] = average.params;
headOfAverage.set(inOrder[0] as Float32Array);

// Second order.
new LBFGS(model, { grads: { layers: [{ weight: g, bias: g }], head: g } });
new LBFGS({ a: [w] }, { grads: { 'a.0': g } });
new HessianFree(model, {
  grads: { layers: [{ weight: g, bias: g }], head: g },
  gaussNewton: (_, v, out) => out.head.set(v.head),
});
new SFO(model, { N: 2, f: (_, { layers }, out) => (out.layers[0]?.weight.length ?? 0) + layers.length });
const fn = (x: Float32Array, grad: Float32Array): number => x.length + grad.length;
const terms = { N: 3, f: (i: number, x: Float32Array, grad: Float32Array): number => i + x.length + grad.length };
minimize(fn, w);
minimize(fn, w, { historySize: 5, gradTol: 1e-6 });
minimize(fn, w, { method: 'adam', lr: 0.1, betas: [0.9, 0.99] });
minimize(fn, w, { method: 'sgd', lr: () => 0.1 });
minimize(terms, w, { method: 'sfo', passes: 2, selection: 'cyclic' });
minimize(terms, w, { method: 'adam', seed: 1, passes: 2 });
minimize((x, grad) => x[0]! + grad[0]!, f64);
minimizeAsync(async (x) => x[0] ?? 0, f64, { maxTime: 10 });

// In TensorFlow.js, averages have the names of variables.
const wrapped = wrap(ScheduleFreeAdamW, { ema: 0.9 }).optimizer;
export const averageOf: Float32Array | undefined = wrapped.emaParams?.[name];
export const averages: Readonly<Record<string, Float32Array>> = wrapped.averagedParams;
export const ofAdam: Float32Array | undefined = tfAdam(0.1, 0.9, 0.999, null, { ema: 0.9 }).optimizer.emaParams?.[name];
export const ofAdamW: Readonly<Record<string, Float32Array>> | undefined = adamW(0.1).optimizer.emaParams;
export const inner: Optimizer = wrapped;
