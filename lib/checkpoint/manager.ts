import { mkdir, readdir, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { rangeError, show, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkInteger, checkOptions } from '../check/options.js';
import { inspect, print } from '../core/print.js';
import { replaceFile } from './background.js';
import {
  checkLoad,
  checkSave,
  type LoadCheckpointOptions,
  loadFile,
  type SaveCheckpointOptions,
} from './checkpoint.js';
import { CheckpointError, type FileContext, faultOf, fileError, readError, writeError } from './errors.js';
import { withFile } from './read-file.js';
import { readManifest } from './restore.js';
import { checkPath } from './safetensors.js';
import { isSet, readSetHeader, removeSet, saveSet } from './set.js';
import { snapshot } from './snapshot.js';
import { sweep } from './temp-files.js';
import { onEveryRank } from './world.js';

const who = 'CheckpointManager';

/** Options of a {@link CheckpointManager}. */
export interface CheckpointManagerOptions {
  /** Checkpoints to keep: the latest ones. An integer in [1, ∞], default 3. */
  readonly keep?: number | undefined;
  /** Save only at multiples of this step. An integer in [1, ∞), default 1. */
  readonly every?: number | undefined;
}

/** Options of {@link CheckpointManager.load}. */
export interface ManagerLoadOptions {
  /** The step to load. Default: the latest that is not damaged. */
  readonly step?: number | undefined;
}

/** Result of {@link CheckpointManager.load}: the metadata that was saved, and the step that was loaded. */
export type ManagerMetadata = Record<string, string> & { readonly step: number };

/** The file of a step, or the folder of many ranks. */
const filePattern = /^step-(\d{10,16})(\.safetensors)?$/;
const digits = 10;

/**
 * Keeps the latest checkpoints of a run in a directory, one file per saved step: `step-0000001200.safetensors`.
 *
 * Saves run in the order of the calls. Each save removes all but the `keep` latest checkpoints up to its step. Files with
 * damaged headers do not count. Checkpoints of later steps are not removed. Only one process should write to the directory
 * at a time. With `world`, a checkpoint is a folder, `step-0000001200`, with one file per rank, and every rank must make
 * the calls.
 *
 * @param directory Created by the first save.
 * @param options `keep` (3): checkpoints to keep. `every` (1): save only at multiples of this step.
 * @throws TypeError, RangeError for arguments that are not allowed
 * @example
 * ```ts
 * import { Adam, CheckpointManager } from 'schuss';
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const params = { w: Float32Array.of(1, -1) };
 * const optimizer = new Adam(params, { lr: 0.1 });
 * const checkpoints = new CheckpointManager(mkdtempSync(join(tmpdir(), 'schuss-')), { keep: 2, every: 10 });
 *
 * let step = 0;
 * if ((await checkpoints.latest()) !== undefined) ({ step } = await checkpoints.load({ params, optimizer }));
 * while (step < 50) {
 *   optimizer.step({ w: params.w.slice() });
 *   step++;
 *   await checkpoints.save(step, { params, optimizer });
 * }
 * console.log(await checkpoints.latest()); // 50
 * ```
 */
export class CheckpointManager {
  readonly #directory: string;
  readonly #keep: number;
  readonly #every: number;
  /** The end of the last save. */
  #pending: Promise<void> = Promise.resolve();

  constructor(directory: string, options: CheckpointManagerOptions = {}) {
    this.#directory = checkPath(who, 'directory', directory);
    checkOptions(who, options, ['keep', 'every']);
    refuseFixed(CheckpointManager, who, ['keep', 'every']);
    const { keep = 3, every = 1 } = options as CheckpointManagerOptions;
    this.#keep = keep === Number.POSITIVE_INFINITY ? keep : checkInteger(who, 'keep', keep, '[1, inf)');
    this.#every = checkInteger(who, 'every', every, '[1, inf)');
  }

  /**
   * Saves a checkpoint of a step, if the step is a multiple of `every`. The values are copied at the call, as in
   * {@link saveCheckpoint}, and the file is written in turns of the event loop. A checkpoint of the same step is replaced.
   *
   * @param step The step: an integer in [0, 2^53).
   * @param options As for {@link saveCheckpoint}.
   * @returns A promise of whether it saved. It resolves when the file is safely on disk and old ones are removed.
   * @throws (rejects) as {@link saveCheckpoint}
   */
  async save(step: number, options: SaveCheckpointOptions): Promise<boolean> {
    const name = `${who}.save`;
    checkStep(name, step);
    const save = checkSave(name, options);
    const { parts, metadata, signal, world } = save;
    if (step % this.#every !== 0) return false;
    if (world !== undefined) {
      const context = { who: name, path: this.#pathOf(step, true) };
      await saveSet(context, world, save, step);
      if (world.rank === 0) {
        await unlink(this.#pathOf(step)).catch(() => {}); // the same step as a file
        await this.#removeOld(step);
      }
      return true;
    }
    const context = { who: name, path: this.#pathOf(step) };
    const contents = snapshot(context, parts, metadata, step);
    const run = this.#pending.then(async () => {
      signal?.throwIfAborted();
      await this.#createDirectory(context);
      await replaceFile(context, contents, signal);
      await removeSet(this.#pathOf(step, true)).catch(() => {}); // the same step as a set
      await this.#removeOld(step);
    });
    this.#pending = run.catch(() => {});
    await run;
    return true;
  }

  /**
   * The latest step with a checkpoint, as a number, or undefined if there is none. It reads only headers, and ignores files
   * with a damaged one.
   *
   * @throws (rejects) {@link CheckpointError} if the directory cannot be read
   */
  async latest(): Promise<number | undefined> {
    const name = `${who}.latest`;
    for (const step of await this.#steps(name)) if (await this.#isWhole(step)) return step;
    return undefined;
  }

  /**
   * Loads the latest checkpoint, as {@link loadCheckpoint} does. If it is damaged, it emits a warning with the code
   * `SCHUSS_CHECKPOINT_DAMAGED` and loads the one before. A checkpoint that does not match is an error.
   *
   * @param options The parts to restore, as for {@link loadCheckpoint}.
   * @param choice `step`: load the checkpoint of this step only.
   * @returns The metadata that was saved, with `step`, the step that was loaded, as a number.
   * @throws (rejects) as {@link loadCheckpoint}; also {@link CheckpointError} if there is no checkpoint, or all are damaged
   */
  async load(options: LoadCheckpointOptions, choice: ManagerLoadOptions = {}): Promise<ManagerMetadata> {
    const name = `${who}.load`;
    const parts = checkLoad(name, options);
    checkOptions(name, choice, ['step']);
    const { step: chosen } = choice as ManagerLoadOptions;
    if (chosen !== undefined) checkStep(name, chosen);
    await this.#pending;
    await sweep(this.#directory);
    const find = async (): Promise<readonly number[]> => (chosen === undefined ? this.#steps(name) : [chosen]);
    const { world } = parts;
    // The steps of rank 0, because the ranks must try the same.
    const steps = world === undefined ? await find() : await world.broadcastObject(await onEveryRank(world, find));
    let first: CheckpointError | undefined;
    for (const [i, step] of steps.entries()) {
      try {
        const metadata = await loadFile({ who: name, path: await this.#existing(step) }, parts);
        return { ...metadata, step } as unknown as ManagerMetadata;
      } catch (error) {
        if (chosen !== undefined || !isDamage(error)) throw error;
        first ??= error;
        const next = steps[i + 1];
        if (next !== undefined) warn(error, next);
      }
    }
    const context = { who: name, path: this.#directory };
    if (first === undefined)
      throw fileError(context, { code: 'ENOENT', given: 'no checkpoint', expected: 'a file step-….safetensors' });
    throw fileError(context, {
      code: first.code,
      given: `${steps.length} checkpoint(s), all damaged`,
      expected: 'one that is not',
      hint: `the latest: ${first.message}`,
      cause: first,
    });
  }

  /** The class, the directory and the options. */
  toString(): string {
    return print(who, { directory: this.#directory, keep: this.#keep, every: this.#every });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  #pathOf(step: number, isFolder = false): string {
    return join(this.#directory, `step-${String(step).padStart(digits, '0')}${isFolder ? '' : '.safetensors'}`);
  }

  /** The folder of a step, if there is a set in it, or its file. */
  async #existing(step: number): Promise<string> {
    const folder = this.#pathOf(step, true);
    return (await isSet(folder)) ? folder : this.#pathOf(step);
  }

  async #createDirectory(context: FileContext): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true });
    } catch (error) {
      throw writeError(context, faultOf(error), 0, error);
    }
  }

  /** The steps with a file or a set, the latest first. A set whose save did not end counts if `all`. */
  async #steps(name: string, all = false): Promise<number[]> {
    try {
      const steps = new Set<number>();
      for (const file of await readdir(this.#directory)) {
        const match = filePattern.exec(file);
        const step = Number(match?.[1]);
        const isFolder = match?.[2] === undefined;
        if (!Number.isSafeInteger(step) || basename(this.#pathOf(step, isFolder)) !== file) continue;
        if (all || !isFolder || (await isSet(join(this.#directory, file)))) steps.add(step);
      }
      return [...steps].sort((a, b) => b - a);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw readError({ who: name, path: this.#directory }, error);
    }
  }

  /** Whether a file has a valid header and the length that it names. */
  async #isWhole(step: number): Promise<boolean> {
    const context = { who, path: await this.#existing(step) };
    const header = (await isSet(context.path))
      ? readSetHeader(context)
      : withFile(context, async ({ header }) => readManifest(context, header));
    return header.then(
      () => true,
      (error: unknown) => !isDamage(error),
    );
  }

  /** Removes what `keep` leaves out, after a save of `current`. That file is good, so the last good one always stays. */
  async #removeOld(current: number): Promise<void> {
    const older = (await this.#steps(`${who}.save`, true)).filter((step) => step < current);
    let kept = 1;
    for (const step of older) {
      if (kept < this.#keep) {
        if (await this.#isWhole(step)) kept++;
      } else {
        // The next save tries again.
        await unlink(this.#pathOf(step)).catch(() => {});
        await removeSet(this.#pathOf(step, true)).catch(() => {});
      }
    }
  }
}

function checkStep(name: string, step: unknown): void {
  if (typeof step !== 'number') throw typeError(name, 'step', show(step), 'a whole number');
  if (!Number.isSafeInteger(step) || step < 0) throw rangeError(name, 'step', show(step), 'an integer in [0, 2^53)');
}

/** Errors for which an earlier checkpoint may help: the file is not what was saved, gone, or cannot be read. */
function isDamage(error: unknown): error is CheckpointError {
  return (
    error instanceof CheckpointError &&
    ['SCHUSS_DAMAGED', 'SCHUSS_FOREIGN', 'EIO', 'ENOENT', 'EISDIR', 'EINVAL'].includes(error.code)
  );
}

function warn(error: CheckpointError, next: number): void {
  process.emitWarning(`${error.message}; loading step ${next} instead`, {
    type: 'SchussWarning',
    code: 'SCHUSS_CHECKPOINT_DAMAGED',
  });
}
