/** What a launcher of MPI sets for each process that it starts. */
const variables = {
  OMPI_COMM_WORLD_SIZE: 'Open MPI',
  PMI_SIZE: 'an MPI launcher',
  SLURM_STEP_NUM_TASKS: 'srun', // SLURM_NTASKS is also set where sbatch runs its script, once
} as const;

/** The name of the MPI launcher that started this process as one of several, or undefined. */
export function mpiLauncher(env: NodeJS.ProcessEnv): string | undefined {
  for (const [variable, name] of Object.entries(variables))
    if (Number(env[variable] ?? 1) > 1) return `${name} (${variable}=${env[variable]})`;
  return undefined;
}
