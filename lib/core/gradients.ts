import { rangeError, show, typeError } from '../check/errors.js';
import {
  checkFloat32,
  checkLength,
  checkRows,
  firstBadRow,
  floatsOf,
  isFloat32,
  isSigned,
  lengthOf,
} from '../check/typed-array.js';
import type { Engine, Plan, Rows } from '../engine/engine.js';
import { isPinned, pinned } from '../engine/memory.js';
import { checkApart, disjoint, type Extent, extentOf } from './extents.js';
import type { Slot } from './param-state.js';
import { gradPath, isSparseGrad, readGrads, type Structure } from './params.js';

const maxSignedRows = 2 ** 31;

/** One gradient as it was read: an array, rows and values read once, `null`, or what is no gradient and will be refused. */
export type Given = Float32Array | RowsGiven | null;

class RowsGiven {
  readonly rows: Rows;
  readonly values: Float32Array;

  constructor({ rows, values }: { readonly rows: unknown; readonly values: unknown }) {
    this.rows = rows as Rows;
    this.values = values as Float32Array;
  }
}

/**
 * What an optimizer knows of its gradients: reads and checks them, and makes them known to the plan. The same arrays as
 * last time need no second look.
 */
export class Gradients {
  readonly #who: string;
  readonly #denseOnly: string | undefined;
  readonly #engine: Engine;
  readonly #structure: Structure;
  readonly #slots: readonly Slot[];

  constructor(
    who: string,
    denseOnly: string | undefined,
    engine: Engine,
    structure: Structure,
    slots: readonly Slot[],
  ) {
    this.#who = who;
    this.#denseOnly = denseOnly;
    this.#engine = engine;
    this.#structure = structure;
    this.#slots = slots;
  }

  /** One entry a param, read once: from here on no code of the user runs. @throws as {@link readGrads} */
  read(grads: unknown, out: Given[]): void {
    readGrads(this.#who, this.#structure, this.#slots, grads, out);
    for (let i = 0; i < out.length; i++) {
      const grad = out[i] as unknown;
      if (grad === null || grad === this.#slots[i]!.grad) continue; // the one of last time
      if (!isFloat32(grad) && isSparseGrad(grad)) out[i] = new RowsGiven(grad);
    }
  }

  /**
   * Makes the gradients of a step known to the plan, and marks those that take no part in it in `rowOf`.
   * @throws TypeError, RangeError for what is no gradient of its param, or shares memory that it must not
   */
  register(
    given: readonly Given[],
    plan: Plan,
    rowOf: Int32Array,
    params: readonly Extent[],
    isWritten: boolean,
  ): void {
    const slots = this.#slots;
    let isNew = false;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      const grad = given[i]!;
      rowOf[i] = grad === null ? -1 : 0;
      if (grad === slot.grad && grad !== null && lengthOf(grad as Float32Array) === slot.length) continue;
      // A gradient that sat out a step is compared with the others again when it comes back.
      slot.grad = null;
      if (grad === null) continue;
      this.#check(slot, grad);
      isNew = true;
    }
    if (!isNew) return;
    const fresh: Extent[] = [];
    const names: Extent[] = [];
    try {
      for (let i = 0; i < slots.length; i++) {
        const slot = slots[i]!;
        const grad = given[i]!;
        if (grad === null || (grad === slot.grad && !isWritten)) continue;
        const extent = this.#tell(plan, i, slot, grad);
        checkApart(this.#who, extent, params);
        fresh.push(extent);
        if (!(grad instanceof RowsGiven)) continue;
        const rows = extentOf(this.#engine, floatsOf(grad.rows), `${gradPath(this.#structure, slot)}.rows`);
        checkApart(this.#who, rows, params);
        names.push(rows);
      }
      if (isWritten) {
        // Row numbers are only read: they may share memory with each other.
        const written = disjoint(this.#who, fresh);
        for (const extent of names) checkApart(this.#who, extent, written);
      }
    } catch (error) {
      // What was refused must be looked at again when it comes again.
      for (const slot of slots) slot.grad = null;
      throw error;
    }
  }

  /** Checks what a step on another thread will use, as far as it can be known before. @throws TypeError, RangeError */
  checkAhead(given: readonly Given[]): void {
    for (const [i, slot] of this.#slots.entries()) {
      const grad = given[i]!;
      if (grad === null) continue;
      this.#check(slot, grad);
      const path = gradPath(this.#structure, slot);
      if (grad instanceof RowsGiven) {
        const { rows, values } = grad;
        const limit = slot.length / (lengthOf(values) / lengthOf(rows));
        const bad = firstBadRow(rows, limit);
        if (bad >= 0) throw badRow(this.#who, path, rows, bad, limit);
        this.#checkPinned(`${path}.rows`, rows);
        this.#checkPinned(`${path}.values`, values);
      } else {
        this.#checkPinned(path, grad);
      }
    }
  }

  /** The error for a row that a param doesn't have, as the plan found it. */
  badRow(index: number, position: number, given: readonly Given[]): RangeError {
    const { rows, values } = given[index] as RowsGiven;
    const limit = this.#slots[index]!.length / (lengthOf(values) / lengthOf(rows));
    return badRow(this.#who, gradPath(this.#structure, this.#slots[index]!), rows, position, limit);
  }

  #checkPinned(path: string, array: Float32Array | Rows): void {
    if (!isPinned(this.#engine, array)) throw typeError(this.#who, path, show(array), pinned);
  }

  #check(slot: Slot, grad: Given): void {
    const path = gradPath(this.#structure, slot);
    if (grad instanceof RowsGiven) {
      this.#checkRows(slot, path, grad);
      return;
    }
    checkFloat32(this.#who, path, grad, 'a Float32Array, { rows, values } or null');
    checkLength(
      this.#who,
      path,
      grad as Float32Array,
      slot.length,
      typeof slot.key === 'string' ? slot.key : undefined,
    );
  }

  #checkRows(slot: Slot, path: string, { rows, values }: RowsGiven): void {
    if (this.#denseOnly !== undefined)
      throw typeError(this.#who, path, 'a sparse gradient', 'a Float32Array or null', this.#denseOnly);
    checkRows(this.#who, `${path}.rows`, rows);
    checkFloat32(this.#who, `${path}.values`, values);
    const [count, length] = [lengthOf(rows), lengthOf(values)];
    const refuse = (given: string, expected: string): RangeError =>
      rangeError(this.#who, `${path}.values`, given, expected);
    if (count === 0 ? length > 0 : length === 0 || length % count !== 0)
      throw refuse(`length ${length}`, count === 0 ? '0, as of rows' : `a multiple of ${count}, the length of rows`);
    if (count === 0) return;
    const size = length / count;
    if (slot.shape !== undefined && size !== slot.shape[1])
      throw refuse(`rows of ${size}`, `${slot.shape[1]}, the columns of ${slot.path}`);
    if (slot.length % size !== 0)
      throw refuse(`rows of ${size}`, `a divisor of ${slot.length}, the length of ${slot.path}`);
    // The addon reads them without their sign, so that a negative one is more than any row.
    if (slot.length / size > maxSignedRows && isSigned(rows))
      throw typeError(
        this.#who,
        `${path}.rows`,
        show(rows),
        `a Uint32Array for the ${slot.length / size} rows of ${slot.path}`,
      );
  }

  #tell(plan: Plan, index: number, slot: Slot, grad: Float32Array | RowsGiven): Extent {
    const path = gradPath(this.#structure, slot);
    if (grad instanceof RowsGiven) {
      const { rows, values } = grad;
      return extentOf(this.#engine, values, `${path}.values`, plan.setRowGrad(index, rows, values));
    }
    slot.grad = grad;
    return extentOf(this.#engine, grad, path, plan.setGrad(index, grad));
  }
}

function badRow(who: string, path: string, rows: Rows, position: number, limit: number): RangeError {
  return rangeError(who, `${path}.rows[${position}]`, show(rows[position]), `an integer in [0, ${limit})`);
}
