import type { MpiLauncher } from '../mpi-launcher.js';
import { findMpiAddon, libraryName, type MpiAddon } from './addon.js';
import { Exchanges } from './exchanges.js';
import { MpiMail } from './mpi-mail.js';
import { MpiTransport } from './mpi-transport.js';

/**
 * Joins the ranks of an MPI job.
 * @throws Error without an MPI build, and where the launcher is not that of its MPI: each rank would be alone
 */
export async function connectMpi(launcher: MpiLauncher | undefined): Promise<MpiTransport> {
  const addon = findMpiAddon();
  if (addon === undefined) {
    const why = launcher === undefined ? 'transport "mpi"' : `${launcher.text} launched this process`;
    throw new Error(`init: ${why}, but schuss has no MPI build; run npx schuss build --mpi`);
  }
  if (launcher?.isOpenMpi && !addon.library().startsWith('Open MPI')) throw foreign(launcher, addon);
  const exchanges = await Exchanges.join(addon);
  if (launcher !== undefined && launcher.size !== exchanges.size) {
    exchanges.block(exchanges.leave(), 1000);
    throw foreign(launcher, addon, exchanges.size);
  }
  return new MpiTransport(exchanges, new MpiMail(addon, exchanges));
}

function foreign({ text, size }: MpiLauncher, addon: MpiAddon, found = 1): Error {
  const library = libraryName(addon.library());
  return new Error(
    `init: ${text} launched ${size} ranks, but ${library}, which schuss was built with, finds ${found}: start the job with the launcher of ${library} (under Slurm srun --mpi=pmix or --mpi=pmi2), or build for the launcher's MPI with MPICC=<its mpicc> npx schuss build --mpi`,
  );
}
