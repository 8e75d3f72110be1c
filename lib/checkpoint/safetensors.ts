import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkOptions, nearest } from '../check/options.js';
import { isDetached, lengthOf, type TypedArray, tagOf } from '../check/typed-array.js';
import { checkNotAborted, checkSignal } from '../core/step-queue.js';
import { replaceFile } from './background.js';
import { arrayTypes, bitsOf, checkByteOrder, copyOf, floatDtypes, toFloat32 } from './dtypes.js';
import { type FileContext, fileError } from './errors.js';
import { createHeader, type NamedBytes, type PlacedTensor, type TensorInfo } from './header.js';
import { readTensors, readVerified, withFile } from './read-file.js';
import { leavesOf } from './tensor-tree.js';

/** A tensor of {@link readSafetensors}: its values as float32, in row-major order, and its shape. */
export interface ReadTensor {
  readonly data: Float32Array;
  /** Empty for a scalar. */
  readonly shape: readonly number[];
}

/** Result of {@link readSafetensors}. */
export interface SafetensorsFile {
  readonly tensors: Record<string, ReadTensor>;
  /** The strings that the file holds beside its tensors. */
  readonly metadata: Record<string, string>;
}

/** Options of {@link readSafetensors}. */
export interface ReadSafetensorsOptions {
  /**
   * The tensors to read: their names, or a function that tells from name, dtype and shape. The others stay on the disk.
   * Default: all.
   */
  readonly names?: readonly string[] | ((name: string, tensor: TensorInfo) => boolean) | undefined;
}

/** A tensor for {@link writeSafetensors}: a typed array, or one with a shape. */
export type WritableTensor = TypedArray | { readonly data: TypedArray; readonly shape: readonly number[] };

/** Tensors for {@link writeSafetensors}: a record or a list of them, to any depth. The params of an optimizer are such a tree. */
export type WritableTensors =
  | readonly (WritableTensor | WritableTensors)[]
  | { readonly [name: string]: WritableTensor | WritableTensors };

/** Options of {@link writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Strings to keep beside the tensors. `{ format: 'pt' }` is what Hugging Face's transformers ask for. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Abort it to cancel the write. The old file stays then. */
  readonly signal?: AbortSignal | undefined;
}

/** Returns `path` if it is a string without NUL. @throws TypeError */
export function checkPath(who: string, argument: string, path: unknown): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw typeError(who, argument, show(path), 'a path');
  return path;
}

/** Refuses metadata that is not a record of strings. @throws TypeError */
export function checkMetadata(who: string, metadata: unknown): Readonly<Record<string, string>> {
  if (metadata === undefined) return {};
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw typeError(who, 'metadata', show(metadata), 'a record of strings');
  const entries = Object.entries(metadata);
  for (const [key, value] of entries)
    if (typeof value !== 'string')
      throw typeError(who, `metadata[${JSON.stringify(key)}]`, show(value), 'a string', 'convert it with String(…)');
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * Reads a safetensors file, such as the weights of a PyTorch or Hugging Face model. Values of dtype F32, F64, F16 and
 * BF16 become float32: F64 is rounded, the others are exact.
 *
 * The header is checked against every rule of the format before any data is read. A file of {@link saveCheckpoint} names
 * its SHA-256, which is verified unless `names` leaves tensors out.
 *
 * A model of PyTorch may hold tensors of integers, such as the `num_batches_tracked` of a batch normalisation. Leave them out:
 * `readSafetensors(path, { names: (name, { dtype }) => dtype !== 'I64' })`.
 *
 * @param options `names`: the tensors to read, as a list of names or as a function `(name, { dtype, shape }) => boolean`.
 *   Default: all.
 * @returns New arrays by name, with their shapes, and the metadata of the file.
 * @throws (rejects) {@link CheckpointError} for a file that cannot be read, is damaged, lacks one of `names`, or holds a
 *   wanted tensor of another dtype. TypeError for arguments of a wrong type.
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from 'schuss';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const path = join(tmpdir(), 'schuss-read-example.safetensors');
 * await writeSafetensors(path, { weight: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } });
 * const { tensors } = await readSafetensors(path, { names: ['weight'] });
 * console.log(tensors['weight']?.shape, tensors['weight']?.data); // [2, 2], [1, 2, 3, 4]
 * ```
 * @see https://huggingface.co/docs/safetensors
 */
export async function readSafetensors(path: string, options: ReadSafetensorsOptions = {}): Promise<SafetensorsFile> {
  const who = 'readSafetensors';
  checkByteOrder(who);
  const context = { who, path: checkPath(who, 'path', path) };
  checkOptions(who, options, ['names']);
  const names = checkNames(who, options['names']);
  return withFile(context, async (file) => {
    const { header, digest } = file;
    const wanted = chosen(context, header.tensors, names);
    for (const { name, dtype } of wanted)
      if (!floatDtypes.includes(dtype))
        throw fileError(context, {
          code: 'SCHUSS_FOREIGN',
          given: `tensor ${show(name)}: dtype ${dtype}`,
          expected: floatDtypes.join(', '),
          hint: `leave it out: { names: (name, { dtype }) => dtype !== ${show(dtype)} }`,
        });
    const isVerified = digest !== undefined && new Set(wanted).size === header.tensors.length;
    const bytes = await (isVerified ? readVerified(file) : readTensors(file, [...new Set(wanted)]));
    const tensors = wanted.map(({ name, dtype, shape }): [string, ReadTensor] => [
      name,
      { data: toFloat32(dtype, bytes.get(name) as Uint8Array), shape },
    ]);
    return { tensors: Object.fromEntries(tensors), metadata: header.metadata };
  });
}

type Names = NonNullable<ReadSafetensorsOptions['names']>;

/** The tensors to read. */
function chosen(
  context: FileContext,
  tensors: readonly PlacedTensor[],
  names: Names | undefined,
): readonly PlacedTensor[] {
  if (names === undefined) return tensors;
  if (typeof names !== 'function') return names.map((name) => findTensor(context, tensors, name));
  return tensors.filter(({ name, dtype, shape }) => {
    const isWanted: unknown = names(name, { dtype, shape: [...shape] });
    if (typeof isWanted === 'boolean') return isWanted;
    throw typeError(
      context.who,
      'names',
      `a function that returned ${show(isWanted)}`,
      'one that returns true or false',
    );
  });
}

function checkNames(who: string, names: unknown): Names | undefined {
  if (names === undefined || typeof names === 'function') return names as Names | undefined;
  if (!Array.isArray(names)) throw typeError(who, 'names', show(names), 'a list of names, or a function of a name');
  // Not `map`, which asks the user's array for its species.
  return Array.from(names, (name: unknown, i) => {
    if (typeof name !== 'string') throw typeError(who, `names[${i}]`, show(name), 'a name');
    return name;
  });
}

function findTensor(context: FileContext, tensors: readonly PlacedTensor[], name: string): PlacedTensor {
  const found = tensors.find((tensor) => tensor.name === name);
  if (found !== undefined) return found;
  const known = tensors.map((tensor) => tensor.name);
  const near = nearest(name, known);
  throw fileError(context, {
    code: 'SCHUSS_MISMATCH',
    given: `no tensor ${show(name)}`,
    expected: near === undefined ? `one of ${known.length} names` : show(near),
  });
}

/**
 * Writes a safetensors file, which PyTorch and Hugging Face read. The values are those at the call: they are copied, and
 * written in the background.
 *
 * A crash at any moment leaves the old file or the new one, whole. Writes to one path run in the order of the calls.
 *
 * @param tensors Typed arrays by name, each with or without a shape. Without one, the shape is `[length]`. In a tree, such
 *   as the params of an optimizer, the name is the path: `layers.0.weight`. A Float32Array is stored as F32, a Float64Array as
 *   F64, an Int8Array as I8, and so on to a BigUint64Array as U64.
 * @param options `metadata`: strings to keep in the file. `signal`: abort it to cancel the write.
 * @throws (rejects) {@link CheckpointError} if the file cannot be written. TypeError, RangeError for arguments that are
 *   not allowed. The signal's reason after an abort. The old file is unchanged in all cases.
 * @example
 * ```ts
 * import { writeSafetensors } from 'schuss';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 *
 * const weights = { 'fc.weight': { data: new Float32Array(6), shape: [2, 3] }, 'fc.bias': new Float32Array(2) };
 * await writeSafetensors(join(tmpdir(), 'schuss-write-example.safetensors'), weights, { metadata: { format: 'pt' } });
 * ```
 * @see https://huggingface.co/docs/safetensors
 */
export async function writeSafetensors(
  path: string,
  tensors: WritableTensors,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const who = 'writeSafetensors';
  checkByteOrder(who);
  const context = { who, path: checkPath(who, 'path', path) };
  checkOptions(who, options, ['metadata', 'signal']);
  const metadata = checkMetadata(who, options['metadata']);
  const signal = options['signal'] === undefined ? undefined : checkSignal(who, options['signal']);
  if (signal !== undefined) checkNotAborted(signal);
  const isTree = typeof tensors === 'object' && tensors !== null && !ArrayBuffer.isView(tensors);
  if (!isTree || (Array.isArray(tensors) && tensors.length === 0))
    throw typeError(who, 'tensors', show(tensors), 'a record of typed arrays, or of { data, shape }');
  const found = leavesOf(who, 'tensors', tensors).map(({ name, value }) => checkTensor(who, name, value));
  // Reading the tensors may have run user code. The copies are made after all of it.
  const named = found.map(({ name, type, data, shape }): NamedBytes => {
    const { dtype } = arrayTypes.get(type) as { dtype: string };
    return { name, dtype, shape, bytes: copyTensor(who, `tensors[${JSON.stringify(name)}]`, dtype, data, shape) };
  });
  const { bytes, ordered } = createHeader(who, named, metadata, false);
  await replaceFile(
    context,
    { parts: [bytes, ...ordered.map((tensor) => tensor.bytes)], digestOffset: undefined },
    signal,
  );
}

function checkTensor(
  who: string,
  name: string,
  tensor: unknown,
): { readonly name: string; readonly type: string; readonly data: TypedArray; readonly shape: readonly number[] } {
  const path = `tensors[${JSON.stringify(name)}]`;
  const isShaped =
    typeof tensor === 'object' && tensor !== null && !ArrayBuffer.isView(tensor) && !Array.isArray(tensor);
  const { data, shape } = (isShaped ? tensor : { data: tensor }) as { data?: unknown; shape?: unknown };
  const type = tagOf(data);
  if (type === undefined || !arrayTypes.has(type))
    throw typeError(who, isShaped ? `${path}.data` : path, show(data), 'a typed array, or { data, shape }');
  if (!isShaped) return { name, type, data: data as TypedArray, shape: [lengthOf(data as TypedArray)] };
  if (!Array.isArray(shape)) throw typeError(who, `${path}.shape`, show(shape), 'a list of whole numbers');
  const sizes = Array.from(shape, (n, i) => checkInteger(who, `${path}.shape[${i}]`, n, '[0, inf)'));
  return { name, type, data: data as TypedArray, shape: sizes };
}

/** A copy of a tensor's bytes. @throws TypeError for a detached array, RangeError if shape and length differ */
export function copyTensor(
  who: string,
  path: string,
  dtype: string,
  data: TypedArray,
  shape: readonly number[],
): Uint8Array {
  if (isDetached(data))
    throw typeError(who, path, 'a detached array', 'an attached one', 'its buffer was transferred or resized');
  const bytes = copyOf(data);
  const length = (8 * bytes.length) / (bitsOf.get(dtype) as number);
  if (shape.reduce((a, b) => a * b, 1) !== length)
    throw rangeError(who, `${path}.shape`, show(shape), `a product of ${length}, the length of its data`);
  return bytes;
}
