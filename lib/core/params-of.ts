import type { Declaration, GroupOptionsOf } from './declaration.js';
import type { Arrays, Grad, Grads, Param, ParamTree } from './params.js';

// The types of gradients and averages follow the type of the params. A tree is not constrained by `ParamTree`, because an
// interface has no index signature and would be refused.

/** Params of an unknown type: gradients and averages may have any structure. */
// biome-ignore lint/suspicious/noExplicitAny: the default of a type parameter that must fit every optimizer
export type AnyParams = any;

declare const whole: unique symbol;

/** Some params of a tree, as `groupBy` puts them into a group. Together, the groups have the structure of the tree. */
export type PartOf<P> = { readonly [K in keyof P]?: unknown } & { readonly [whole]: P };

/** What params are inferred from: a tree, or groups whose options have the types of the class. */
export type ParamsOf<D extends Declaration> = object | readonly ({ readonly params: object } & GroupOptionsOf<D>)[];

/** Params as given to the class declared by `D`. What does not fit is an error. */
export type Given<P, D extends Declaration> = P & Checked<P, GroupOptionsOf<D>>;

/** `P` where it is not inferred from. TypeScript has it as `NoInfer` since 5.4. */
export type Known<P> = [P][P extends unknown ? 0 : never];

/** A tree of params as given. */
export type GivenTree<P> = P & CheckedTree<P>;

/** A group as given. */
export type GivenGroup<G, D extends Declaration> = G & CheckedGroup<G, GroupOptionsOf<D>>;

/** Params or groups of any class as given. */
export type GivenAny<P> = P & Checked<P, Readonly<Record<string, unknown>>>;

type Checked<P, Options> = ParamTree extends P
  ? unknown
  : P extends Groups
    ? { readonly [I in keyof P]: CheckedGroup<P[I], Options> }
    : CheckedTree<P>;

type CheckedGroup<G, Options> = {
  readonly [K in keyof G]: K extends 'params' ? CheckedTree<G[K]> : K extends keyof Options ? Options[K] : never;
} & { readonly params: unknown };

type CheckedTree<P> = ParamTree extends P ? unknown : [P] extends [object] ? CheckedObject<P> : Param;

/**
 * The keys of a record that hold params. The methods of a layer are functions. In a list of different records, TypeScript
 * gives each the keys of the others, as `undefined`.
 */
type ParamKey<P, K extends keyof P> = ParamTree extends P[K]
  ? K
  : [P[K]] extends [(...args: never) => unknown]
    ? never
    : [P[K]] extends [undefined]
      ? Record<never, never> extends Pick<P, K>
        ? never
        : K
      : K;

type ValueOf<T> = T[keyof T];

type CheckedObject<P> = P extends Param | { readonly [whole]: unknown }
  ? unknown
  : P extends ArrayBufferView | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
    ? Param
    : P extends readonly unknown[]
      ? { readonly [I in keyof P]: CheckedTree<P[I]> }
      : { readonly [K in keyof P as ParamKey<P, K>]-?: K extends 'params' ? never : CheckedTree<P[K]> };

/** Whether the structure is not known: that of `any`, a `ParamTree`, or groups of them. */
export type IsOpen<P> = ParamTree extends P
  ? true
  : P extends Groups
    ? ParamTree extends P[number]['params']
      ? true
      : false
    : false;

type Groups = readonly { readonly params: unknown }[];

/** Anything if each group of `P` has the option. Else {@link Lacking}, which nothing is. */
export type EachHas<P, Option extends string> = P extends readonly { readonly [O in Option]: unknown }[]
  ? unknown
  : Lacking<Option>;

/** What TypeScript says to be missing where a required option is: a sentence that names it. */
export type Lacking<Option extends string> = {
  readonly [O in Option as `${O} has no default: give it in the options, or in each group`]: never;
};

/** Anything if all of these options are optional. Else {@link Lacking}. */
export type NoneRequired<Options> =
  Record<never, never> extends Options ? unknown : Lacking<RequiredKey<Options> & string>;
type RequiredKey<O> = { [K in keyof O]-?: Record<never, never> extends Pick<O, K> ? never : K }[keyof O];

/**
 * `Leaf`s in the structure of params or groups.
 * @typeParam List 'exact': a list has the length of the params. 'any': the run time checks it.
 */
export type TreeOf<P, Leaf, List extends 'exact' | 'any' = 'exact'> = ParamTree extends P
  ? AnyParams
  : P extends Param
    ? Leaf
    : P extends Groups
      ? Merged<P[number]['params'], Leaf, List>
      : P extends readonly unknown[]
        ? List extends 'exact'
          ? { readonly [I in keyof P]: EntryIn<P[I], Leaf, List> }
          : readonly EntryIn<P[number], Leaf, List>[]
        : { readonly [K in keyof P as ParamKey<P, K>]: EntryIn<P[K], Leaf, List> };

/** What stands in the place of a param or of a branch. Where a leaf may be `null`, a branch may be, too. */
type EntryIn<P, Leaf, List extends 'exact' | 'any'> = TreeOf<P, Leaf, List> | Extract<Leaf, null>;

type Merged<T, Leaf, List extends 'exact' | 'any'> = [T] extends [Param | readonly unknown[]]
  ? readonly EntryOf<T, Leaf, List>[]
  : Intersection<TreeOf<T extends { readonly [whole]: infer W } ? W : T, Leaf, List>>;

/** An entry of the list that a group gives, which may be a param alone. */
type EntryOf<T, Leaf, List extends 'exact' | 'any'> = T extends Param
  ? Leaf
  : T extends readonly (infer E)[]
    ? EntryIn<E, Leaf, List>
    : never;

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never;

/** `Leaf`s in one record by path. A list of params has no such form. */
type RecordOf<P, Leaf> = P extends Param | readonly Param[] | Groups ? never : { readonly [path in PathsOf<P>]: Leaf };

type PathsOf<P> = P extends readonly unknown[]
  ? number extends P['length']
    ? Path<number, P[number]>
    : { [K in keyof P]: Path<K, P[K]> }[number]
  : ValueOf<{ [K in keyof P as ParamKey<P, K>]: Path<K, P[K]> }>;

type Path<K, V> = K extends string | number
  ? ParamTree extends V
    ? `${K}` | `${K}.${string}`
    : V extends Param
      ? `${K}`
      : `${K}.${PathsOf<V> & string}`
  : never;

/**
 * The gradients of params: a {@link Grad} in the place of each param, or in one record of paths, such as
 * `{ 'layers.0.weight': … }`. Of any structure if the type of the params is not known.
 */
export type GradsOf<P> = IsOpen<P> extends true ? Grads : TreeOf<P, Grad, 'any'> | RecordOf<P, Grad>;

/** Arrays in the structure of params. */
export type ArraysOf<P> = IsOpen<P> extends true ? Arrays : TreeOf<P, Float32Array>;

/** Arrays that a closure fills, in the structure of params or in one record of paths. */
export type FilledGrads<P> =
  IsOpen<P> extends true ? Arrays : TreeOf<P, Float32Array, 'any'> | RecordOf<P, Float32Array>;
