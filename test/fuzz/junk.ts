// Wrong values, objects that run user code when they are read, and valid arguments made wrong in one place.
import { isProxy } from 'node:util/types';
import { runInNewContext } from 'node:vm';
import type { Any } from '../support/bad-input.js';
import type { Dice } from './dice.js';
import { detach } from './memory.js';

/** What a program hands to the functions below: they are the user code inside of a call. */
export interface Attacker {
  readonly dice: Dice;
  /** Whether every object is what it seems: no proxies, getters or foreign prototypes. Errors are then ours. */
  readonly isHonest: boolean;
  /** An array of the program. */
  array(): Float32Array;
  /** User code that runs in the middle of a call: may throw, take memory away, or call the library again. */
  attack(): void;
}

const numbers = [
  0,
  -0,
  1,
  -1,
  0.5,
  2,
  3,
  7,
  1e-45,
  1e-300,
  1e38,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MAX_SAFE_INTEGER,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53,
  2 ** 63,
  2 ** 64,
];
const strings = ['', 'x', '0', 'lr', 'params', 'adam', '__proto__', 'constructor', 'length', '\u0000', '\ud800', 'é'];

export const edgeNumber = (dice: Dice): number => dice.pick(numbers);

/** A value of any kind. */
export function junk(attacker: Attacker): unknown {
  const { dice, isHonest } = attacker;
  return !isHonest && dice.chance(0.25) ? lie(attacker) : thing(attacker);
}

function thing(attacker: Attacker): unknown {
  const { dice } = attacker;
  const make = dice.pick<() => unknown>([
    () => undefined,
    () => null,
    () => edgeNumber(dice),
    () => edgeNumber(dice),
    () => edgeNumber(dice),
    () => dice.pick(strings),
    () => dice.pick([true, false]),
    () => dice.pick([0n, -1n, 2n ** 64n]),
    () => Symbol('s'),
    () => Symbol.iterator,
    () => attacker.array(),
    () => attacker.array().buffer,
    () => new Float32Array(dice.int(20)),
    () => new Float64Array(dice.int(20)),
    () => new Int32Array(dice.int(20)),
    () => new Uint32Array(dice.int(20)).fill(2 ** 32 - 1),
    () => new Uint8Array(dice.int(20)),
    () => new BigInt64Array(dice.int(20)),
    () => new DataView(new ArrayBuffer(16)),
    () => new ArrayBuffer(dice.int(20)),
    () => new SharedArrayBuffer(dice.int(20)),
    () => [],
    () => new Array(dice.pick([1, 3, 1000, 1e6])),
    () => Array.from({ length: dice.int(4) }, () => edgeNumber(dice)),
    () => ({}),
    () => ({ params: attacker.array() }),
    () => ({ data: attacker.array(), shape: [edgeNumber(dice), edgeNumber(dice)] }),
    () => Object.create(null),
    () => Object.freeze({ a: attacker.array() }),
    () => circle(),
    () => new Map([['a', attacker.array()]]),
    () => new Set([attacker.array()]),
    () => new Date(Number.NaN),
    () => /x/g,
    () => new Error('x'),
    () => Promise.resolve(attacker.array()),
    () => new WeakRef(attacker.array()),
    () => (function* () {})(),
    () => () => edgeNumber(dice),
    () => () => Promise.resolve(0),
    () => async () => attacker.attack(),
    () => attacker.attack.bind(attacker),
    () => runInNewContext('[1, {}, new Float32Array(3)][n]', { n: dice.int(3) }),
    () => {
      const array = new Float32Array(3);
      detach(array);
      return array;
    },
  ]);
  return make();
}

/** An object that is not what it seems. */
function lie(attacker: Attacker): unknown {
  const { dice } = attacker;
  const make = dice.pick<() => unknown>([
    () => Object.create(Float32Array.prototype),
    () => Object.create(attacker.array()),
    () => ({ length: dice.pick([0, 3, -1, 2 ** 32, 2 ** 53]) }),
    () => class {},
    () => deep(attacker.array()),
    () => hostile(attacker),
    () => hostile(attacker),
    () => proxy({}, attacker),
    () => proxy(attacker.array(), attacker),
    () => proxy([attacker.array()], attacker),
    () => proxy(() => 0.1, attacker),
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
  ]);
  return make();
}

function circle(): unknown {
  const object: Any = { a: [] };
  object.a.push(object);
  return object;
}

function deep(leaf: unknown): unknown {
  let value = leaf;
  for (let i = 0; i < 20_000; i++) value = [value];
  return value;
}

/** An object whose every conversion and usual property runs user code. */
function hostile(attacker: Attacker): unknown {
  const { dice } = attacker;
  const run = (value: unknown) => () => {
    attacker.attack();
    return value;
  };
  const names = ['length', 'buffer', 'data', 'shape', 'params', 'rows', 'values', 'lr', 'then', 'state', 'N', 'f', 'a'];
  const object = dice.pick<() => object>([() => ({}), () => [], () => new Float32Array(4)])();
  for (const name of names)
    if (dice.chance(0.4)) define(object, name, run(dice.pick<unknown>([4, [attacker.array()], attacker.array(), 'x'])));
  define(object, Symbol.toPrimitive, run(run(dice.pick<unknown>([0.1, 'x', undefined]))));
  define(object, Symbol.toStringTag, run('Float32Array'));
  define(object, Symbol.iterator, run(run({ next: run({ done: dice.chance(0.5), value: attacker.array() }) })));
  return object;
}

function define(object: object, name: string | symbol, get: () => unknown): void {
  try {
    Object.defineProperty(object, name, { get, set: get, configurable: true, enumerable: true });
  } catch {
    // The length of an array, or an object that cannot be extended.
  }
}

/** A proxy whose traps sometimes run user code, or lie. */
export function proxy<T extends object>(target: T, attacker: Attacker): T {
  const { dice } = attacker;
  const handler: Any = {};
  for (const trap of ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'apply', 'set'])
    if (dice.chance(0.7))
      handler[trap] = (...args: unknown[]) => {
        if (dice.chance(0.1)) attacker.attack();
        return (Reflect as Any)[trap](...args);
      };
  return new Proxy(target, handler);
}

type Holder = Record<string, unknown>;

const isPlain = (value: unknown): value is Holder =>
  typeof value === 'object' &&
  value !== null &&
  !isProxy(value) &&
  (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);

/** All places in a tree of lists and records, at most some hundred. */
function placesIn(root: unknown[]): [holder: Holder, key: string][] {
  const places: [Holder, string][] = [];
  const visit = (holder: Holder, depth: number): void => {
    for (const key of Object.keys(holder)) {
      if (places.length > 200 || depth > 6) return;
      places.push([holder, key]);
      const descriptor = Object.getOwnPropertyDescriptor(holder, key);
      if (descriptor !== undefined && 'value' in descriptor && isPlain(descriptor.value))
        visit(descriptor.value as Holder, depth + 1);
    }
  };
  visit(root as unknown as Holder, 0);
  return places;
}

/** Makes arguments wrong in one place. */
export function mutate(args: unknown[], attacker: Attacker): void {
  const { dice } = attacker;
  const places = placesIn(args);
  if (places.length === 0 || dice.chance(0.03)) {
    args.push(junk(attacker));
    return;
  }
  const [holder, key] = dice.pick(places);
  const was = holder[key];
  const isRoot = holder === (args as unknown);
  const changes: (() => unknown)[] = [
    () => (holder[key] = junk(attacker)),
    () => (holder[key] = junk(attacker)),
    () => (holder[key] = alter(was, attacker)),
    () => (holder[key] = alter(was, attacker)),
    () => (holder[key] = alter(was, attacker)),
  ];
  // The list of all arguments stays a list.
  if (!isRoot)
    changes.push(
      () => delete holder[key],
      () => {
        const name = dice.pick(strings);
        if (name !== '__proto__' || !attacker.isHonest) holder[name] = junk(attacker);
      },
      () => Object.freeze(holder),
    );
  if (!isRoot && !attacker.isHonest) {
    let count = 0;
    const attacked = () => {
      attacker.attack();
      return was;
    };
    changes.push(
      () => define(holder, key, attacked),
      () => define(holder, key, () => (count++ === 0 ? was : junk(attacker))),
      () => Object.setPrototypeOf(holder, { lr: 0.5, params: attacker.array() }),
    );
  }
  try {
    dice.pick(changes)();
  } catch {
    // A frozen holder.
  }
}

/** Another value of the same kind. */
function alter(value: unknown, attacker: Attacker): unknown {
  const { dice, isHonest } = attacker;
  if (typeof value === 'number') return edgeNumber(dice);
  if (typeof value === 'function') {
    return (...args: unknown[]) => {
      attacker.attack();
      return (value as Any)(...args);
    };
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return alterArray(value as Float32Array, attacker);
  if (typeof value === 'object' && value !== null && !isHonest) return proxy(value, attacker);
  return junk(attacker);
}

function alterArray(array: Float32Array, attacker: Attacker): unknown {
  const { dice } = attacker;
  const own = (name: string, value: unknown): unknown => {
    define(array, name, () => {
      attacker.attack();
      return value;
    });
    return array;
  };
  const others: (() => unknown)[] = [
    () => array.subarray(1),
    () => array.subarray(0, dice.int(array.length + 1)),
    () => attacker.array(),
    () => new Float64Array(array.length),
    () => Array.from({ length: Math.min(array.length, 100) }, () => 0),
    () => new DataView(array.buffer),
    () => {
      detach(array);
      return array;
    },
  ];
  if (!attacker.isHonest)
    others.push(
      () => proxy(array, attacker),
      () => Object.setPrototypeOf(array, dice.pick([null, Array.prototype, Int32Array.prototype])),
      () => own('length', dice.pick([0, 1, 1e5])),
      () => own('buffer', new ArrayBuffer(8)),
      () => own('byteOffset', 0),
      () => own('byteLength', 0),
      () => own('constructor', Array),
      () => own(dice.pick(['set', 'subarray', 'slice', 'fill', 'map', 'every', 'at']), () => attacker.attack()),
      () => own(dice.pick(['BYTES_PER_ELEMENT', 'data', 'shape', 'params', 'rows']), attacker.array()),
    );
  try {
    return dice.pick(others)();
  } catch {
    return null; // an array that lies about its methods
  }
}
