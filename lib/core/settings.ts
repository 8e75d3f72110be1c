import { rangeError, show, typeError } from '../check/errors.js';
import { checkBoolean, checkFloat, checkInteger, checkOneOf } from '../check/options.js';
import type { HyperParameter } from './declaration.js';
import type { Schedule } from './schedule.js';

/** Hyper-parameters by name. */
export type HyperParameterTable = Readonly<Record<string, HyperParameter>>;

/**
 * Checks the value that a user gave for one hyper-parameter.
 * @returns The value to keep. A list is kept as a frozen copy: assigning to an element then throws in strict mode,
 *   instead of having no effect.
 * @throws TypeError for a wrong type, RangeError for a value out of range
 */
function checkSetting(who: string, name: string, parameter: HyperParameter, value: unknown): unknown {
  if (value === undefined) {
    if (parameter.required)
      throw typeError(who, name, 'undefined', `a number in ${parameter.range} or a Schedule: it has no default`);
    if (parameter.default === undefined) return undefined;
    return parameter.default;
  }
  if (parameter.choices !== undefined && (parameter.range === undefined || typeof value !== 'number'))
    return checkOneOf(who, name, value, parameter.choices, parameter.range && `an integer in ${parameter.range}`);
  if (typeof parameter.default === 'boolean') return checkBoolean(who, name, value);
  const { most } = parameter;
  if (most !== undefined && Array.isArray(value) && Array.isArray(value[0])) {
    if (value.length > most) throw rangeError(who, name, `${value.length} lists`, `at most ${most}`);
    const { most: _, ...one } = parameter;
    return Object.freeze(
      Array.from(value, (v: unknown, i) => checkSetting(who, `${name}[${i}]`, { ...one, fixed: true }, v)),
    );
  }
  if (Array.isArray(parameter.default)) {
    const { length } = parameter.default;
    if (!Array.isArray(value) || value.length !== length)
      throw typeError(
        who,
        name,
        show(value),
        `${length === 2 ? 'a pair' : `a list of ${length}`}, each in ${parameter.range}`,
      );
    return Object.freeze(Array.from(value, (v: unknown, i) => checkScalar(who, `${name}[${i}]`, parameter, v))); // map would skip holes
  }
  return checkScalar(who, name, parameter, value);
}

function checkScalar(who: string, name: string, parameter: HyperParameter, value: unknown): unknown {
  if (typeof value === 'function' && parameter.fixed === undefined) return value;
  const { range = '(-inf, inf)' } = parameter;
  if (parameter.integer) return checkInteger(who, name, value, range);
  if (typeof value !== 'number') {
    throw typeError(
      who,
      name,
      show(value),
      `a number in ${range}${parameter.fixed === undefined ? ' or a Schedule' : ''}`,
    );
  }
  return checkFloat(who, name, value, range);
}

/** The values of a table of hyper-parameters: as they were set, and as plain values for the current step. */
export class Settings {
  /** The values as set: numbers, Schedules, flags. */
  readonly set: Record<string, unknown> = {};
  /** The plain values of the current step. A Schedule that was not evaluated yet reads NaN. */
  readonly resolved: Record<string, unknown> = {};
  /** Whether `resolved` may have changed since this was last set to false. */
  hasChanged = true;
  readonly #who: string;
  readonly #table: HyperParameterTable;
  #schedules: { readonly name: string; readonly index: number; readonly schedule: Schedule }[] = [];

  constructor(who: string, table: HyperParameterTable, values: Readonly<Record<string, unknown>>) {
    this.#who = who;
    this.#table = table;
    for (const name of Object.keys(table)) this.set[name] = this.check(name, values[name]);
    this.#refresh();
  }

  /** Checks one value and returns it. @throws TypeError, RangeError */
  check(name: string, value: unknown): unknown {
    return checkSetting(this.#who, name, this.#table[name] as HyperParameter, value);
  }

  /** Whether `name` can be off: it is not required and has no default. */
  isOptional(name: string): boolean {
    const { required, default: value } = this.#table[name] as HyperParameter;
    return !required && value === undefined;
  }

  /** A copy with some values replaced. */
  with(values: Readonly<Record<string, unknown>>): Settings {
    return new Settings(this.#who, this.#table, { ...this.set, ...values });
  }

  /** Copies the values of other settings of the same table. */
  adopt(other: Settings): void {
    Object.assign(this.set, other.set);
    this.#refresh();
  }

  /** Evaluates the schedules at a step. @throws RangeError for a value out of range, TypeError if it is not a number */
  resolve(step: number): void {
    if (this.#schedules.length > 0) this.#evaluate(step);
  }

  #evaluate(step: number): void {
    this.hasChanged = true;
    for (const { name, index, schedule } of this.#schedules) {
      const value = this.#ask(name, index, schedule, step);
      if (index < 0) this.resolved[name] = value;
      else (this.resolved[name] as number[])[index] = value;
    }
  }

  /** The value of `name` at a step. @throws as {@link resolve} */
  at(name: string, step: number): number {
    const value = this.set[name];
    return typeof value === 'function' ? this.#ask(name, -1, value as Schedule, step) : (value as number);
  }

  #ask(name: string, index: number, schedule: Schedule, step: number): number {
    const value: unknown = schedule(step);
    const { range = '(-inf, inf)' } = this.#table[name] as HyperParameter;
    const path = index < 0 ? name : `${name}[${index}]`;
    try {
      return checkFloat(this.#who, path, value, range);
    } catch (error) {
      const make = error instanceof RangeError ? rangeError : typeError;
      const expected =
        typeof value === 'number' && Math.abs(value) > 3.4e38 && Number.isFinite(value)
          ? `${range}, finite in float32`
          : range;
      throw make(this.#who, path, show(value), expected, `from its schedule at step ${step}`);
    }
  }

  #refresh(): void {
    this.hasChanged = true;
    this.#schedules = [];
    for (const [name, value] of Object.entries(this.set)) {
      this.resolved[name] = Array.isArray(value)
        ? value.map((v, i) => this.#plain(name, i, v))
        : this.#plain(name, -1, value);
    }
  }

  #plain(name: string, index: number, value: unknown): unknown {
    if (typeof value !== 'function') return value;
    this.#schedules.push({ name, index, schedule: value as Schedule });
    return Number.NaN;
  }
}

/** The options of `source` that are set and belong to `table`. */
export function optionsIn(
  source: Readonly<Record<string, unknown>>,
  table: HyperParameterTable,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(table)
      .filter((name) => source[name] !== undefined)
      .map((name) => [name, source[name]]),
  );
}
