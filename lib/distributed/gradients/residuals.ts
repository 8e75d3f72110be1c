import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { checkFloat32, checkLength, floatsOf } from '../../check/typed-array.js';
import { engine } from '../../engine/backend.js';
import type { World } from '../world/world.js';
import type { Ranges } from './divide.js';

/** A param of which residuals are kept. */
export interface Kept {
  readonly key: string;
  readonly length: number;
  /** The elements whose sums each rank rounds. */
  readonly ranges: Ranges;
}

/** What rounding has lost of one param's gradient, in plain data: of all ranks, or what one rank has of it. */
interface ResidualState {
  /** The factor of the gradient in the step that lost it. */
  readonly factor: number;
  /** Of what each rank brings: as many elements as the param has, rank after rank. */
  readonly contributions: Float32Array;
  /** Of the sums. */
  readonly sums: Float32Array;
}

/** The residuals of all params in plain data. */
export interface ResidualStates {
  /** The number of ranks. */
  readonly size: number;
  readonly params: { readonly [param: string]: ResidualState };
}

/** The most elements of one array that Node 20 can hold: 2^32 bytes. */
const mostElements = 2 ** 30;

/** Key of the {@link ResidualStates} in the state of an optimizer. */
const residualsKey = 'residuals';

/** The tensor of a checkpoint that has a param's contributions. */
const contributionsOf = (param: string): string => `optimizer.${residualsKey}.params.${param}.contributions`;

/** Whether a tensor of a checkpoint has a param's contributions. */
export const isContributions = (name: string): boolean =>
  name.startsWith(`optimizer.${residualsKey}.params.`) && name.endsWith('.contributions');

/**
 * The sums over the ranks of a saved run of what each has lost: the elements of this rank only, by param. The contributions of
 * all ranks are as long as ranks times params, so they are summed up piece by piece as they are read.
 */
export type SavedSums = Map<string, Float32Array>;

/**
 * The residuals of one param. A step writes `next`, and reads what was lost before: so a step that is not applied leaves it as
 * it was.
 */
export class Residual {
  /** The factor of the gradient in the step that has lost them. */
  factor = 1;
  /** What they are multiplied by, so that they count in the mean gradient what they counted before. */
  ratio = 1;
  contributions: Float32Array;
  /** Of this rank's range. */
  sums: Float32Array;
  readonly next: { factor: number; contributions: Float32Array; sums: Float32Array };

  constructor(length: number, owned: number) {
    this.contributions = new Float32Array(length);
    this.sums = new Float32Array(owned);
    this.next = { factor: 1, contributions: new Float32Array(length), sums: new Float32Array(owned) };
  }

  /** Prepares a step that multiplies the gradient by a factor. */
  begin(factor: number): void {
    const ratio = Math.fround(this.factor / factor);
    this.ratio = Number.isFinite(ratio) ? ratio : 1;
    this.next.factor = factor === 0 ? this.factor : factor;
  }

  /** What the step has lost counts from now on. */
  commit(): void {
    const { factor, contributions, sums } = this.next;
    Object.assign(this.next, { contributions: this.contributions, sums: this.sums });
    Object.assign(this, { factor, contributions, sums });
  }

  get bytes(): number {
    return Float32Array.BYTES_PER_ELEMENT * (this.contributions.length + this.sums.length);
  }
}

/** The residuals of one rank. */
export class Residuals {
  readonly #world: World;
  #all = new Map<string, Residual>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The residuals of a param. They are 0 at first. */
  of({ key, length, ranges }: Kept): Residual {
    let residual = this.#all.get(key);
    if (residual === undefined) {
      const [begin, end] = ranges[this.#world.rank]!;
      residual = new Residual(length, end - begin);
      this.#all.set(key, residual);
    }
    return residual;
  }

  get bytes(): number {
    return [...this.#all.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  // ---- Saving ----

  /** What this rank has, without copies. */
  own(): ResidualStates {
    const params = [...this.#all].map(([key, { factor, contributions, sums }]) => [
      key,
      { factor, contributions, sums },
    ]);
    return { size: this.#world.size, params: Object.fromEntries(params) };
  }

  /** Where an array of {@link own} lies in that of all ranks. `path` ends with the param and the name. */
  placeOf(path: readonly string[], params: readonly Kept[]): { readonly begin: number; readonly whole: number } {
    const { rank, size } = this.#world;
    const [key = '', name] = path.slice(-2);
    const { length, ranges } = params.find((param) => param.key === key) as Kept;
    if (name === 'contributions') {
      const whole = size * length;
      if (whole > mostElements)
        throw rangeError(
          'saveCheckpoint',
          key,
          `residuals of ${whole} elements`,
          `at most ${mostElements}: ranks times elements`,
          'they are loaded as one array',
        );
      return { begin: rank * length, whole };
    }
    return { begin: ranges[rank]![0], whole: length };
  }

  /** Those of all ranks. Every rank must call it. */
  async gather(params: readonly Kept[]): Promise<ResidualStates> {
    const { rank, size } = this.#world;
    const states: (readonly [key: string, state: ResidualState])[] = [];
    for (const { key, length, ranges } of params) {
      const own = this.#all.get(key);
      if (own === undefined) continue; // on every rank
      const [contributions, sums] = [new Float32Array(size * length), new Float32Array(length)];
      contributions.set(own.contributions, rank * length);
      sums.set(own.sums, ranges[rank]![0]);
      for (const [root, [begin, end]] of ranges.entries()) {
        await this.#world.broadcast(floatsOf(contributions, root * length, (root + 1) * length), { root });
        await this.#world.broadcast(floatsOf(sums, begin, end), { root });
      }
      states.push([key, { factor: own.factor, contributions, sums }]);
    }
    return { size, params: Object.fromEntries(states) };
  }

  // ---- Loading ----

  /** Sums up a tensor of a checkpoint of another number of ranks as it is read, if it has contributions of one of the params. */
  summing(
    name: string,
    params: readonly Kept[],
    into: SavedSums,
  ): ((piece: Float32Array, at: number) => void) | undefined {
    const param = params.find(({ key }) => contributionsOf(key) === name);
    if (param === undefined) return undefined;
    const [begin, end] = param.ranges[this.#world.rank]!;
    const sum = into.get(param.key) ?? new Float32Array(end - begin);
    into.set(param.key, sum);
    return (piece, at) => {
      const [from, to] = [Math.max(begin, at), Math.min(end, at + piece.length)];
      if (from < to) engine().add(floatsOf(sum, from - begin, to - begin), floatsOf(piece, from - at, to - at));
    };
  }

  /** Remembers the residuals. Returns what puts them back. */
  remember(): () => void {
    const before = new Map<string, Residual>();
    for (const [key, { factor, contributions, sums }] of this.#all) {
      const copy = new Residual(contributions.length, sums.length);
      Object.assign(copy, { factor, contributions: contributions.slice(), sums: sums.slice() });
      before.set(key, copy);
    }
    return () => {
      this.#all = before;
    };
  }

  /**
   * Checks the residuals of all ranks in a saved state. Returns a function that loads this rank's part. A state without them
   * has lost nothing. Where another number of ranks has saved them, their sum goes to the residuals of the sums.
   *
   * @param read What was summed up already. The contributions of these params are not looked at.
   * @throws TypeError, RangeError
   */
  check(who: string, dict: unknown, params: readonly Kept[], read: SavedSums = new Map()): () => void {
    const given = (dict as { readonly [residualsKey]?: unknown } | null | undefined)?.[residualsKey];
    const loaded = new Map<string, Residual>();
    if (given !== undefined) {
      checkRecord(who, 'residuals', given);
      checkOptions(`${who}: residuals`, given, ['size', 'params']);
      const size = checkInteger(who, 'residuals.size', given['size'], '[1, inf)');
      const states = given['params'];
      const keys = params.map(({ key }) => key);
      checkRecord(who, 'residuals.params', states);
      checkOptions(`${who}: residuals.params`, states, keys);
      for (const param of params)
        if (Object.hasOwn(states, param.key))
          loaded.set(param.key, this.#load(who, size, param, states[param.key], read.get(param.key)));
    }
    return () => {
      this.#all = loaded;
    };
  }

  #load(
    who: string,
    savedSize: number,
    { key, length, ranges }: Kept,
    given: unknown,
    read: Float32Array | undefined,
  ): Residual {
    const path = `residuals.params[${JSON.stringify(key)}]`;
    checkRecord(who, path, given);
    checkOptions(`${who}: ${path}`, given, ['factor', 'contributions', 'sums']);
    const { factor, contributions, sums } = given;
    const checked = checkNumber(who, `${path}.factor`, factor);
    checkLength(
      who,
      `${path}.contributions`,
      checkFloat32(who, `${path}.contributions`, contributions),
      savedSize * length,
    );
    checkLength(who, `${path}.sums`, checkFloat32(who, `${path}.sums`, sums), length);
    const { rank, size } = this.#world;
    // It would make every gradient not finite, and a step that is skipped keeps it.
    for (const [name, array] of Object.entries({ contributions: read ?? contributions, sums }))
      if (!Number.isFinite(engine().sumSquares(array as Float32Array)))
        throw rangeError(who, `${path}.${name}`, 'a number that is not finite', 'finite numbers');
    const [begin, end] = ranges[rank]!;
    const residual = new Residual(length, end - begin);
    residual.factor = checked;
    residual.sums.set(floatsOf(sums as Float32Array, begin, end));
    const of = (saved: number, from: number, to: number): Float32Array =>
      floatsOf(contributions as Float32Array, saved * length + from, saved * length + to);
    if (savedSize === size) residual.contributions.set(of(rank, 0, length));
    else {
      const total = read ?? new Float32Array(end - begin);
      if (read === undefined)
        for (let saved = 0; saved < savedSize; saved++) engine().add(total, of(saved, begin, end));
      engine().add(residual.sums, total);
    }
    return residual;
  }
}

/** @throws TypeError */
function checkRecord(who: string, path: string, given: unknown): asserts given is Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null) throw typeError(who, path, show(given), 'what stateDict() returned');
}
