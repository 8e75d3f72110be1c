// Compiled, never run: what TypeScript must accept, and what it must refuse (an unused @ts-expect-error is an error).
import {
  ADOPT,
  AdaBelief,
  Adadelta,
  Adafactor,
  Adagrad,
  AdagradDA,
  Adam,
  Adamax,
  AdamaxW,
  AdamW,
  Adan,
  AdEMAMix,
  ASGD,
  COCOB,
  cosine,
  createOptimizer,
  Fromage,
  FTRL,
  type Grads,
  Lion,
  Lookahead,
  MADGRAD,
  MARS,
  Momo,
  MomoAdam,
  Muon,
  NAdam,
  OptimisticAdam,
  OptimisticGradientDescent,
  type Optimizer,
  optimizers,
  type Param,
  PolyakSGD,
  ProximalAdagrad,
  RAdam,
  ReduceOnPlateau,
  RMSprop,
  Rprop,
  type Schedule,
  ScheduleFreeAdamW,
  ScheduleFreeSGD,
  SGD,
  Shampoo,
  SignSGD,
  Signum,
  SimplifiedAdEMAMix,
  SOAP,
  Sophia,
  type StateDict,
  type StepResult,
  Yogi,
} from '../../lib/index.js';

declare const w: Float32Array;
declare const f64: Float64Array;
const schedule: Schedule = (step) => 1 / step;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

// ---- params ----

const shaped: Param = { data: w, shape: [2, 3] };
new Adam(w);
new Adam(shaped);
new Adam([w, shaped]);
new Adam({ 'fc.weight': shaped, 'fc.bias': w });
new Adam([
  { params: w },
  { params: [w, shaped], lr: 0.1, betas: [0.9, schedule] },
  { params: { w }, lr: schedule, maximize: true, clipValue: 1 },
]);
new Adam([w] as const, { betas: [0.9, 0.99] as const });
// @ts-expect-error a Float64Array
new Adam(f64);
// @ts-expect-error a list of numbers
new Adam([1, 2, 3]);
new Adam({ data: w, shape: [1, 2, 3] });
// @ts-expect-error an option of another class in a group
new Adam([{ params: w, momentum: 0.9 }]);
// @ts-expect-error an option of the optimizer alone in a group
new Adam([{ params: w, clipNorm: 1 }]);

// ---- Options of each class ----

new SGD(w, {
  lr: 0.1,
  momentum: schedule,
  nesterov: true,
  momentumForm: 'buffer',
  dampening: 0,
  weightDecay: schedule,
});
new Adagrad(w, { lr: schedule, eps: 1e-10, lrDecay: schedule, initialAccumulatorValue: 0.1 });
new RMSprop(w, { alpha: schedule, momentum: 0.9, centered: true });
new Adam(w, {
  lr: cosine(1e-3, { steps: 100 }),
  betas: [schedule, 0.999],
  eps: 1e-8,
  amsgrad: true,
  biasCorrection: false,
});
new AdamW(w, {
  weightDecay: 0.1,
  clipNorm: schedule,
  clipValue: 1,
  skipNonFinite: true,
  zeroGrads: true,
  ema: 0.999,
  gradNorm: true,
  maximize: true,
});
new Adadelta(w, { lr: schedule, rho: schedule, eps: 1e-6, weightDecay: 0.1 });
new Adamax(w, { betas: [schedule, 0.999], eps: schedule });
new NAdam(w, { momentumDecay: schedule, weightDecay: 0.1, decoupledWeightDecay: true });
new RAdam(w, { betas: [0.9, 0.99], decoupledWeightDecay: false });
new Lion(w, { lr: 1e-4, betas: [0.9, schedule], weightDecay: schedule });
new AdEMAMix(w, { betas: [0.9, 0.999, schedule], alpha: schedule, alphaSteps: 1000, beta3Steps: 1000 });
new AdaBelief(w, { betas: [schedule, 0.999], eps: schedule, rectify: true, weightDecay: schedule });
new Yogi(w, { lr: schedule, eps: 1e-3, initialAccumulatorValue: 1e-6 });
// @ts-expect-error an initial value is no Schedule
new Yogi(w, { initialAccumulatorValue: schedule });
new ADOPT(w, { betas: [0.9, schedule], useClipping: false, weightDecay: 0.1, decoupledWeightDecay: true });
new Adan(w, { betas: [0.98, 0.92, schedule], noProx: true, weightDecay: schedule });
new SignSGD(w, { momentum: schedule, weightDecay: 0.1 });
new Signum(w, { momentum: 0.95 });
new AdamaxW(w, { betas: [schedule, 0.999], weightDecay: schedule });
new ProximalAdagrad(w, { lr: schedule, l1: schedule, eps: 0 });
new AdagradDA(w, { lr: schedule, l1: schedule, eps: 0 });
new OptimisticGradientDescent(w, { lr: schedule, alpha: schedule, beta: schedule });
new OptimisticAdam(w, { betas: [0.5, 0.9], alpha: schedule, beta: 1, nesterov: true });
new SimplifiedAdEMAMix(w, { alpha: schedule, betas: [schedule, 0.95] });
new COCOB(w, { lr: schedule, alpha: schedule, eps: 1e-8, weightDecay: 0.1 });
new MADGRAD(w, { momentum: schedule, eps: schedule, decoupledWeightDecay: true });
const sophia = new Sophia({ w }, { gamma: schedule, betas: [0.965, schedule] });
sophia.step({ w }, { hessian: { w }, gradScale: 0.5 });
sophia.step({ w }, { hessian: { w: null } });
createOptimizer('sophia', { w }).step({ w }, { hessian: { w } });
// @ts-expect-error an estimate for each param
sophia.step({ w }, { hessian: {} });
// @ts-expect-error only Sophia has it
new Adam(w).step(w, { hessian: w });
new Fromage(w, { lr: schedule, pBound: schedule });
// @ts-expect-error it has no decay
new Fromage(w, { weightDecay: 0.1 });
new MARS(w, { betas: [0.95, schedule], gamma: schedule, marsType: 'lion', weightDecay: schedule });
// @ts-expect-error 'adamw' or 'lion'
new MARS(w, { marsType: 'shampoo' });
const polyak = new PolyakSGD(
  { w },
  { lr: schedule, maxLr: schedule, fMin: schedule, variant: 'sps+', weightDecay: 0.1 },
);
polyak.step({ w }, { loss: 1, gradScale: 0.5 });
polyak.stepAsync({ w }, { loss: 1, signal: new AbortController().signal });
same<typeof polyak.stepSize, number>(true);
new Momo(w, { beta: schedule, lowerBound: schedule }).step(w, { loss: 1 });
new MomoAdam(w, { betas: [schedule, 0.9], lowerBound: -1 }).step(w, { loss: 1 });
createOptimizer('momo', { w }).step({ w }, { loss: 1 });
new Lookahead(new Momo({ w })).step({ w }, { loss: 1 });
// @ts-expect-error the loss is needed
polyak.step({ w });
// @ts-expect-error the loss is needed
polyak.step({ w }, { gradScale: 0.5 });
// @ts-expect-error the loss is needed
polyak.stepAsync({ w }, {});
// @ts-expect-error the loss is needed
createOptimizer('momo', { w }).step({ w });
// @ts-expect-error a number
new MomoAdam(w).step(w, { loss: w });
// @ts-expect-error Adam takes none
new Adam(w).step(w, { loss: 1 });
// @ts-expect-error a variant that is none
new PolyakSGD(w, { variant: 'sps-' });
new Rprop(w, { etas: [0.5, schedule], stepSizes: [1e-6, 50] });
new FTRL(w, { lr: schedule, beta: 1, initialAccumulatorValue: 0.1, l1: schedule, l2: schedule });
new Adafactor(
  { data: w, shape: [1, 3] },
  { beta1: schedule, clipThreshold: schedule, relativeStep: true, warmupInit: true },
);
new Adafactor(w, {
  lr: schedule,
  scaleParameter: false,
  eps1: 1e-30,
  eps2: schedule,
  decayRate: -0.8,
  weightDecay: 0.1,
});
// @ts-expect-error a pair of eps has two names
new Adafactor(w, { eps: [1e-30, 1e-3] });
const muon = new Muon({ a: { data: w, shape: [1, 3] }, b: w }, { nsCoefficients: [[1, 2, 3]], adamLr: schedule });
same<ReturnType<typeof muon.methodOf>, 'muon' | 'adamw'>(true);
new Shampoo({ a: { data: w, shape: [1, 3] }, b: w }, { grafting: 'adam', betas: [schedule, 0.99], lr: schedule });
// @ts-expect-error no such grafting
new Shampoo(w, { grafting: 'adamw' });
// @ts-expect-error a fixed option takes no schedule
new Shampoo(w, { preconditionFrequency: schedule });
new SOAP(w, { shampooBeta: schedule, normalizeGrads: true, preconditionFrequency: 5 });
// @ts-expect-error a number, not a string
new SOAP(w, { maxPreconditionerDim: '100' });
new Muon(w, { nsCoefficients: [schedule, -4.775, 2], nsSteps: 3, outputs: 'columns' });
// @ts-expect-error a triple has three numbers
new Muon(w, { nsCoefficients: [[1, 2]] });
// @ts-expect-error no Schedule in a list of triples
new Muon(w, { nsCoefficients: [[1, 2, schedule]] });
new ASGD(w, { lambd: schedule, alpha: 0.75, t0: 1e6 });
new ScheduleFreeSGD(w, { momentum: schedule, warmupSteps: 100, r: 0, weightLrPower: 2 });
const free = new ScheduleFreeAdamW({ w }, { betas: [schedule, 0.999], warmupSteps: 100, weightDecay: 0.1 });
free.eval();
free.train();
free.step({ w });
// @ts-expect-error a number of steps is no Schedule
new ScheduleFreeSGD(w, { warmupSteps: schedule });
// @ts-expect-error read-only
free.averagedParams = w;
// @ts-expect-error of three
new AdEMAMix(w, { betas: [0.9, 0.999] });
// @ts-expect-error a number of steps is no Schedule
new AdEMAMix(w, { alphaSteps: schedule });
// @ts-expect-error it has no decay
new Rprop(w, { weightDecay: 0.1 });
// @ts-expect-error it has l1 and l2
new FTRL(w, { weightDecay: 0.1 });
// @ts-expect-error decoupled it is always
new Lion(w, { decoupledWeightDecay: true });
new Adam(w, { lr: undefined, betas: undefined, clipNorm: undefined });
// @ts-expect-error misspelt
new Adam(w, { learningRate: 0.1 });
// @ts-expect-error another class's
new Adam(w, { momentum: 0.9 });
// @ts-expect-error a string
new Adam(w, { lr: '0.1' });
// @ts-expect-error null
new Adam(w, { lr: null });
// @ts-expect-error a pair
new Adam(w, { betas: 0.9 });
// @ts-expect-error of two
new Adam(w, { betas: [0.9] });
// @ts-expect-error a flag is no Schedule
new Adam(w, { amsgrad: () => true });
// @ts-expect-error a Schedule returns a number
new Adam(w, { lr: () => '0.1' });
// @ts-expect-error it shapes the state: no Schedule
new Adagrad(w, { initialAccumulatorValue: schedule });
// @ts-expect-error a choice
new SGD(w, { lr: 0.1, momentumForm: 'keras' });

// ---- Steps ----

const adam = new Adam({ w });
const grads: Grads[] = [w, null, [w, null], { w, b: null }, { rows: new Int32Array(1), values: w }];
const result: StepResult = adam.step({ w }, { gradScale: 1 / 1024 });
adam.step({ w }, { gradScale: undefined });
same<StepResult['applied'], boolean>(true);
// @ts-expect-error it may be absent
const norm: number = result.gradNorm;
// @ts-expect-error undefined is no gradient
adam.step(undefined);
// @ts-expect-error a Float64Array
adam.step(f64);
// @ts-expect-error misspelt
adam.step({ w }, { gradscale: 1 });
// @ts-expect-error read-only
result.applied = false;

// ---- Members ----

const group = adam.paramGroups[0]!;
group.lr = 0.1;
group.lr = schedule;
group.betas = [0.9, schedule];
same<typeof group.amsgrad, boolean>(true);
same<(typeof adam.paramGroups)[number]['lr'], number | Schedule>(true);
same<typeof adam.stepCount, number>(true);
adam.lr = schedule;
adam.addParamGroup({ params: { b: w }, betas: [0.5, 0.6] });
const dict: StateDict = adam.stateDict();
adam.loadStateDict(structuredClone(dict));
adam[Symbol.dispose]();
// @ts-expect-error read-only
adam.stepCount = 1;
// @ts-expect-error read-only
adam.paramGroups = [];
// @ts-expect-error the elements of a pair are set together
group.betas[0] = 0.5;
// @ts-expect-error not Adam's
group.momentum = 0.5;
// @ts-expect-error a group is an object with params
adam.addParamGroup(w);
// @ts-expect-error not Adam's
adam.addParamGroup({ params: w, nesterov: true });
// @ts-expect-error the hooks of a class are its own
adam.constants;

// ---- By name ----

const any: Optimizer = createOptimizer('adam', [{ params: w, lr: 0.1 }], { lr: 1e-3 });
any.addParamGroup({ params: w, lr: 0.1 });
any.paramGroups[0]!.lr = schedule;
new ReduceOnPlateau(any);
same<Adafactor['paramGroups'][number]['lr'], number | Schedule | undefined>(true);
same<Adafactor['lr'], number>(true);
const known: Optimizer[] = [adam, new SGD(w, { lr: 0.1 }), new Adagrad(w), new RMSprop(w), new AdamW(w)];
const named: Adam = new optimizers.adam(w, { betas: [0.9, 0.99] });
// @ts-expect-error not Adam's
new optimizers.adam(w, { momentum: 0.9 });
for (const Class of Object.values(optimizers)) same<typeof Class.optimizerName, string>(true);
// @ts-expect-error read-only
optimizers.adam = Adam;
// @ts-expect-error read-only
Adam.defaults.lr = 1;
same<typeof Adam.optimizerName, string>(true);

export { any, grads, known, named, norm };
