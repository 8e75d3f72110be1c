import { Pass, type StepConstants } from '../engine/engine.js';
import type { Declaration, Formula } from './declaration.js';
import type { Group } from './param-group.js';
import type { ParamState } from './param-state.js';
import { Scopes, sameNumbers } from './scopes.js';
import type { Settings } from './settings.js';

const { update } = Pass;

/** Params of a group that share t, scalars and kernel, and so one constants row. Params without a gradient may lie between. */
interface Run {
  readonly group: Group;
  readonly kernel: string;
  /** Index of the first param. */
  readonly begin: number;
  /** Index after the last param. */
  end: number;
  /** Its constants row: what all kernels share, and the kernel's constants. */
  readonly pass: Float32Array;
  readonly constants: Float32Array;
  /** Whether t is the params' own count of updates. */
  readonly countsAlone: boolean;
  /** What the scalars become if the current step is applied. */
  nextScalars: readonly number[];
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
  readonly #rowOf: Int32Array;
  readonly #rows: Float32Array;
  readonly #stride: number;
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
    this.#rowOf = constants.rowOf;
    this.#rows = constants.rows;
    this.#stride = constants.stride;
    this.#scopes = new Scopes(declaration, formula, groups, params, constants);
  }

  /** Must be called when anything but a step changed the kernel, the step count, the scalars or the options of params. */
  forget(): void {
    this.#areFound = false;
  }

  /** Sets whether a param takes part in the next step. */
  setActive(index: number, isActive: boolean): void {
    if (this.#rowOf[index]! >= 0 === isActive) return;
    this.#rowOf[index] = isActive ? 0 : -1;
    this.#areFound = false;
  }

  /**
   * Writes the rows of a step.
   * @param next The number of the step.
   * @param loss NaN in a class that takes none.
   */
  write(next: number, loss: number): void {
    const areNew = !this.#areFound;
    if (areNew) this.#find();
    if (this.#scopes.hasNumbers) this.#scopes.write(next, loss);
    const runs = this.#runs;
    const mustWrite = areNew || this.#global.hasChanged;
    let group: Group | undefined;
    let hasChanged = mustWrite;
    for (let r = 0; r < runs.length; r++) {
      const run = runs[r]!;
      if (run.group !== group) {
        group = run.group;
        hasChanged = group.resolveShared(this.#declaration.decay) || mustWrite;
      }
      const { step } = this.#params[run.begin]!;
      if (hasChanged || step < 2) this.#writePass(run, step);
      this.#writeRow(run, step, next);
    }
    this.#areFound = true;
  }

  /** Counts the update of each param that took part in an applied step. */
  advance(): void {
    const rowOf = this.#rowOf;
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
    return this.#params.some(({ step }, i) => step === 0 && this.#rowOf[i]! >= 0);
  }

  /** Finds the runs, and gives each a row. */
  #find(): void {
    this.#runs = [];
    for (const group of this.#groups) {
      const countsAlone = this.#scopes.countsAlone(group);
      let run: Run | undefined;
      for (let i = group.begin; i < group.end; i++) {
        if (this.#rowOf[i]! < 0) continue;
        if (run === undefined || !this.#areAlike(run.begin, i)) {
          const row = this.#rows.subarray(this.#runs.length * this.#stride, (this.#runs.length + 1) * this.#stride);
          const [pass, constants] = [row.subarray(0, Pass.length), row.subarray(Pass.length)];
          const { kernel } = this.#params[i]!;
          run = { group, kernel, begin: i, end: i, pass, constants, countsAlone, nextScalars: [] };
          this.#runs.push(run);
        }
        run.end = i + 1;
        this.#rowOf[i] = this.#runs.length - 1;
      }
    }
  }

  #areAlike(i: number, j: number): boolean {
    const [a, b] = [this.#params[i]!, this.#params[j]!];
    if (a.step !== b.step || a.kernel !== b.kernel) return false;
    return sameNumbers(this.#scopes.scalarsOf(i), this.#scopes.scalarsOf(j));
  }

  /** Writes what changes only with the options, and after the first update. */
  #writePass({ group, kernel, pass }: Run, step: number): void {
    const ema = this.#global.resolved['ema'] as number | undefined;
    pass[Pass.gradScale] = group.gradScale;
    pass[Pass.clipValue] = group.clipValue;
    pass[Pass.l2] = group.l2;
    pass[Pass.decayFactor] = this.#declaration.decayFactor?.(group.settings.resolved, kernel) ?? group.decayFactor;
    pass[Pass.emaRate] = ema === undefined ? 0 : 1 - ema;
    pass[Pass.emaStart] = step === 0 ? 1 : 0;
  }

  #writeRow(run: Run, step: number, next: number): void {
    const { resolved } = run.group.settings;
    const t = run.countsAlone ? step + 1 : next;
    const scalars = this.#scopes.scalarsOf(run.begin);
    const constants = this.#formula.constants(resolved, t, scalars, run.kernel);
    const target = run.constants;
    for (let c = 0; c < constants.length; c++) target[c] = constants[c]!;
    run.pass[update] = (step + 1) % 2 ** 24; // float32 has all of these
    run.nextScalars = scalars.length > 0 ? this.#formula.scalarsAfter(resolved, t, scalars) : scalars;
  }
}
