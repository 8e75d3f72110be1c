import { Muon, Shampoo, SOAP } from '../../optimizers/index.js';

interface Class {
  readonly prototype: unknown;
}

const isA = (Class: Class, Parent: Class & (abstract new (...args: never) => object)): boolean =>
  (Class as unknown) === Parent || Class.prototype instanceof Parent;
const isMuon = (Class: Class): boolean => isA(Class, Muon);
/** The classes that multiply matrices. */
const seesMatrices = (Class: Class): boolean => isMuon(Class) || isA(Class, Shampoo) || isA(Class, SOAP);

/** The options of a class for the layout of TensorFlow.js, whose kernels are inputs × outputs. */
export function optionsFor(Class: Class, options: object): object {
  if (!isMuon(Class) || typeof options !== 'object' || options === null) return options;
  return { ...options, outputs: (options as { outputs?: unknown }).outputs ?? 'columns' };
}

/**
 * The matrix that a class sees in a variable of this shape, as rows and columns; undefined if it sees none. A filter has
 * its outputs in the last dimension, so for the classes that multiply matrices they are the columns.
 */
export function matrixShape(Class: Class, shape: readonly number[]): readonly [number, number] | undefined {
  if (shape.length !== 2 && !(shape.length > 2 && seesMatrices(Class))) return undefined;
  return [shape.slice(0, -1).reduce((product, n) => product * n, 1), shape.at(-1) as number];
}
