import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { currentTarget, ownBuild, prebuildPath, root } from '../../engine/prebuilds.js';

/** What the MPI addon exports; native/mpi/addon.cpp describes each. It carries out one order at a time, and letters beside it. */
export interface MpiAddon {
  readonly version: number;
  readonly causeBytes: number;
  library(): string;
  join(wake: () => void): void;
  place(): [rank: number, size: number, localRank: number, localSize: number];
  memory(bytes: number): ArrayBuffer;
  exchange(table: Int32Array, count: number, tag: number): number;
  leave(): void;
  watchMail(wake: () => void): void;
  send(to: number, parts: readonly Uint8Array[]): void;
  isSent(to: number): boolean;
  expect(from: number): void;
  take(from: number): ArrayBuffer | undefined;
  state(): number;
  arm(): boolean;
  block(ms: number): void;
  missing(): number[];
  cause(): string;
  error(): string;
  tell(cause: string): void;
  watchSignals(): void;
  signal(): number;
  abort(code: number): never;
}

export const State = { idle: 0, pending: 1, done: 2, broken: 3 } as const;

/** What an addon must have been built for. */
const version = 3;

/** Where the addon lies: beside that of the core. */
export function mpiAddonPath(): string {
  // A clone has a build folder, which takes precedence over the prebuilds.
  const beside = existsSync(join(root, 'binding.gyp')) ? ownBuild : join(root, prebuildPath(currentTarget()));
  return join(dirname(beside), 'schuss_mpi.node');
}

/**
 * The addon, or undefined if there is none.
 * @throws Error if it does not load, with what to do
 */
export function findMpiAddon(): MpiAddon | undefined {
  if (root === '') return undefined; // a bundle
  const file = mpiAddonPath();
  if (!existsSync(file)) return undefined;
  // MPI of a thread would end with the thread.
  if (!isMainThread) throw new Error('init: MPI is for the main thread of a process, not for worker threads');
  // MPICH's UCX would test its hooks by moving the end of the heap while threads of Node grow it.
  process.env['UCX_MEM_EVENTS'] ??= 'n';
  let addon: MpiAddon;
  try {
    addon = createRequire(resolve('/', 'schuss.js'))(file) as MpiAddon;
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0];
    throw new Error(`init: schuss's MPI build does not load: ${reason}; run npx schuss build --mpi`, { cause });
  }
  if (addon.version !== version)
    throw new Error("init: schuss's MPI build is of another version; run npx schuss build --mpi");
  return addon;
}

/** The name and version of an MPI: `Open MPI v4.1.4`. */
export function libraryName(library: string): string {
  return /^Open MPI v[\w.]+|^[^\n,]*/
    .exec(library)![0]
    .replace(/^MPICH Version:\s*/, 'MPICH ')
    .trim();
}
