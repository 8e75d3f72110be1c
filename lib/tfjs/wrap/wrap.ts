import { serialization } from '@tensorflow/tfjs-core';
import { show, typeError } from '../../check/errors.js';
import { isOfTensorFlow } from '../../core/collect.js';
import { notAnOptimizer } from '../../core/internals.js';
import { Optimizer } from '../../core/optimizer.js';
import type { NoneRequired } from '../../core/params-of.js';
import { optimizers } from '../../optimizers/index.js';
import { decodeExtras, extrasKey, withSchedules } from './extras.js';
import { type OptimizerClass, type WrapOptions, WrappedOptimizer } from './wrapped-optimizer.js';

const classes = new WeakMap<OptimizerClass, new (options: object) => WrappedOptimizer>();

/** The subclass of `tf.Optimizer` for a class of schuss. Saved models refer to it by its `className`. */
function classOf(Class: OptimizerClass): new (options: object) => WrappedOptimizer {
  const known = classes.get(Class);
  if (known !== undefined) return known;
  const Wrapped = class extends WrappedOptimizer {
    // With a prefix, because TensorFlow.js has an 'Adam' already.
    static readonly className = `Schuss${Class.optimizerName}`;

    constructor(options: object) {
      super(Class, options);
    }

    static override fromConfig<T extends serialization.Serializable>(
      cls: serialization.SerializableConstructor<T>,
      config: serialization.ConfigDict,
    ): T {
      // When tfjs-layers loads a model, it adds `customObjects` to the config. They are not options.
      const { customObjects: _, [extrasKey]: __, ...options } = config;
      const extras = decodeExtras(Class.optimizerName, config);
      const optimizer = new cls(withSchedules(Class.optimizerName, options, extras));
      WrappedOptimizer.restoreExtras(optimizer as never, extras);
      return optimizer;
    }
  };
  serialization.registerClass(Wrapped, 'schuss');
  classes.set(Class, Wrapped);
  return Wrapped;
}

for (const Class of Object.values(optimizers)) classOf(Class);

/**
 * Returns an optimizer of TensorFlow.js with default options. Not for a class that needs one, such as `lr`.
 *
 * @param Class A class of optimizers of schuss, such as `Adam`.
 */
export function wrap<C extends OptimizerClass>(Class: C & NoneRequired<WrapOptions<C>>): WrappedOptimizer<C>;
/**
 * Makes a `tf.Optimizer` that trains variables and models of TensorFlow.js with an optimizer class of schuss: its
 * formula, options and schedules, and its native kernels.
 *
 * On the cpu and wasm backends, steps update the variables in place; on others, they read and assign them. State is
 * kept by variable name. A step does not change values that were read from a variable, tensors made from it (clones,
 * slices, reshapes), or the array it was made from.
 *
 * @param Class `Adam`, `SGD`, …
 * @param options The options of the class, except `zeroGrads`.
 * @returns The optimizer, for `minimize`, `applyGradients` or `model.compile`. Its `optimizer` is the inner schuss one.
 * @throws TypeError for something that is not a class of schuss, and for `zeroGrads`; otherwise as the class throws
 * @example
 * ```ts
 * import '@tensorflow/tfjs-backend-wasm';
 * import * as tf from '@tensorflow/tfjs-core';
 * import * as layers from '@tensorflow/tfjs-layers';
 * import { Adam, cosine } from 'schuss';
 * import { wrap } from 'schuss/tfjs';
 * await tf.setBackend('wasm');
 * const model = layers.sequential({ layers: [layers.layers.dense({ units: 1, inputShape: [2] })] });
 * const optimizer = wrap(Adam, { lr: cosine(0.1, { steps: 100 }), clipNorm: 1 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 2]), tf.zeros([8, 1]), { epochs: 50, verbose: 0 });
 * console.log(optimizer.optimizer.stepCount, optimizer.learningRate);
 * ```
 */
export function wrap<C extends OptimizerClass>(Class: C, options: WrapOptions<C>): WrappedOptimizer<C>;
export function wrap<C extends OptimizerClass>(
  Class: C,
  options: WrapOptions<C> = {} as WrapOptions<C>,
): WrappedOptimizer<C> {
  if (typeof Class !== 'function' || !(Class.prototype instanceof Optimizer)) {
    throw notAnOptimizer('wrap', Class, 'Class', 'a first-order optimizer class of schuss, such as Adam');
  }
  if (isOfTensorFlow(options))
    throw typeError(
      Class.optimizerName,
      'options',
      show(options),
      'an object of options',
      'variables come with the steps: model.compile({ optimizer }) or minimize(f)',
    );
  return new (classOf(Class))(options) as unknown as WrappedOptimizer<C>;
}
