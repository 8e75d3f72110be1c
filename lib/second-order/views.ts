import { rangeError } from '../check/errors.js';
import { lengthOf } from '../check/typed-array.js';
import type { Vector, VectorConstructor } from './linalg.js';

/**
 * What the user's functions get in place of the library's vectors: views of the same memory. So properties that they
 * define on a view have no effect here.
 */
export class Views {
  readonly #VectorType: VectorConstructor;
  readonly #length: number;
  /** Vector of the library → what the user's function gets. It may have kept and detached any of them. */
  readonly #views = new Map<Vector, { readonly name: string; readonly view: Vector }>();

  constructor(VectorType: VectorConstructor, length: number) {
    this.#VectorType = VectorType;
    this.#length = length;
  }

  /** @param name what errors call it */
  of(vector: Vector, name: string): Vector {
    let entry = this.#views.get(vector);
    if (entry === undefined) {
      entry = { name, view: new this.#VectorType(vector.buffer as ArrayBuffer, vector.byteOffset, vector.length) };
      this.#views.set(vector, entry);
    }
    return entry.view;
  }

  /** Refuses vectors that were detached or resized, now or since an earlier call. @throws RangeError */
  check(who: string, path: string): void {
    for (const { name, view } of this.#views.values()) {
      const length = lengthOf(view as Float32Array);
      if (length !== this.#length)
        throw rangeError(who, `${name} of ${path}`, `length ${length}`, `${this.#length}, as it was given`);
    }
  }
}
