import { show } from '../check/errors.js';

/** What is wrong with a file, apart from the error codes of the operating system. */
export type CheckpointProblem = 'SCHUSS_DAMAGED' | 'SCHUSS_FOREIGN' | 'SCHUSS_MISMATCH' | 'SCHUSS_VERSION';

/**
 * A checkpoint or safetensors file that cannot be written, read or used. Nothing has changed: not the file, not the
 * params, not the optimizer.
 *
 * | `code` | meaning |
 * |---|---|
 * | `SCHUSS_DAMAGED` | the file is truncated, breaks a rule of the format, or its SHA-256 does not match |
 * | `SCHUSS_FOREIGN` | a valid safetensors file that `saveCheckpoint` did not write, or a tensor of another dtype |
 * | `SCHUSS_MISMATCH` | a checkpoint of other params, another optimizer or other objects; `params` that lack one of the optimizer |
 * | `SCHUSS_VERSION` | a checkpoint of a later version of the library |
 * | `ENOSPC`, `EACCES`, `ENOENT`, … | the operating system's reason; `cause` is its error |
 *
 * @example
 * ```ts
 * import { CheckpointError, readSafetensors } from 'schuss';
 *
 * try {
 *   await readSafetensors('no-such-file.safetensors');
 * } catch (error) {
 *   if (!(error instanceof CheckpointError) || error.code !== 'ENOENT') throw error;
 * }
 * ```
 */
export class CheckpointError extends Error {
  override readonly name: string = 'CheckpointError';
  /** What went wrong: see the table above. */
  readonly code: CheckpointProblem | (string & {});
  /** The file. */
  readonly path: string;

  constructor(
    message: string,
    options: { readonly code: string; readonly path: string; readonly cause?: unknown; readonly hint?: string },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.path = options.path;
  }
}

/** The file that an error is about, and the function that a user called. */
export interface FileContext {
  readonly who: string;
  readonly path: string;
}

/** Details of a {@link CheckpointError}. */
export interface FileFault {
  readonly code: string;
  readonly given: string;
  /** Undefined where `given` is an error that says it. */
  readonly expected: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Creates an error in the library's form: `loadCheckpoint: "/run/a.safetensors": 3 bytes, expected at least 8`. */
export function fileError({ who, path }: FileContext, fault: FileFault): CheckpointError {
  const { code, given, expected, hint, cause } = fault;
  const [allowed, remedy] = [expected && `, expected ${expected}`, hint && ` (${hint})`].map((part) => part ?? '');
  return new CheckpointError(`${who}: ${JSON.stringify(path)}: ${given}${allowed}${remedy}`, { code, path, cause });
}

/** The parts of a system error that cross a thread boundary. */
export interface SystemFault {
  readonly code: string | undefined;
  readonly message: string;
}

export function faultOf(error: unknown): SystemFault {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return {
    code: typeof code === 'string' ? code : undefined,
    message: typeof message === 'string' ? message : show(error),
  };
}

const writable = 'a directory that this process may write to';
const readable = 'a file that this process may read';

/** What an error code means, and what was expected instead. */
const causes: Readonly<Record<string, { readonly given: string; readonly write: string; readonly read: string }>> = {
  ENOSPC: { given: 'no space left on the device', write: 'room for', read: readable },
  EDQUOT: { given: 'disk quota exceeded', write: 'room for', read: readable },
  EFBIG: { given: 'a file larger than the file system or the process allows', write: 'room for', read: readable },
  EACCES: { given: 'permission denied', write: writable, read: readable },
  EPERM: { given: 'operation not permitted', write: writable, read: readable },
  EROFS: { given: 'a read-only file system', write: writable, read: readable },
  EISDIR: { given: 'a directory', write: 'a file', read: 'a file' },
  ENOTDIR: { given: 'a path through a file', write: 'a file in an existing directory', read: 'an existing file' },
  ENOENT: { given: 'no such file or directory', write: 'a file in an existing directory', read: 'an existing file' },
};

/** Creates the error for a failed write. `bytes` is the size of the new file. */
export function writeError(context: FileContext, fault: SystemFault, bytes: number, cause?: unknown): CheckpointError {
  const known = causes[fault.code ?? ''];
  const expected =
    known?.write === 'room for' ? `room for ${bytes} bytes` : (known?.write ?? 'a file that can be written');
  return fileError(context, {
    code: fault.code ?? 'EIO',
    given: known === undefined ? fault.message : `${known.given} (${fault.code})`,
    expected,
    hint: 'an older file of that name is unchanged',
    cause,
  });
}

/** Creates the error for a failed read. */
export function readError(context: FileContext, error: unknown): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const fault = faultOf(error);
  const known = causes[fault.code ?? ''];
  return fileError(context, {
    code: fault.code ?? 'EIO',
    given: known === undefined ? fault.message : `${known.given} (${fault.code})`,
    expected: known?.read ?? 'a file that can be read',
    cause: error,
  });
}
