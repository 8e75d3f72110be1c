import { backend } from '@tensorflow/tfjs-core';
import { show, typeError } from '../../check/errors.js';
import { checkBoolean, checkNumber, checkOptions, plain } from '../../check/options.js';
import {
  commonHyperParameters,
  type Declaration,
  type HyperParameter,
  optimizerHyperParameters,
} from '../../core/declaration.js';
import type { Schedule } from '../../core/schedule.js';
import { tfAdadelta } from '../formulas/adadelta.js';
import { tfAdagrad } from '../formulas/adagrad.js';
import { tfAdam } from '../formulas/adam.js';
import { tfAdamax } from '../formulas/adamax.js';
import { tfRmsprop } from '../formulas/rmsprop.js';
import { tfMomentum, tfSgd } from '../formulas/sgd.js';

/** @inline */
export type Rate = number | Schedule;
/**
 * If null or omitted: the backend's epsilon, which is 1e-7 if the backend computes in float32.
 *
 * @inline
 */
export type Epsilon = number | null | undefined;

/** A constructor argument: TensorFlow.js's name, the option it sets, and its index if the option is a pair. */
type Argument = readonly [name: string, option: string, index?: number];

/** What one of `tf.train`'s optimizers looks like from outside. */
export interface Signature {
  readonly declaration: Declaration;
  /** Constructor arguments, in order. */
  readonly arguments: readonly Argument[];
  /** TensorFlow.js's name for each state array, in the order of its weights. */
  readonly weights: Readonly<Record<string, string>>;
}

const rate: Argument = ['learningRate', 'lr'];
const epsilon: Argument = ['epsilon', 'eps'];
const betas: readonly Argument[] = [
  ['beta1', 'betas', 0],
  ['beta2', 'betas', 1],
];

export const signatures = {
  sgd: { declaration: tfSgd, arguments: [rate], weights: {} },
  momentum: {
    declaration: tfMomentum,
    arguments: [rate, ['momentum', 'momentum'], ['useNesterov', 'nesterov']],
    weights: { momentumBuffer: 'momentum' },
  },
  adagrad: {
    declaration: tfAdagrad,
    arguments: [rate, ['initialAccumulatorValue', 'initialAccumulatorValue']],
    weights: { sum: 'accumulator' },
  },
  adadelta: {
    declaration: tfAdadelta,
    arguments: [rate, ['rho', 'rho'], epsilon],
    weights: { squareAvg: 'accum_grad', accDelta: 'accum_var' },
  },
  adam: { declaration: tfAdam, arguments: [rate, ...betas, epsilon], weights: { expAvg: 'm', expAvgSq: 'v' } },
  adamax: {
    declaration: tfAdamax,
    arguments: [rate, ...betas, epsilon, ['decay', 'lrDecay']],
    weights: { expAvg: 'm', expInf: 'v' },
  },
  rmsprop: {
    declaration: tfRmsprop,
    arguments: [rate, ['decay', 'alpha'], ['momentum', 'momentum'], epsilon, ['centered', 'centered']],
    weights: { squareAvg: 'rms', momentumBuffer: 'momentum', gradAvg: 'mg' },
  },
} as const satisfies Record<string, Signature>;

/** The options that TensorFlow.js lacks. */
export const extraOptions: readonly string[] = [
  ...['weightDecay', 'maximize', 'clipValue', 'clipNorm', 'skipNonFinite'],
  ...['ema', 'gradNorm', 'flushDenormals'],
];

/** The default of an extra option; undefined for one that is off. */
export function defaultOf(name: string): unknown {
  const table = { ...commonHyperParameters, ...optimizerHyperParameters } as Readonly<Record<string, HyperParameter>>;
  return name === 'weightDecay' ? 0 : table[name]?.default;
}

/**
 * The options of a class, from constructor arguments and extra options.
 *
 * @throws TypeError, RangeError that name the argument
 */
export function optionsFrom(signature: Signature, given: readonly unknown[], extra: object): object {
  const { declaration, arguments: known } = signature;
  const { name: who, hyperParameters } = declaration;
  refuseArguments(who, signature, extra);
  checkOptions(who, extra, extraOptions);
  // Adagrad has eps too, although it is not an argument there.
  const options: Record<string, unknown> = { ...('eps' in hyperParameters && { eps: backend().epsilon() }), ...extra };
  for (const [i, [name, option, index]] of known.entries()) {
    const value = option === 'eps' ? (given[i] ?? options['eps']) : given[i];
    if (value === undefined) {
      // The only argument that TensorFlow.js checks itself: this is its message.
      const hint = option === 'lr' && who === 'RMSPropOptimizer' ? `${name} for ${who} must be defined.` : undefined;
      throw typeError(who, name, 'undefined', 'a number', hint);
    }
    checkArgument(who, signature, name, value);
    if (index === undefined) options[option] = value;
    else options[option] = [...((options[option] as unknown[] | undefined) ?? []), value];
  }
  return options;
}

/** Refuses a constructor argument among the extra options, in any spelling. @throws TypeError */
function refuseArguments(who: string, { arguments: known }: Signature, extra: object): void {
  for (const key of Object.keys(Object(extra))) {
    if (extraOptions.includes(key)) continue;
    const meant = known.filter((names) => names.some((name) => typeof name === 'string' && plain(name) === plain(key)));
    if (meant.length === 0) continue;
    const all = [...known.map(([name]) => name), 'options'];
    const names = meant.map(([name]) => name).join(' and ');
    throw typeError(who, key, 'an option', `the argument ${names}`, `the arguments are ${all.join(', ')}`);
  }
}

/** @throws TypeError, RangeError for a value that a constructor argument cannot have */
export function checkArgument(
  who: string,
  { declaration, arguments: known }: Signature,
  name: string,
  value: unknown,
): void {
  const [, option] = known.find(([one]) => one === name)!;
  const { default: standard, range = '(-inf, inf)' } = declaration.hyperParameters[option] as HyperParameter;
  if (standard === false) checkBoolean(who, name, value);
  else if (typeof value === 'number') checkNumber(who, name, value, range);
  else if (option !== 'lr' || typeof value !== 'function') {
    const hint =
      typeof value === 'object' && value !== null
        ? `options are the last argument, after ${known.at(-1)![0]}`
        : undefined;
    throw typeError(who, name, show(value), `a number in ${range}${option === 'lr' ? ' or a Schedule' : ''}`, hint);
  }
}

/** The arguments of a constructor by name, from options: the inverse of {@link optionsFrom}. */
export function argumentsFrom(
  { arguments: known }: Signature,
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    known.map(([name, option, index]) => {
      const value = options[option];
      return [name, index === undefined ? value : (value as unknown[])[index]];
    }),
  );
}
