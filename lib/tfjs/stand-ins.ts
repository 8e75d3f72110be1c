import { engine, KernelBackend, keep, type Tensor } from '@tensorflow/tfjs-core';

/** Nothing is ever read from it: its tensors never leave this module. */
class Nowhere extends KernelBackend {
  override disposeData(): boolean {
    return true;
  }
}

const nowhere = new Nowhere();

/**
 * Tensors that stand for state that schuss keeps outside of TensorFlow.js: `tf.memory()` counts it, as it counts the state
 * of `tf.train`'s optimizers. They hold no numbers.
 */
export class StandIns {
  readonly #tensors = new Map<string, Tensor>();

  add(name: string, shape: number[]): void {
    this.drop(name);
    this.#tensors.set(name, keep(engine().makeTensorFromTensorInfo({ dataId: {}, shape, dtype: 'float32' }, nowhere)));
  }

  drop(name: string): void {
    this.#tensors.get(name)?.dispose();
    this.#tensors.delete(name);
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }
}
