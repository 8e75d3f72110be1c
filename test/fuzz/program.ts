// A program: a pool of arrays and live objects, and calls on them that a seed determines. The subclasses know the calls.
import { createContext, runInContext } from 'node:vm';
import type { Any } from '../support/bad-input.js';
import { Dice } from './dice.js';
import { type Attacker, junk, mutate } from './junk.js';
import { detach, disturb, floats } from './memory.js';

/** What user code throws. It must arrive at the caller unchanged, and excuses every failure of a call. */
export class Hostile extends Error {}

/** What a call did that it must not do. */
export interface Finding {
  readonly seed: number;
  readonly kind: 'an error of another shape' | 'a refused call changed something' | 'a rejection that nobody handles';
  readonly call: string;
  readonly message: string;
}

export interface Counts {
  calls: number;
  refused: number;
  /** Calls whose arguments could not be made, because an object of the user that lies was among their parts. */
  spoiled: number;
}

export interface ProgramOptions {
  /** Memory that other threads use at the same time. */
  readonly shared?: readonly Float32Array[];
  /** Is told of each call before it begins. */
  readonly trace?: (line: string) => void;
}

const typedArray = Object.getPrototypeOf(Float32Array.prototype) as object;
const getter = (name: string) => Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => Any;
const [bufferOf, offsetOf, lengthOf] = [getter('buffer'), getter('byteOffset'), getter('length')];

const gc = (globalThis as Any).gc as ((options?: { type: 'minor' }) => void) | undefined;
/** Collects garbage: the young one most times, because all of it takes ten milliseconds. */
const collect = (dice: Dice): void => (dice.chance(0.1) ? gc?.() : gc?.({ type: 'minor' }));

const timed: { run?: () => void } = createContext({});

/** Methods that the library might look up on the user's objects. */
const tempting: readonly (readonly [Any, PropertyKey])[] = [
  ...['set', 'subarray', 'slice', 'fill', 'map', 'every', 'from', Symbol.iterator].map(
    (name) => [typedArray, name] as const,
  ),
  ...['map', 'forEach', 'filter', 'entries', 'every', 'concat', Symbol.iterator].map(
    (name) => [Array.prototype, name] as const,
  ),
  ...['get', 'set', 'has', 'values', Symbol.iterator].map((name) => [Map.prototype, name] as const),
  [Set.prototype, Symbol.iterator],
  [Promise.prototype, 'then'],
];

export abstract class Program implements Attacker {
  readonly seed: number;
  readonly dice: Dice;
  readonly isHonest: boolean;
  readonly findings: Finding[] = [];
  readonly counts: Counts = { calls: 0, refused: 0, spoiled: 0 };
  protected readonly arrays: Float32Array[] = [];
  /** Whether a call was cut off, so that nobody may have got its promise. */
  wasCutOff = false;
  protected pending: Promise<unknown>[] = [];
  protected open = 0;
  /** Counts what user code did besides throwing. */
  #interference = 0;
  #fuel = 0;
  #depth = 0;
  #spins = false;
  /** Whether other threads change the arrays, so that nothing can be compared. */
  readonly #isShared: boolean;
  readonly #trace: ((line: string) => void) | undefined;

  constructor(seed: number, { shared = [], trace }: ProgramOptions) {
    this.seed = seed;
    this.dice = new Dice(seed);
    this.isHonest = seed % 2 === 0;
    this.#trace = trace;
    this.#isShared = shared.length > 0;
    this.arrays.push(...shared);
  }

  /** One call of the API, chosen and performed. */
  protected abstract call(): void;
  /** A number for everything that a call might change. */
  protected abstract digest(receiver: unknown): number;
  /** Looks at an error of the API: why it has another shape than promised, or undefined. */
  protected abstract misshapen(error: unknown): string | undefined;
  protected abstract allocate(length: number): Float32Array | undefined;

  async run(length: number): Promise<void> {
    while (this.arrays.length < 6) this.arrays.push(this.floats(this.dice.pick([0, 1, 3, 4, 8, 12, 12, 24, 65])));
    for (let i = 0; i < length; i++) {
      if (this.dice.chance(0.06)) this.#memoryEvent();
      if (this.dice.chance(0.05)) await new Promise((resolve) => setImmediate(resolve));
      if (this.dice.chance(0.003)) this.#timeOut();
      else if (!this.isHonest && this.dice.chance(0.02)) this.#pollute();
      else {
        try {
          this.call();
        } catch (error) {
          this.counts.spoiled++;
          this.#trace?.(`spoiled: ${(error as Error)?.stack}`);
        }
      }
    }
    await Promise.all(this.pending);
  }

  // ---- For the subclasses ----

  floats(length: number): Float32Array {
    return floats(length, this.dice, (n) => this.allocate(n));
  }

  array(): Float32Array {
    return this.dice.pick(this.arrays);
  }

  /** Arguments as they are, or wrong in one place or two. */
  protected arguments(args: unknown[]): unknown[] {
    if (this.dice.chance(0.4)) mutate(args, this);
    if (this.dice.chance(0.1)) mutate(args, this);
    return args;
  }

  protected junk(): unknown {
    return junk(this);
  }

  /** Performs a call, judges its error, and keeps its result for later calls. */
  protected perform(title: () => string, receiver: unknown, action: () => unknown): void {
    this.counts.calls++;
    this.#trace?.(title());
    this.#fuel = 300;
    const outer = this.#depth++ > 0;
    // A stepAsync that was cut off may still change something.
    const isAlone = !outer && this.open === 0 && !this.#isShared && !this.wasCutOff;
    const before = isAlone ? this.digest(receiver) : undefined;
    const interference = this.#interference;
    let result: unknown;
    try {
      result = action();
    } catch (error) {
      this.counts.refused++;
      this.#judge(title, error);
      if (before !== undefined && this.#interference === interference && this.digest(receiver) !== before)
        this.found('a refused call changed something', title(), String((error as Error)?.message ?? error));
    } finally {
      this.#depth--;
    }
    if (result instanceof Promise) this.#await(title, result);
    else this.keep(result);
  }

  protected keep(result: unknown): void {
    if (result instanceof Float32Array && lengthOf.call(result) < 10_000) {
      if (this.arrays.length < 16) this.arrays.push(result);
      else this.arrays[this.dice.int(16)] = result;
    }
  }

  protected found(kind: Finding['kind'], call: string, message: string): void {
    this.findings.push({ seed: this.seed, kind, call: call.slice(0, 200), message: message.slice(0, 300) });
  }

  /** A number for the contents of all arrays. */
  protected digestOfArrays(): number {
    let hash = 17;
    for (const array of this.arrays) {
      const length = lengthOf.call(array) as number;
      if (length === 0 || length > 10_000) continue;
      const words = new Uint32Array(bufferOf.call(array), offsetOf.call(array), length);
      for (let i = 0; i < length; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
    }
    return hash;
  }

  /** User code that the library calls, for example a schedule: it must end. */
  protected tick(): void {
    if (this.#fuel-- < 0) throw new Hostile('out of fuel');
  }

  // ---- User code in the middle of a call ----

  attack(): void {
    this.tick();
    if (this.#spins) for (const begin = Date.now(); Date.now() < begin + 300; );
    if (this.#depth > 3) return;
    const what = this.dice.int(14);
    if (what < 4) throw new Hostile('thrown by the user');
    if (what > 8) return;
    this.#interference++;
    if (what === 4) detach(this.array());
    else if (what === 5) disturb(this.array(), this.dice);
    else if (what === 6) collect(this.dice);
    else this.call();
  }

  // ---- Between calls, and around them ----

  #memoryEvent(): void {
    const { dice } = this;
    const what = dice.int(12);
    if (what === 0) collect(dice);
    else if (what < 5) {
      const done = disturb(this.array(), dice);
      this.#trace?.(`${done} an array`);
    } else if (what < 7) this.arrays.splice(dice.int(this.arrays.length), this.arrays.length > 3 ? 1 : 0);
    else this.arrays.push(this.floats(dice.int(20)));
  }

  /** A call that a timeout ends in the middle of the user's code. */
  #timeOut(): void {
    this.#spins = true;
    this.wasCutOff = true;
    try {
      timed.run = () => this.call();
      runInContext('run()', timed, { timeout: 3 });
    } catch {
      // The timeout.
    } finally {
      this.#spins = false;
      this.#depth = 0;
    }
  }

  /** A call while a method of a built-in class is the user's. */
  #pollute(): void {
    const [holder, name] = this.dice.pick(tempting);
    const original = holder[name];
    const { apply } = Reflect;
    let isRunning = false;
    this.wasCutOff = true;
    this.#depth++; // no comparison: the tests' own code meets the method, too
    const program = this;
    Object.defineProperty(holder, name, {
      configurable: true,
      writable: true,
      value: function (this: unknown, ...args: unknown[]) {
        if (!isRunning) {
          isRunning = true;
          try {
            program.attack();
          } finally {
            isRunning = false;
          }
        }
        return apply(original, this, args);
      },
    });
    try {
      this.call();
    } catch {
      // The user's method ran in the tests' own code.
    } finally {
      Object.defineProperty(holder, name, { configurable: true, writable: true, value: original });
      this.#depth = 0;
    }
  }

  #await(title: () => string, promise: Promise<unknown>): void {
    this.open++;
    this.pending.push(
      promise.then(
        (value) => {
          this.open--;
          this.keep(value);
        },
        (error) => {
          this.open--;
          this.counts.refused++;
          this.#judge(() => `${title()}, rejected`, error);
        },
      ),
    );
  }

  #judge(title: () => string, error: unknown): void {
    if (error instanceof Hostile) return;
    const shape = this.misshapen(error);
    if (shape !== undefined) this.found('an error of another shape', title(), shape);
  }
}

const words = new Uint32Array(2);
const double = new Float64Array(words.buffer);
const identities = new WeakMap<object, number>();
let lastIdentity = 0;

/** A number for a tree of plain data and typed arrays. Functions and other objects count as themselves. */
export function digestOf(value: unknown, hash = 17, depth = 0): number {
  const mix = (n: number): number => Math.imul(hash ^ n, 0x01000193);
  if (typeof value === 'number') {
    double[0] = value;
    hash = mix(words[0]!);
    return mix(words[1]!);
  }
  if (typeof value === 'string') {
    for (let i = 0; i < value.length; i++) hash = mix(value.charCodeAt(i));
    return hash;
  }
  if (value instanceof Float32Array || value instanceof Float64Array) {
    const length = lengthOf.call(value) as number;
    if (length === 0) return mix(3);
    const bytes = new Uint8Array(
      bufferOf.call(value),
      offsetOf.call(value),
      length * (value instanceof Float32Array ? 4 : 8),
    );
    for (let i = 0; i < bytes.length; i++) hash = mix(bytes[i]!);
    return hash;
  }
  if (typeof value === 'function' || (typeof value === 'object' && value !== null)) {
    const prototype = Object.getPrototypeOf(value);
    if ((Array.isArray(value) || prototype === Object.prototype || prototype === null) && depth < 8) {
      for (const key of Object.keys(value)) {
        hash = digestOf(key, hash, depth + 1);
        const descriptor = Object.getOwnPropertyDescriptor(value, key);
        hash = digestOf(descriptor !== undefined && 'value' in descriptor ? descriptor.value : 0, hash, depth + 1);
      }
      return mix(5);
    }
    if (!identities.has(value)) identities.set(value, ++lastIdentity);
    return mix(identities.get(value)!);
  }
  return mix(String(value).length + 7);
}
