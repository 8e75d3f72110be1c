import type { StepConstants } from '../engine/engine.js';
import type { Declaration, Formula, PlainOptions, Scope } from './declaration.js';
import type { Group } from './param-group.js';
import type { ParamState } from './param-state.js';

/**
 * The scalars that params share, as the numbers of a step. The plan computes them from sums over all tensors of a scope:
 * one param, a group, or the whole optimizer. Each param of the scope keeps a copy, so that its state is complete.
 */
export class Scopes {
  readonly #declaration: Declaration;
  readonly #formula: Formula;
  readonly #groups: readonly Group[];
  readonly #params: readonly ParamState[];
  readonly #constants: StepConstants;
  /** The options of all groups, and those of each group alone. */
  readonly #all: readonly PlainOptions[];
  readonly #alone: readonly (readonly PlainOptions[])[];
  /** The first param and the end of each scope of the current step. */
  readonly #active: (readonly [first: number, end: number])[] = [];
  /** How many of the numbers are scalars of the params. */
  readonly #kept: number;
  /** The last call of `write` that wrote the numbers of a scope. */
  readonly #written: number[];
  #call = 0;

  constructor(
    declaration: Declaration,
    formula: Formula,
    groups: readonly Group[],
    params: readonly ParamState[],
    constants: StepConstants,
  ) {
    this.#declaration = declaration;
    this.#formula = formula;
    this.#groups = groups;
    this.#params = params;
    this.#constants = constants;
    this.#all = groups.map(({ settings }) => settings.resolved);
    this.#alone = this.#all.map((options) => [options]);
    this.#kept = declaration.scope === undefined ? 0 : Object.keys(declaration.scalars ?? {}).length;
    this.#written = params.map(() => 0);
  }

  /** t of a param's update: by its own count, unless it shares numbers with others. */
  #timeOf(group: Group, param: ParamState, next: number): number {
    return this.countsAlone(group) ? param.step + 1 : next;
  }

  /** Whether t is the count of a param's own updates. */
  countsAlone(group: Group): boolean {
    return this.#scopeOf(group) === 'param';
  }

  /** Whether there are numbers. */
  get hasNumbers(): boolean {
    return this.#constants.numberCount > 0;
  }

  /** Whether the scalars of the params are numbers of their scopes. */
  get keepsScalars(): boolean {
    return this.#kept > 0;
  }

  /** The param whose scalars count for a param in the current step: the first of its scope. */
  sourceOf(index: number): ParamState {
    return this.#params[this.keepsScalars ? this.#constants.scopeOf[index]! : index]!;
  }

  /**
   * Writes the numbers of the step, for each scope that takes part.
   * @param next The number of the step.
   * @param loss NaN in a class that takes none.
   */
  write(next: number, loss: number): void {
    const { rowOf, scopeOf, numbers } = this.#constants;
    this.#active.length = 0;
    this.#call++;
    for (const [g, group] of this.#groups.entries()) {
      const scope = this.#scopeOf(group);
      for (let i = group.begin; i < group.end; i++) {
        const first = scope === 'param' ? i : scope === 'group' ? group.begin : 0;
        scopeOf[i] = first;
        if (rowOf[i]! < 0 || this.#written[first] === this.#call) continue;
        this.#written[first] = this.#call;
        const end = scope === 'param' ? i + 1 : scope === 'group' ? group.end : this.#params.length;
        this.#active.push([first, end]);
        const { scalars } = this.#params[first]!;
        const options = scope === 'optimizer' ? this.#all : this.#alone[g]!;
        const inputs = this.#formula.inputs(options, this.#timeOf(group, this.#params[i]!, next), scalars, loss);
        if (this.#kept > 0) numbers[first]!.set(scalars);
        numbers[first]!.set(inputs, this.#kept);
      }
    }
  }

  /** Gives the params the scalars that the plan has computed. */
  read(): void {
    if (this.#kept === 0) return;
    for (const [first, end] of this.#active) {
      const scalars = Array.from(this.#constants.numbers[first]!.subarray(0, this.#kept));
      for (let i = first; i < end; i++) this.#params[i]!.scalars = scalars;
    }
  }

  #scopeOf(group: Group): Scope {
    const { scope = 'param' } = this.#declaration;
    return typeof scope === 'function' ? scope(group.settings.resolved) : scope;
  }
}

/** Whether two lists have the same numbers. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
