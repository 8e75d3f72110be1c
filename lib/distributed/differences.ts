import { createHash } from 'node:crypto';
import { bufferOf, byteOffsetOf, isFloat32, lengthOf } from '../check/typed-array.js';
import type { OptimizerMembers } from '../core/any-optimizer.js';
import type { Optimizer } from '../core/optimizer.js';
import { Optimizer as Base } from '../core/optimizer.js';
import type { Tensor } from '../core/params.js';
import { printed } from '../core/print.js';
import { Lookahead } from '../optimizers/lookahead.js';
import { SAM } from '../optimizers/sam.js';
import type { World } from './world/world.js';

/** What ranks must have alike: names, and values as an error prints them. */
export type Facts = readonly (readonly [name: string, value: string])[];

/** The class, with the options of a wrapper. */
export function classFacts(optimizer: OptimizerMembers): Facts {
  const name = (optimizer.constructor as { optimizerName?: string }).optimizerName ?? optimizer.constructor.name;
  if (optimizer instanceof SAM) {
    const { rho, adaptive } = SAM.internals(optimizer);
    return [['class', 'SAM'], ['rho', String(rho)], ['adaptive', String(adaptive)], ...classFacts(optimizer.optimizer)];
  }
  if (!(optimizer instanceof Lookahead)) return [['class', name]];
  const { k, alpha } = optimizer.stateDict();
  return [['class', 'Lookahead'], ['k', String(k)], ['alpha', String(alpha)], ...classFacts(optimizer.optimizer)];
}

/** The options of an optimizer at its next step. A Schedule counts with its value there. */
export function optionFacts(optimizer: Optimizer): Facts {
  const { stepper, store, options } = Base.internals(optimizer);
  const next = stepper.stepCount + 1;
  const plain = (value: unknown): unknown => {
    if (typeof value === 'function') return value(next);
    return Array.isArray(value) ? value.map(plain) : value;
  };
  const facts: [string, string][] = [];
  for (const [name, value] of Object.entries(options.set)) facts.push([name, printed(plain(value))]);
  for (const [g, { settings }] of store.groups.entries())
    for (const [name, value] of Object.entries(settings.set))
      facts.push([`paramGroups[${g}].${name}`, printed(plain(value))]);
  return facts;
}

/** Names and lengths of the params. */
export function paramFacts(optimizer: Optimizer): Facts {
  // The tensors of the groups are whole, unlike those of the store.
  return tensorFacts(Base.internals(optimizer).store.groups.flatMap(({ tensors }) => tensors));
}

/** Names and lengths of params. */
export function tensorFacts(params: readonly Pick<Tensor, 'key' | 'data'>[]): Facts {
  const facts = params.map(
    ({ key, data }, i) => [`params[${i}]`, `${printed(key)} of length ${lengthOf(data)}`] as const,
  );
  return [['params', String(params.length)], ...facts];
}

/** A number of 32 bits that tells facts apart. FNV-1a. */
export function digestOf(facts: Facts): number {
  let hash = 0x811c9dc5;
  for (const [name, value] of facts)
    for (const text of [name, value])
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Refuses facts that differ from those of rank 0: the same RangeError on every rank. */
export async function checkAlike(who: string, world: World, facts: Facts): Promise<void> {
  const [first, ...others] = (await world.allGatherObject(facts)) as [Facts, ...Facts[]];
  for (const [i, other] of others.entries())
    for (let f = 0; f < Math.max(first.length, other.length); f++) {
      const [ours, theirs] = [first[f], other[f]];
      if (ours?.[0] === theirs?.[0] && ours?.[1] === theirs?.[1]) continue;
      const name = ours?.[0] ?? theirs?.[0];
      throw differ(who, name as string, ours?.[1] ?? 'none', i + 1, (theirs?.[0] === name && theirs?.[1]) || 'none');
    }
}

/** The error for a value that differs from that of rank 0. */
export function differ(who: string, name: string, ours: string, rank: number, theirs: string): RangeError {
  return new RangeError(`${who}: ${name}: rank 0 ${ours}, rank ${rank} ${theirs}`);
}

/** Plain data without its arrays, and the arrays. */
export function takeApart(value: unknown, arrays: Float32Array[]): unknown {
  if (isFloat32(value)) return new Hole(arrays.push(value) - 1, lengthOf(value)).mark;
  if (Array.isArray(value)) return value.map((each) => takeApart(each, arrays));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, takeApart(each, arrays)]));
}

/** Puts arrays back where {@link takeApart} took them from. `arrayFor` gets their lengths. */
export function putTogether(value: unknown, arrayFor: (index: number, length: number) => Float32Array): unknown {
  const hole = Hole.from(value);
  if (hole !== undefined) return arrayFor(hole.index, hole.length);
  if (Array.isArray(value)) return value.map((each) => putTogether(each, arrayFor));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, putTogether(each, arrayFor)]));
}

/** Where an array was. */
class Hole {
  readonly index: number;
  readonly length: number;

  constructor(index: number, length: number) {
    this.index = index;
    this.length = length;
  }

  /** As plain data that no state has: a bigint. */
  get mark(): bigint {
    return (BigInt(this.index) << 64n) | BigInt(this.length);
  }

  static from(value: unknown): Hole | undefined {
    if (typeof value !== 'bigint') return undefined;
    return new Hole(Number(value >> 64n), Number(value & (2n ** 64n - 1n)));
  }
}

/** What JSON has no form for. */
function plain(_key: string, value: unknown): unknown {
  const hasNone = typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value));
  return hasNone ? String(value) : value;
}

/** SHA-256 of plain data with arrays. */
export function hashOf(value: unknown): string {
  const arrays: Float32Array[] = [];
  const hash = createHash('sha256').update(JSON.stringify(takeApart(value, arrays), plain) ?? '');
  for (const array of arrays) hash.update(new Uint8Array(bufferOf(array), byteOffsetOf(array), 4 * lengthOf(array)));
  return hash.digest('hex');
}
