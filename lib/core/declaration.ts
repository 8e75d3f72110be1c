import type { Range } from '../check/options.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Schedule } from './schedule.js';

/** A number, or a {@link Schedule} that gives it for each step. */
export type Scalar = number | Schedule;

/** One hyper-parameter: its default, what it may be, and what it means. */
export interface HyperParameter {
  /** Absent: it must be given (`required`), or is off until it is given. */
  readonly default?: number | boolean | string | readonly number[];
  /** What a number, or each of a list, must lie in. */
  readonly range?: Range;
  /** What a string may be. */
  readonly choices?: readonly string[];
  readonly required?: true;
  /** Whether numbers must be whole. */
  readonly integer?: true;
  /** It shapes the state: it can't be a Schedule. */
  readonly fixed?: true;
}

/** How `weightDecay` acts: added to the gradient, by shrinking the weight, or not at all. */
export type Decay = 'l2' | 'decoupled' | 'none';

/** Everything the library knows about one optimizer, stated once. */
export interface Declaration {
  /** The class's name. */
  readonly name: string;
  /** Paper and equation. */
  readonly reference: string;
  /** The update, a line each, as in the literature. */
  readonly formula: readonly string[];
  /** One for all, or as a group's options choose. */
  readonly decay: Decay | ((options: Readonly<Record<string, unknown>>) => Decay);
  readonly hyperParameters: Readonly<Record<string, HyperParameter>>;
  /** The kernels it chooses from, by their names in `native/kernels/all.h`. */
  readonly kernels: Readonly<Record<string, KernelDeclaration>>;
  /** Why it takes no sparse gradients: its update is not per element. */
  readonly denseOnly?: string;
  /** Numbers that each param keeps beside its step count, with what they start at. */
  readonly scalars?: Readonly<Record<string, number>>;
}

/** The plain values of one group's options in one step. */
export type PlainOptions = Readonly<Record<string, unknown>>;

/** The code that a class brings beside its declaration. `Optimizer` documents each method. */
export interface Formula {
  constants(options: PlainOptions, t: number, scalars: readonly number[]): readonly number[];
  scalarsAfter(options: PlainOptions, t: number, scalars: readonly number[]): readonly number[];
  kernel(options: PlainOptions, hasShape: boolean): string;
  initial(name: string, options: PlainOptions): number;
  conflict(options: PlainOptions): readonly [argument: string, given: string, expected: string] | undefined;
  /** Absent in classes whose state does not start from the params. */
  readonly start:
    | ((options: PlainOptions, param: Float32Array, state: Readonly<Record<string, Float32Array>>) => void)
    | undefined;
}

type ValueOf<H> = H extends { readonly choices: readonly (infer C)[] }
  ? C
  : H extends { readonly default: boolean }
    ? boolean
    : H extends { readonly default: infer L extends readonly number[] }
      ? { readonly [I in keyof L]: Scalar }
      : H extends { readonly fixed: true }
        ? number
        : Scalar;

type ResolvedValueOf<H> = H extends { readonly choices: readonly (infer C)[] }
  ? C
  : H extends { readonly default: boolean }
    ? boolean
    : H extends { readonly default: infer L extends readonly number[] }
      ? { readonly [I in keyof L]: number }
      : H extends { readonly default: number } | { readonly required: true }
        ? number
        : number | undefined;

type HyperParameters = Readonly<Record<string, HyperParameter>>;

/** The options that a table of hyper-parameters allows, each of its default's type; of any class: checked when used. */
export type OptionsFrom<T extends HyperParameters> = string extends keyof T
  ? Readonly<Record<string, unknown>>
  : { readonly [K in keyof T]?: ValueOf<T[K]> | undefined };
/** The same, assignable and always there: what a param group shows; of any class: every one has lr, which may be off. */
export type SettingsFrom<T extends HyperParameters> = string extends keyof T
  ? { lr: Scalar | undefined } & Record<string, unknown>
  : {
      -readonly [K in keyof T]: T[K] extends { readonly default: unknown } | { readonly required: true }
        ? ValueOf<T[K]>
        : ValueOf<T[K]> | undefined;
    };
/** The same as plain values, after the schedules were asked. */
export type ResolvedFrom<T extends HyperParameters> = { readonly [K in keyof T]: ResolvedValueOf<T[K]> };

/** Hyper-parameters of every param group, whatever its class. */
export const commonHyperParameters = {
  /** Ascend instead of descend. */
  maximize: { default: false },
  /** Clamp each gradient element to ±clipValue. */
  clipValue: { range: '(0, inf)' },
} as const satisfies HyperParameters;

/** Options of the optimizer as a whole: not of a group. */
export const optimizerHyperParameters = {
  /** Scale the gradients of a step so that their global L2 norm is at most this. */
  clipNorm: { range: '(0, inf)' },
  /** Leave everything unchanged in a step whose gradients hold a NaN or an infinity. */
  skipNonFinite: { default: false },
  /** Set the gradients to 0 in the same pass. */
  zeroGrads: { default: false },
  /** Keep an exponential moving average of the params with this decay, in `emaParams`. */
  ema: { range: '[0, 1)' },
  /** Report the gradients' norm from each step. */
  gradNorm: { default: false },
  /** Take denormal numbers for 0 during the update. Faster where state has decayed to them; not part of the same bits. */
  flushDenormals: {
    default: false,
  },
} as const satisfies HyperParameters;

/** Options of one param group of the class declared by `D`. */
export type GroupOptionsOf<D extends Declaration> = OptionsFrom<D['hyperParameters'] & typeof commonHyperParameters>;
/** Options of an optimizer of the class declared by `D`. */
export type OptionsOf<D extends Declaration> = GroupOptionsOf<D> & OptionsFrom<typeof optimizerHyperParameters>;
/** What one step of the class declared by `D` computes with. */
export type ResolvedOf<D extends Declaration> = ResolvedFrom<D['hyperParameters'] & typeof commonHyperParameters>;

/** The defaults of a declaration, as the class's static `defaults` shows them. */
export function defaultsOf<D extends Declaration>(declaration: D): OptionsOf<D> {
  const tables = { ...declaration.hyperParameters, ...commonHyperParameters, ...optimizerHyperParameters };
  const defaults = Object.entries<HyperParameter>(tables).filter(([, h]) => h.default !== undefined);
  return Object.freeze(Object.fromEntries(defaults.map(([name, h]) => [name, h.default]))) as OptionsOf<D>;
}
