import { show, typeError } from '../check/errors.js';
import { checkOneOf, checkOptions } from '../check/options.js';
import { keepsSchedules, type LoadOptions } from '../core/state-dict.js';
import { checkNotAborted, checkSignal } from '../core/step-queue.js';
import { replaceFile } from './background.js';
import { checkByteOrder } from './dtypes.js';
import type { FileContext } from './errors.js';
import type { TensorInfo } from './header.js';
import { withFile } from './read-file.js';
import { readManifest, readRun, restore, type SavedRun, userMetadata } from './restore.js';
import { checkMetadata, checkPath } from './safetensors.js';
import { type CheckedSave, isSet, latestSet, readSet, readSetHeader, saveSet } from './set.js';
import {
  type CheckpointParams,
  checkParts,
  type PartsToLoad,
  type Stateful,
  snapshot,
  stepCountOf,
} from './snapshot.js';
import { type CheckpointWorld, checkWorld, onEveryRank, type RankPart, rankPartOf } from './world.js';

/** What {@link saveCheckpoint} saves. */
export interface SaveCheckpointOptions {
  /** The params, in the form that the optimizer takes: all of them, also those of `addParamGroup`. */
  readonly params: CheckpointParams;
  /** The optimizer: any class, `Lookahead`, `SAM`, `LBFGS`, `SFO` or `HessianFree`. Default: none is saved. */
  readonly optimizer?: Stateful | undefined;
  /**
   * Other objects of the run by name, such as `ReduceOnPlateau`, `LossScale`, `WeightAverage`, or your own with
   * `stateDict()` and `loadStateDict()`. Default: none.
   */
  readonly objects?: Readonly<Record<string, Stateful>> | undefined;
  /** Your own strings. Keys that start with `schuss.` are reserved. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * The `World` of `schuss/distributed`. Each rank saves a part. The path is then a folder, and every rank must make the
   * call. Required for a distributed optimizer.
   */
  readonly world?: CheckpointWorld | undefined;
  /** Abort it to cancel the save. The old file is then kept. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@link loadCheckpoint} restores: the same parts that were saved. */
export interface LoadCheckpointOptions {
  /** The params, with the names and shapes of the file. Their contents are replaced in place. */
  readonly params: CheckpointParams;
  /** An optimizer of the class that was saved, over the same params. */
  readonly optimizer?: Stateful | undefined;
  /** The objects that were saved, by the same names. */
  readonly objects?: Readonly<Record<string, Stateful>> | undefined;
  /** `'params'`: restores only the params, for example for predictions. Default: all parts. */
  readonly only?: 'params' | undefined;
  /** What to do if only the saved or only this optimizer has a Schedule: {@link LoadOptions}. Default 'check'. */
  readonly schedules?: LoadOptions['schedules'];
  /** The `World`, of any size. Every rank must make the call. Either all ranks succeed, or nothing changes on any. */
  readonly world?: CheckpointWorld | undefined;
}

/** Result of {@link inspectCheckpoint}. */
export interface CheckpointInfo {
  /** The strings given to {@link saveCheckpoint}. */
  readonly metadata: Record<string, string>;
  /** Class of the optimizer, or undefined if none was saved. */
  readonly optimizer: string | undefined;
  /** The step of {@link CheckpointManager.save}, or the optimizer's `stepCount`. */
  readonly step: number | undefined;
  /** Dtype and shape of every tensor in the file. */
  readonly tensors: Record<string, TensorInfo>;
}

const partNames = ['params', 'optimizer', 'objects'] as const;

/** Reads the options of a save once. @throws TypeError, or the signal's reason if it is aborted */
export function checkSave(who: string, options: unknown): CheckedSave {
  checkByteOrder(who);
  checkOptions(who, options, [...partNames, 'metadata', 'signal', 'world']);
  const { params, optimizer, objects, metadata, signal, world: given } = options as unknown as SaveCheckpointOptions;
  const checked = signal === undefined ? undefined : checkSignal(who, signal);
  if (checked !== undefined && given === undefined) checkNotAborted(checked); // ranks agree about it
  const world = checkWorld(who, given, optimizer);
  return { parts: { params, optimizer, objects }, metadata: checkMetadata(who, metadata), signal: checked, world };
}

/**
 * Saves a training run in one safetensors file: params, optimizer, other objects and metadata. The values are copied before
 * the call returns, so you can continue training at once. The file is hashed and written in the background.
 *
 * ```
 * u64 length of the header | JSON header, padded with spaces to 8 bytes | data
 * <param>                      F32, under the name of the param; the index, if params have no names
 * optimizer.<param>.<state>    state arrays: optimizer.fc.weight.expAvg
 * objects.<name>.<path>        typed arrays of the objects
 * __metadata__                 your metadata; schuss.checkpoint: all other state, as JSON;
 *                              schuss.sha256: digest of the whole file, computed with its own 64 digits at 0
 * ```
 * After a crash at any moment, the old or the new file is complete: the data is written to a temporary file in the same
 * directory, which is synced to disk and then renamed. Saves to one path run in the order of the calls; the last one wins.
 *
 * @param path The file. Its directory must exist. A symbolic link is followed.
 * @param options `params`; `optimizer`; `objects`, by name; `metadata`, a record of strings; `signal`, which cancels.
 * @returns A promise that resolves when the file is safely on disk.
 * @throws (rejects) {@link CheckpointError} if the file cannot be written, or if `params` lack a param of the optimizer:
 *   one with neither its memory nor its name. TypeError for options that are not allowed,
 *   state that is not plain data, or a pending `stepAsync`. RangeError for names that the format does not allow. The
 *   signal's reason after an abort. The old file is unchanged in all cases.
 * @remarks
 * The file is written in turns of the event loop: a loop that never awaits writes nothing until it ends. Await each save, or
 * await something between steps.
 *
 * With `world`, each rank writes its part of params and state as one safetensors file in the folder `path`. Then rank 0
 * updates the file `LATEST` there. Every rank must make the call and await it; until then the optimizer refuses steps. All
 * ranks throw the same error. Objects are those of rank 0. Any number of ranks, and a program without a world, can load
 * the folder.
 * @example
 * ```ts
 * import { Adam, loadCheckpoint, ReduceOnPlateau, saveCheckpoint } from 'schuss';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const create = () => {
 *   const params = { weight: new Float32Array(6), bias: new Float32Array(2) };
 *   const optimizer = new Adam(params, { lr: 0.01 });
 *   return { params, optimizer, objects: { plateau: new ReduceOnPlateau(optimizer) } };
 * };
 * const path = join(tmpdir(), 'schuss-save-example.safetensors');
 * const run = create();
 * run.optimizer.step({ weight: new Float32Array(6).fill(1), bias: new Float32Array(2).fill(-1) });
 * await saveCheckpoint(path, { ...run, metadata: { epoch: '1' } });
 *
 * const resumed = create();
 * const { epoch } = await loadCheckpoint(path, resumed);
 * console.log(epoch, resumed.optimizer.stepCount, resumed.params.bias[0]); // '1', 1, 0.01
 * ```
 */
export async function saveCheckpoint(path: string, options: SaveCheckpointOptions): Promise<void> {
  const who = 'saveCheckpoint';
  const context = { who, path: checkPath(who, 'path', path) };
  const save = checkSave(who, options);
  const { parts, metadata, signal, world } = save;
  if (world !== undefined) await saveSet(context, world, save);
  else await replaceFile(context, snapshot(context, parts, metadata), signal);
}

/**
 * Restores a training run that {@link saveCheckpoint} saved. The run continues bit for bit, even with another instruction
 * set, number of threads or backend.
 *
 * The call reads the whole file and checks format, SHA-256, names and shapes before it changes anything. It restores
 * everything or nothing: if an object rejects its state, all other parts get their old values back.
 *
 * @param path The file, or the folder of a save with `world`.
 * @param options `params`, which change in place; `optimizer`; `objects`. They must be the parts that were saved: the
 *   same names in any order, the same shapes, the same classes. `only: 'params'` restores the params alone. `schedules`
 *   ('check' | 'keep'): {@link LoadCheckpointOptions}
 * @returns The metadata that was saved.
 * @throws (rejects) {@link CheckpointError} for a file that is missing, damaged, foreign, of a later version, or that does
 *   not match, and for `params` that lack a param of the optimizer. TypeError, RangeError for options that are not
 *   allowed, or a pending `stepAsync`. With `world` the same on every rank.
 * @example
 * ```ts
 * import { loadCheckpoint, saveCheckpoint, SGD } from 'schuss';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const path = join(tmpdir(), 'schuss-load-example.safetensors');
 * const params = [Float32Array.of(1, 2)];
 * const optimizer = new SGD(params, { lr: 0.1 });
 * await saveCheckpoint(path, { params, optimizer, metadata: { run: 'a' } });
 * optimizer.step([Float32Array.of(1, 1)]);
 * console.log(await loadCheckpoint(path, { params, optimizer }), params); // { run: 'a' }, [[1, 2]]
 * ```
 */
export async function loadCheckpoint(path: string, options: LoadCheckpointOptions): Promise<Record<string, string>> {
  const who = 'loadCheckpoint';
  return loadFile({ who, path: checkPath(who, 'path', path) }, checkLoad(who, options));
}

/** Options of a load, checked. */
export type CheckedLoad = PartsToLoad & { readonly world: CheckpointWorld | undefined };

/** Reads the options of a load once. @throws TypeError */
export function checkLoad(who: string, options: unknown): CheckedLoad {
  checkByteOrder(who);
  checkOptions(who, options, [...partNames, 'only', 'schedules', 'world']);
  const { params, optimizer, objects, only, schedules, world: given } = options as unknown as LoadCheckpointOptions;
  const paramsOnly = checkOneOf(who, 'only', only ?? 'all', ['all', 'params']) === 'params';
  keepsSchedules(who, { schedules });
  for (const [name, part] of Object.entries({ optimizer, objects }))
    if (paramsOnly && part !== undefined) throw typeError(who, name, show(part), `none with only: "params"`);
  checkParts(who, { params, optimizer, objects });
  const world = checkWorld(who, given, optimizer);
  return { params, optimizer, objects, paramsOnly, schedules, stepCount: stepCountOf(optimizer), world };
}

/** Restores the parts of a run from a file. Returns the user's metadata. @throws (rejects) CheckpointError, TypeError */
export async function loadFile(context: FileContext, parts: CheckedLoad): Promise<Record<string, string>> {
  const { world } = parts;
  if (world === undefined) {
    const saved = await read(context, (await isSet(context.path)) ? await latestSet(context) : undefined);
    restore(context, parts, saved);
    return userMetadata(saved.header);
  }
  const part = rankPartOf(parts.optimizer);
  const release = part?.hold();
  try {
    // Rank 0 names the set, because another save may switch it meanwhile.
    const find = async (): Promise<string | undefined> =>
      world.rank === 0 && (await isSet(context.path)) ? latestSet(context) : undefined;
    const set = await world.broadcastObject(await onEveryRank(world, find));
    const saved = await onEveryRank(world, () => read(context, set, part));
    await onEveryRank(
      world,
      () => restore(context, { ...parts, optimizer: part ?? parts.optimizer }, saved, true),
      (putBack) => {
        putBack();
      },
    );
    return userMetadata(saved.header);
  } finally {
    release?.();
  }
}

function read(context: FileContext, set: string | undefined, part?: RankPart): Promise<SavedRun> {
  return set === undefined ? withFile(context, readRun) : readSet(context, set, part);
}

/**
 * Describes a checkpoint. It reads only the header, so it checks the format, but not the SHA-256 of the data.
 *
 * @param path The file, or the folder of a save with `world`.
 * @returns The metadata, the class of the optimizer, the step, and dtype and shape of every tensor.
 * @throws (rejects) {@link CheckpointError} for a file that is missing, damaged, foreign or of a later version
 * @example
 * ```ts
 * import { Adam, inspectCheckpoint, saveCheckpoint } from 'schuss';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const path = join(tmpdir(), 'schuss-inspect-example.safetensors');
 * const params = { weight: { data: new Float32Array(6), shape: [2, 3] as const } };
 * await saveCheckpoint(path, { params, optimizer: new Adam(params) });
 * const { optimizer, step, tensors } = await inspectCheckpoint(path);
 * console.log(optimizer, step, tensors['weight']); // 'Adam', 0, { dtype: 'F32', shape: [2, 3] }
 * ```
 */
export async function inspectCheckpoint(path: string): Promise<CheckpointInfo> {
  const who = 'inspectCheckpoint';
  const context = { who, path: checkPath(who, 'path', path) };
  if (await isSet(path)) return infoOf(await readSetHeader(context));
  return withFile(context, async ({ header }) => infoOf({ header, manifest: readManifest(context, header) }));
}

function infoOf({ header, manifest }: Pick<SavedRun, 'header' | 'manifest'>): CheckpointInfo {
  return {
    metadata: userMetadata(header),
    optimizer: manifest.optimizer?.name,
    step: manifest.step ?? manifest.optimizer?.stepCount,
    tensors: Object.fromEntries(header.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape }])),
  };
}
