// Options by the names of other libraries: the error names the one that is meant, wherever options are taken.
import { expect, test } from 'vitest';
import { synonyms } from '../../../lib/check/synonyms.js';
import { optionNamesOf } from '../../../lib/core/declaration.js';
import { DataParallel, init, shardBatches } from '../../../lib/distributed/index.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import * as s from '../../../lib/index.js';
import { adam, wrap } from '../../../lib/tfjs/index.js';
import { f32 } from '../../support/arrays.js';
import { thrown } from '../../support/bad-input.js';
import { type Any, classes, titled } from '../../support/rig.js';

const a: Any = s;
const w = () => f32(1);
const bowl = (x: Float32Array, grad: Float32Array) => {
  grad[0] = 2 * x[0]!;
  return x[0]! ** 2;
};
const terms = { N: 1, f: (_: number, x: Float32Array, grad: Float32Array) => bowl(x, grad) };
const world = new OwnWorld(new SingleTransport(), 1);
const sgd = () => new s.SGD(w(), { lr: 1 });

/** A call that takes options, and option names of other libraries with ours. */
const callees: [name: string, call: (options: Any) => unknown, pairs: Record<string, string>][] = [
  // PyTorch, Keras, TensorFlow.js, optax
  [
    'Adam',
    (o) => new s.Adam(w(), o),
    {
      learning_rate: 'lr',
      learningRate: 'lr',
      LearningRate: 'lr',
      epsilon: 'eps',
      eps_root: 'eps',
      beta1: 'betas[0]',
      beta_1: 'betas[0]',
      beta2: 'betas[1]',
      beta_2: 'betas[1]',
      b1: 'betas[0]',
      b2: 'betas[1]',
      weight_decay: 'weightDecay',
      clipnorm: 'clipNorm',
      global_clipnorm: 'clipNorm',
      max_grad_norm: 'clipNorm',
      clipvalue: 'clipValue',
      use_ema: 'ema',
      ema_momentum: 'ema',
      zero_grads: 'zeroGrads',
    },
  ],
  ['a group', (o) => new s.Adam([{ params: w(), ...o }]), { learning_rate: 'lr', weight_decay: 'weightDecay' }],
  [
    'addParamGroup',
    (o) => new s.Adam([w()]).addParamGroup({ params: [w()], ...o }),
    { epsilon: 'eps', b2: 'betas[1]' },
  ],
  ['createOptimizer', (o) => s.createOptimizer('adamw', w(), o), { weight_decay: 'weightDecay' }],
  ['step', (o) => sgd().step(w(), o), { grad_scale: 'gradScale' }],
  ['RMSprop', (o) => new s.RMSprop(w(), o), { rho: 'alpha', decay: 'alpha', epsilon: 'eps' }],
  ['SGD', (o) => new s.SGD(w(), { lr: 1, ...o }), { use_nesterov: 'nesterov', mu: 'momentum' }],
  [
    'Adagrad',
    (o) => new s.Adagrad(w(), o),
    { lr_decay: 'lrDecay', initial_accumulator_value: 'initialAccumulatorValue' },
  ],
  ['AdEMAMix', (o) => new s.AdEMAMix(w(), o), { b3: 'betas[2]', beta3: 'betas[2]' }],
  ['FTRL', (o) => new s.FTRL(w(), o), { l1_regularization_strength: 'l1', l2_regularization_strength: 'l2' }],
  ['wrap', (o) => wrap(s.Adam, o), { learningRate: 'lr', epsilon: 'eps' }],
  ['tfjs adam', (o) => adam(0.1, 0.9, 0.999, 1e-7, o), { clip_norm: 'clipNorm' }],
  ['Lookahead', (o) => new s.Lookahead(sgd(), o), { sync_period: 'k', slow_step_size: 'alpha' }],
  // SciPy, PyTorch
  [
    'minimize',
    (o) => a.minimize(bowl, w(), o),
    {
      maxiter: 'maxIterations',
      maxIter: 'maxIterations',
      max_iter: 'maxIterations',
      maxfun: 'maxEvaluations',
      maxfev: 'maxEvaluations',
      gtol: 'gradTol',
      tol: 'gradTol',
      toleranceGrad: 'gradTol',
      tolerance_grad: 'gradTol',
      ftol: 'funTol',
      xtol: 'stepTol',
      tolerance_change: 'stepTol',
      maxcor: 'historySize',
      memory_size: 'historySize',
      pgtol: 'gradTol',
    },
  ],
  [
    'minimize with adam',
    (o) => a.minimize(bowl, w(), { method: 'adam', ...o }),
    { maxiter: 'maxIterations', learning_rate: 'lr', gtol: 'gradTol' },
  ],
  [
    'minimize with sfo',
    (o) => a.minimize(terms, w(), { method: 'sfo', ...o }),
    { maxIter: 'maxIterations', epochs: 'passes', history_size: 'historySize' },
  ],
  [
    'LBFGS',
    (o) => new s.LBFGS(w(), { grads: w(), ...o }),
    {
      max_iter: 'maxIterations',
      max_eval: 'maxEvaluations',
      tolerance_grad: 'gradTol',
      toleranceGrad: 'gradTol',
      tolerance_change: 'stepTol',
      history_size: 'historySize',
      line_search_fn: 'lineSearch',
      learning_rate: 'lr',
    },
  ],
  [
    'minimize with hessian-free',
    (o) => a.minimize(bowl, w(), { method: 'hessian-free', gaussNewton: () => {}, ...o }),
    {
      maxiter: 'maxIterations',
      gtol: 'gradTol',
      xtol: 'stepTol',
      initial_lambda: 'damping',
      cg_max_iter: 'maxCgIterations',
      max_cg_iter: 'maxCgIterations',
      cg_decay: 'cgDecay',
      maxfev: 'maxEvaluations',
    },
  ],
  [
    'HessianFree',
    (o) => new s.HessianFree(w(), { grads: w(), gaussNewton: () => {}, ...o } as Any),
    { max_iter: 'maxIterations', lambda: 'damping', hessp: 'gaussNewton', hess: 'gaussNewton' },
  ],
  ['SFO', (o) => new s.SFO(w(), { ...terms, ...o } as Any), { history_size: 'historySize', maxcor: 'historySize' }],
  ['checkGradient', (o) => a.checkGradient(bowl, w(), o), { Samples: 'samples' }],
  // Schedules
  [
    'cosine',
    (o) => s.cosine(1, { steps: 1, ...o }),
    { T_max: 'steps', eta_min: 'min', decay_steps: 'steps', end_value: 'min' },
  ],
  [
    'cosineWarmRestarts',
    (o) => s.cosineWarmRestarts(1, { first: 1, ...o }),
    { T_0: 'first', T_mult: 'multiplier', first_decay_steps: 'first', t_mul: 'multiplier' },
  ],
  [
    'stepDecay',
    (o) => s.stepDecay(1, { every: 1, ...o }),
    { step_size: 'every', gamma: 'factor', decay_rate: 'factor' },
  ],
  ['exponentialDecay', (o) => s.exponentialDecay(1, { gamma: 1, ...o }), { decay_rate: 'gamma' }],
  [
    'piecewiseConstant',
    (o) => a.piecewiseConstant(1, { boundaries: [1], ...o }),
    { milestones: 'boundaries', gamma: 'factor' },
  ],
  [
    'linear',
    (o) => s.linear(1, o),
    {
      start_factor: 'from',
      end_factor: 'to',
      total_iters: 'steps',
      transition_steps: 'steps',
      end_learning_rate: 'to',
    },
  ],
  [
    'cyclic',
    (o) => s.cyclic({ base: 0, max: 1, ...o }),
    { base_lr: 'base', max_lr: 'max', step_size_up: 'stepsUp', step_size_down: 'stepsDown' },
  ],
  [
    'oneCycle',
    (o) => s.oneCycle(1, { totalSteps: 9, ...o }),
    { total_steps: 'totalSteps', pct_start: 'pctStart', anneal_strategy: 'anneal', num_training_steps: 'totalSteps' },
  ],
  [
    'warmup',
    (o) => s.warmup(s.constant(1), { steps: 1, ...o }),
    { num_warmup_steps: 'steps', warmup_steps: 'steps', start_factor: 'from' },
  ],
  [
    'swaAnnealing',
    (o) => s.swaAnnealing(1, { swaLr: 1, ...o }),
    { swa_lr: 'swaLr', anneal_epochs: 'annealSteps', anneal_strategy: 'anneal' },
  ],
  // Around a step
  [
    'ReduceOnPlateau',
    (o) => new s.ReduceOnPlateau(sgd(), o),
    { min_lr: 'min', threshold_mode: 'thresholdMode', min_delta: 'threshold', rtol: 'threshold' },
  ],
  [
    'LossScale',
    (o) => new s.LossScale(o),
    {
      init_scale: 'initScale',
      initial_scale: 'initScale',
      growth_interval: 'growthInterval',
      dynamic_growth_steps: 'growthInterval',
    },
  ],
  ['clipGradNorm', (o) => s.clipGradNorm(w(), 1, o), { norm_type: 'p' }],
  ['gradNorm', (o) => s.gradNorm(w(), o), { ord: 'p' }],
  ['cyclicMomentum', (o) => s.cyclicMomentum(o), { base_momentum: 'base', max_momentum: 'max' }],
  ['lrRangeTest', (o) => a.lrRangeTest(sgd(), () => 1, o), { start_lr: 'from', end_lr: 'to', num_it: 'steps' }],
  // Ensembles and checkpoints
  ['WeightAverage', (o) => new s.WeightAverage(w(), { decay: 0.5, ...o }), { momentum: 'decay', ema_decay: 'decay' }],
  [
    'distillationLoss',
    (o) => s.distillationLoss(w(), w(), { classes: 1, ...o }),
    { T: 'temperature', num_classes: 'classes' },
  ],
  // Collectives
  ['allReduceSync', (o) => world.allReduceSync(w(), o), { reduce_op: 'op' }],
  ['broadcastSync', (o) => world.broadcastSync(w(), o), { src: 'root' }],
  ['CheckpointManager', (o) => new s.CheckpointManager('x', o), { max_to_keep: 'keep', save_interval_steps: 'every' }],
];

test.each(callees)('%s', (_, call, pairs) => {
  for (const [given, ours] of Object.entries(pairs)) {
    const text = thrown(() => call({ [given]: 1 }));
    expect(text).toMatch(/^TypeError: /);
    expect(text).toContain(`: ${given}: unknown option, expected ${ours}`);
  }
});

const parts = { model: 'params', model_state_dict: 'params', optimizer_state_dict: 'optimizer' };
test('saveCheckpoint and loadCheckpoint', async () => {
  for (const call of [s.saveCheckpoint, s.loadCheckpoint] as Any[])
    for (const [given, ours] of Object.entries(parts)) {
      const error: Error = await call('x', { [given]: 1 }).catch((e: unknown) => e);
      expect(error.message).toContain(`: ${given}: unknown option, expected ${ours}`);
    }
});

const ofDistribution = { backend: 'transport', bucket_cap_mb: 'bucketBytes', batch_size: 'batch' };
test('init, DataParallel and shardBatches', async () => {
  const message = (promise: Promise<unknown>): Promise<string> => promise.then(String, ({ message }: Error) => message);
  expect(await message(init({ backend: 'gloo' } as object))).toContain(
    'init: backend: unknown option, expected transport',
  );
  const optimizer = new s.Adam(w());
  expect(await message(DataParallel.create(optimizer, world, { bucket_cap_mb: 25 } as Any))).toContain(
    'DataParallel: bucket_cap_mb: unknown option, expected bucketBytes',
  );
  expect(thrown(() => shardBatches(10, world, { batch_size: 2 } as Any))).toContain(
    'shardBatches: batch_size: unknown option, expected batch',
  );
});

test.each(titled(classes))('%s: every name of the table that means one of its options is told', (_, c) => {
  const known = optionNamesOf(c.declaration);
  for (const [name, ours] of Object.entries(synonyms)) {
    const meant = ours.find((option) => known.includes(option.replace(/\[\d\]$/, '')));
    if (meant === undefined || known.some((option) => option.toLowerCase() === name)) continue;
    expect(thrown(() => c.make(w(), { [name]: 1 }))).toContain(`: ${name}: unknown option, expected ${meant} (`);
  }
});

test('the table is in one spelling, and holds no name that another spelling of ours finds', () => {
  for (const [name, ours] of Object.entries(synonyms)) {
    expect(name).toMatch(/^[a-z0-9]+$/);
    expect(ours.length, name).toBeGreaterThan(0);
    expect(ours.map((option) => option.toLowerCase())).not.toContain(name);
  }
});

test('every name of the table is meant by a call above, or by a class', () => {
  const told = new Set(
    [parts, ofDistribution, ...callees.map(([, , pairs]) => pairs)].flatMap((pairs) =>
      Object.keys(pairs).map((name) => name.toLowerCase().replaceAll('_', '')),
    ),
  );
  const options = new Set(classes.flatMap(({ declaration }) => optionNamesOf(declaration)));
  const others = Object.entries(synonyms).filter(
    ([name, ours]) => !told.has(name) && !ours.some((option) => options.has(option.replace(/\[\d\]$/, ''))),
  );
  expect(others.map(([name]) => name)).toEqual([]);
});

test('without a name that is meant or near, the error lists all', () => {
  expect(thrown(() => new s.SGD(w(), { lr: 1, epsilon: 1 } as Any))).toMatch(
    /: epsilon: unknown option, expected one of lr, /,
  );
  expect(thrown(() => new s.Adam(w(), { toString: 1 } as Any))).toMatch(
    /: toString: unknown option, expected one of lr, /,
  );
  expect(thrown(() => new s.Adam(w(), { constructor: 1 } as Any))).toMatch(
    /: constructor: unknown option, expected one of/,
  );
});
