import {
  createOptimizer,
  type Optimizer,
  type OptimizerClass,
  optimizers,
  type Param,
  type Schedule,
} from '../common/schuss.js';
import type { Method, Settings } from './job.js';

/** An optimizer of the study: a class of the library, or a variant of one. */
export interface MethodSpec {
  /** The name in the report. */
  readonly name: string;
  /** The class's key in `optimizers`. */
  readonly key: string;
  /** Options of the class beside lr; all others keep their defaults. */
  readonly options?: (settings: Settings) => Readonly<Record<string, unknown>>;
  /** The learning rate in the middle of those tried. Default: the default of the class, or 0.01 if it has none. */
  readonly middle?: number;
  /** Factor on the size of the mini-batches. Default: 1. */
  readonly batches?: number;
}

// Methods that are not a class with its default options and a grid around its default lr.
const variants: { readonly [M in Method]?: Partial<MethodSpec> } = {
  momentum: { name: 'SGD + momentum', key: 'sgd', options: () => ({ momentum: 0.9 }) },
  nesterov: { name: 'SGD + Nesterov', key: 'sgd', options: () => ({ momentum: 0.9, nesterov: true }) },
  uncorrectedAdam: { name: 'Adam without bias correction', key: 'adam', options: () => ({ biasCorrection: false }) },
  // Averages over the second half of the run. The default is from the millionth step on.
  asgd: { options: ({ train, batch, epochs }) => ({ t0: (epochs * train) / batch / 2 }) },
  lars: { middle: 1 },
  rmsprop: { middle: 3e-4 },
  rprop: { batches: 5 },
  schedulefreesgd: { middle: 0.1 },
  // A root for the 784 inputs takes a second.
  shampoo: { options: () => ({ maxPreconditionerDim: 128 }) },
  soap: { options: () => ({ maxPreconditionerDim: 128 }) },
};

/** Every class of the library in the order of `optimizers`, each followed by its variants. */
export const methods = Object.fromEntries(
  Object.entries(optimizers).flatMap(([key, { optimizerName: name }]) => [
    [key, { name, key, ...variants[key as Method] }],
    ...Object.entries(variants).filter(([, variant]) => variant.key === key),
  ]),
) as Readonly<Record<Method, MethodSpec>>;

export const defaultLr = (method: Method): number | undefined =>
  optimizers[methods[method].key]?.defaults['lr'] as number | undefined;

/** Methods that share a figure. */
export interface Family {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly methods: readonly Method[];
}

const named: readonly Family[] = [
  {
    id: 'sgd',
    title: 'SGD, momentum and averages',
    about:
      'One learning rate for all parameters. ASGD averages over the second half of its run. ASGD and ScheduleFreeSGD are scored with their averaged weights.',
    methods: ['sgd', 'momentum', 'nesterov', 'asgd', 'schedulefreesgd', 'optimisticgradientdescent'],
  },
  {
    id: 'adagrad',
    title: 'Adagrad and its relatives',
    about: 'Each parameter has its own learning rate, derived from the size of its past gradients.',
    methods: ['adagrad', 'rmsprop', 'adadelta', 'adafactor', 'ftrl', 'proximaladagrad', 'adagradda', 'madgrad'],
  },
  {
    id: 'adam',
    title: 'Adam and its relatives',
    about: 'Momentum and a learning rate for each parameter. ScheduleFreeAdamW is scored with its averaged weights.',
    methods: ['adam', 'adamw', 'adamax', 'nadam', 'radam', 'ademamix', 'schedulefreeadamw'],
  },
  {
    id: 'adam-moments',
    title: 'Adam with another second moment',
    about: 'They measure the size of the gradients in other ways, or bound the step by it.',
    methods: ['adabelief', 'yogi', 'adamaxw', 'stableadamw', 'novograd'],
  },
  {
    id: 'adam-momentum',
    title: 'Adam with another momentum',
    about: 'They mix the gradients of several steps in other ways, or divide before they average.',
    methods: ['adopt', 'adan', 'simplifiedademamix', 'optimisticadam', 'sophia', 'mars'],
  },
  {
    id: 'scale-free',
    title: 'Scale-free steps: layers, signs and matrices',
    about:
      'The size of the gradient does not matter. LARS, LAMB and Fromage scale the step of each layer, Lion, Rprop, SignSGD and Signum use signs, and Muon makes the update of a matrix orthogonal.',
    methods: ['lars', 'lamb', 'lion', 'rprop', 'signsgd', 'signum', 'muon', 'fromage'],
  },
  {
    id: 'preconditioned',
    title: 'Preconditioned matrices',
    about:
      'They keep averages of g·gᵀ and gᵀ·g for each matrix. Shampoo multiplies the gradient by their roots, SOAP is Adam in the basis of their eigenvectors. Here in blocks of at most 128 rows and columns.',
    methods: ['shampoo', 'soap'],
  },
  {
    id: 'less-state',
    title: 'One number for many weights',
    about: 'AdamMini keeps one second moment a row or block, SM3 one accumulator a row and one a column.',
    methods: ['adammini', 'sm3'],
  },
  {
    id: 'rate-free',
    title: 'No learning rate to choose',
    about: 'They find the size of a step themselves. Their lr is a factor on it, 1 by default.',
    methods: ['prodigy', 'cocob', 'dadaptadamw', 'dog', 'dowg', 'polyaksgd', 'momo', 'momoadam'],
  },
];
const unnamed = (Object.keys(optimizers) as Method[]).filter(
  (name) => !named.some(({ methods }) => methods.includes(name)),
);

/** The families above, and one more for classes that none of them names yet. */
export const families: readonly Family[] =
  unnamed.length === 0 ? named : [...named, { id: 'others', title: 'Others', about: '', methods: unnamed }];

export const middleOf = (method: Method): number => methods[method].middle ?? defaultLr(method) ?? 1e-2;

/** The learning rates at which a method is tried, in order: `count` around the middle, and the default if it is none of them. */
export function ratesOf(method: Method, count: number): number[] {
  const byDefault = defaultLr(method) ?? middleOf(method);
  return [...new Set([...spread(middleOf(method), count), byDefault])].sort((a, b) => a - b);
}

/** `count` learning rates, half a decade apart, with `middle` in the middle. */
export function spread(middle: number, count: number): number[] {
  const [digits, exponent] = middle.toExponential().split('e') as [string, string];
  // 3 stands for √10: half a decade above 3e-4 is 1e-3.
  const exact = digits === '3' ? Math.sqrt(10) * 10 ** Number(exponent) : middle;
  return Array.from({ length: count }, (_, i) => {
    const halves = i - Math.floor(count / 2);
    return halves % 2 === 0
      ? Number(`${digits}e${Number(exponent) + halves / 2}`)
      : shortened(exact * 10 ** (halves / 2));
  });
}

/** A learning rate with one digit, or with two if it starts with 1: 1.58e-2 becomes 1.6e-2, and 3.16e-3 becomes 3e-3. */
function shortened(lr: number): number {
  return Number(lr.toPrecision(lr.toExponential().startsWith('1') ? 2 : 1));
}

export function newOptimizer(method: Method, params: Param[], lr: number | Schedule, settings: Settings): Optimizer {
  const { key, options } = methods[method];
  return createOptimizer(key, params, { ...options?.(settings), lr });
}

/** A step of any method. Those that need the loss get it. */
export function stepOf(method: Method, optimizer: Optimizer, gradients: Float32Array[], loss: number): void {
  const { needsLoss } = optimizers[methods[method].key] as OptimizerClass;
  optimizer.step(gradients, needsLoss ? ({ loss } as object) : undefined);
}
