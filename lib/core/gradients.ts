import { rangeError, typeError } from '../check/errors.js';
import { checkFloat32, checkLength, firstBadRow, isFloat32, lengthOf, lengthOfFloats } from '../check/typed-array.js';
import type { Plan, Rows } from '../engine/engine.js';
import { isPinned, notPinned } from '../engine/memory.js';
import { checkApart, disjoint, type Extent, extentOf, overlapping, union } from './extents.js';
import type { ParamState } from './param-state.js';
import type { ParamStore } from './param-store.js';
import { isSparseGrad } from './params.js';
import { type ReadGrad, ReadSparseGrad } from './read-grad.js';
import { badRow, checkSparseGrad } from './sparse-grad.js';

/**
 * Reads and checks the gradients of a step and registers them in the plan. An array seen before is not checked again.
 */
export class Gradients {
  readonly #store: ParamStore;
  readonly #denseOnly: string | undefined;

  /** @param denseOnly The reason why no param takes sparse gradients here, if there is one beside those of the store. */
  constructor(store: ParamStore, denseOnly?: string) {
    this.#store = store;
    this.#denseOnly = denseOnly;
  }

  /**
   * Reads one gradient per param, each once. In `step`, no user code runs after this.
   * @returns Whether the plan has them all already, so that there is nothing to register.
   * @throws as {@link Structure.read}
   */
  read(grads: unknown, out: ReadGrad[]): boolean {
    const { structure, params } = this.#store;
    structure.read(grads, out);
    let areKnown = true;
    for (let i = 0; i < params.length; i++) {
      const grad = out[i] as unknown;
      if (grad === params[i]!.grad && grad !== null) continue;
      areKnown = false;
      if (grad === null) continue;
      if (isFloat32(grad) || !isSparseGrad(grad)) continue;
      const { rows, values } = grad as { readonly rows: unknown; readonly values?: unknown };
      const last = params[i]!.sparseGrad;
      out[i] = last !== null && last.rows === rows && last.values === values ? last : new ReadSparseGrad(rows, values);
    }
    return areKnown;
  }

  /**
   * Registers the gradients of a step in the plan. The params without a gradient take no part in the step.
   * @param isWritten Whether the step writes to the gradients (`zeroGrads`): then they may not overlap each other.
   * @throws TypeError, RangeError for a gradient that does not fit its param, overlaps a param, or, if it is written
   *   to, overlaps another gradient
   */
  register(grads: readonly ReadGrad[], isWritten: boolean): void {
    const { params, plan, constantsRows } = this.#store;
    let isNew = false;
    for (let i = 0; i < params.length; i++) {
      const param = params[i]!;
      const grad = grads[i]!;
      if (isKnown(param, grad)) continue; // its length is looked at in every step
      constantsRows.setActive(i, grad !== null);
      // If a step has no gradient for a param, the param's next gradient is checked again, because it may overlap the
      // others.
      param.setGrad(null);
      if (grad === null) continue;
      this.#check(param, grad);
      isNew = true;
    }
    if (!isNew) return;
    try {
      this.#registerNew(grads, plan, isWritten);
    } catch (error) {
      // A refused gradient must be checked again if it is given again.
      this.#store.forgetGrads();
      throw error;
    }
  }

  #registerNew(grads: readonly ReadGrad[], plan: Plan, isWritten: boolean): void {
    const { name, engine, params, extents } = this.#store;
    const values: Extent[] = [];
    const rows: Extent[] = [];
    for (let i = 0; i < params.length; i++) {
      const param = params[i]!;
      const grad = grads[i]!;
      if (grad === null || (!isWritten && isKnown(param, grad))) continue;
      if (!isWritten && this.#setApart(plan, i, param, grad)) continue;
      const extent = this.#setGrad(plan, i, param, grad);
      checkApart(name, extent, extents);
      values.push(extent);
      if (!(grad instanceof ReadSparseGrad)) continue;
      const rowsExtent = extentOf(engine, grad.rows, `${this.#pathOf(param)}.rows`);
      checkApart(name, rowsExtent, extents);
      rows.push(rowsExtent);
    }
    if (!isWritten) return;
    // Row numbers are only read, so they may overlap each other.
    const written = disjoint(name, values);
    for (const extent of rows) checkApart(name, extent, written);
  }

  /**
   * Whether all params and registered gradients have the lengths with which the plan has them. If not, the plan must look. A
   * sparse gradient without rows counts as not.
   */
  haveLengths(): boolean {
    const { params } = this.#store;
    for (let i = 0; i < params.length; i++) {
      const { data, plannedLength, grad, sparseGrad } = params[i]!;
      if (lengthOfFloats(data) !== plannedLength) return false;
      if (grad !== null && lengthOfFloats(grad) !== plannedLength) return false;
      if (sparseGrad !== null && !sparseGrad.isRegistered) return false;
    }
    return true;
  }

  /**
   * Checks the gradients of a queued step when it is called, as far as that is possible before it runs.
   * @throws TypeError, RangeError
   */
  checkAhead(grads: readonly ReadGrad[]): void {
    for (const [i, param] of this.#store.params.entries()) {
      const grad = grads[i]!;
      if (grad === null) continue;
      this.#check(param, grad);
      const path = this.#pathOf(param);
      if (grad instanceof ReadSparseGrad) {
        const { rows, values } = grad;
        const limit = param.length / (lengthOf(values) / lengthOf(rows));
        const bad = firstBadRow(rows, limit);
        if (bad >= 0) throw badRow(this.#store.name, path, rows, bad, limit);
        this.#checkPinned(`${path}.rows`, rows);
        this.#checkPinned(`${path}.values`, values);
      } else {
        this.#checkPinned(path, grad);
      }
    }
  }

  /** Refuses a registered gradient that was detached or resized since. @throws TypeError, RangeError */
  checkAgain(grads: readonly ReadGrad[]): void {
    const { params } = this.#store;
    for (let i = 0; i < params.length; i++) if (grads[i] !== null) this.#check(params[i]!, grads[i]!);
  }

  /** The error for a step that needs more temporary memory than there is: the matrices of a param, or a sparse gradient. */
  noMemory(index: number, bytes: number): RangeError {
    const { name } = this.#store;
    if (bytes === 0)
      return rangeError(name, 'this', 'a step that needs more temporary memory than there is', 'free memory');
    const path = this.#pathOf(this.#store.params[index]!);
    return rangeError(this.#store.name, path, `a sparse gradient that needs ${bytes} bytes`, 'as much free memory');
  }

  /** The memory of the gradients of a queued step. */
  extentsOf(grads: readonly ReadGrad[]): readonly Extent[] {
    const { engine } = this.#store;
    return union(
      grads.flatMap((grad) => {
        if (grad === null) return [];
        const arrays = grad instanceof ReadSparseGrad ? [grad.rows, grad.values] : [grad];
        return arrays.map((array) => extentOf(engine, array, 'grads'));
      }),
    );
  }

  /** The error for a row number that the plan found out of range. */
  badRow(index: number, position: number, grads: readonly ReadGrad[]): RangeError {
    const { rows, values } = grads[index] as ReadSparseGrad;
    const param = this.#store.params[index]!;
    const limit = param.length / (lengthOf(values) / lengthOf(rows));
    return badRow(this.#store.name, this.#pathOf(param), rows, position, limit);
  }

  #pathOf(param: ParamState): string {
    return this.#store.structure.gradPath(param);
  }

  #checkPinned(path: string, array: Float32Array | Rows): void {
    if (!isPinned(this.#store.engine, array)) throw notPinned(this.#store.name, path, array);
  }

  #check(param: ParamState, grad: Float32Array | ReadSparseGrad): void {
    // Most gradients are right, and their path is never needed. An array of length 0 may be detached.
    if (isFloat32(grad) && param.length > 0 && lengthOf(grad) === param.length) return;
    const path = this.#pathOf(param);
    if (grad instanceof ReadSparseGrad) {
      this.#checkSparse(param, path, grad);
      return;
    }
    const { name } = this.#store;
    checkFloat32(name, path, grad, 'a Float32Array, { rows, values } or null');
    checkLength(name, path, grad, param.length, typeof param.key === 'string' ? param.key : undefined);
  }

  #checkSparse(param: ParamState, path: string, grad: ReadSparseGrad): void {
    const { name } = this.#store;
    const reason = this.#denseOnly ?? this.#store.denseOnlyBecause(param);
    if (reason !== undefined) throw typeError(name, path, 'a sparse gradient', 'a Float32Array or null', reason);
    checkSparseGrad(name, path, param, grad);
  }

  /** Registers a gradient. Returns whether it is apart from all params: then no error needs its extent and its path. */
  #setApart(plan: Plan, index: number, param: ParamState, grad: Float32Array | ReadSparseGrad): boolean {
    const { engine, extents } = this.#store;
    const isApart = (start: number, length: number): boolean =>
      overlapping(start, start + length * Float32Array.BYTES_PER_ELEMENT, extents) === undefined;
    const start = this.#put(plan, index, param, grad);
    if (!(grad instanceof ReadSparseGrad)) return isApart(start, param.length);
    const { rows, values } = grad;
    return isApart(start, lengthOf(values)) && isApart(engine.address(rows), lengthOf(rows));
  }

  #setGrad(plan: Plan, index: number, param: ParamState, grad: Float32Array | ReadSparseGrad): Extent {
    const path = this.#pathOf(param);
    const address = this.#put(plan, index, param, grad);
    if (!(grad instanceof ReadSparseGrad)) return extentOf(this.#store.engine, grad, path, address);
    return extentOf(this.#store.engine, grad.values, `${path}.values`, address);
  }

  /** Gives the plan a gradient. Returns the address of its values. Only then is the gradient known. */
  #put(plan: Plan, index: number, param: ParamState, grad: Float32Array | ReadSparseGrad): number {
    const isSparse = grad instanceof ReadSparseGrad;
    const address = isSparse ? plan.setRowGrad(index, grad.rows, grad.values) : plan.setGrad(index, grad);
    if (isSparse) grad.setRegistered();
    param.setGrad(grad);
    return address;
  }
}

/** Whether the plan has this gradient already. */
function isKnown(param: ParamState, grad: ReadGrad): boolean {
  if (grad === null) return false;
  return grad === param.grad || (grad === param.sparseGrad && grad.isRegistered);
}
