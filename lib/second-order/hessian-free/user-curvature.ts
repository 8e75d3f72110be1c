import { rangeError, show, typeError } from '../../check/errors.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Arrays } from '../../core/params.js';
import { Structure } from '../../core/structure.js';
import type { FlatParams } from '../flat-params.js';
import type { Vector } from '../linalg.js';
import { isThenable, type MaybeTask } from '../task.js';
import { GradientCheck, writeInto } from '../unwritten.js';
import type { HessianFreeFunctions } from './options.js';
import type { Curvature } from './solver.js';
import { checkSquares } from './squares.js';

/** A flat vector, and the parts of it in the structure of the params, as the user's functions get them. */
interface Tree {
  readonly flat: Float32Array;
  /** The user's functions may detach it: `flat` has the same memory. */
  readonly arrays: Arrays;
}

/** Calls the functions of curvature with the user's params, and with vectors in their structure. */
export class UserCurvature implements Curvature {
  readonly squares: Curvature['squares'];
  readonly #who: string;
  readonly #given: object;
  readonly #params: FlatParams;
  readonly #functions: HessianFreeFunctions;
  readonly #v: Tree;
  readonly #out: Tree;
  readonly #structure: Structure;
  readonly #checks = { gaussNewton: new GradientCheck(1), squaredGradients: new GradientCheck(1) };

  constructor(who: string, given: object, params: FlatParams, functions: HessianFreeFunctions) {
    this.#who = who;
    this.#given = given;
    this.#params = params;
    this.#functions = functions;
    this.#structure = new Structure(who, params.tensors, 'out');
    this.#v = this.#newTree();
    this.#out = this.#newTree();
    this.squares = functions.squaredGradients && ((x, out) => this.#squares(x, out));
  }

  product(x: Vector, v: Vector, out: Vector): MaybeTask<void> {
    const call = (): unknown => this.#functions.gaussNewton(this.#given, this.#v.arrays, this.#out.arrays);
    this.#v.flat.set(v);
    return this.#write('gaussNewton', x, out, call);
  }

  #squares(x: Vector, out: Vector): void {
    const call = (): unknown => this.#functions.squaredGradients?.(this.#given, this.#out.arrays);
    const pending = this.#write('squaredGradients', x, out, call);
    if (pending !== undefined) for (const _ of pending) throw new Error('this function must not wait');
    checkSquares(this.#who, (i) => `${this.#elementPath(i)} of squaredGradients`, out);
  }

  *#write(
    name: 'gaussNewton' | 'squaredGradients',
    x: Vector,
    out: Vector,
    call: () => unknown,
  ): Generator<unknown, void> {
    this.#params.write(x);
    const { flat } = this.#out;
    const once = (): undefined => {
      const result = call();
      if (isThenable(result)) throw typeError(this.#who, name, show(result), 'nothing', 'it must not be async');
      this.#params.check();
      for (const [what, tree] of [
        ['v', this.#v],
        ['out', this.#out],
      ] as const) {
        const length = lengthOf(tree.flat);
        if (length !== this.#params.length)
          throw rangeError(
            this.#who,
            `${what} of ${name}`,
            `length ${length}`,
            `${this.#params.length}, as it was given`,
          );
      }
    };
    const pending = writeInto(this.#checks[name], flat, once, (i) => {
      const hint = `${name} must write every element of out`;
      return typeError(this.#who, `${this.#elementPath(i)} of ${name}`, 'not written', 'a number', hint);
    });
    if (pending !== undefined) yield* pending;
    out.set(flat);
  }

  /** How errors name an element of `out`. */
  #elementPath(index: number): string {
    let first = 0;
    for (const tensor of this.#params.tensors) {
      const length = lengthOf(tensor.data);
      if (index < first + length) return `${this.#structure.gradPath(tensor)}[${index - first}]`;
      first += length;
    }
    return `out[${index}]`;
  }

  #newTree(): Tree {
    const flat = new Float32Array(this.#params.length);
    let first = 0;
    const arrays = this.#params.tensors.map(({ data }) => {
      const begin = first;
      first += lengthOf(data);
      return flat.subarray(begin, first);
    });
    return { flat, arrays: this.#structure.assemble(arrays) };
  }
}
