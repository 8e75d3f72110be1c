import { serialization } from '@tensorflow/tfjs-core';
import { show, typeError } from '../check/errors.js';
import { standardClasses } from './train/classes.js';
import { adadelta, adagrad, adam, adamax, momentum, rmsprop, sgd } from './train/factories.js';
import { useStandardNames } from './train/train-optimizer.js';

/** The namespace of `@tensorflow/tfjs` or `@tensorflow/tfjs-core`, or any other object with the same `train`. */
export interface TensorFlow {
  readonly train: object;
  readonly serialization?: unknown;
}

const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };

/** What {@link patch} replaced. */
interface Originals {
  readonly factories: readonly (readonly [name: string, PropertyDescriptor])[];
  readonly classes: Readonly<Record<string, unknown>>;
  readonly map: Record<string, unknown>;
}

const patched = new Map<object, Originals>();

function check(who: string, tf: TensorFlow): Record<string, unknown> {
  const train = (tf as TensorFlow | null | undefined)?.train as Record<string, unknown> | undefined;
  const expected = 'TensorFlow.js: the namespace of @tensorflow/tfjs or @tensorflow/tfjs-core';
  if (train === undefined || train === null) throw typeError(who, 'tf', show(tf), expected);
  for (const name of Object.keys(factories))
    if (typeof train[name] !== 'function') throw typeError(who, `tf.train.${name}`, show(train[name]), 'a function');
  return train;
}

/**
 * Makes TensorFlow.js train with schuss. Replaces the factories of `tf.train`, which
 * `model.compile({ optimizer: 'adam' })` also uses, and the optimizer classes that saved models are loaded with.
 *
 * While TensorFlow.js is patched, models are saved with TensorFlow.js's optimizer names, so that they load anywhere.
 * Existing optimizers do not change. Patching the same namespace again has no effect.
 *
 * @param tf The namespace of `@tensorflow/tfjs` or `@tensorflow/tfjs-core`; its `train` is changed in place.
 * @throws TypeError for anything else, or if `tf.train` cannot be changed; nothing has changed then
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
  const originals = Object.keys(factories).map((name) => {
    const descriptor = Object.getOwnPropertyDescriptor(train, name);
    if (descriptor === undefined || !(descriptor.configurable || descriptor.writable))
      throw typeError('patch', `tf.train.${name}`, 'a property that is not its own or is frozen', 'one to be replaced');
    return [name, descriptor] as const;
  });
  const { SerializationMap } = (tf.serialization ?? serialization) as typeof serialization;
  const map = SerializationMap.getMap().classNameMap as Record<string, unknown>;
  patched.set(train, {
    factories: originals,
    // If another patched namespace shares the map, the map already holds our classes.
    classes:
      patchedWith(map)?.classes ?? Object.fromEntries(Object.keys(standardClasses).map((name) => [name, map[name]])),
    map,
  });
  for (const [name, value] of Object.entries(factories)) replace(train, name, value);
  for (const [name, Class] of Object.entries(standardClasses)) map[name] = [Class, Class.fromConfig];
  useStandardNames(true);
}

/** The originals of a patched namespace that uses this map. */
function patchedWith(map: object): Originals | undefined {
  return [...patched.values()].find((originals) => originals.map === map);
}

function replace(train: object, name: string, value: unknown): void {
  const descriptor = Object.getOwnPropertyDescriptor(train, name) as PropertyDescriptor;
  const { enumerable = false, configurable = false } = descriptor;
  Object.defineProperty(train, name, { value, enumerable, configurable, writable: true });
}

/**
 * Restores what {@link patch} replaced. Does nothing if `tf` is not patched. Existing optimizers do not change.
 *
 * @throws TypeError if `tf` is not a namespace of TensorFlow.js
 */
export function unpatch(tf: TensorFlow): void {
  const train = check('unpatch', tf);
  const originals = patched.get(train);
  if (originals === undefined) return;
  for (const [name, descriptor] of originals.factories) Object.defineProperty(train, name, descriptor);
  patched.delete(train);
  if (patchedWith(originals.map) === undefined) {
    for (const [name, registered] of Object.entries(originals.classes)) {
      if (registered === undefined) delete originals.map[name];
      else originals.map[name] = registered;
    }
  }
  useStandardNames(patched.size > 0);
}
