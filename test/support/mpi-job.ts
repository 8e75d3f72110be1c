// Runs a script on several ranks under the launcher of the MPI that the addon was built with. A job there has the prelude of
// test/support/job.ts, and `say` writes to a file of each rank: launchers mix outputs. `allSaid` waits until every rank has said
// something: a job that ends ends all its ranks.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type JobOutput, prelude, type Watch } from './job.js';
import { inMemory, root } from './root.js';

/** How to start ranks. */
export interface Mpi {
  readonly name: 'Open MPI' | 'MPICH';
  readonly mpirun: string;
}

const addon = join(root, 'build', 'Release', 'schuss_mpi.node');
const runs = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

function findMpi(): Mpi | string {
  if (!existsSync(addon)) return 'schuss has no MPI build (SCHUSS_WITH_MPI=1 npm run build)';
  // In a process of its own: MPI is for the main thread.
  const code = 'process.env.UCX_MEM_EVENTS = "n"; process.stdout.write(require(process.argv[1]).library())';
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code, addon], { encoding: 'utf8' });
  const name = (['Open MPI', 'MPICH'] as const).find((each) => stdout.startsWith(each));
  if (name === undefined)
    return `the MPI build does not load, or is of an MPI that is not known here: ${stdout}${stderr}`;
  const mpirun = [`mpirun.${name.toLowerCase().replace(' ', '')}`, 'mpirun'].find(runs);
  return mpirun === undefined ? `${name} has no mpirun here` : { name, mpirun };
}

const found = findMpi();

/** The MPI of the addon, or undefined. */
export const mpi = typeof found === 'string' ? undefined : found;
/** Why there is none. */
export const withoutMpi = typeof found === 'string' ? `SKIPPED: ${found}` : '';

if (withoutMpi !== '') console.warn(withoutMpi);

/** Open MPI refuses root and more ranks than cores unless it is told. */
export const mpiEnvironment = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
  OMPI_MCA_mpi_yield_when_idle: '1',
};

export interface MpiJobOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** A script to run instead of the code. */
  readonly file?: string;
  /** The launcher, with its first options. */
  readonly mpirun?: readonly string[];
  /** Called with what rank 0 has said so far. */
  readonly watch?: Watch;
}

/** Starts mpirun, and gives it an end if it does not find one. */
export async function mpiJob(size: number, code: string, given: MpiJobOptions = {}): Promise<JobOutput> {
  // In memory: a rank that ends soon must not wait for a busy disk before it has said why.
  const folder = mkdtempSync(join(inMemory(), 'schuss-mpi-'));
  const file = join(folder, 'script.mjs');
  const said = (rank: number): string => join(folder, `said.${rank}`);
  const say = `
    import { appendFileSync, statSync } from 'node:fs';
    const ownRank = process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK ?? '0';
    const saidBy = (rank) => ${JSON.stringify(join(folder, 'said.'))} + rank;
    const say = (value) => appendFileSync(saidBy(ownRank), JSON.stringify(value) + '\\n');
    const allSaid = async (ranks = ${JSON.stringify(Array.from({ length: size }, (_, rank) => rank))}) => {
      const end = performance.now() + 30_000;
      const hasSaid = (rank) => (statSync(saidBy(rank), { throwIfNoEntry: false })?.size ?? 0) > 0;
      while (!ranks.every(hasSaid) && performance.now() < end) await sleep(20);
    };`;
  writeFileSync(file, prelude.replace(/^const say = .*$/m, say) + code);
  const begun = performance.now();
  const mpirun = given.mpirun ?? [mpi!.mpirun];
  // Time enough for a loaded machine; a job that hangs is a failure. In the foreground a signal goes on to mpirun alone, and once:
  // a second one would end the job at once.
  const child = spawn(
    'timeout',
    ['--foreground', '-k', '5', '50', ...mpirun, '-np', `${size}`, process.execPath, given.file ?? file],
    {
      cwd: dirname(file),
      env: { ...process.env, NODE_OPTIONS: '', ...mpiEnvironment, ...given.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const read = (rank: number): string => (existsSync(said(rank)) ? readFileSync(said(rank), 'utf8') : '');
  const watching = setInterval(() => given.watch?.((signal) => child.kill(signal), read(0)), 50);
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
  });
  try {
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    const all = Array.from({ length: size }, (_, rank) =>
      read(rank)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown),
    );
    return {
      status,
      ...text,
      lastLine: text.err.trimEnd().split('\n').at(-1),
      said: all,
      ms: performance.now() - begun,
    };
  } finally {
    clearInterval(watching);
    rmSync(folder, { recursive: true });
  }
}
