// Valid arguments for everything that the library exports. An export that is missing here gets wrong ones only.
import type { Any } from '../support/bad-input.js';
import type { Live } from './api.js';
import type { Dice } from './dice.js';

/** What the arguments are made of. */
export interface Context {
  readonly dice: Dice;
  readonly live: readonly Live[];
  readonly schedules: readonly Any[];
  readonly controllers: readonly AbortController[];
  array(): Float32Array;
  floats(length: number): Float32Array;
  user<T extends (...args: Any[]) => unknown>(body: T): T;
}

interface Constructed {
  readonly args: unknown[];
  readonly leaves: readonly Float32Array[];
  grads(leaves: unknown[]): unknown;
}

const common = ['lr', 'weightDecay', 'maximize', 'clipValue'];
const ofOptimizer = ['clipNorm', 'skipNonFinite', 'zeroGrads', 'ema', 'gradNorm', 'flushDenormals'];

/** Names of the options of an optimizer class. */
export function optionsOf(Class: Any): string[] {
  return [...new Set([...Object.keys(Class.defaults ?? {}), ...common, ...ofOptimizer])];
}

function schedule(c: Context): unknown {
  if (c.schedules.length > 0 && c.dice.chance(0.5)) return c.dice.pick(c.schedules);
  return c.user((step: number) => 0.1 / step);
}

function option(name: string, standard: unknown, c: Context): unknown {
  const { dice } = c;
  if (typeof standard === 'boolean' || ['maximize', 'skipNonFinite', 'zeroGrads', 'gradNorm'].includes(name))
    return dice.chance(0.5);
  if (name === 'flushDenormals') return dice.chance(0.1);
  if (Array.isArray(standard)) return standard.map(() => (dice.chance(0.1) ? schedule(c) : 0.99 * dice.next()));
  if (typeof standard === 'string') return dice.chance(0.7) ? standard : dice.pick(['none', 'rms', 'relative', 'ptb']);
  if (name === 'ema') return dice.chance(0.3) ? false : dice.next();
  return dice.chance(0.2) ? schedule(c) : dice.next() * (dice.chance(0.1) ? 1e4 : 1);
}

function options(Class: Any, c: Context): Any {
  const names = optionsOf(Class).filter(() => c.dice.chance(0.2));
  if (['SGD', 'LARS'].includes(Class.name) || c.dice.chance(0.3)) names.push('lr');
  return Object.fromEntries(names.map((name) => [name, option(name, Class.defaults?.[name], c)]));
}

/** A param: an array, sometimes with a shape. */
function param(c: Context): [leaf: Float32Array, param: unknown] {
  const leaf = c.dice.chance(0.7) ? c.floats(c.dice.pick([0, 1, 4, 12, 12, 24, 65])) : c.array();
  const shapes: Record<number, readonly number[]> = { 12: [3, 4], 24: [6, 4], 4: [4], 65: [5, 13] };
  const shape = shapes[leaf.length];
  return [leaf, shape !== undefined && c.dice.chance(0.4) ? { data: leaf, shape } : leaf];
}

/** Params in some structure, and how gradients get into the same one. */
function params(c: Context, withGroups = true): Pick<Constructed, 'leaves' | 'grads'> & { params: unknown } {
  const form = c.dice.int(withGroups ? 5 : 3);
  const found = Array.from({ length: form === 0 ? 1 : 1 + c.dice.int(3) }, () => param(c));
  const leaves = found.map(([leaf]) => leaf);
  const all = found.map(([, p]) => p);
  const names = (list: unknown[]) => Object.fromEntries(list.map((value, i) => ['abc'[i] ?? `x${i}`, value]));
  if (form === 0) return { params: all[0], leaves, grads: ([first]) => first };
  if (form === 1) return { params: all, leaves, grads: (list) => list };
  if (form === 2) return { params: names(all), leaves, grads: names };
  const groups = all.map((p, i) => ({ params: form === 3 ? [p] : names([p])['a'] !== undefined && { [`p${i}`]: p } }));
  if (c.dice.chance(0.3)) Object.assign(groups[0] as object, { lr: 0.1 });
  return {
    params: groups,
    leaves,
    grads: form === 3 ? (list) => list : (list) => Object.fromEntries(list.map((g, i) => [`p${i}`, g])),
  };
}

/** A gradient: dense, sparse, null, over any memory. */
function gradient(leaf: Float32Array, c: Context): unknown {
  const { dice } = c;
  if (dice.chance(0.1)) return null;
  const length = Object.getOwnPropertyDescriptor(leaf, 'length') === undefined ? leaf.length : 4;
  if (dice.chance(0.7) || length > 1e4) return c.floats(Math.min(length, 1e4));
  const size = [4, 3, 1].find((n) => length % n === 0) as number;
  const count = dice.int(4);
  const shared = dice.chance(0.3);
  const Rows = dice.pick([Int32Array, Uint32Array]);
  const rows = new Rows((shared ? new SharedArrayBuffer(4 * count) : new ArrayBuffer(4 * count)) as ArrayBuffer);
  for (let i = 0; i < count; i++) rows[i] = dice.int(Math.max(1, length / size));
  return { rows, values: c.floats(count * size) };
}

const gradients = (entry: Pick<Constructed, 'leaves' | 'grads'>, c: Context): unknown =>
  entry.grads(entry.leaves.map((leaf) => gradient(leaf, c)));

const liveOptimizer = (c: Context): Any =>
  c.dice.pick(c.live.filter(({ object }) => 'paramGroups' in object || c.dice.chance(0.05)))?.object;

/** A function with a gradient: a bowl. */
const bowl = (c: Context) =>
  c.user((x: Any, grad: Any) => {
    let sum = 0;
    for (let i = 0; i < Math.min(x.length, 100); i++) {
      grad[i] = x[i] - 1;
      sum += (x[i] - 1) ** 2 / 2;
    }
    return sum;
  });

const terms = (c: Context) => {
  const f = bowl(c);
  return { N: 1 + c.dice.int(5), f: (_: number, x: Any, grad: Any) => f(x, grad) };
};

/** A function that copies the arrays of one tree to those of another: the Gauss-Newton product of a bowl. */
const copies = (c: Context) => {
  const copy = (from: Any, to: Any): void => {
    if (ArrayBuffer.isView(from)) to.set(from);
    else for (const key of Object.keys(from)) copy(from[key], to[key]);
  };
  return c.user((_: Any, v: Any, out: Any) => copy(v, out));
};

export function constructorArguments(name: string, Class: Any, c: Context): Constructed {
  const { dice } = c;
  const own = params(c);
  const none = { leaves: own.leaves, grads: own.grads };
  switch (name) {
    case 'Lookahead': {
      const optimizer = liveOptimizer(c);
      const inner = c.live.find(({ object }) => object === optimizer);
      return {
        args: [optimizer, { k: 1 + dice.int(4), alpha: dice.next() }],
        leaves: inner?.leaves ?? [],
        grads: (list) => inner?.grads(list),
      };
    }
    case 'LBFGS': {
      const flat = params(c, false);
      const grads = flat.leaves.map(({ length }) => c.floats(length));
      const more = { lr: 1, historySize: 1 + dice.int(5), lineSearch: dice.pick(['strong-wolfe', 'none']) };
      return { args: [flat.params, { grads: flat.grads(grads), maxIterations: 1 + dice.int(4), ...more }], ...flat };
    }
    case 'HessianFree': {
      const flat = params(c, false);
      const grads = flat.leaves.map(({ length }) => c.floats(length));
      const more = { damping: dice.next(), maxCgIterations: 1 + dice.int(4), maxIterations: 1 + dice.int(3) };
      return { args: [flat.params, { grads: flat.grads(grads), gaussNewton: copies(c), ...more }], ...flat };
    }
    case 'SFO': {
      const flat = params(c, false);
      return { args: [flat.params, { ...terms(c), historySize: 1 + dice.int(4), seed: dice.int(9) }], ...flat };
    }
    case 'WeightAverage':
      return {
        args: [own.params, dice.chance(0.5) ? { decay: dice.next(), debias: dice.chance(0.5) } : { mode: 'swa' }],
        ...none,
      };
    case 'GradAccumulator':
      return { args: [own.params], ...none };
    case 'ReduceOnPlateau':
      return { args: [liveOptimizer(c), { factor: 0.5, patience: dice.int(3) }], ...none };
    case 'Ensemble': {
      const member = c.user((x: Any) => new Float32Array(Math.min(x.length, 100)));
      const later = c.user(async (x: Any) => new Float32Array(Math.min(x.length, 100)));
      return { args: [[member, later], dice.chance(0.5) ? {} : { vote: true, classes: 2 }], ...none };
    }
    case 'CheckpointManager':
      return { args: [`run${dice.int(3)}`, { keep: 1 + dice.int(3) }], ...none };
    case 'LossScale':
      return { args: [{ initScale: 2 ** dice.int(20), growthInterval: 1 + dice.int(5) }], ...none };
    case 'CheckpointError':
      return { args: ['x'], ...none };
    default:
      return { args: [own.params, options(Class, c)], ...none };
  }
}

const steps = (c: Context) => 1 + c.dice.int(100);

function checkpoint(c: Context): Any {
  const entry = c.dice.pick(c.live);
  const params = entry?.grads([...entry.leaves]);
  return { params, optimizer: liveOptimizer(c), metadata: { note: 'x' } };
}

const matrix = (c: Context): Any => ({ data: c.floats(12), shape: [4, 3] });
const rowNumbers = (c: Context): Any => Int32Array.from({ length: 4 }, () => c.dice.int(c.dice.chance(0.1) ? 5 : 4));

export function functionArguments(name: string, c: Context): unknown[] {
  const { dice } = c;
  const entry = dice.pick(c.live);
  const grads = entry === undefined ? c.array() : gradients(entry, c);
  const signal = dice.chance(0.1) ? { signal: dice.pick(c.controllers).signal } : {};
  const file = `file${dice.int(4)}.safetensors`;
  const table: Record<string, () => unknown[]> = {
    allocate: () => [dice.int(100)],
    backend: () => [],
    setThreads: () => [1 + dice.int(4)],
    createOptimizer: () => ['adam', params(c).params, { lr: 0.1 }],
    clipGradNorm: () => [grads, dice.next(), dice.pick([{}, { p: 2 }, { p: Number.POSITIVE_INFINITY }, { p: 3 }])],
    gradNorm: () => [grads, {}],
    clipGradValue: () => [grads, dice.next()],
    findNonFinite: () => [grads],
    groupBy: () => [
      { a: c.array(), b: c.floats(3) },
      c.user((name: string) => (name === 'a' ? { lr: 0.1 } : undefined)),
    ],
    lrRangeTest: () => [
      liveOptimizer(c),
      c.user(() => {
        entry?.object.step?.(gradients(entry, c));
        return dice.next();
      }),
      { from: 1e-4, to: 1, steps: 3 + dice.int(4) },
    ],
    gather: () => [matrix(c), rowNumbers(c), c.floats(12)],
    scaled: () => [matrix(c), rowNumbers(c), c.floats(4), c.floats(12)],
    dots: () => [matrix(c), rowNumbers(c), matrix(c), rowNumbers(c), c.floats(4)],
    meanRows: () => [matrix(c), rowNumbers(c), Int32Array.of(0, dice.int(5)), c.floats(6)],
    averageWeights: () => [
      [
        [c.floats(3), c.floats(4)],
        [c.floats(3), c.floats(4)],
      ],
      dice.chance(0.5) ? {} : { weights: [1, 2] },
    ],
    averageLogits: () => [[c.floats(12), c.floats(12)], dice.chance(0.7) ? {} : { out: c.floats(12) }],
    averagePredictions: () => [[c.floats(12), c.floats(12)], dice.pick<Any>([{}, { from: 'logits', classes: 4 }])],
    majorityVote: () => [[c.floats(12), c.floats(12)], { classes: 3 }],
    distillationLoss: () => [
      c.floats(12),
      dice.chance(0.5) ? c.floats(12) : [c.floats(12), c.floats(12)],
      { classes: 4, temperature: 2, alpha: 0.5, labels: Int32Array.of(0, 1, 3), grad: c.floats(12) },
    ],
    gaussNewtonProduct: () => [
      { outputs: 1 + dice.int(4), jvp: c.user(() => undefined), vjp: c.user(() => undefined) },
    ],
    minimize: () => {
      const x0 = dice.chance(0.5) ? c.floats(1 + dice.int(8)) : new Float64Array(1 + dice.int(8));
      if (dice.chance(0.2))
        return [bowl(c), x0, { method: 'hessian-free', gaussNewton: copies(c), maxIterations: 5, ...signal }];
      if (dice.chance(0.5)) return [bowl(c), x0, { maxIterations: 5, historySize: 1 + dice.int(4), ...signal }];
      const method = dice.pick(['sfo', 'lbfgs', 'adam', 'sgd']);
      return [
        terms(c),
        x0,
        { method, maxIterations: 5, ...(method === 'sgd' || method === 'adam' ? { lr: 0.1 } : {}) },
      ];
    },
    minimizeAsync: () => [bowl(c), c.floats(4), { maxIterations: 5, ...signal }],
    checkGradient: () => [bowl(c), c.floats(4), { samples: 3 }],
    multiply: () => [schedule(c), schedule(c)],
    perEpoch: () => [schedule(c), steps(c)],
    sequence: () => [[schedule(c), schedule(c)], { boundaries: [steps(c)] }],
    cosine: () => [0.1, { steps: steps(c), min: 0 }],
    cosineWarmRestarts: () => [0.1, { first: steps(c), multiplier: 2 }],
    cyclic: () => [{ base: 0.1, max: 0.5, stepsUp: steps(c) }],
    cyclicMomentum: () => [{ stepsUp: steps(c) }],
    constant: () => [0.1],
    stepDecay: () => [0.1, { every: steps(c), factor: 0.5 }],
    exponentialDecay: () => [0.1, { gamma: 0.9 }],
    inverseTimeDecay: () => [0.1, { rate: 0.1 }],
    piecewiseConstant: () => [0.1, { boundaries: [3, 10], factor: 0.5 }],
    linear: () => [0.1, { from: 0.5, to: 1, steps: steps(c) }],
    polynomial: () => [0.1, { steps: steps(c), power: 2 }],
    nesterovMomentum: () => [{}],
    oneCycle: () => [0.1, { totalSteps: steps(c) }],
    oneCycleMomentum: () => [{ totalSteps: steps(c) }],
    warmup: () => [schedule(c), { steps: steps(c) }],
    warmupStableDecay: () => [0.1, { warmup: 3, stable: 5, decay: 4 }],
    saveCheckpoint: () => [file, checkpoint(c)],
    loadCheckpoint: () => [file, checkpoint(c)],
    inspectCheckpoint: () => [file],
    readSafetensors: () => [file],
    writeSafetensors: () => [file, { a: { data: c.floats(12), shape: [3, 4] } }, { metadata: { x: 'y' } }],
  };
  return (table[name] ?? (() => [c.array(), dice.next()]))();
}

export function methodArguments(name: string, entry: Live, c: Context): unknown[] {
  const { dice, live } = c;
  const className = entry.object.constructor.name;
  const gradScale = dice.chance(0.2) ? { gradScale: dice.next() } : {};
  switch (name) {
    case 'step':
      if (className === 'LBFGS' || className === 'HessianFree') return [c.user(() => dice.next())];
      if (className === 'SFO') return [];
      if (className === 'LossScale') return [liveOptimizer(c), gradients(entry, c)];
      return [gradients(entry, c), gradScale];
    case 'stepAsync':
      return [
        gradients(entry, c),
        { ...gradScale, ...(dice.chance(0.1) ? { signal: dice.pick(c.controllers).signal } : {}) },
      ];
    case 'add':
      return [gradients(entry, c)];
    case 'update':
      return className === 'ReduceOnPlateau' ? [dice.next()] : [];
    case 'predict':
      return [c.floats(4)];
    case 'loadStateDict':
      return [
        dice.chance(0.8) ? copyOf(entry.dict) : copyOf(dice.pick(live)?.dict),
        ...(dice.chance(0.2) ? [{ schedules: 'keep' }] : []),
      ];
    case 'addParamGroup':
      return [{ params: dice.chance(0.5) ? c.floats(4) : { [`z${dice.int(9)}`]: c.floats(4) }, lr: dice.next() }];
    case 'save':
      return [dice.int(100), checkpoint(c)];
    case 'load':
      return [checkpoint(c), {}];
    case 'scale':
      return [dice.next()];
    case 'registerStepPreHook':
    case 'registerStepPostHook':
      return [c.user(() => undefined)];
    default:
      return [];
  }
}

/** A copy whose records can be changed without effect on the original. The arrays are shared. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]));
}
