// Programs over the public API: every export, every method, valid arguments and arguments made wrong.
import { inspect } from 'node:util';
import * as lib from '../../lib/index.js';
import * as rowFunctions from '../../lib/rows/index.js';
import type { Any } from '../support/bad-input.js';
import { allClasses } from '../support/classes.js';
import { type Context, constructorArguments, functionArguments, methodArguments, optionsOf } from './api-arguments.js';
import { print } from './print.js';
import { digestOf, Hostile, Program } from './program.js';

/** An object of the library, with what its calls need to be valid. */
export interface Live {
  readonly object: Any;
  /** The arrays that its params are, in order. */
  readonly leaves: readonly Float32Array[];
  /** Puts one gradient for each leaf into the structure of the params. */
  grads(leaves: unknown[]): unknown;
  dict?: unknown;
}

const isClass = (value: unknown): value is new (...args: unknown[]) => object =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

const exported = Object.entries({ ...lib, ...rowFunctions } as Record<string, unknown>).filter(
  ([name]) => !['Optimizer', 'CheckpointError'].includes(name),
);
const functions = exported.filter(([, value]) => typeof value === 'function' && !isClass(value)) as [string, Any][];
const optimizerClasses = allClasses.map(([Class, declaration]) => [declaration.name, Class] as [string, Any]);
const otherClasses = exported.filter(
  ([name, value]) => isClass(value) && !optimizerClasses.some(([known]) => known === name),
) as [string, Any][];

const forSubclasses = new Set(
  'constructor constants kernel initial start inputs objective scalarsAfter conflict mode loadMode stateArrays forEachParam'.split(
    ' ',
  ),
);

/** Names of the public methods and accessors of an object, of all its classes. */
function membersOf(object: object): string[] {
  const names: string[] = [];
  for (let at = Object.getPrototypeOf(object); at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    names.push(...Object.getOwnPropertyNames(at));
  return [...new Set(names)].filter((name) => !forSubclasses.has(name));
}

/** Errors begin with who throws them: `Adam: lr: "x", expected …`. */
const shape = /^[A-Za-z][\w.]*: ./s;
const kinds = new Set<unknown>([TypeError, RangeError, Error, lib.CheckpointError]);
/** What the engine says about a receiver of another class, and about an option that a sealed group does not have. */
const fromOutside =
  /^Cannot add property|private member|^Receiver must be|(reading|setting) '#|^this\.\w+ is not a function/;
export class ApiProgram extends Program implements Context {
  readonly live: Live[] = [];
  readonly schedules: Any[] = [];
  readonly controllers = [new AbortController()];

  protected call(): void {
    const { dice } = this;
    const what = dice.next();
    if (this.live.length === 0 || what < 0.07) this.#construct();
    else if (what < 0.2) this.#function();
    else if (what < 0.3) this.#property();
    else if (what < 0.32) this.#look();
    else if (what < 0.33) this.#abort();
    else this.#method();
  }

  #abort(): void {
    this.dice.pick(this.controllers).abort(this.dice.chance(0.5) ? undefined : this.junk());
    if (this.dice.chance(0.5)) this.controllers.push(new AbortController());
  }

  #construct(): void {
    const { dice } = this;
    const [name, Class] = dice.pick(dice.chance(0.6) ? optimizerClasses : otherClasses);
    const { args, leaves, grads } = constructorArguments(name, Class, this);
    const given = this.arguments(args);
    this.perform(
      () => `new ${name}(${print(given)})`,
      undefined,
      () => {
        const object = new Class(...given);
        const entry = { object, leaves, grads };
        if (this.live.length < 6) this.live.push(entry);
        else this.live[dice.int(6)] = entry;
        return undefined;
      },
    );
  }

  #function(): void {
    const [name, call] = this.dice.pick(functions);
    const given = this.arguments(functionArguments(name, this));
    this.perform(
      () => `${name}(${print(given)})`,
      undefined,
      () => {
        const result = call(...given);
        if (typeof result === 'function' && this.schedules.length < 10) this.schedules.push(result);
        return result;
      },
    );
  }

  #method(): void {
    const { dice } = this;
    const entry = dice.pick(this.live);
    const names = membersOf(entry.object);
    const frequent = ['step', 'stepAsync', 'update', 'add', 'predict', 'stateDict', 'loadStateDict', 'addParamGroup'];
    const name = dice.pick(dice.chance(0.6) ? names.filter((name) => frequent.includes(name)) : names);
    if (name === undefined || typeof descriptorOf(entry.object, name)?.value !== 'function') {
      this.#property();
      return;
    }
    if (name === 'dispose' && dice.chance(0.8)) return;
    const given = this.arguments(methodArguments(name, entry, this));
    if (name === 'registerStepPostHook' && typeof given[0] === 'function')
      given[0] = postHook(given[0] as () => unknown);
    const receiver = dice.chance(0.01) ? this.junk() : entry.object;
    const method = entry.object[name];
    this.perform(
      () => `${entry.object.constructor.name}.${name}(${print(given)})`,
      entry.object,
      () => {
        const result = Reflect.apply(method, receiver, given);
        if (name === 'stateDict') entry.dict = result;
        return result;
      },
    );
  }

  /** Reads or writes a property of an object, or an option of one of its groups. */
  #property(): void {
    const { dice } = this;
    const { object } = dice.pick(this.live);
    const title = object.constructor.name;
    const name = dice.pick(membersOf(object));
    const option = dice.pick(optionsOf(object.constructor));
    const value = dice.chance(0.6) ? dice.pick([0.1, 0, 0.5, true, false, [0.5, 0.9], () => 0.1]) : this.junk();
    const write = () => {
      // A method that is replaced by an own property is the user's affair.
      if (descriptorOf(object, name)?.set !== undefined) object[name] = value;
    };
    const assign = () => {
      const groups = object.paramGroups as Any;
      if (Array.isArray(groups)) dice.pick(groups as Any[])[option] = value;
    };
    const [call, action] = dice.pick<[string, () => unknown]>([
      [name, () => object[name]],
      [`${name} = `, write],
      [`paramGroups[i].${option} = `, assign],
    ]);
    this.perform(() => `${title}.${call}${print([value])}`, object, action);
  }

  #look(): void {
    const { object } = this.dice.pick(this.live);
    const look = this.dice.pick<(value: Any) => unknown>([
      (value) => inspect(value, { depth: 4, showHidden: true, getters: true }),
      String,
      JSON.stringify,
      (value) => Object.entries(value),
      (value) => value[Symbol.dispose as never],
      (value) => Object.getOwnPropertyNames(Object.getPrototypeOf(value)).length,
    ]);
    this.perform(
      () => `look at ${object.constructor.name}`,
      object,
      () => void look(object),
    );
  }

  // ---- What the arguments are made of ----

  /** A function of the user: ordinary, and sometimes an attack. */
  user<T extends (...args: Any[]) => unknown>(body: T): T {
    const isHostile = this.dice.chance(0.15);
    return ((...args: Any[]) => {
      this.tick();
      if (isHostile && this.dice.chance(0.3)) this.attack();
      try {
        return body(...args);
      } catch (error) {
        throw error instanceof Hostile ? error : new Hostile(String(error));
      }
    }) as T;
  }

  protected allocate(length: number): Float32Array {
    return lib.allocate(length);
  }

  protected override keep(result: unknown): void {
    super.keep(result);
    if (Array.isArray(result)) for (const item of result.slice(0, 3)) super.keep(item);
  }

  protected digest(receiver: unknown): number {
    const hash = this.digestOfArrays();
    if (receiver === undefined) return hash;
    const object = receiver as Any;
    const parts: unknown[] = [];
    for (const read of [
      () => object.stateDict?.(),
      () => object.stepCount,
      () => object.skippedSteps,
      () => object.count,
      () => object.paramGroups?.map((group: Any) => ({ ...group, params: 0 })),
    ]) {
      try {
        parts.push(read());
      } catch (error) {
        parts.push((error as Error).message);
      }
    }
    return digestOf(parts, hash);
  }

  protected misshapen(error: unknown): string | undefined {
    if (this.isReason(error)) return undefined;
    if (!(error instanceof Error)) return `not an error: ${typeof error}`;
    const text = `${error.name}: ${error.message}\n${(error.stack ?? '').split('\n').slice(1, 5).join('\n')}`;
    if (/a method of the user/.test(error.message)) return text;
    if (!kinds.has(error.constructor)) return text;
    if (!this.isHonest || fromOutside.test(error.message) || shape.test(error.message)) return undefined;
    return text;
  }

  private isReason(error: unknown): boolean {
    return this.controllers.some(({ signal }) => signal.aborted && Object.is(signal.reason, error));
  }
}

/** A hook whose errors say that the step was taken. */
function postHook(hook: () => unknown): () => void {
  return () => {
    try {
      hook();
    } catch {
      throw new Hostile('thrown after the step');
    }
  };
}

function descriptorOf(object: object, name: string): PropertyDescriptor | undefined {
  for (let at = object; at !== null; at = Object.getPrototypeOf(at)) {
    const own = Object.getOwnPropertyDescriptor(at, name);
    if (own !== undefined) return own;
  }
  return undefined;
}
