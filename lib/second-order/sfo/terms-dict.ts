import { isFloat64Array } from 'node:util/types';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Term } from './term.js';

/** Names of the lists with one number for each term. */
const perTerm = ['index', 'evaluations', 'isKnown', 'value', 'changes', 'diagonal', 'columns'] as const;
const names: readonly (keyof TermsDict)[] = [...perTerm, 'z', 'grad', 'steps', 'gradChanges', 'vectors', 'signs'];

/** The active terms as plain data. Vectors follow one another in the order of the terms. */
export interface TermsDict {
  /** The number of each term in the sum, ascending. */
  readonly index: Float64Array;
  /** How often each was evaluated. */
  readonly evaluations: Float64Array;
  /** 1 for each term that was evaluated, else 0. */
  readonly isKnown: Float64Array;
  /** The last value of each. */
  readonly value: Float64Array;
  /** How many gradient changes each has. */
  readonly changes: Float64Array;
  /** The diagonal of each Hessian. */
  readonly diagonal: Float64Array;
  /** How many columns each Hessian has. */
  readonly columns: Float64Array;
  /** The point of the last evaluation of each. */
  readonly z: Float64Array;
  /** The gradient there. */
  readonly grad: Float64Array;
  /** The steps of all changes, the newest first. */
  readonly steps: Float64Array;
  /** The gradient changes over them. */
  readonly gradChanges: Float64Array;
  /** The columns of all Hessians. */
  readonly vectors: Float64Array;
  /** Their signs. */
  readonly signs: Float64Array;
}

/** The vectors, one after the other. */
function join(vectors: readonly Float64Array[], size: number): Float64Array {
  const all = new Float64Array(vectors.length * size);
  for (const [k, vector] of vectors.entries()) all.set(vector, k * size);
  return all;
}

/** Terms as plain data. All arrays are copies. */
export function packTerms(terms: readonly Term[], size: number): TermsDict {
  const numbers = (of: (term: Term) => number): Float64Array => Float64Array.from(terms, of);
  const changes = terms.flatMap((term) => term.changes);
  const columns = terms.flatMap(({ hessian }) => hessian.columns);
  return {
    index: numbers(({ index }) => index),
    evaluations: numbers(({ evaluations }) => evaluations),
    isKnown: numbers(({ isKnown }) => (isKnown ? 1 : 0)),
    value: numbers(({ value }) => value),
    changes: numbers((term) => term.changes.length),
    diagonal: numbers(({ hessian }) => hessian.diagonal),
    columns: numbers(({ hessian }) => hessian.columns.length),
    z: join(
      terms.map(({ z }) => z),
      size,
    ),
    grad: join(
      terms.map(({ grad }) => grad),
      size,
    ),
    steps: join(
      changes.map(({ step }) => step),
      size,
    ),
    gradChanges: join(
      changes.map(({ grad }) => grad),
      size,
    ),
    vectors: join(
      columns.map(({ b }) => b),
      size,
    ),
    signs: Float64Array.from(columns, ({ sign }) => sign),
  };
}

/** Reads what {@link packTerms} made. All arrays are new. @throws TypeError, RangeError */
export function unpackTerms(who: string, given: unknown, N: number, size: number, historySize: number): Term[] {
  checkOptions(who, given, names);
  const count = copyFloat64(who, 'index', given['index']).length;
  if (count === 0 || count > N) throw rangeError(who, 'index', `length ${count}`, `[1, ${N}]`);
  const numbers = Object.fromEntries(
    perTerm.map((name) => [name, copyFloat64(who, name, given[name], count)]),
  ) as Record<(typeof perTerm)[number], Float64Array>;
  checkWhole(who, 'index', numbers.index, N - 1);
  checkWhole(who, 'evaluations', numbers.evaluations, Number.MAX_SAFE_INTEGER);
  checkWhole(who, 'isKnown', numbers.isKnown, 1);
  checkWhole(who, 'changes', numbers.changes, historySize);
  checkWhole(who, 'columns', numbers.columns, size);
  for (const [k, index] of numbers.index.entries())
    if (k > 0 && !(index > numbers.index[k - 1]!))
      throw rangeError(who, `index[${k}]`, show(index), 'ascending numbers');

  const total = (counts: Float64Array): number => counts.reduce((sum, v) => sum + v, 0);
  const [changeCount, columnCount] = [total(numbers.changes), total(numbers.columns)];
  const next = (name: keyof TermsDict, length: number): (() => Float64Array) => {
    const all = copyFloat64(who, name, given[name], length * size);
    let k = 0;
    return () => all.slice(k * size, ++k * size);
  };
  const [nextZ, nextGrad] = [next('z', count), next('grad', count)];
  const [nextStep, nextGradChange] = [next('steps', changeCount), next('gradChanges', changeCount)];
  const nextVector = next('vectors', columnCount);
  const signs = copyFloat64(who, 'signs', given['signs'], columnCount);
  let column = 0;
  return Array.from(numbers.index, (index, k) => ({
    index,
    evaluations: numbers.evaluations[k]!,
    isKnown: numbers.isKnown[k] === 1,
    value: numbers.value[k]!,
    z: nextZ(),
    grad: nextGrad(),
    changes: Array.from({ length: numbers.changes[k]! }, () => ({ step: nextStep(), grad: nextGradChange() })),
    hessian: {
      diagonal: numbers.diagonal[k]!,
      columns: Array.from({ length: numbers.columns[k]! }, () => ({ b: nextVector(), sign: signs[column++]! })),
    },
  }));
}

function checkWhole(who: string, name: string, values: Float64Array, max: number): void {
  for (const [k, value] of values.entries())
    if (!Number.isInteger(value) || value < 0 || value > max)
      throw rangeError(who, `${name}[${k}]`, show(value), `an integer in [0, ${max}]`);
}

/** A copy of a Float64Array, of a length if one is given. Calls nothing that user code can define on it. */
export function copyFloat64(who: string, path: string, given: unknown, length?: number): Float64Array {
  if (!isFloat64Array(given)) throw typeError(who, path, show(given), 'a Float64Array');
  const actual = lengthOf(given as unknown as Float32Array);
  if (length !== undefined && actual !== length) throw rangeError(who, path, `length ${actual}`, `${length}`);
  const copy = new Float64Array(actual);
  if (actual > 0) copy.set(given);
  return copy;
}
