/** What a launcher of MPI sets for each process that it starts. */
const variables = {
  OMPI_COMM_WORLD_SIZE: 'Open MPI',
  PMI_SIZE: 'an MPI launcher',
  SLURM_STEP_NUM_TASKS: 'srun', // SLURM_NTASKS is also set where sbatch runs its script, once
} as const;

export interface MpiLauncher {
  readonly text: string;
  readonly size: number;
  readonly isOpenMpi: boolean;
}

/** The MPI launcher that started this process as one of several, or undefined. */
export function mpiLauncher(env: NodeJS.ProcessEnv): MpiLauncher | undefined {
  // mpirun may run inside a step of Slurm, so the first one decides.
  const found = Object.entries(variables).find(([variable]) => env[variable] !== undefined);
  if (found === undefined) return undefined;
  const [variable, name] = found;
  const size = Number(env[variable]);
  return size > 1 ? { text: `${name} (${variable}=${size})`, size, isOpenMpi: name === 'Open MPI' } : undefined;
}
