import type { Range } from '../check/options.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Dimensions, Shape } from './params.js';
import type { Schedule } from './schedule.js';

/** A number, or a {@link Schedule} that gives the number for each step. */
export type Scalar = number | Schedule;

/** One hyper-parameter: its default and the values that it allows. */
export interface HyperParameter {
  /** If absent, the user must give a value (`required`), or the option is off until a value is given. */
  readonly default?: number | boolean | string | readonly number[];
  /** Range of a number, or of each number in a list. */
  readonly range?: Range;
  /** Allowed strings. With a `range`, numbers in it are allowed, too. */
  readonly choices?: readonly string[];
  readonly required?: true;
  /** Whether numbers must be integers. */
  readonly integer?: true;
  /** The value determines the state's shape or start, so it cannot be a Schedule. */
  readonly fixed?: true;
  /** For a list of numbers: a list of at most so many such lists is allowed, too. Its numbers cannot be Schedules. */
  readonly most?: number;
}

/** How `weightDecay` acts: added to the gradient (L2), applied to the weight directly (decoupled), or not at all. */
export type Decay = 'l2' | 'decoupled' | 'none';

/** Everything that the library knows about one optimizer class. Types, checks, docs and tests are derived from it. */
export interface Declaration {
  /** Name of the class. */
  readonly name: string;
  /** Paper and equation. */
  readonly reference: string;
  /** The update formula as in the literature, one line an entry. */
  readonly formula: readonly string[];
  /** The kind of weight decay, or a function that chooses it from a group's options. */
  readonly decay: Decay | ((options: Readonly<Record<string, unknown>>) => Decay);
  /** Factor of the param before an update by a kernel, where it is not the one of the group's lr and weightDecay. */
  readonly decayFactor?: (options: PlainOptions, kernel: string) => number | undefined;
  readonly hyperParameters: Readonly<Record<string, HyperParameter>>;
  /** The kernels that the class chooses from, by their names in `native/kernels/all.h`. */
  readonly kernels: Readonly<Record<string, KernelDeclaration>>;
  /** For kernels with state of other lengths than the param: the most rows or columns of a matrix that they decompose. */
  readonly side?: (options: PlainOptions) => number;
  /** For kernels with state per block: the elements of a block of a param, at least 1. */
  readonly blockLength?: (options: PlainOptions, param: Dimensions) => number;
  /** Reason why the class takes no sparse gradients. If absent, it takes them. Params whose blocks are their rows do, too. */
  readonly denseOnly?: string;
  /** Reason why the class has no state in bfloat16. If absent, its element-wise kernels have it. */
  readonly float32State?: string;
  /**
   * Numbers that each param keeps beside its step count, with their initial values. They start anew when the options
   * select a kernel with an array that the param did not have.
   */
  readonly scalars?: Readonly<Record<string, number>>;
  /**
   * Which params share their scalars. Only for classes whose kernels have numbers: they compute the scalars from sums over
   * all params of the scope. By default each param has its own.
   */
  readonly scope?: Scope | ((options: Readonly<Record<string, unknown>>) => Scope);
  /** Whether each step needs the loss: a number that `inputs` receives. */
  readonly needsLoss?: true;
  /**
   * For a class that updates some params by another method: the method of each kernel, as `methodOf` and `toString` name
   * it.
   */
  readonly methods?: Readonly<Record<string, string>>;
  /** Whether a param with these scalars may have been saved without its arrays, which then start at 0. */
  readonly startsLate?: (scalars: readonly number[]) => boolean;
}

/** The params that share numbers: each by itself, those of a group, or all of the optimizer. */
export type Scope = 'param' | 'group' | 'optimizer';
export type Numbers = readonly number[];

/** The plain values of one group's options in one step. */
export type PlainOptions = Readonly<Record<string, unknown>>;

/** The code that a class brings beside its declaration. `Optimizer` documents each method. */
export interface Formula {
  constants(options: PlainOptions, t: number, scalars: Numbers, kernel: string): Numbers;
  scalarsAfter(options: PlainOptions, t: number, scalars: readonly number[]): readonly number[];
  inputs(groups: readonly PlainOptions[], t: number, scalars: readonly number[], loss: number): readonly number[];
  kernel(options: PlainOptions, shape: Shape, has: (state: string) => boolean): string;
  initial(name: string, options: PlainOptions, t: number): number;
  conflict(options: PlainOptions): readonly [argument: string, given: string, expected: string] | undefined;
  /** Absent in classes whose state does not start from the params. */
  readonly start:
    | ((options: PlainOptions, param: Float32Array, state: Readonly<Record<string, Float32Array>>) => void)
    | undefined;
}

type ValueOf<H> = H extends { readonly choices: readonly (infer C)[] }
  ? C | (H extends { readonly range: Range } ? number : never)
  : H extends { readonly default: boolean }
    ? boolean
    : H extends { readonly default: infer L extends readonly number[] }
      ? { readonly [I in keyof L]: Scalar } | ListOf<H, L>
      : H extends { readonly fixed: true }
        ? number
        : Scalar;

type ResolvedValueOf<H> = H extends { readonly choices: readonly (infer C)[] }
  ? C | (H extends { readonly range: Range } ? number : never)
  : H extends { readonly default: boolean }
    ? boolean
    : H extends { readonly default: infer L extends readonly number[] }
      ? { readonly [I in keyof L]: number } | ListOf<H, L>
      : H extends { readonly default: number } | { readonly required: true }
        ? number
        : number | undefined;

/** The lists of lists that a hyper-parameter allows. */
type ListOf<H, L> = H extends { readonly most: number } ? readonly { readonly [I in keyof L]: number }[] : never;

type HyperParameters = Readonly<Record<string, HyperParameter>>;

/**
 * The options of a table of hyper-parameters. For an unknown class the type is open, and options are checked at run
 * time.
 */
export type OptionsFrom<T extends HyperParameters> = string extends keyof T
  ? Readonly<Record<string, unknown>>
  : { readonly [K in keyof T as T[K] extends Required ? never : K]?: ValueOf<T[K]> | undefined } & {
      readonly [K in keyof T as T[K] extends Required ? K : never]: ValueOf<T[K]>;
    };
type Required = { readonly required: true };
/** The same as properties of a param group: present and assignable. For an unknown class only `lr` is known. */
export type SettingsFrom<T extends HyperParameters> = string extends keyof T
  ? { lr: Scalar | undefined } & Record<string, unknown>
  : {
      -readonly [K in keyof T]: T[K] extends { readonly default: unknown } | { readonly required: true }
        ? ValueOf<T[K]>
        : ValueOf<T[K]> | undefined;
    };
/** The same as plain values, after the schedules were evaluated. */
export type ResolvedFrom<T extends HyperParameters> = { readonly [K in keyof T]: ResolvedValueOf<T[K]> };

/** Hyper-parameters of the param groups of every class. */
export const commonHyperParameters = {
  /** Maximize the objective instead of minimizing it. */
  maximize: { default: false },
  /** Clamp each element of the gradient to [−clipValue, clipValue]. */
  clipValue: { range: '(0, inf)' },
} as const satisfies HyperParameters;

/** Options of the whole optimizer, which a group cannot override. */
export const optimizerHyperParameters = {
  /** Upper bound on the global L2 norm of the gradients. Larger gradients are scaled down. */
  clipNorm: { range: '(0, inf)' },
  /** Skip a step whose gradients, after `gradScale`, contain NaN or infinity: params and state stay unchanged. */
  skipNonFinite: { default: false },
  /** Set the gradients to 0 in the same pass over memory, in a skipped step too. A step that throws leaves them. */
  zeroGrads: { default: false },
  /**
   * Decay of an exponential moving average of the params, kept in `emaParams`. With a sparse gradient the average of a row
   * moves only in steps that name the row: it lags behind by about 1/(1 − ema) updates of the row, not of the table. For
   * rows that are seldom named take a smaller decay, or a `WeightAverage` every so many steps, which moves all rows.
   */
  ema: { range: '[0, 1)' },
  /** Return the norm of the gradients from each step. */
  gradNorm: { default: false },
  /**
   * Number format of the state arrays: `'float32'`, or `'bfloat16'` in half the memory, rounded stochastically. It is not
   * part of a saved state: the optimizer keeps its own.
   */
  stateDtype: { choices: ['float32', 'bfloat16'] },
  /**
   * Treat denormal numbers as 0 during the update. Faster once state has decayed that far. Results may then differ
   * between machines and backends.
   */
  flushDenormals: { default: false },
} as const satisfies HyperParameters;

/** The names of all options of an optimizer with this declaration. */
export function optionNamesOf({ hyperParameters }: Declaration): string[] {
  return Object.keys({ ...hyperParameters, ...commonHyperParameters, ...optimizerHyperParameters });
}

/** Options of one param group of the class declared by `D`. */
export type GroupOptionsOf<D extends Declaration> = OptionalOptions<OptionsFrom<AllHyperParameters<D>>>;
type AllHyperParameters<D extends Declaration> = D['hyperParameters'] & typeof commonHyperParameters;
type OptionalOptions<O> = { readonly [K in keyof O]?: O[K] | undefined };
/** Options of an optimizer of the class declared by `D`. */
export type OptionsOf<D extends Declaration> = OptionsFrom<AllHyperParameters<D>> &
  OptionsFrom<typeof optimizerHyperParameters>;
/** The same where the groups may give the options that have no default. */
export type DefaultsOf<D extends Declaration> = OptionalOptions<OptionsOf<D>>;
/** Plain values of the options in one step of the class declared by `D`. */
export type ResolvedOf<D extends Declaration> = ResolvedFrom<D['hyperParameters'] & typeof commonHyperParameters>;

/** The default options of a declaration: the static `defaults` of its class. */
export function defaultsOf<D extends Declaration>(declaration: D): DefaultsOf<D> {
  const tables = { ...declaration.hyperParameters, ...commonHyperParameters, ...optimizerHyperParameters };
  const defaults = Object.entries<HyperParameter>(tables).filter(([, h]) => h.default !== undefined);
  return Object.freeze(Object.fromEntries(defaults.map(([name, h]) => [name, h.default]))) as DefaultsOf<D>;
}
