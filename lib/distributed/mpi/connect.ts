import { warn } from '../world/exit.js';
import type { MpiLauncher } from '../world/mpi-launcher.js';
import { longestTimer } from '../world/own-world.js';
import { findMpiAddon, libraryName, type MpiAddon } from './addon.js';
import { late } from './ending.js';
import { Exchanges } from './exchanges.js';
import { MpiMail } from './mpi-mail.js';
import { MpiTransport } from './mpi-transport.js';

/** Milliseconds after which a rank that waits for the others says so. */
const patience = 60_000;

/**
 * Joins the ranks of an MPI job. If they have not come within `timeout` milliseconds, the job ends: what MPI has begun cannot
 * be taken back.
 * @throws Error without an MPI build, and where the launcher is not that of its MPI: each rank would be alone
 */
export async function connectMpi(launcher: MpiLauncher | undefined, timeout: number): Promise<MpiTransport> {
  const addon = findMpiAddon();
  if (addon === undefined) {
    const why = launcher === undefined ? 'transport "mpi"' : `${launcher.text} launched this process`;
    throw new Error(`init: ${why}, but schuss has no MPI build; run npx schuss build --mpi`);
  }
  if (launcher?.isOpenMpi && !addon.library().startsWith('Open MPI')) throw foreign(launcher, addon);
  const exchanges = await joined(addon, timeout);
  if (launcher !== undefined && launcher.size !== exchanges.size) {
    exchanges.block(exchanges.leave(), 1000);
    throw foreign(launcher, addon, exchanges.size);
  }
  return new MpiTransport(exchanges, new MpiMail(addon, exchanges));
}

async function joined(addon: MpiAddon, timeout: number): Promise<Exchanges> {
  const cure =
    'hosts with several networks must be told which one joins them, as in mpirun --mca btl_tcp_if_include 10.0.0.0/24';
  const timers = [
    setTimeout(() => warn(`init: MPI has not connected all ranks for ${patience / 1000} s: ${cure}`), patience),
  ];
  const end = (): void => {
    warn(`init: MPI did not connect all ranks within ${timeout} ms: ${cure}`);
    addon.abort(late);
  };
  if (timeout <= longestTimer) timers.push(setTimeout(end, timeout));
  try {
    return await Exchanges.join(addon);
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

function foreign({ text, size }: MpiLauncher, addon: MpiAddon, found = 1): Error {
  const library = libraryName(addon.library());
  return new Error(
    `init: ${text} launched ${size} ranks, but ${library}, which schuss was built with, finds ${found}: start the job with the launcher of ${library} (under Slurm srun --mpi=pmix or --mpi=pmi2), or build for the launcher's MPI with MPICC=<its mpicc> npx schuss build --mpi`,
  );
}
