import { engine, type NamedTensorMap, Tensor, util, type Variable } from '@tensorflow/tfjs-core';
import { rangeError, show, typeError } from '../../check/errors.js';
import { rebind } from '../../core/internals.js';
import type { Optimizer } from '../../core/optimizer.js';
import type { Memory } from '../memory.js';
import type { NamedTensor } from './weights.js';

/** A variable and its gradient in one step. */
export interface Update {
  readonly variable: Variable;
  readonly gradient: Tensor;
}

/** The array that the optimizer has as its param for a variable, under the variable's name. */
export interface Binding {
  readonly shape: number[];
  /** The variable's memory, or `parking`. */
  array: Float32Array;
  /** Replaces the variable's memory in steps without this variable, because that memory may be freed or moved. */
  parking?: Float32Array;
}

/** What the optimizer needs for one step. */
interface StepInputs {
  readonly grads: Readonly<Record<string, Float32Array | null>>;
  /** Arrays that replace those of known params. */
  readonly moves: ReadonlyMap<string, Float32Array>;
  /** Variables that the optimizer does not have yet. */
  readonly added: ReadonlyMap<string, Binding>;
}

/** Binds the variables of TensorFlow.js to the params of one optimizer, by name. */
export class Variables {
  readonly #who: string;
  readonly #bindings = new Map<string, Binding>();

  constructor(who: string) {
    this.#who = who;
  }

  get size(): number {
    return this.#bindings.size;
  }

  get names(): readonly string[] {
    return [...this.#bindings.keys()];
  }

  shapeOf(name: string): number[] | undefined {
    return this.#bindings.get(name)?.shape;
  }

  /** Whether a variable of this name exists now. */
  isLive(name: string): boolean {
    return engine().registeredVariables[name] !== undefined;
  }

  arrayOf(name: string): Float32Array {
    return (this.#bindings.get(name) as Binding).array;
  }

  /** The updates of one step, by variable name. @throws TypeError, RangeError for gradients that do not fit */
  updatesFrom(gradients: NamedTensorMap | NamedTensor[]): Map<string, Update> {
    const form = 'a record of tensors by variable name, or a list of { name, tensor }';
    if (typeof gradients !== 'object' || gradients === null)
      throw typeError(this.#who, 'gradients', show(gradients), form);
    const entries = Array.isArray(gradients)
      ? Array.from(gradients, (entry: unknown, i) => {
          const { name, tensor } = (entry ?? {}) as Partial<NamedTensor>;
          if (typeof name !== 'string' || tensor === undefined)
            throw typeError(this.#who, `gradients[${i}]`, show(entry), '{ name, tensor }', 'the name of a variable');
          return [name, tensor] as const;
        })
      : Object.entries(gradients);
    const updates = new Map<string, Update>();
    for (const [name, gradient] of entries as [string, Tensor | null | undefined][]) {
      if (gradient === null || gradient === undefined) continue;
      const update = this.#checked(name, gradient);
      if (updates.has(name)) throw typeError(this.#who, pathOf(name), 'a second gradient', 'one gradient per variable');
      updates.set(name, update);
    }
    return updates;
  }

  #checked(name: string, gradient: Tensor): Update {
    const who = this.#who;
    const path = pathOf(name);
    const variable = engine().registeredVariables[name];
    if (variable === undefined) throw typeError(who, path, 'no variable has this name', 'the name of a tf.Variable');
    if (variable.dtype !== 'float32') throw typeError(who, path, `a variable of ${variable.dtype}`, 'one of float32');
    if (!(gradient instanceof Tensor)) throw typeError(who, path, show(gradient), 'a tf.Tensor or null');
    if (gradient.isDisposed) throw typeError(who, path, 'a disposed tensor', 'a live one');
    if (gradient.dtype !== 'float32') throw typeError(who, path, `a tensor of ${gradient.dtype}`, 'one of float32');
    if (!util.arraysEqual(gradient.shape, variable.shape))
      throw rangeError(who, path, `shape [${gradient.shape}]`, `[${variable.shape}], that of the variable`);
    const known = this.shapeOf(name);
    if (known !== undefined && !util.arraysEqual(known, variable.shape))
      throw rangeError(
        who,
        path,
        `a variable of shape [${variable.shape}]`,
        `[${known}], that of the state under its name`,
        'make a new optimizer for each model',
      );
    return { variable, gradient };
  }

  /** Reads variables and gradients through `memory`, whose views are valid until the backend allocates. */
  inputsFrom(updates: ReadonlyMap<string, Update>, memory: Memory): StepInputs {
    const grads: Record<string, Float32Array | null> = {};
    const moves = new Map<string, Float32Array>();
    const added = new Map<string, Binding>();
    for (const [name, binding] of this.#bindings) {
      if (updates.has(name)) continue;
      grads[name] = null;
      binding.parking ??= new Float32Array(util.sizeFromShape(binding.shape));
      if (binding.array !== binding.parking) moves.set(name, binding.parking);
    }
    for (const [name, { variable, gradient }] of updates) {
      const known = this.#bindings.get(name);
      const array = memory.view(variable, known?.array);
      if (known === undefined) added.set(name, { shape: variable.shape, array });
      else if (array !== known.array) moves.set(name, array);
      grads[name] = memory.read(gradient);
    }
    return { grads, moves, added };
  }

  /** Gives params of the optimizer other arrays. */
  move(optimizer: Optimizer, moves: ReadonlyMap<string, Float32Array>): void {
    // One variable may now use memory that another one used before, and params must not overlap. So first every param
    // leaves its array, then every param gets its new one. A detached array (length 0: the heap grew) cannot overlap.
    for (const [name, array] of moves)
      if (moves.size > 1 && this.arrayOf(name).length > 0) rebind(optimizer, name, new Float32Array(array.length));
    for (const [name, array] of moves) {
      rebind(optimizer, name, array);
      (this.#bindings.get(name) as Binding).array = array;
    }
  }

  add(added: ReadonlyMap<string, Binding>): void {
    for (const [name, binding] of added) this.#bindings.set(name, binding);
  }

  clear(): void {
    this.#bindings.clear();
  }
}

function pathOf(name: string): string {
  return `gradients[${JSON.stringify(name)}]`;
}
