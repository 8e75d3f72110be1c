import { rangeError, show } from '../check/errors.js';
import { bitsOf } from './dtypes.js';
import { type FileContext, fileError } from './errors.js';
import { duplicateKey } from './json-keys.js';

/** Dtype and shape of a tensor in a file. */
export interface TensorInfo {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A tensor's place in the data part of a file, in bytes. */
export interface PlacedTensor extends TensorInfo {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** The header of a safetensors file. */
export interface Header {
  /** In the order of their data, which they tile without holes. */
  readonly tensors: readonly PlacedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor to write. */
export interface NamedBytes extends TensorInfo {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Largest header that the format allows. */
export const maxHeaderLength = 100_000_000;

/** Bytes before the header: its length, as u64. */
export const prefixLength = 8;

const alignment = 8;
const metadataName = '__metadata__';
/** Metadata key of the digest. */
export const digestKey = 'schuss.sha256';
const digestStart = `{${JSON.stringify(metadataName)}:{${JSON.stringify(digestKey)}:"`;
const digestLength = 64;

/** Position of the digest in a file that has one: it always comes first in the header. */
export const digestOffset = prefixLength + digestStart.length;

/** The digest that a header holds, or undefined. */
export function digestOf(header: Uint8Array): string | undefined {
  const start = Buffer.from(
    header.buffer,
    header.byteOffset,
    Math.min(header.length, digestStart.length + digestLength + 1),
  );
  const text = start.toString('latin1');
  if (!text.startsWith(digestStart) || !text.endsWith('"')) return undefined;
  const digest = text.slice(digestStart.length, -1);
  return /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

/** A copy of the header in which the digest is all zeros, as it is when the digest is computed. */
export function withoutDigest(header: Uint8Array): Uint8Array {
  return header.slice().fill(48, digestStart.length, digestStart.length + digestLength);
}

// ---- Writing ----

/**
 * The bytes of a file before its data: length and header, padded with spaces to a multiple of 8. Tensors are ordered by
 * the size of their elements, the largest first, so that each is aligned.
 * @throws RangeError for a name that JSON cannot hold or a header over 100 MB
 */
export function createHeader(
  who: string,
  tensors: readonly NamedBytes[],
  metadata: Readonly<Record<string, string>>,
  withDigest: boolean,
): { readonly bytes: Uint8Array; readonly ordered: readonly NamedBytes[] } {
  const elementBits = (tensor: NamedBytes): number => bitsOf.get(tensor.dtype) as number;
  const ordered = [...tensors].sort((a, b) => elementBits(b) - elementBits(a));
  const entries = Object.entries(metadata);
  if (withDigest) entries.unshift([digestKey, '0'.repeat(digestLength)]);
  const parts: string[] = [];
  if (entries.length > 0) {
    const texts = entries.map(
      ([key, value]) => `${quoted(who, 'metadata', key)}:${quoted(who, `metadata[${show(key)}]`, value)}`,
    );
    parts.push(`${JSON.stringify(metadataName)}:{${texts.join(',')}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape, bytes } of ordered) {
    if (name === metadataName) throw rangeError(who, 'tensors', show(name), 'another name', 'the format reserves it');
    const end = offset + bytes.byteLength;
    parts.push(
      `${quoted(who, 'tensors', name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(',')}}`);
  const length = Math.ceil(json.length / alignment) * alignment;
  if (length > maxHeaderLength)
    throw rangeError(who, 'header', `${length} bytes`, `at most ${maxHeaderLength}`, 'keep long lists in typed arrays');
  const bytes = new Uint8Array(prefixLength + length).fill(32, prefixLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, prefixLength);
  return { bytes, ordered };
}

function quoted(who: string, argument: string, text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw rangeError(who, argument, show(text), 'text without lone surrogates');
  return JSON.stringify(text);
}

// ---- Reading ----

const foreignHint = 'the file is damaged, or no safetensors file';

/** Reads the header's length from the first 8 bytes. @throws CheckpointError unless the header fits the file */
export function headerLength(context: FileContext, prefix: Uint8Array, fileSize: number): number {
  if (prefix.length < prefixLength)
    throw damaged(context, `${prefix.length} bytes`, `at least ${prefixLength}`, undefined, foreignHint);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderLength))
    throw damaged(context, `a header of ${length} bytes`, `at most ${maxHeaderLength}`, undefined, foreignHint);
  const room = fileSize - prefixLength;
  if (Number(length) > room)
    throw damaged(context, `a header of ${length} bytes`, `at most ${room}, the rest of the file`);
  return Number(length);
}

/**
 * Parses a header and checks it against every rule of the format.
 * @param dataLength Bytes of the file after the header.
 * @throws CheckpointError
 */
export function parseHeader(context: FileContext, bytes: Uint8Array, dataLength: number): Header {
  const json = parseJson(context, bytes);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw damaged(context, 'another header', 'a JSON object');
  const { [metadataName]: metadata, ...rest } = json as Record<string, unknown>;
  const tensors = Object.entries(rest).map(([name, entry]) => parseTensor(context, name, entry));
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const tensor of tensors) {
    if (tensor.begin !== end)
      throw damaged(context, `tensor ${show(tensor.name)} at ${tensor.begin}`, `${end}, where the one before it ends`);
    end = tensor.end;
  }
  if (end !== dataLength) throw damaged(context, `${dataLength} bytes of data`, `${end}, as the header says`);
  return { tensors, metadata: parseMetadata(context, metadata) };
}

function parseJson(context: FileContext, bytes: Uint8Array): unknown {
  if (bytes[0] !== 123) throw damaged(context, 'a header that starts with another character', '"{"');
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(context, 'a header that is not JSON', 'UTF-8 text in JSON', error);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw damaged(context, `${show(twice)} twice in the header`, 'unique keys');
  return value;
}

function parseMetadata(context: FileContext, metadata: unknown): Readonly<Record<string, string>> {
  if (metadata === undefined) return {};
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw damaged(context, `${metadataName}: ${show(metadata)}`, 'an object of strings');
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw damaged(context, `${metadataName}[${show(key)}]: ${show(value)}`, 'a string');
  return metadata as Record<string, string>;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** NaN where the product is not exact, even if a later factor of 0 would hide that. */
function safeProduct(a: number, b: number): number {
  return Number.isSafeInteger(a * b) ? a * b : Number.NaN;
}

function parseTensor(context: FileContext, name: string, entry: unknown): PlacedTensor {
  const fail = (given: string, expected: string): Error => damaged(context, `tensor ${show(name)}: ${given}`, expected);
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    throw fail(show(entry), '{ dtype, shape, data_offsets }');
  const { dtype, shape, data_offsets: offsets } = entry as Readonly<Record<string, unknown>>;
  const bits = typeof dtype === 'string' ? bitsOf.get(dtype) : undefined;
  if (bits === undefined) throw fail(`dtype ${show(dtype)}`, `one of ${[...bitsOf.keys()].join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fail(`shape ${show(shape)}`, 'a list of whole numbers');
  const [begin, end] = (Array.isArray(offsets) && offsets.length === 2 ? offsets : []) as readonly unknown[];
  if (!isCount(begin) || !isCount(end) || end < begin) throw fail(`data_offsets ${show(offsets)}`, '[begin, end]');
  const totalBits = shape.reduce(safeProduct, bits);
  if (!Number.isSafeInteger(totalBits) || totalBits % 8 !== 0)
    throw fail(`shape ${show(shape)} of ${dtype}`, 'a whole number of bytes');
  if (end - begin !== totalBits / 8)
    throw fail(`${end - begin} bytes`, `${totalBits / 8}, for shape [${shape}] of ${dtype}`);
  return { name, dtype: dtype as string, shape, begin, end };
}

/** The error for a file that breaks a rule of the format. */
export function damaged(
  context: FileContext,
  given: string,
  expected: string,
  cause?: unknown,
  hint = 'the file is damaged',
): Error {
  return fileError(context, { code: 'SCHUSS_DAMAGED', given, expected, hint, cause });
}
