import { Pass, type StepConstants } from '../engine/engine.js';
import type { Declaration, Formula, PlainOptions } from './declaration.js';
import type { Group } from './param-group.js';
import type { ParamState } from './param-state.js';
import { Scopes, sameNumbers } from './scopes.js';
import type { Settings } from './settings.js';

// Constants of this module, whose values V8 compiles into the code of a step.
const { emaStart, update } = Pass;

/** Params of a group that share t, scalars and kernel, and so one constants row. Params without a gradient may lie between. */
interface Run {
  readonly group: Group;
  readonly options: PlainOptions;
  readonly kernel: string;
  /** Index of the first param. */
  readonly begin: number;
  /** Index after the last param. */
  end: number;
  /** The param whose updates count. */
  readonly first: ParamState;
  /** Whether t is the count of its updates, and not that of the optimizer's steps. */
  readonly countsAlone: boolean;
  /** The param whose scalars count. */
  readonly source: ParamState;
  /** What the scalars become if the current step is applied. */
  nextScalars: readonly number[];
  /** The constants row: what all kernels share, and the kernel's constants. */
  readonly pass: Float32Array;
  readonly constants: Float32Array;
}

/**
 * Writes the constants rows of the steps. Which params share a row is found out once, because params that were updated
 * together stay alike: until one of them takes no part in a step, or something else changes the params.
 */
export class ConstantsRows {
  readonly #declaration: Declaration;
  readonly #formula: Formula;
  readonly #global: Settings;
  readonly #groups: readonly Group[];
  readonly #params: readonly ParamState[];
  readonly #constants: StepConstants;
  readonly #scopes: Scopes;
  #runs: Run[] = [];
  #areFound = false;

  constructor(
    declaration: Declaration,
    formula: Formula,
    global: Settings,
    { groups, params }: { readonly groups: readonly Group[]; readonly params: readonly ParamState[] },
    constants: StepConstants,
  ) {
    this.#declaration = declaration;
    this.#formula = formula;
    this.#global = global;
    this.#groups = groups;
    this.#params = params;
    this.#constants = constants;
    this.#scopes = new Scopes(declaration, formula, groups, params, constants);
  }

  /** Must be called when anything but a step changed the kernel, the step count, the scalars or the options of params. */
  forget(): void {
    this.#areFound = false;
  }

  /** Sets whether a param takes part in the next step. */
  setActive(index: number, isActive: boolean): void {
    const { rowOf } = this.#constants;
    if (rowOf[index]! >= 0 === isActive) return;
    rowOf[index] = isActive ? 0 : -1;
    this.#areFound = false;
  }

  /**
   * Writes the rows of a step.
   * @param next The number of the step.
   * @param loss NaN in a class that takes none.
   */
  write(next: number, loss: number): void {
    if (this.#scopes.hasNumbers) this.#scopes.write(next, loss);
    if (!this.#areFound) this.#find();
    if (this.#haveOptionsChanged()) this.#writePasses();
    const runs = this.#runs;
    for (let r = 0; r < runs.length; r++) this.#writeRow(runs[r]!, next);
  }

  /** Counts the update of each param that took part in an applied step. */
  advance(): void {
    const { rowOf } = this.#constants;
    const params = this.#params;
    const runs = this.#runs;
    for (let r = 0; r < runs.length; r++) {
      const { begin, end, nextScalars } = runs[r]!;
      for (let i = begin; i < end; i++) {
        if (rowOf[i]! < 0) continue;
        const param = params[i]!;
        param.step++;
        if (param.scalars !== nextScalars) param.scalars = nextScalars;
      }
    }
    if (this.#scopes.hasNumbers) this.#scopes.read();
  }

  /** Whether a param takes its first update in the current step. */
  get hasNewParams(): boolean {
    return this.#params.some(({ step }, i) => step === 0 && this.#constants.rowOf[i]! >= 0);
  }

  /** Finds the runs, and gives each a row. */
  #find(): void {
    const { rowOf } = this.#constants;
    this.#runs = [];
    for (const group of this.#groups) {
      let run: Run | undefined;
      for (let i = group.begin; i < group.end; i++) {
        if (rowOf[i]! < 0) continue;
        if (run === undefined || !this.#areAlike(run, i)) {
          run = this.#runFrom(i, group);
          this.#runs.push(run);
        }
        run.end = i + 1;
        rowOf[i] = this.#runs.length - 1;
      }
    }
    this.#areFound = true;
    this.#writePasses();
  }

  #runFrom(begin: number, group: Group): Run {
    const { rows, stride } = this.#constants;
    const first = this.#params[begin]!;
    const at = this.#runs.length * stride;
    return {
      group,
      options: group.settings.resolved,
      kernel: first.kernel,
      begin,
      end: begin,
      first,
      countsAlone: this.#scopes.countsAlone(group),
      source: this.#scopes.sourceOf(begin),
      nextScalars: [],
      pass: rows.subarray(at, at + Pass.length),
      constants: rows.subarray(at + Pass.length, at + stride),
    };
  }

  #areAlike({ first, source }: Run, index: number): boolean {
    const param = this.#params[index]!;
    if (param.step !== first.step || param.kernel !== first.kernel) return false;
    const other = this.#scopes.sourceOf(index);
    return this.#scopes.keepsScalars ? other === source : sameNumbers(other.scalars, source.scalars);
  }

  // A method: V8 calls a private getter through its runtime, at every step.
  #haveOptionsChanged(): boolean {
    if (this.#global.hasChanged) return true;
    const groups = this.#groups;
    for (let g = 0; g < groups.length; g++) if (groups[g]!.settings.hasChanged) return true;
    return false;
  }

  /** Writes what only the options change. */
  #writePasses(): void {
    const { decay, decayFactor } = this.#declaration;
    const ema = this.#global.resolved['ema'] as number | undefined;
    for (const group of this.#groups) group.resolveShared(decay);
    for (const { group, options, kernel, pass } of this.#runs) {
      pass[Pass.gradScale] = group.gradScale;
      pass[Pass.clipValue] = group.clipValue;
      pass[Pass.l2] = group.l2;
      pass[Pass.decayFactor] = decayFactor?.(options, kernel) ?? group.decayFactor;
      pass[Pass.emaRate] = ema === undefined ? 0 : 1 - ema;
    }
  }

  #writeRow(run: Run, next: number): void {
    const { options, pass } = run;
    const { step } = run.first;
    const t = run.countsAlone ? step + 1 : next;
    const { scalars } = run.source;
    const constants = this.#formula.constants(options, t, scalars, run.kernel);
    const target = run.constants;
    for (let c = 0; c < constants.length; c++) target[c] = constants[c]!;
    pass[emaStart] = step === 0 ? 1 : 0;
    pass[update] = (step + 1) % 2 ** 24; // float32 has all of these
    run.nextScalars = scalars.length > 0 ? this.#formula.scalarsAfter(options, t, scalars) : scalars;
  }
}
