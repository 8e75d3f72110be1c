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
  for (const [variable, name] of Object.entries(variables)) {
    const size = Number(env[variable] ?? 1);
    if (size > 1) return { text: `${name} (${variable}=${size})`, size, isOpenMpi: name === 'Open MPI' };
  }
  return undefined;
}
