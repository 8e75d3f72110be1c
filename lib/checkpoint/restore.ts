import { show, typeError } from '../check/errors.js';
import { checkLength, floatsOf, type TypedArray } from '../check/typed-array.js';
import type { Tensor } from '../core/params.js';
import { arrayTypes, toFloat32 } from './dtypes.js';
import { CheckpointError, type FileContext, type FileFault, fileError } from './errors.js';
import { checkHasParams } from './has-params.js';
import { damaged, type Header } from './header.js';
import { type OpenFile, readVerified } from './read-file.js';
import {
  type CheckedParts,
  checkIdle,
  checkParts,
  copiesState,
  formatVersion,
  loadsAtomically,
  type Manifest,
  manifestKey,
  type PartsToLoad,
  reservedPrefix,
  type Stateful,
  shapeOf,
  stepCountOf,
} from './snapshot.js';
import { decode, type Encoded, encode } from './tree.js';
import type { RankPart } from './world.js';

/** A checkpoint in memory, its digest verified. */
export interface SavedRun {
  readonly header: Header;
  readonly manifest: Manifest;
  /** Every tensor by name, in a buffer of its own. */
  readonly bytes: ReadonlyMap<string, Uint8Array>;
}

/** The user's metadata in a checkpoint. */
export function userMetadata({ metadata }: Header): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith(reservedPrefix)));
}

/** The manifest of a checkpoint. @throws CheckpointError for other files and later versions */
export function readManifest(context: FileContext, { metadata }: Header): Manifest {
  const text = Object.hasOwn(metadata, manifestKey) ? metadata[manifestKey] : undefined;
  if (text === undefined) throw foreign(context);
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch (cause) {
    throw damaged(context, `another text under ${manifestKey}`, 'JSON', cause);
  }
  const version: unknown = manifest?.version;
  if (!Number.isSafeInteger(version) || (version as number) < 1)
    throw damaged(context, `version ${show(version)}`, `a whole number up to ${formatVersion}`);
  if ((version as number) > formatVersion)
    throw fileError(context, {
      code: 'SCHUSS_VERSION',
      given: `a checkpoint of version ${version}`,
      expected: `at most ${formatVersion}`,
      hint: `schuss ${show(manifest.library)} wrote it: update schuss`,
    });
  const { params, optimizer, objects } = manifest;
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
  if (!Array.isArray(params) || !isObject(objects) || (optimizer !== undefined && !isObject(optimizer)))
    throw damaged(context, `another form of ${manifestKey}`, 'params, optimizer and objects');
  return manifest;
}

function foreign(context: FileContext): Error {
  return fileError(context, {
    code: 'SCHUSS_FOREIGN',
    given: 'a safetensors file without the state of a run',
    expected: 'a file of saveCheckpoint',
    hint: 'readSafetensors reads its tensors',
  });
}

/** Reads a whole checkpoint and verifies its digest, before anything else in it is believed. @throws CheckpointError */
export async function readRun(file: OpenFile): Promise<SavedRun> {
  const { context, header, digest } = file;
  if (digest === undefined) throw foreign(context);
  const bytes = await readVerified(file);
  return { header, manifest: readManifest(context, header), bytes };
}

function mismatch(context: FileContext, fault: Omit<FileFault, 'code'>): Error {
  return fileError(context, { code: 'SCHUSS_MISMATCH', ...fault });
}

/** A param and its values in the file. */
interface Pair {
  readonly tensor: Tensor;
  readonly values: Float32Array;
}

/** The values of each param. @throws CheckpointError unless names and shapes are the same */
function matchParams(context: FileContext, tensors: readonly Tensor[], { header, manifest, bytes }: SavedRun): Pair[] {
  const saved = new Set(manifest.params);
  const hint = 'to take over some of the params: readSafetensors(path, { names }), and set them';
  const live = new Set(tensors.map(({ key }) => String(key)));
  for (const name of live)
    if (!saved.has(name))
      throw mismatch(context, {
        given: `no param ${show(name)}`,
        expected: `the ${live.size} params of this run`,
        hint,
      });
  for (const name of saved)
    if (!live.has(name))
      throw mismatch(context, {
        given: `a param ${show(name)}`,
        expected: `only the ${live.size} params of this run`,
        hint,
      });
  const infos = new Map(header.tensors.map((info) => [info.name, info]));
  return tensors.map((tensor) => {
    const name = String(tensor.key);
    const info = infos.get(name);
    if (info === undefined || info.dtype !== 'F32')
      throw damaged(context, `param ${show(name)}: dtype ${info?.dtype}`, 'F32');
    const shape = shapeOf(tensor);
    if (shape.length !== info.shape.length || shape.some((n, i) => n !== info.shape[i]))
      throw mismatch(context, {
        given: `param ${show(name)}: shape [${info.shape.join(', ')}]`,
        expected: `[${shape.join(', ')}], as the param has`,
        hint,
      });
    return { tensor, values: new Float32Array((bytes.get(name) as Uint8Array<ArrayBuffer>).buffer) };
  });
}

/** An object and the state that it should load. */
interface Load {
  readonly path: string;
  readonly object: Stateful;
  readonly dict: unknown;
}

/** The states of optimizer and objects. @throws CheckpointError unless both sides have the same */
function matchObjects(
  context: FileContext,
  { optimizer, objects }: CheckedParts,
  saved: SavedRun,
): { readonly optimizer: Load | undefined; readonly objects: readonly Load[] } {
  const { manifest } = saved;
  if (optimizer === undefined && manifest.optimizer !== undefined)
    throw mismatch(context, {
      given: `the state of an optimizer, ${show(manifest.optimizer.name)}`,
      expected: 'none',
      hint: 'pass optimizer, or only: "params"',
    });
  if (optimizer !== undefined && manifest.optimizer === undefined)
    throw mismatch(context, { given: 'no state of an optimizer', expected: 'one', hint: 'none was saved' });
  const live = new Set(objects.map(([name]) => name));
  for (const name of live)
    if (!Object.hasOwn(manifest.objects, name))
      throw mismatch(context, { given: `no object ${show(name)}`, expected: 'each of objects' });
  for (const name of Object.keys(manifest.objects))
    if (!live.has(name))
      throw mismatch(context, {
        given: `no object ${show(name)} in objects`,
        expected: 'all that the file has',
        hint: 'pass it, or only: "params"',
      });
  return {
    optimizer: optimizer && {
      path: 'optimizer',
      object: optimizer,
      dict: decodeState(context, saved, manifest.optimizer?.state as Encoded),
    },
    objects: objects.map(([name, object]) => ({
      path: `objects[${JSON.stringify(name)}]`,
      object,
      dict: decodeState(context, saved, manifest.objects[name] as Encoded),
    })),
  };
}

function decodeState(context: FileContext, { header, bytes }: SavedRun, state: Encoded): unknown {
  const dtypes = new Map(header.tensors.map(({ name, dtype }) => [name, dtype]));
  try {
    return decode(state, (name, type) => {
      const known = arrayTypes.get(type);
      const data = bytes.get(name) as Uint8Array<ArrayBuffer> | undefined;
      const dtype = dtypes.get(name);
      if (type === 'Float32Array' && data !== undefined && dtype === 'BF16') return toFloat32(dtype, data);
      if (known === undefined || data === undefined || dtype !== known.dtype)
        throw damaged(context, `state in a ${type} ${show(name)}`, 'a tensor of that type');
      return new known.create(data.buffer);
    });
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw damaged(context, 'state in another form', 'the form of saveCheckpoint', cause);
  }
}

/**
 * Restores the parts of a run, all or nothing: what was restored is put back if a later part refuses its state.
 * @param mayUndo Whether the function that it returns, which puts everything back, is needed.
 * @throws CheckpointError if the file does not match; TypeError, RangeError for parts that are not allowed
 */
export function restore(context: FileContext, parts: PartsToLoad, saved: SavedRun, mayUndo = false): () => void {
  const { who } = context;
  const checked = checkParts(who, parts);
  checkHasParams(context, checked);
  const pairs = matchParams(context, checked.tensors, saved);
  const { optimizer, objects } = parts.paramsOnly
    ? { optimizer: undefined, objects: [] }
    : matchObjects(context, checked, saved);
  checkIdle(who, checked.tensors);
  if (stepCountOf(optimizer?.object) !== (optimizer && parts.stepCount))
    throw typeError(who, 'optimizer', 'a step while the file was read', 'none', 'await the load before you train');
  const undo: { readonly path: string; readonly action: () => void }[] = [];
  const load = ({ path, object, dict }: Load, isLast: boolean): void => {
    // Loading one of our own objects is all or nothing, so its old state is needed only if others follow.
    const { remember } = object as Partial<RankPart>;
    if (mayUndo && remember !== undefined) undo.push({ path, action: remember.call(object as unknown as RankPart) });
    else if (mayUndo || !isLast || !loadsAtomically(object)) {
      const before = stateOf(who, path, object);
      undo.push({ path, action: () => object.loadStateDict(before) });
    }
    try {
      if (object === checked.optimizer) object.loadStateDict(dict, { schedules: parts.schedules });
      else object.loadStateDict(dict);
    } catch (cause) {
      const given = `${path}: ${cause instanceof Error ? cause.message : show(cause)}`;
      const expected = given.includes(', expected ') ? undefined : 'the state of this run';
      throw mismatch(context, { given, expected, cause });
    }
  };
  const putBack = (): string[] =>
    undo.reverse().flatMap(({ path, action }) => {
      try {
        action();
        return [];
      } catch {
        return [path];
      }
    });
  try {
    if (optimizer !== undefined) load(optimizer, objects.length === 0);
    // Before the objects, because a WeightAverage reads the params when it loads.
    swapAll(who, pairs);
    undo.push({ path: 'params', action: () => swapAll(who, pairs) });
    for (const [i, object] of objects.entries()) load(object, i === objects.length - 1);
  } catch (error) {
    const failed = putBack();
    if (failed.length === 0) throw error;
    throw mismatch(context, {
      given: (error as Error).message,
      expected: 'the state of this run',
      hint: `${failed.join(', ')} could not be put back`,
      cause: error,
    });
  }
  return putBack;
}

/** The state of an object, in arrays that loading another state leaves alone. */
function stateOf(who: string, path: string, object: Stateful): unknown {
  const dict = object.stateDict();
  if (copiesState(object)) return dict;
  const arrays: TypedArray[] = [];
  const encoded = encode(who, dict, {
    path,
    owned: false,
    place: ({ type, bytes }) => {
      const { create } = arrayTypes.get(type) as { create: new (buffer: ArrayBuffer) => TypedArray };
      return String(arrays.push(new create(bytes.buffer as ArrayBuffer)) - 1);
    },
  });
  return decode(encoded, (index) => arrays[Number(index)] as TypedArray);
}

/** Elements that are exchanged at a time. */
const swapLength = 1 << 16;

/** Exchanges the contents of params and file. A second call puts both back. @throws TypeError, RangeError */
function swapAll(who: string, pairs: readonly Pair[]): void {
  for (const { tensor, values } of pairs) checkLength(who, tensor.path, tensor.data, values.length);
  const kept = new Float32Array(swapLength);
  for (const { tensor, values } of pairs) {
    const live = floatsOf(tensor.data); // the user's array may have methods of its own
    for (let at = 0; at < values.length; at += swapLength) {
      const [a, b] = [live.subarray(at, at + swapLength), values.subarray(at, at + swapLength)];
      kept.set(a);
      a.set(b);
      b.set(kept.subarray(0, b.length));
    }
  }
}
