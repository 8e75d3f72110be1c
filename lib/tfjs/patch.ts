import { serialization } from '@tensorflow/tfjs-core';
import { show, typeError } from '../check/errors.js';
import { adadelta, adagrad, adam, adamax, momentum, rmsprop, sgd, standardClasses, useStandardNames } from './train.js';

/** What of TensorFlow.js is patched: `@tensorflow/tfjs`, `@tensorflow/tfjs-core`, or anything that has its `train`. */
export interface TensorFlow {
  readonly train: object;
  readonly serialization?: unknown;
}

const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };

/** What stood in TensorFlow.js before. */
interface Before {
  readonly factories: readonly (readonly [name: string, PropertyDescriptor])[];
  readonly classes: Readonly<Record<string, unknown>>;
  readonly map: Record<string, unknown>;
}

const patched = new Map<object, Before>();

function check(who: string, tf: TensorFlow): Record<string, unknown> {
  const train = (tf as TensorFlow | null | undefined)?.train as Record<string, unknown> | undefined;
  const expected = 'TensorFlow.js: the namespace of @tensorflow/tfjs or @tensorflow/tfjs-core';
  if (train === undefined || train === null) throw typeError(who, 'tf', show(tf), expected);
  for (const name of Object.keys(factories))
    if (typeof train[name] !== 'function') throw typeError(who, `tf.train.${name}`, show(train[name]), 'a function');
  return train;
}

/**
 * Makes TensorFlow.js train with schuss: swaps the factories of `tf.train`, and so the optimizers that
 * `model.compile({ optimizer: 'adam' })` makes, and the classes that a saved model's optimizer is loaded as. Models are
 * saved under TensorFlow.js's names meanwhile, so that they load anywhere. Optimizers that exist stay what they are.
 *
 * @param tf The namespace of `@tensorflow/tfjs` or `@tensorflow/tfjs-core`. Twice is fine.
 * @throws TypeError for something else, or where `tf.train` can't be changed; nothing has changed then
 * @example
 * ```ts
 * import '@tensorflow/tfjs-backend-cpu';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { AdamOptimizer, patch, unpatch } from 'schuss/tfjs';
 * patch(tf);
 * console.log(tf.train.adam() instanceof AdamOptimizer); // true, and in model.compile({ optimizer: 'adam' })
 * unpatch(tf);
 * ```
 */
export function patch(tf: TensorFlow): void {
  const train = check('patch', tf);
  if (patched.has(train)) return;
  const before = Object.keys(factories).map((name) => {
    const descriptor = Object.getOwnPropertyDescriptor(train, name);
    if (descriptor === undefined || !(descriptor.configurable || descriptor.writable))
      throw typeError('patch', `tf.train.${name}`, 'a property that is not its own or is frozen', 'one to be replaced');
    return [name, descriptor] as const;
  });
  const { SerializationMap } = (tf.serialization ?? serialization) as typeof serialization;
  const map = SerializationMap.getMap().classNameMap as Record<string, unknown>;
  patched.set(train, {
    factories: before,
    // A map that another namespace shares has ours in it already.
    classes: sharing(map)?.classes ?? Object.fromEntries(Object.keys(standardClasses).map((name) => [name, map[name]])),
    map,
  });
  for (const [name, value] of Object.entries(factories)) put(train, name, value);
  for (const [name, Class] of Object.entries(standardClasses)) map[name] = [Class, Class.fromConfig];
  useStandardNames(true);
}

/** A patched namespace that has this map. */
function sharing(map: object): Before | undefined {
  return [...patched.values()].find((before) => before.map === map);
}

function put(train: object, name: string, value: unknown): void {
  const descriptor = Object.getOwnPropertyDescriptor(train, name) as PropertyDescriptor;
  const { enumerable = false, configurable = false } = descriptor;
  Object.defineProperty(train, name, { value, enumerable, configurable, writable: true });
}

/**
 * Gives `tf.train` back what {@link patch} took; does nothing if it was not patched. Optimizers that exist stay what they
 * are.
 *
 * @throws TypeError for something else than TensorFlow.js
 */
export function unpatch(tf: TensorFlow): void {
  const train = check('unpatch', tf);
  const before = patched.get(train);
  if (before === undefined) return;
  for (const [name, descriptor] of before.factories) Object.defineProperty(train, name, descriptor);
  patched.delete(train);
  if (sharing(before.map) === undefined) {
    for (const [name, registered] of Object.entries(before.classes)) {
      if (registered === undefined) delete before.map[name];
      else before.map[name] = registered;
    }
  }
  useStandardNames(patched.size > 0);
}
