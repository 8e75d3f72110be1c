// Compiled by `npm run typecheck`, never run: what TypeScript must accept, and what it must refuse.
import {
  type AsyncObjective,
  checkGradient,
  cosine,
  gaussNewtonProduct,
  HessianFree,
  type HessianFreeStateDict,
  LBFGS,
  type MinimizeReason,
  type MinimizeResult,
  minimize,
  minimizeAsync,
  SFO,
  type SFOStateDict,
  type StateDict,
} from '../../lib/index.js';

declare const w: Float32Array;
declare const f64: Float64Array;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

// ---- LBFGS ----

const lbfgs = new LBFGS(
  { 'fc.weight': w },
  { grads: { 'fc.weight': w }, lr: cosine(1, { steps: 10 }), historySize: 5 },
);
new LBFGS([w, { data: w, shape: [1, 2] }], { grads: [w, w], lineSearch: 'none', maxEvaluations: 10 });
// @ts-expect-error no gradients
new LBFGS(w);
// @ts-expect-error no gradients
new LBFGS(w, { lr: 1 });
// @ts-expect-error groups
new LBFGS([{ params: w }], { grads: w });
// @ts-expect-error a misspelt option
new LBFGS(w, { grads: w, histroySize: 5 });
// @ts-expect-error no such line search
new LBFGS(w, { grads: w, lineSearch: 'wolfe' });
// @ts-expect-error an async closure
lbfgs.step(async () => 1);
const { applied, loss, gradNorm, evaluations } = lbfgs.step(() => 1);
same<[typeof applied, typeof loss, typeof gradNorm, typeof evaluations], [boolean, number, number, number]>(true);
const dict: StateDict = lbfgs.stateDict();
lbfgs.loadStateDict(dict);
lbfgs.lr = (step) => 1 / step;

// ---- minimize ----

const found = minimize((x, grad) => {
  same<typeof x, Float64Array>(true);
  grad[0] = x[0] ?? 0;
  return 1;
}, f64);
same<typeof found.x, Float64Array>(true);
same<typeof found.reason, MinimizeReason>(true);
same<Float32Array, ReturnType<typeof minimize<Float32Array>>['x']>(true);

minimize(() => 1, w, { method: 'lbfgs', gradTol: 0, callback: ({ x }) => x[0] === 1 });
minimize(() => 1, w, { callback() {}, signal: AbortSignal.abort() });
minimize({ N: 3, f: (i, x, grad) => i + x.length + grad.length }, w, { passes: 3, onPass: (x) => void x.length });
minimize({ N: 3, f: () => 1 }, w, { method: 'adam', lr: 0.1, betas: [0.9, 0.99], seed: 1 });
minimize(() => 1, w, { method: 'sgd', lr: cosine(1, { steps: 10 }) });
// @ts-expect-error no such method
minimize(() => 1, w, { method: 'adamm' });
// @ts-expect-error an option of another type
minimize(() => 1, w, { method: 'lbfgs', gradTol: '1' });
// @ts-expect-error a misspelt option
minimize(() => 1, w, { method: 'lbfgs', gradtol: 1 });
// @ts-expect-error an async function
minimize(async () => 1, w);
// @ts-expect-error a list of numbers
minimize(() => 1, [1, 2]);
// @ts-expect-error N is missing
minimize({ f: () => 1 }, w);

// ---- SFO ----

const sfo = new SFO(
  { 'fc.weight': w, bias: { data: w, shape: [1, 2] } },
  {
    N: 30,
    f(i, params, grads) {
      same<[typeof i, (typeof grads)['fc.weight']], [number, Float32Array]>(true);
      grads.bias[0] = params.bias.data[0] ?? 0;
      return 1;
    },
  },
);
same<ReturnType<typeof sfo.step>['value'], number>(true);
new SFO([w, w], { N: 2, f: (_i, params, grads) => params.length + grads.length, hessianUpdate: 'rank1', seed: 1 });
new SFO(w, { N: 2, f: (_i, params, grads) => params.length + grads.length });
minimize({ N: 3, f: () => 1 }, f64, { method: 'sfo', passes: 2, selection: 'cyclic', onPass: (x) => void x.length });
// @ts-expect-error N is missing
new SFO(w, { f: () => 1 });
// @ts-expect-error an async function
new SFO(w, { N: 2, f: async () => 1 });
// @ts-expect-error no such selection
new SFO(w, { N: 2, f: () => 1, selection: 'far' });
// @ts-expect-error groups
new SFO([{ params: w }], { N: 2, f: () => 1 });

// ---- Hessian-free ----

const hf = new HessianFree(
  { 'fc.weight': w, bias: { data: w, shape: [1, 2] } },
  {
    grads: { 'fc.weight': w, bias: w },
    gaussNewton(params, v, out) {
      same<[(typeof v)['bias'], (typeof out)['fc.weight']], [Float32Array, Float32Array]>(true);
      out.bias[0] = params.bias.data[0] ?? 0;
    },
    squaredGradients: (_params, out) => void out.bias.fill(0),
    damping: 2,
  },
);
const { rho, cgIterations, damping } = hf.step(() => 1);
same<[typeof rho, typeof cgIterations, typeof damping], [number, number, number]>(true);
const savedHessianFree: HessianFreeStateDict = hf.stateDict();
hf.loadStateDict(savedHessianFree);
hf.damping = 1;
// @ts-expect-error no product
new HessianFree(w, { grads: w });
// @ts-expect-error no gradients
new HessianFree(w, { gaussNewton: () => {} });
// @ts-expect-error groups
new HessianFree([{ params: w }], { grads: w, gaussNewton: () => {} });
// @ts-expect-error it has no lr
new HessianFree(w, { grads: w, gaussNewton: () => {}, lr: 1 });
// @ts-expect-error an async closure
hf.step(async () => 1);
minimize(() => 1, f64, {
  method: 'hessian-free',
  gaussNewton(x, v, out) {
    same<[typeof x, typeof v, typeof out], [Float64Array, Float64Array, Float64Array]>(true);
  },
  callback: ({ x, damping, cgIterations, rho }) => x[0] === damping + cgIterations + rho,
});
minimize({ N: 3, f: () => 1 }, w, { method: 'hessian-free', gaussNewton: () => {}, passes: 3, onPass() {} });
minimizeAsync(async () => 1, w, { method: 'hessian-free', async gaussNewton() {}, async callback() {} });
// @ts-expect-error no product
minimize(() => 1, w, { method: 'hessian-free' });
// @ts-expect-error an option of L-BFGS
minimize(() => 1, w, { method: 'hessian-free', gaussNewton: () => {}, historySize: 5 });
// @ts-expect-error one function has no passes
minimize(() => 1, w, { method: 'hessian-free', gaussNewton: () => {}, passes: 5 });
// @ts-expect-error an option of Hessian-free
minimize(() => 1, w, { damping: 1 });
// @ts-expect-error only that method reports rho
minimize(() => 1, w, { callback: ({ rho }) => rho === 1 });
const productOf = { outputs: 1, jvp: (_x: Float64Array, _v: Float64Array, _jv: Float64Array) => {}, vjp: () => {} };
minimize(() => 1, f64, { method: 'hessian-free', gaussNewton: gaussNewtonProduct(productOf) });
// @ts-expect-error no vjp
gaussNewtonProduct({ outputs: 1, jvp() {} });

// ---- maxTime, minimizeAsync, checkGradient, the state of SFO ----

minimize(() => 1, w, { maxTime: 1000 });
minimize(() => 1, w, { method: 'adam', lr: 0.1, maxTime: Number.POSITIVE_INFINITY });
// @ts-expect-error not a number
minimize(() => 1, w, { maxTime: '1 s' });
// @ts-expect-error only minimizeAsync awaits
minimize(async () => 1, w);
const later = minimizeAsync(async (x, grad) => {
  same<typeof grad, Float64Array>(true);
  return x[0] ?? 0;
}, f64);
same<typeof later, Promise<MinimizeResult<Float64Array>>>(true);
minimizeAsync({ N: 2, f: () => 1 }, w, { method: 'sfo', signal: AbortSignal.abort(), callback: ({ x }) => x[0] === 1 });
minimizeAsync({ N: 3, f: async (i, x, grad) => i + x.length + grad.length }, w, { method: 'adam', passes: 3 });
minimizeAsync(() => 1, w, { async callback() {}, maxTime: 1 });
minimizeAsync(() => 1, w, { method: 'adam', callback: async ({ x }) => x[0] === 1 });
minimizeAsync({ N: 3, f: () => 1 }, w, { method: 'sfo', onPass: async (x) => void x.length });
// @ts-expect-error minimize does not await its callback
minimize(() => 1, w, { callback: async () => true });
const asyncObjective: AsyncObjective<Float32Array> = (x) => Promise.resolve(x.length);
minimizeAsync(asyncObjective, w);
// @ts-expect-error a promise of a string
minimizeAsync(async () => '1', w);
const { maxRelativeError, index, analytic, numeric } = checkGradient(() => 1, w, { samples: 10, seed: 1 });
same<[typeof maxRelativeError, typeof index, typeof analytic, typeof numeric], [number, number, number, number]>(true);
checkGradient({ N: 3, f: (i, x, grad) => i + x.length + grad.length }, f64);
// @ts-expect-error a misspelt option
checkGradient(() => 1, w, { sample: 10 });
const saved: SFOStateDict = new SFO(w, { N: 3, f: () => 1 }).stateDict();
new SFO(w, { N: 3, f: () => 1 }).loadStateDict(saved);
