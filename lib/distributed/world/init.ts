import { workerData } from 'node:worker_threads';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkNumber, checkOneOf, checkOptions } from '../../check/options.js';
import { refuseOptions } from '../foreign-names.js';
import { seatOf } from '../launch/seat.js';
import { connectMpi } from '../mpi/connect.js';
import { tieEnds } from '../mpi/ending.js';
import { MpiTransport } from '../mpi/mpi-transport.js';
import { ThreadTransport } from '../threads/thread-transport.js';
import { exitedEarly } from './exit.js';
import { mpiLauncher } from './mpi-launcher.js';
import { OwnWorld } from './own-world.js';
import { SingleTransport } from './single.js';
import type { Transport } from './transport.js';
import type { World } from './world.js';

/** Options of {@link init}. */
export interface InitOptions {
  /**
   * What carries the data. `'auto'`, the default: worker threads inside `npx schuss launch`, MPI under an MPI launcher, else
   * a world of one. Without the option, `SCHUSS_TRANSPORT` decides.
   */
  readonly transport?: 'auto' | 'mpi' | 'workers' | 'single';
  /**
   * Default deadline of a collective in milliseconds, in (0, ∞]; default 600,000. Without the option,
   * `SCHUSS_DIST_TIMEOUT` decides.
   */
  readonly timeout?: number;
}

const transports = ['auto', 'mpi', 'workers', 'single'] as const;
let current: Promise<World> | undefined;

/**
 * Joins the ranks that the launcher started, or makes a world of one. A second call gives the same world.
 *
 * Sets `RANK`, `WORLD_SIZE`, `LOCAL_RANK` and `LOCAL_WORLD_SIZE` in `process.env`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for an unknown transport or a timeout out of range;
 *   Error where the transport is not there, and says what to run or install
 * @example
 * ```ts
 * import { init } from 'schuss/distributed';
 *
 * const world = await init({ timeout: 60_000 });
 * console.log(world.rank, world.size, world.transport); // alone: 0 1 single
 * ```
 */
export function init(options: InitOptions = {}): Promise<World> {
  const world = join(options);
  // A loop up to the size of a promise would do nothing, and exit with 0.
  for (const name of ['rank', 'size'])
    Object.defineProperty(world, name, {
      get: () => {
        throw typeError('init', name, 'a member of a promise', 'await init()');
      },
    });
  return world;
}

async function join(options: InitOptions): Promise<World> {
  const decided = 'none: the launcher decides, as in npx schuss launch -n 4';
  refuseOptions('init', options, { worldsize: decided, size: decided, rank: decided, localrank: decided });
  checkOptions('init', options, ['transport', 'timeout']);
  const { transport, timeout } = options;
  const name =
    transport === undefined
      ? checkOneOf('init', 'SCHUSS_TRANSPORT', process.env['SCHUSS_TRANSPORT'] || 'auto', transports)
      : checkOneOf('init', 'transport', transport, transports);
  const deadline = timeout === undefined ? defaultTimeout() : checkNumber('init', 'timeout', timeout, '(0, inf]');
  current ??= start(name, deadline).catch((error: unknown) => {
    current = undefined;
    throw error;
  });
  return current;
}

function defaultTimeout(): number {
  const value = process.env['SCHUSS_DIST_TIMEOUT'];
  if (value === undefined || value === '') return 600_000;
  const timeout = Number(value);
  if (!(timeout > 0)) throw rangeError('init', 'SCHUSS_DIST_TIMEOUT', show(value), 'milliseconds in (0, inf]');
  return timeout;
}

async function start(name: (typeof transports)[number], timeout: number): Promise<World> {
  const transport = await connect(name, timeout);
  const { rank, size, localRank, localSize } = transport;
  Object.assign(process.env, { RANK: rank, WORLD_SIZE: size, LOCAL_RANK: localRank, LOCAL_WORLD_SIZE: localSize });
  const world = new OwnWorld(transport, timeout);
  if (transport instanceof ThreadTransport) closeAtEnd(world, transport);
  if (transport instanceof MpiTransport) tieEnds(world, transport);
  return world;
}

/** The natural end of the script closes the world. An exit with 0 before that would look like a success. */
function closeAtEnd(world: OwnWorld, transport: ThreadTransport): void {
  process.on('beforeExit', () => void world.leave());
  process.on('exit', (code) => {
    if (code === 0 && !transport.isClosed && transport.broken === undefined) process.exitCode = exitedEarly;
  });
}

const howToLaunch = 'run npx schuss launch -n 4 script.mjs';

async function connect(name: (typeof transports)[number], timeout: number): Promise<Transport> {
  if (name === 'single') return new SingleTransport();
  const seat = seatOf(workerData);
  if (seat !== undefined && name !== 'mpi') return new ThreadTransport(seat.buffers, seat.rank);
  if (name === 'workers')
    throw new Error(`init: transport "workers": the launcher of schuss did not start this process; ${howToLaunch}`);
  const launcher = mpiLauncher(process.env);
  if (name === 'mpi' || launcher !== undefined) return connectMpi(launcher, timeout);
  const size = Number(process.env['WORLD_SIZE'] ?? 1);
  if (size > 1)
    throw new Error(`init: WORLD_SIZE is ${size}, but no launcher of schuss or MPI started it; ${howToLaunch}`);
  return new SingleTransport();
}
