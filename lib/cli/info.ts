import { findMpiAddon, libraryName } from '../distributed/mpi/addon.js';
import { fallbackReason } from '../engine/backend.js';
import { currentTarget, findAddon, targetName } from '../engine/prebuilds.js';
import { type Backend, backend, optimizers } from '../index.js';
import { CliError } from './cli-error.js';

/** The backend in use. @throws CliError if the environment demands one that this machine does not have */
export function running(): Backend {
  try {
    return backend();
  } catch (error) {
    throw new CliError((error as Error).message);
  }
}

/** The MPI of schuss/distributed, or why it does not load; undefined without an MPI build. */
function mpiOf(): string | undefined {
  try {
    const addon = findMpiAddon();
    return addon && libraryName(addon.library());
  } catch (error) {
    return `none: ${(error as Error).message.replace('init: ', '')}`;
  }
}

/** What runs on this machine, and why it is not the addon if it is not: as text or as JSON. */
export function info({ json = false }: { readonly json?: boolean } = {}): string {
  const { name, isa, threads, version } = running();
  const addon = name === 'native' ? findAddon().file : undefined;
  const fallback = fallbackReason();
  const names = Object.values(optimizers).map((optimizer) => optimizer.optimizerName);
  const node = process.version;
  const platform = targetName(currentTarget());
  const mpi = mpiOf();
  if (json)
    return JSON.stringify(
      { version, backend: name, addon, fallback, isa, threads, node, platform, mpi, optimizers: names },
      undefined,
      2,
    );
  const rows = {
    schuss: version,
    backend: name,
    ...(addon === undefined ? {} : { addon }),
    ...(fallback === undefined ? {} : { 'why not native': fallback }),
    'instruction set': isa,
    threads: String(threads),
    node,
    platform,
    ...(mpi === undefined ? {} : { MPI: mpi }),
    optimizers: names.join(', '),
  };
  return Object.entries(rows)
    .map(([label, value]) => `${label.padEnd(16)} ${value}`)
    .join('\n');
}
