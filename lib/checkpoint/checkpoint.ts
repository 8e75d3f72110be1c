import { show, typeError } from '../check/errors.js';
import { checkOneOf, checkOptions } from '../check/options.js';
import { keepsSchedules, type LoadOptions } from '../core/state-dict.js';
import { checkNotAborted, checkSignal } from '../core/step-queue.js';
import { replaceFile } from './background.js';
import { checkByteOrder } from './dtypes.js';
import type { FileContext } from './errors.js';
import type { TensorInfo } from './header.js';
import { withFile } from './read-file.js';
import { readManifest, readRun, restore, userMetadata } from './restore.js';
import { checkMetadata, checkPath } from './safetensors.js';
import {
  type CheckpointParams,
  checkParts,
  type Parts,
  type PartsToLoad,
  type Stateful,
  snapshot,
  stepCountOf,
} from './snapshot.js';

/** What {@link saveCheckpoint} saves. */
export interface SaveCheckpointOptions {
  /** The params, in the form that the optimizer takes. */
  readonly params: CheckpointParams;
  /** The optimizer: any class, `Lookahead`, `LBFGS`, `SFO` or `HessianFree`. Default: none is saved. */
  readonly optimizer?: Stateful | undefined;
  /**
   * Other objects of the run by name, such as `ReduceOnPlateau`, `LossScale`, `WeightAverage`, or your own with
   * `stateDict()` and `loadStateDict()`. Default: none.
   */
  readonly objects?: Readonly<Record<string, Stateful>> | undefined;
  /** Strings of your own. Keys that start with `schuss.` are reserved. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Abort it to cancel the save. The old file stays then. */
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
  /** `'params'`: restores the params alone, for example to predict, whatever else the file holds. Default: all parts. */
  readonly only?: 'params' | undefined;
  /** What to do if only one of the saved and the live optimizer has a Schedule: {@link LoadOptions}. Default 'check'. */
  readonly schedules?: LoadOptions['schedules'];
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

/** Options of a save, checked except for the parts. */
export interface CheckedSave {
  readonly parts: Parts;
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

/** Reads the options of a save once. @throws TypeError, or the signal's reason if it is aborted */
export function checkSave(who: string, options: unknown): CheckedSave {
  checkByteOrder(who);
  checkOptions(who, options, [...partNames, 'metadata', 'signal']);
  const { params, optimizer, objects, metadata, signal } = options as unknown as SaveCheckpointOptions;
  const checked = signal === undefined ? undefined : checkSignal(who, signal);
  if (checked !== undefined) checkNotAborted(checked);
  return { parts: { params, optimizer, objects }, metadata: checkMetadata(who, metadata), signal: checked };
}

/**
 * Saves a run: params, optimizer, other objects and metadata, in one safetensors file. The values are those at the call.
 * They are copied before it returns, then hashed and written in the background, so training may go on at once.
 *
 * ```
 * u64 length of the header | JSON header, padded with spaces to 8 bytes | data
 * <param>                      F32, under the name of the param; the index, if params have no names
 * optimizer.<param>.<state>    state arrays: optimizer.fc.weight.expAvg
 * objects.<name>.<path>        typed arrays of the objects
 * __metadata__                 your metadata; schuss.checkpoint: all other state, as JSON;
 *                              schuss.sha256: digest of the whole file, computed with its own 64 digits at 0
 * ```
 * A crash at any moment leaves the old file or the new one, whole: the data goes to a temporary file in the same
 * directory, which is synced and then renamed. Saves to one path run in the order of the calls, and the last one wins.
 *
 * @param path The file. Its directory must exist. A symbolic link is followed.
 * @param options `params`; `optimizer`; `objects`, by name; `metadata`, a record of strings; `signal`, which cancels.
 * @returns A promise that resolves when the file is durable.
 * @throws (rejects) {@link CheckpointError} if the file cannot be written. TypeError for options that are not allowed,
 *   state that is not plain data, or a pending `stepAsync`. RangeError for names that the format does not allow. The
 *   signal's reason after an abort. The old file is unchanged in all cases.
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
  const { parts, metadata, signal } = checkSave(who, options);
  await replaceFile(context, snapshot(who, parts, metadata), signal);
}

/**
 * Restores a run that {@link saveCheckpoint} saved. The run continues bit for bit, on another instruction set, thread
 * count or backend too.
 *
 * It reads the whole file and checks format, SHA-256, names and shapes before it changes anything. It is all or nothing:
 * if an object refuses its state, everything that was restored before is put back.
 *
 * @param path The file.
 * @param options `params`, which change in place; `optimizer`; `objects`. They must be the parts that were saved: the
 *   same names in any order, the same shapes, the same classes. `only: 'params'` restores the params alone. `schedules`
 *   ('check' | 'keep'): {@link LoadCheckpointOptions}
 * @returns The metadata that was saved.
 * @throws (rejects) {@link CheckpointError} for a file that is missing, damaged, foreign, of a later version, or that does
 *   not match. TypeError, RangeError for options that are not allowed, or a pending `stepAsync`.
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

/** Reads the options of a load once. @throws TypeError */
export function checkLoad(who: string, options: unknown): PartsToLoad {
  checkByteOrder(who);
  checkOptions(who, options, [...partNames, 'only', 'schedules']);
  const { params, optimizer, objects, only, schedules } = options as unknown as LoadCheckpointOptions;
  const paramsOnly = checkOneOf(who, 'only', only ?? 'all', ['all', 'params']) === 'params';
  keepsSchedules(who, { schedules });
  for (const [name, part] of Object.entries({ optimizer, objects }))
    if (paramsOnly && part !== undefined) throw typeError(who, name, show(part), `none with only: "params"`);
  checkParts(who, { params, optimizer, objects });
  return { params, optimizer, objects, paramsOnly, schedules, stepCount: stepCountOf(optimizer) };
}

/** Restores the parts of a run from a file. Returns the user's metadata. @throws (rejects) CheckpointError, TypeError */
export async function loadFile(context: FileContext, parts: PartsToLoad): Promise<Record<string, string>> {
  const saved = await withFile(context, readRun);
  restore(context, parts, saved);
  return userMetadata(saved.header);
}

/**
 * Describes a checkpoint from its header alone. The rules of the format are checked, but not the SHA-256 of the data.
 *
 * @param path The file.
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
  return withFile(context, async ({ header }) => {
    const manifest = readManifest(context, header);
    return {
      metadata: userMetadata(header),
      optimizer: manifest.optimizer?.name,
      step: manifest.step ?? manifest.optimizer?.stepCount,
      tensors: Object.fromEntries(header.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape }])),
    };
  });
}
