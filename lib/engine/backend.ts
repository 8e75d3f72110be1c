import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { rangeError, show } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import type { Engine, Isa } from './engine.js';
import { loadAddon, nativeEngine } from './native.js';
import { root } from './prebuilds.js';
import { referenceEngine } from './reference.js';

/** What {@link backend} returns. */
export interface Backend {
  /** The C++ addon, or the JavaScript reference, which gives the same bits. */
  readonly name: 'native' | 'js';
  /** The instruction set in use. */
  readonly isa: Isa;
  /** The most threads that a step may use. */
  readonly threads: number;
  /** The package's version. */
  readonly version: string;
}

const isas: readonly Isa[] = ['avx512', 'avx2', 'sse2', 'neon', 'scalar'];
const maxThreads = 1024;

let current: Engine | undefined;
let reason: string | undefined;

/** The value of an environment variable that must be one of `allowed`; an empty one counts as unset. */
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
      throw new Error(`schuss: ${variable}: there is ${absence}; ${remedy()}`, { cause });
    }
    process.emitWarning(
      `${absence}: the JavaScript reference runs, with the same results but slower. ${remedy()}. ` +
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
  // For the whole process: another worker may have set them.
  if (threads !== undefined || addon.threads() === 0)
    engine.setThreads(threads ?? Math.min(availableParallelism(), maxThreads));
  return engine;
}

/** How to get the addon, in a clone and in an installed package. */
function remedy(): string {
  const command = existsSync(join(root, 'binding.gyp')) ? 'npm run build' : 'npx schuss build';
  return `\`${command}\` compiles it, with Python 3 and a C++17 compiler`;
}

/** Why the JavaScript reference runs; undefined while the addon does. @internal */
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

/** The engine in use: chosen at first need, from the environment and from what this machine can run. */
export function engine(): Engine {
  current ??= select();
  return current;
}

/** Runs `action` with another engine, for comparing them: an optimizer keeps the engine that it was made with. @internal */
export function withEngine<T>(other: Engine, action: () => T): T {
  const before = current;
  current = other;
  try {
    return action();
  } finally {
    current = before;
  }
}

// Spelled out, for bundlers: they take the version in.
const { version } = require('../../package.json') as { version: string };

/**
 * What runs the updates: the native addon on the widest instruction set of this CPU, or the JavaScript reference.
 * The environment may force it: `SCHUSS_BACKEND=js|native`, `SCHUSS_ISA=avx512|avx2|sse2|neon|scalar`, `SCHUSS_THREADS=n`.
 *
 * @throws RangeError for an unknown or unavailable value of these variables, Error for `native` without an addon.
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
 * Sets the most threads that a step may use, for the whole process; by default as many as there are cores. How many of
 * them a step does use is measured: what pays depends on the number of parameters, on the time since the last step and on
 * what else the machine does. Results do not depend on it.
 *
 * @param n An integer in [1, 1024].
 * @throws TypeError, RangeError
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
 * A new Float32Array of zeros, aligned to 64 bytes and owned by the library.
 *
 * @param length The number of elements, an integer in [0, 2^32].
 * @throws TypeError, RangeError (also when there is not enough memory)
 * @example
 * ```ts
 * import { allocate } from 'schuss';
 * const weights = allocate(784 * 100);
 * ```
 */
export function allocate(length: number): Float32Array {
  return engine().allocate(checkInteger('allocate', 'length', length, '[0, 4294967296]'));
}
