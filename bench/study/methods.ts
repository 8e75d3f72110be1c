import {
  createOptimizer,
  type Optimizer,
  optimizers,
  type Param,
  type Schedule,
  type StepsMethod,
} from '../../lib/index.js';
import type { Settings } from './job.js';

/** How an optimizer takes part. */
export interface MethodSpec {
  /** As the report calls it. */
  readonly name: string;
  /** Its key in the library's table. */
  readonly key: string;
  /** Of the class, beside lr; the others keep their defaults. */
  readonly options?: (settings: Settings) => Readonly<Record<string, unknown>>;
  /** About which its learning rates are spread: where left out, its default, or 0.01 for a class without one. */
  readonly middle?: number;
  /** How many times larger than the others' its mini-batches are. */
  readonly batches?: number;
}

export type Method = StepsMethod | 'momentum' | 'nesterov' | 'uncorrectedAdam';

// What is not a class as it comes, about its default lr.
const variants: { readonly [M in Method]?: Partial<MethodSpec> } = {
  momentum: { name: 'SGD + momentum', key: 'sgd', options: () => ({ momentum: 0.9 }) },
  nesterov: { name: 'SGD + Nesterov', key: 'sgd', options: () => ({ momentum: 0.9, nesterov: true }) },
  uncorrectedAdam: { name: 'Adam without bias correction', key: 'adam', options: () => ({ biasCorrection: false }) },
  // Over the second half of the run. By default it averages from the millionth step on.
  asgd: { options: ({ train, batch, epochs }) => ({ t0: (epochs * train) / batch / 2 }) },
  lars: { middle: 1 },
  rmsprop: { middle: 3e-4 },
  rprop: { batches: 5 },
  schedulefreesgd: { middle: 0.1 },
};

/** Every class of the library, in the order of its table, and after it its variants. */
export const methods = Object.fromEntries(
  Object.entries(optimizers).flatMap(([key, { optimizerName: name }]) => [
    [key, { name, key, ...variants[key as Method] }],
    ...Object.entries(variants).filter(([, variant]) => variant.key === key),
  ]),
) as Readonly<Record<Method, MethodSpec>>;

export const defaultLr = (method: Method): number | undefined =>
  optimizers[methods[method].key]?.defaults['lr'] as number | undefined;

/** Classes that are seen together. */
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
      'One learning rate for all parameters. ASGD, over the second half of its run, and ScheduleFreeSGD are judged by their averaged weights.',
    methods: ['sgd', 'momentum', 'nesterov', 'asgd', 'schedulefreesgd'],
  },
  {
    id: 'adagrad',
    title: 'Adagrad and its relatives',
    about: 'Each parameter has its own learning rate, from the size of its gradients so far.',
    methods: ['adagrad', 'rmsprop', 'adadelta', 'adafactor', 'ftrl'],
  },
  {
    id: 'adam',
    title: 'Adam and its relatives',
    about: 'Both momentum and learning rates of their own. ScheduleFreeAdamW is judged by its averaged weights.',
    methods: ['adam', 'adamw', 'adamax', 'nadam', 'radam', 'ademamix', 'schedulefreeadamw'],
  },
  {
    id: 'scale-free',
    title: 'Scale-free steps: layers and signs',
    about:
      'The size of the gradient does not matter: LARS and LAMB scale the step of each layer, Lion and Rprop take signs.',
    methods: ['lars', 'lamb', 'lion', 'rprop'],
  },
];
const unnamed = (Object.keys(optimizers) as Method[]).filter(
  (name) => !named.some(({ methods }) => methods.includes(name)),
);

/** With a class that no family names yet, one more family. */
export const families: readonly Family[] =
  unnamed.length === 0 ? named : [...named, { id: 'others', title: 'Others', about: '', methods: unnamed }];

/** 1 and 3 of each power of ten. */
const halfDecade = (h: number): number => Number(`${h % 2 === 0 ? 1 : 3}e${Math.floor(h / 2)}`);

/** `count` learning rates, half a decade apart, about the middle. */
export function spread(middle: number, count: number): number[] {
  const first = Math.round(2 * Math.log10(middle)) - Math.floor(count / 2);
  return Array.from({ length: count }, (_, i) => halfDecade(first + i));
}

export const middleOf = (method: Method): number => methods[method].middle ?? defaultLr(method) ?? 1e-2;

export function newOptimizer(method: Method, params: Param[], lr: number | Schedule, settings: Settings): Optimizer {
  const { key, options } = methods[method];
  return createOptimizer(key, params, { ...options?.(settings), lr });
}
