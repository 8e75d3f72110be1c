import { rangeError, show, typeError } from '../check/errors.js';
import { lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import { disjoint, extentOf } from '../core/extents.js';
import type { Tensor } from '../core/params.js';
import type { LoadOptions } from '../core/state-dict.js';
import { checkSettled } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import { WeightAverage } from '../ensembles/index.js';
import { Lookahead, optimizers, SAM } from '../optimizers/index.js';
import { HessianFree, LBFGS, SFO } from '../second-order/index.js';
import { GradAccumulator, ReduceOnPlateau } from '../training/index.js';
import type { Contents } from './background.js';
import { arrayTypes, asBfloat16, bitsOf } from './dtypes.js';
import type { FileContext } from './errors.js';
import { checkHasParams } from './has-params.js';
import { createHeader, digestOffset, type NamedBytes } from './header.js';
import { copyTensor } from './safetensors.js';
import { type Encoded, encode, type FoundArray } from './tree.js';

/** Anything that {@link saveCheckpoint} can save and {@link loadCheckpoint} can restore. */
export interface Stateful {
  /** Plain data: numbers, strings, booleans, null, lists, records and typed arrays, to any depth. */
  stateDict(): unknown;
  /** Restores what `stateDict` returned. It should be all or nothing. */
  loadStateDict(dict: unknown, options?: LoadOptions): void;
}

/** Params in the form that an optimizer takes: a tree, or groups. Options of groups are ignored. */
export type CheckpointParams = object;

/** The parts of a training run. */
export interface Parts {
  readonly params: CheckpointParams;
  readonly optimizer?: Stateful | undefined;
  readonly objects?: Readonly<Record<string, Stateful>> | undefined;
}

/** The parts to restore, and how. */
export interface PartsToLoad extends Parts {
  /** Whether the saved optimizer and objects are left out. */
  readonly paramsOnly: boolean;
  readonly schedules: LoadOptions['schedules'];
  /** The optimizer's `stepCount` at the call, if it has one. */
  readonly stepCount: unknown;
}

/** The parts of a run, checked. */
export interface CheckedParts {
  readonly tensors: readonly Tensor[];
  readonly optimizer: Stateful | undefined;
  readonly objects: readonly (readonly [name: string, object: Stateful])[];
}

/** Everything in the header of a checkpoint beside the user's metadata. Its `version` is that of the file format. */
export interface Manifest {
  readonly version: number;
  /** Version of the library that wrote the file. */
  readonly library: string;
  /** Step that a {@link CheckpointManager} saved. */
  readonly step?: number;
  /** Names of the params. */
  readonly params: readonly string[];
  readonly optimizer?: { readonly name: string; readonly stepCount?: number; readonly state: Encoded };
  readonly objects: Readonly<Record<string, Encoded>>;
}

/** Version of the file format that this library writes. */
export const formatVersion = 1;
/** Metadata key of the {@link Manifest}. */
export const manifestKey = 'schuss.checkpoint';
/** Start of the metadata keys that belong to the library. */
export const reservedPrefix = 'schuss.';

// A literal path, so that bundlers inline the version.
const { version: library } = require('../../package.json') as { version: string };

/** The library's own classes. */
const ownClasses: readonly { readonly prototype: Partial<Stateful> }[] = [
  ...Object.values(optimizers),
  Lookahead,
  SAM,
  LBFGS,
  SFO,
  HessianFree,
  WeightAverage,
  GradAccumulator,
  ReduceOnPlateau,
];
/** Their `stateDict` methods return copies, which need not be copied again. */
const copying = new Set(ownClasses.map(({ prototype }) => prototype.stateDict));
/** Their `loadStateDict` methods are all or nothing. */
const atomic = new Set(ownClasses.map(({ prototype }) => prototype.loadStateDict));

/** Whether an object's state is in copies. */
export function copiesState({ stateDict }: Stateful): boolean {
  return copying.has(stateDict);
}

/** Whether loading an object's state is all or nothing. A subclass may override it. */
export function loadsAtomically({ loadStateDict }: Stateful): boolean {
  return atomic.has(loadStateDict);
}

/** Checks the parts of a run. @throws TypeError, RangeError */
export function checkParts(who: string, { params, optimizer, objects }: Parts): CheckedParts {
  if (params === undefined && typeof (optimizer as { minimize?: unknown } | null | undefined)?.minimize === 'function')
    throw typeError(
      who,
      'optimizer',
      show(optimizer),
      'an optimizer of params',
      'for TensorFlow.js: model.save(…, { includeOptimizer: true })',
    );
  const tensors = collect(who, params).flatMap((group) => group.tensors);
  new Structure(who, tensors); // checks the names
  if (optimizer !== undefined) checkStateful(who, 'optimizer', optimizer);
  if (objects !== undefined && (typeof objects !== 'object' || objects === null || Array.isArray(objects)))
    throw typeError(who, 'objects', show(objects), 'a record of objects with stateDict and loadStateDict');
  const entries = Object.entries(objects ?? {});
  for (const [name, object] of entries) checkStateful(who, `objects[${JSON.stringify(name)}]`, object);
  return { tensors, optimizer, objects: entries };
}

/** How many steps an optimizer has taken; undefined if it does not say. */
export function stepCountOf(optimizer: Stateful | undefined): unknown {
  const { applyGradients } = (optimizer ?? {}) as { applyGradients?: unknown };
  // One of schuss/tfjs has no such member, and an error in its place.
  if (typeof applyGradients === 'function') return undefined;
  return (optimizer as { stepCount?: unknown } | undefined)?.stepCount;
}

function checkStateful(who: string, argument: string, value: unknown): void {
  const { stateDict, loadStateDict } = (value ?? {}) as { readonly [name: string]: unknown };
  if (typeof stateDict !== 'function' || typeof loadStateDict !== 'function')
    throw typeError(
      who,
      argument,
      show(value),
      'an object with stateDict and loadStateDict',
      'the object itself, not its state',
    );
}

/** Refuses params that a pending step changes, or that overlap. @throws TypeError, RangeError */
export function checkIdle(who: string, tensors: readonly Tensor[]): void {
  const extents = tensors.map(({ data, path }) => extentOf(engine(), data, path));
  checkSettled(who, disjoint(who, extents));
}

/** Shape of a param in a file. */
export function shapeOf({ data, shape }: Tensor): readonly number[] {
  return shape ?? [lengthOf(data)];
}

/** Gives each array a name that no other has. */
class Names {
  readonly #used = new Set<string>();

  /** @throws RangeError if a param has the name already */
  reserve(who: string, name: string, path: string): string {
    if (this.#used.has(name))
      throw rangeError(who, path, `the name ${show(name)} used before`, 'names that are unique');
    this.#used.add(name);
    return name;
  }

  unique(wanted: string): string {
    const base = wanted.replace(/\p{Surrogate}/gu, '�');
    let name = base;
    for (let n = 2; this.#used.has(name); n++) name = `${base}~${n}`;
    this.#used.add(name);
    return name;
  }
}

/**
 * Copies the parts of a run and arranges the copies as a file. It runs synchronously: first the code of users, then the
 * copies of the params.
 * @throws TypeError, RangeError, CheckpointError, and what a `stateDict` throws
 */
export function snapshot(
  context: FileContext,
  parts: Parts,
  metadata: Readonly<Record<string, string>>,
  step?: number,
): Contents {
  return contentsOf(context.who, take(context, parts, metadata, step), metadata);
}

/** Copies of the parts of a run, not yet arranged. */
export interface Taken {
  readonly params: readonly NamedBytes[];
  /** Arrays of optimizer and objects. */
  readonly found: readonly NamedBytes[];
  readonly manifest: Manifest;
}

/** Arranges copies as a file. `own` is metadata of the library. */
export function contentsOf(
  who: string,
  { params, found, manifest }: Taken,
  metadata: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>> = {},
): Contents {
  const { bytes, ordered } = createHeader(
    who,
    [...params, ...found],
    { [manifestKey]: JSON.stringify(manifest), ...own, ...metadata },
    true,
  );
  return { parts: [bytes, ...ordered.map((tensor) => tensor.bytes)], digestOffset };
}

/** Copies the parts of a run. `seen` is told the name of each array of optimizer and objects. @throws as {@link snapshot} */
export function take(
  context: FileContext,
  parts: Parts,
  metadata: Readonly<Record<string, string>>,
  step?: number,
  seen: (name: string, array: FoundArray) => void = () => {},
): Taken {
  const { who } = context;
  const checked = checkParts(who, parts);
  const { tensors, optimizer, objects } = checked;
  for (const key of Object.keys(metadata))
    if (key.startsWith(reservedPrefix))
      throw rangeError(
        who,
        `metadata[${JSON.stringify(key)}]`,
        'a reserved key',
        `one that does not start with "${reservedPrefix}"`,
      );
  const names = new Names();
  for (const { key, path } of tensors) names.reserve(who, String(key), path);
  const shapes = new Map(tensors.map((tensor) => [String(tensor.key), tensor]));
  const found: NamedBytes[] = [];
  const place = (prefix: string, { path, type, bytes, dtype: own }: FoundArray): string => {
    const name = names.unique([prefix, ...path].join('.'));
    const { dtype } = own === undefined ? (arrayTypes.get(type) as { dtype: string }) : { dtype: own };
    found.push({ name, dtype, shape: stateShape(shapes, path, dtype, bytes), bytes });
    seen(name, { path, type, bytes });
    return name;
  };

  const state = optimizer && encodeOptimizer(who, optimizer, (array) => place('optimizer', array));
  const encoded = objects.map(([name, object]): [string, Encoded] => {
    const owned = copiesState(object);
    const prefix = `objects.${name}`;
    return [
      name,
      encode(who, object.stateDict(), {
        path: `objects[${JSON.stringify(name)}]`,
        owned,
        place: (array) => place(prefix, array),
      }),
    ];
  });

  checkIdle(who, tensors);
  checkHasParams(context, checked);
  const params = tensors.map((tensor): NamedBytes => {
    const shape = shapeOf(tensor);
    return {
      name: String(tensor.key),
      dtype: 'F32',
      shape,
      bytes: copyTensor(who, tensor.path, 'F32', tensor.data, shape),
    };
  });
  const manifest: Manifest = {
    version: formatVersion,
    library,
    ...(step === undefined ? {} : { step }),
    params: params.map(({ name }) => name),
    ...(state === undefined ? {} : { optimizer: state }),
    objects: Object.fromEntries(encoded),
  };
  return { params, found, manifest };
}

function encodeOptimizer(
  who: string,
  optimizer: Stateful,
  place: (array: FoundArray) => string,
): NonNullable<Manifest['optimizer']> {
  const owned = copiesState(optimizer);
  const dict = optimizer.stateDict();
  const state = encode(who, dict, {
    path: 'optimizer',
    owned,
    // The dict of an optimizer keeps its arrays under state.<name>; a wrapper's under inner.state.<name>.
    place: (array) => place({ ...narrowed(dict, array), path: array.path.slice(statePrefix(array.path)) }),
  });
  const { optimizer: given } = (dict ?? {}) as { optimizer?: unknown };
  const own = (optimizer as { className?: unknown }).className; // of a part of a rank
  const className = typeof own === 'string' ? own : Object.getPrototypeOf(optimizer)?.constructor?.name;
  const name = typeof given === 'string' ? given : (className ?? 'Object');
  const stepCount = stepCountOf(optimizer);
  return { name, ...(typeof stepCount === 'number' ? { stepCount } : {}), state };
}

/** An array of a state in bfloat16 in the dtype of its own, which has all its numbers. The dict has it as float32. */
function narrowed(dict: unknown, array: FoundArray): FoundArray {
  const { path, type, bytes } = array;
  const optimizer = path[0] === 'inner' ? (dict as { inner?: unknown }).inner : dict;
  const { options } = (optimizer ?? {}) as { options?: { stateDtype?: unknown } };
  const isNarrow = options?.stateDtype === 'bfloat16' && statePrefix(path) > 0 && path.at(-1) !== 'ema';
  const halves = isNarrow && type === 'Float32Array' ? asBfloat16(bytes) : undefined;
  return halves === undefined ? array : { ...array, bytes: halves, dtype: 'BF16' };
}

function statePrefix(path: readonly string[]): number {
  const inner = path[0] === 'inner' ? 1 : 0;
  return path[inner] === 'state' && path.length > inner + 2 ? inner + 1 : 0;
}

/** State of a param's length has its shape, any other array that of a list. */
function stateShape(
  params: ReadonlyMap<string, Tensor>,
  path: readonly string[],
  dtype: string,
  bytes: Uint8Array,
): readonly number[] {
  const length = (8 * bytes.length) / (bitsOf.get(dtype) as number);
  const param = params.get(path[0] ?? '');
  return param !== undefined && lengthOf(param.data) === length ? shapeOf(param) : [length];
}
