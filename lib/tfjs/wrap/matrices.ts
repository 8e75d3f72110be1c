import { Muon } from '../../optimizers/index.js';

interface Class {
  readonly prototype: unknown;
}

const isMuon = (Class: Class): boolean => Class === Muon || Class.prototype instanceof Muon;

/** The options of a class for the layout of TensorFlow.js, whose kernels are inputs × outputs. */
export function optionsFor(Class: Class, options: object): object {
  if (!isMuon(Class) || typeof options !== 'object' || options === null) return options;
  return { ...options, outputs: (options as { outputs?: unknown }).outputs ?? 'columns' };
}

/**
 * The matrix that a class sees in a variable of this shape, as rows and columns; undefined if it sees none. A filter has
 * its outputs in the last dimension, so for Muon they are the columns.
 */
export function matrixShape(Class: Class, shape: readonly number[]): readonly [number, number] | undefined {
  if (shape.length !== 2 && !(shape.length > 2 && isMuon(Class))) return undefined;
  return [shape.slice(0, -1).reduce((product, n) => product * n, 1), shape.at(-1) as number];
}
