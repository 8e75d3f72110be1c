import { engine, KernelBackend, keep, type Tensor } from '@tensorflow/tfjs-core';

/** A backend that holds no data. Nothing reads from it, because its tensors never leave this module. */
class EmptyBackend extends KernelBackend {
  override disposeData(): boolean {
    return true;
  }
}

const backend = new EmptyBackend();

/**
 * Tensors without data, one for each state array that schuss keeps outside TensorFlow.js. They make `tf.memory()` count
 * the state, as it does for the optimizers of `tf.train`.
 */
export class Placeholders {
  readonly #tensors = new Map<string, Tensor>();

  add(name: string, shape: number[]): void {
    this.remove(name);
    this.#tensors.set(name, keep(engine().makeTensorFromTensorInfo({ dataId: {}, shape, dtype: 'float32' }, backend)));
  }

  remove(name: string): void {
    this.#tensors.get(name)?.dispose();
    this.#tensors.delete(name);
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }
}
