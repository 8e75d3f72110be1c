import { availableParallelism } from 'node:os';
import { rangeError, show } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { thisCopy } from './copies.js';
import type { Engine, Isa } from './engine.js';
import { loadAddon, nativeEngine } from './native.js';
import { referenceEngine } from './reference.js';
import { remedyFor } from './remedy.js';

/** Result of {@link backend}. */
export interface Backend {
  /** The C++ addon, or the JavaScript reference. Both give the same bits. */
  readonly name: 'native' | 'js';
  /** Instruction set in use. */
  readonly isa: Isa;
  /** Upper bound on the threads of a step. */
  readonly threads: number;
  /** Version of the package. */
  readonly version: string;
}

const isas: readonly Isa[] = ['avx512', 'avx2', 'sse2', 'neon', 'scalar'];
const maxThreads = 1024;

let current: Engine | undefined;
let reason: string | undefined;

/** Value of an environment variable, one of `allowed`. An empty value counts as unset. @throws RangeError */
function choice<T extends string>(variable: string, allowed: readonly T[]): T | undefined {
  const value = process.env[variable];
  if (value === undefined || value === '') return undefined;
  if (!allowed.includes(value as T))
    throw rangeError('schuss', variable, show(value), allowed.map((a) => `"${a}"`).join(' or '));
  return value as T;
}

function select(): Engine {
  const name = choice('SCHUSS_BACKEND', ['js', 'native']);
  const isa = choice('SCHUSS_ISA', isas);
  const threads = threadsFromEnvironment();
  if (name === 'js') {
    if (isa !== undefined && isa !== 'scalar')
      throw rangeError('schuss', 'SCHUSS_ISA', show(isa), '"scalar" with SCHUSS_BACKEND=js');
    reason = 'SCHUSS_BACKEND=js';
    return referenceEngine;
  }
  let addon: ReturnType<typeof loadAddon>;
  try {
    addon = loadAddon();
  } catch (cause) {
    reason = (cause as Error).message;
    const absence = `no native addon for ${process.platform}-${process.arch} (${reason})`;
    if (name === 'native' || isa !== undefined) {
      const variable = name === 'native' ? 'SCHUSS_BACKEND=native' : `SCHUSS_ISA=${isa}`;
      throw new Error(`schuss: ${variable}: there is ${absence}; ${remedyFor(cause as Error)}`, { cause });
    }
    process.emitWarning(
      `${absence}: the JavaScript reference runs, with the same results but slower. ${remedyFor(cause as Error)}. ` +
        'SCHUSS_BACKEND=js silences this.',
      { type: 'SchussWarning', code: 'SCHUSS_NO_NATIVE' },
    );
    return referenceEngine;
  }
  const engine = nativeEngine(addon, isa ?? (addon.isas[0] as Isa));
  if (engine === undefined) {
    throw rangeError(
      'schuss',
      'SCHUSS_ISA',
      show(isa),
      `one that this machine has: ${addon.isas.map((a) => `"${a}"`).join(' or ')}`,
    );
  }
  thisCopy.owns = engine.owns;
  // The thread count belongs to the process, and another worker may have set it.
  if (threads !== undefined || addon.threads() === 0)
    engine.setThreads(threads ?? Math.min(availableParallelism(), maxThreads));
  return engine;
}

/** Why the JavaScript reference runs, or undefined if the addon runs. @internal */
export function fallbackReason(): string | undefined {
  engine();
  return reason;
}

function threadsFromEnvironment(): number | undefined {
  const value = process.env['SCHUSS_THREADS'];
  if (value === undefined || value === '') return undefined;
  const range = `[1, ${maxThreads}]`;
  if (!/^\d+$/.test(value)) throw rangeError('schuss', 'SCHUSS_THREADS', show(value), `an integer in ${range}`);
  return checkInteger('schuss', 'SCHUSS_THREADS', Number(value), range);
}

/** The engine in use. It is chosen on first use, from the environment and from the instruction sets of this machine. */
export function engine(): Engine {
  current ??= select();
  return current;
}

/**
 * Runs `action` with another engine, to compare engines. An optimizer keeps the engine it was created with. @internal
 */
export function withEngine<T>(other: Engine, action: () => T): T {
  const before = current;
  current = other;
  try {
    return action();
  } finally {
    current = before;
  }
}

// A literal path, so that bundlers inline the version.
const { version } = require('../../package.json') as { version: string };

/**
 * Returns which backend runs the updates: the native addon with the best instruction set of this CPU, or JavaScript.
 * Environment variables override the choice: `SCHUSS_BACKEND=js|native`,
 * `SCHUSS_ISA=avx512|avx2|sse2|neon|scalar`, `SCHUSS_THREADS=n`.
 *
 * @throws RangeError for an unknown or unavailable value of these variables. Error for `native` without an addon.
 * @example
 * ```ts
 * import { backend } from 'schuss';
 * const { name, isa, threads } = backend();
 * console.log(`${name} on ${isa}, ${threads} thread(s)`);
 * ```
 */
export function backend(): Backend {
  const { name, isa, threads } = engine();
  return { name, isa, threads: threads(), version };
}

/**
 * Sets the upper bound on the threads of a step, for the whole process. The default is the number of cores. Each
 * optimizer measures how many threads are fastest: that depends on the number of parameters, the time between steps and
 * the other load of the machine. Results do not depend on the number of threads.
 *
 * @param n Integer in [1, 1024].
 * @throws TypeError for a wrong type; RangeError for a number out of range
 * @example
 * ```ts
 * import { setThreads } from 'schuss';
 * setThreads(1);
 * ```
 */
export function setThreads(n: number): void {
  engine().setThreads(checkInteger('setThreads', 'n', n, `[1, ${maxThreads}]`));
}

/**
 * Allocates a Float32Array of zeros, aligned to 64 bytes. The library owns its memory, so `stepAsync` accepts it.
 * On Linux, memory of 4 MB and more uses transparent huge pages where the system allows them (`madvise` or `always`). That
 * speeds up sparse steps on large tables.
 *
 * @param length Number of elements, an integer in [0, 2^32].
 * @throws TypeError for a wrong type; RangeError for a length out of range, or if there is not enough memory
 * @example
 * ```ts
 * import { allocate } from 'schuss';
 * const weights = allocate(784 * 100);
 * ```
 */
export function allocate(length: number): Float32Array {
  checkInteger('allocate', 'length', length, '[0, 4294967296]');
  const chosen = engine();
  try {
    return chosen.allocate(length);
  } catch {
    throw rangeError('allocate', 'length', String(length), 'as much memory as there is');
  }
}
