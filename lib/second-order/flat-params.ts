import { show, typeError } from '../check/errors.js';
import { checkFloat32, checkLength, copyInto, lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import { checkApart, disjoint, type Extent, extentOf } from '../core/extents.js';
import type { Tensor } from '../core/params.js';
import { checkSettled } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import type { Engine } from '../engine/engine.js';
import type { Vector } from './linalg.js';

/** One param, its position in the flat vector, and its gradient. */
interface Part {
  readonly tensor: Tensor;
  readonly offset: number;
  readonly length: number;
  /** The gradient array that was checked last. */
  grad: Float32Array | undefined;
}

/** Copies params and gradients between the user's arrays and one flat vector each. The user's arrays stay in place. */
export class FlatParams {
  /** The number of elements of all params together. */
  readonly length: number;
  readonly tensors: readonly Tensor[];
  readonly #who: string;
  readonly #engine: Engine = engine();
  readonly #parts: readonly Part[];
  readonly #structure: Structure;
  readonly #grads: unknown;
  readonly #extents: readonly Extent[];
  /** Scratch for {@link Structure.read}: what the user gave for each tensor. */
  readonly #given: unknown[] = [];

  /** @throws TypeError, RangeError for invalid params, param groups, or gradients that do not fit the params */
  constructor(who: string, params: object, grads: unknown) {
    this.#who = who;
    this.tensors = FlatParams.tensorsOf(who, params);
    let length = 0;
    this.#parts = this.tensors.map((tensor) => {
      const part = { tensor, offset: length, length: lengthOf(tensor.data), grad: undefined };
      length += part.length;
      return part;
    });
    this.length = length;
    this.#structure = new Structure(who, this.tensors);
    this.#extents = disjoint(
      who,
      this.tensors.map(({ data, path }) => extentOf(this.#engine, data, path)),
    );
    this.#grads = grads;
    if (grads === undefined) throw typeError(who, 'grads', 'undefined', 'the gradients that the closure fills');
    this.checkGrads();
  }

  /** The tensors of a tree of params. @throws TypeError, RangeError for invalid params or param groups */
  static tensorsOf(who: string, params: object): readonly Tensor[] {
    const [found] = collect(who, params);
    if (found?.given !== params)
      throw typeError(who, 'params', 'param groups', 'a Float32Array, { data, shape }, a list or a record of them');
    return found.tensors;
  }

  /**
   * Refuses params that are detached, have changed their length, or belong to a pending step of another optimizer.
   * @throws
   */
  check(): void {
    for (const { tensor, length } of this.#parts) checkLength(this.#who, tensor.path, tensor.data, length);
    checkSettled(this.#who, this.#extents);
  }

  /** x ← params. */
  read(x: Vector): void {
    // The buffer of an empty param may be detached.
    for (const { tensor, offset, length } of this.#parts) if (length > 0) x.set(tensor.data, offset);
  }

  /** params ← x. Skips params that are detached or have changed their length, so that it can run after an error. */
  write(x: Vector): void {
    for (const { tensor, offset, length } of this.#parts)
      if (lengthOf(tensor.data) === length) copyInto(tensor.data, x.subarray(offset, offset + length));
  }

  /**
   * grad ← gradients. Checks them first, because the closure may have replaced arrays in the list or record.
   * @throws
   */
  readGrads(grad: Vector): void {
    this.checkGrads();
    for (const part of this.#parts) if (part.length > 0) grad.set(part.grad as Float32Array, part.offset);
  }

  /** gradients ← grad, in the arrays that were checked last. */
  writeGrads(grad: Vector): void {
    for (const { grad: array, offset, length } of this.#parts)
      if (array !== undefined && lengthOf(array) === length) copyInto(array, grad.subarray(offset, offset + length));
  }

  /** How errors name the gradient of each param. */
  get gradPaths(): readonly string[] {
    return this.tensors.map((tensor) => this.#structure.gradPath(tensor));
  }

  /** Refuses gradients that do not fit the params. @throws */
  checkGrads(): void {
    this.#structure.read(this.#grads, this.#given);
    for (const [i, part] of this.#parts.entries()) {
      const given = this.#given[i];
      if (given !== undefined && given === part.grad && lengthOf(part.grad) === part.length) continue;
      part.grad = undefined;
      const { tensor, length } = part;
      const path = this.#structure.gradPath(tensor);
      if (given === null)
        throw typeError(this.#who, path, show(given), 'a Float32Array', 'leave out params that should not change');
      const grad = checkFloat32(this.#who, path, given);
      checkLength(this.#who, path, grad, length, typeof tensor.key === 'string' ? tensor.key : undefined);
      checkApart(this.#who, extentOf(this.#engine, grad, path), this.#extents);
      part.grad = grad;
    }
  }
}
