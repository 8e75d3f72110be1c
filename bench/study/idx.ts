import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { UserError } from '../common/user-error.js';

/** A tensor of bytes, read from an IDX file, the format of MNIST and Fashion-MNIST. */
export interface Idx {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 0x08;

/**
 * Reads an IDX file of unsigned bytes with `dimensions` dimensions, gzipped or not.
 * @throws UserError that names the file and the problem
 */
export function readIdx(path: string, dimensions: number): Idx {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UserError(`study: ${path}: ${(error as Error).message}`);
  }
  return parseIdx(bytes, path, dimensions);
}

/** Parses the contents of an IDX file, see {@link readIdx}. http://yann.lecun.com/exdb/mnist describes the format. */
export function parseIdx(bytes: Buffer, file: string, dimensions: number): Idx {
  const refuse = (given: string, expected: string): never => {
    throw new UserError(`study: ${file}: ${given}, expected ${expected}`);
  };
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      bytes = gunzipSync(bytes);
    } catch (error) {
      refuse(`a damaged gzip file (${(error as Error).message})`, 'an IDX file, gzipped or not');
    }
  }
  const header = 4 + 4 * dimensions;
  if (bytes.length < 4) refuse(`${bytes.length} bytes`, 'an IDX file');
  if (bytes[0] !== 0 || bytes[1] !== 0)
    refuse(`magic number 0x${bytes.toString('hex', 0, 4)}`, `0x00000${UNSIGNED_BYTE}0${dimensions}, an IDX file`);
  if (bytes[2] !== UNSIGNED_BYTE) refuse(`element type 0x${bytes.toString('hex', 2, 3)}`, '0x08, unsigned bytes');
  if (bytes[3] !== dimensions) refuse(`${bytes[3]} dimensions`, String(dimensions));
  if (bytes.length < header) refuse(`cut off in its header, after ${bytes.length} bytes`, `${header} bytes of header`);
  const shape = Array.from({ length: dimensions }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const size = shape.reduce((product, length) => product * length, 1);
  if (size === 0) refuse(`an empty tensor of ${shape.join(' × ')}`, 'at least one element');
  if (bytes.length - header !== size) {
    refuse(
      `${bytes.length - header} bytes of data${bytes.length - header < size ? ' (cut off)' : ''}`,
      `${size} for ${shape.join(' × ')}`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}
