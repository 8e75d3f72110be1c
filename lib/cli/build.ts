import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mpiAddonPath } from '../distributed/mpi/addon.js';
import { currentTarget, ownBuild, prebuildPath, root } from '../engine/prebuilds.js';
import { CliError } from './cli-error.js';

const { devDependencies } = require('../../package.json') as { devDependencies: Record<string, string> };

export interface BuildOptions {
  /** Show the output of node-gyp and the compiler. */
  readonly verbose?: boolean;
  /** Compile the addon for MPI in place of that of the core. */
  readonly mpi?: boolean;
}

const windows = process.platform === 'win32';

/** The command that installs a compiler and Python on this system. */
function toolchain(): string {
  if (process.platform === 'darwin') return 'xcode-select --install';
  if (existsSync('/etc/alpine-release')) return 'apk add python3 make g++';
  if (existsSync('/etc/debian_version')) return 'apt-get install python3 make g++';
  if (existsSync('/etc/redhat-release')) return 'dnf install python3 make gcc-c++';
  if (windows)
    return 'winget install Python.Python.3.12\n  winget install Microsoft.VisualStudio.2022.BuildTools --override "--add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"';
  return 'Python 3, make and a C++17 compiler';
}

function missing(what: string): CliError {
  return new CliError(`schuss build: ${what}. What a build needs comes with\n\n  ${toolchain()}\n`);
}

function runs(program: string, args: readonly string[], input = ''): boolean {
  return spawnSync(program, args, { input }).status === 0;
}

/** The C++ compiler: that of CXX, or the first that supports C++17. */
function compiler(): string {
  const { CXX } = process.env;
  const candidates = CXX ? [CXX] : ['g++', 'c++', 'clang++'];
  const code = '#include <thread>\nstatic_assert(__cplusplus >= 201703L, "");\n';
  const found = candidates.find((candidate) => {
    // CXX may have arguments, as in CXX="ccache g++".
    const [program, ...args] = candidate.trim().split(/\s+/) as [string, ...string[]];
    return runs(program, [...args, '-std=c++17', '-fsyntax-only', '-x', 'c++', '-'], code);
  });
  if (found === undefined) throw missing(`no C++17 compiler among ${candidates.join(', ')}`);
  return found;
}

/** Checks the tools, because node-gyp's own messages are long. On Windows node-gyp finds them in the registry. */
function checkTools(): Record<string, string> {
  if (windows) return {};
  const CXX = compiler();
  const { MAKE, PYTHON, npm_config_python } = process.env;
  if (!runs(MAKE || 'make', ['--version'])) throw missing('no make');
  const isPython = ['-c', 'import sys; assert sys.version_info >= (3, 6)'];
  if (![npm_config_python, PYTHON, 'python3', 'python'].some((program) => program && runs(program, isPython)))
    throw missing('no Python 3');
  return { CXX };
}

/** The command that installs an MPI on this system. */
function mpiPackage(): string {
  if (process.platform === 'darwin') return 'brew install open-mpi';
  if (existsSync('/etc/alpine-release')) return 'apk add openmpi-dev';
  if (existsSync('/etc/debian_version')) return 'apt-get install openmpi-bin libopenmpi-dev';
  if (existsSync('/etc/redhat-release')) return 'dnf install openmpi-devel && module load mpi';
  return 'Open MPI or MPICH';
}

/** Checks that there is an MPI: its compiler wrapper is that of MPICC, or mpicc. @throws CliError */
function checkMpi(): void {
  if (windows) throw new CliError('schuss build --mpi: not on Windows; use WSL');
  const [wrapper, ...args] = (process.env['MPICC'] || 'mpicc').trim().split(/\s+/) as [string, ...string[]];
  if (!runs(wrapper, [...args, '-show']))
    throw new CliError(`schuss build --mpi: no ${wrapper}. An MPI comes with\n\n  ${mpiPackage()}\n`);
}

/** The script of node-gyp: that of the user's project, of the npm that runs this, or of the npm beside Node. */
export function nodeGyp(environment = process.env, node = process.execPath): string {
  const npm = windows ? join(dirname(node), 'node_modules') : join(dirname(dirname(node)), 'lib', 'node_modules');
  const found = [
    installedNodeGyp(),
    environment['npm_config_node_gyp'],
    join(npm, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'),
  ].find((file) => file !== undefined && existsSync(file));
  if (found !== undefined) return found;
  throw new CliError(
    `schuss build needs node-gyp, which is not installed. Install it with\n\n  ${installer(environment)} node-gyp@${devDependencies['node-gyp']}\n`,
  );
}

/** How the package manager that runs this installs a development dependency. Each names itself in the environment. */
function installer(environment: NodeJS.ProcessEnv): string {
  const manager = environment['npm_config_user_agent']?.split('/')[0] ?? 'npm';
  return { yarn: 'yarn add -D', pnpm: 'pnpm add -D', bun: 'bun add -d' }[manager] ?? 'npm i -D';
}

/** The node-gyp of the user's project: beside schuss, or in the working directory (npx, pnpm, a global install). */
function installedNodeGyp(): string | undefined {
  try {
    return require.resolve('node-gyp/bin/node-gyp.js', { paths: [__dirname, process.cwd()] });
  } catch {
    return undefined;
  }
}

/** The option for the headers installed with Node, if there are any. Otherwise node-gyp downloads them from nodejs.org. */
function headers(): readonly string[] {
  const prefix = dirname(dirname(process.execPath));
  const file = join(prefix, 'include', 'node', 'node_version.h');
  if (windows || process.env['npm_config_nodedir'] || !existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1]);
  return version.join('.') === process.versions.node ? [`--nodedir=${prefix}`] : [];
}

/** @throws CliError if the nearest existing folder above the file is not writable */
function checkWritable(file: string): void {
  let folder = dirname(file);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    throw new CliError(`schuss build: ${folder} is not writable`);
  }
}

/** Without NODE_OPTIONS: the loader of Yarn's Plug'n'Play, which is in it, would hide files from node-gyp's scripts. */
function environmentWithoutLoaders(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  return rest;
}

/** Compiles a copy of the sources in `folder`. Its path must not contain a space, which make does not support. */
function compile(
  folder: string,
  nodeGypScript: string,
  environment: Record<string, string>,
  { verbose = false, mpi = false }: BuildOptions,
): string {
  cpSync(join(root, 'native'), join(folder, 'native'), { recursive: true });
  cpSync(join(root, 'dist', 'addon', 'binding.gyp'), join(folder, 'binding.gyp'));
  cpSync(join(root, 'dist', 'addon', 'node-addon-api'), join(folder, 'node_modules', 'node-addon-api'), {
    recursive: true,
  });
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [nodeGypScript, ...(mpi ? ['configure', 'build', 'schuss_mpi'] : ['rebuild']), '-j', 'max', ...headers()],
    {
      cwd: folder,
      env: { ...environmentWithoutLoaders(), ...environment },
      encoding: 'utf8',
      stdio: verbose ? 'inherit' : 'pipe',
      // With the default of 1 MiB, many compiler warnings would kill the build.
      maxBuffer: Number.POSITIVE_INFINITY,
    },
  );
  if (status !== 0) {
    const what = `node-gyp failed (${error?.message ?? `exit ${status}`})${verbose ? '' : `:\n\n${stdout}${stderr}`}`;
    // On other systems the tools have been checked.
    throw windows ? missing(what) : new CliError(`schuss build: ${what}`);
  }
  return join(folder, 'build', 'Release', mpi ? 'schuss_mpi.node' : 'schuss.node');
}

/** Compiles the addon for this machine and installs it where the package looks for it. @throws CliError */
export function build(options: BuildOptions = {}): void {
  const { mpi = false } = options;
  // A clone has a build folder, which takes precedence over the prebuilds.
  const core = existsSync(join(root, 'binding.gyp')) ? ownBuild : join(root, prebuildPath(currentTarget()));
  const file = mpi ? mpiAddonPath() : core;
  checkWritable(file);
  const environment: Record<string, string> = checkTools();
  if (mpi) {
    checkMpi();
    environment['GYP_DEFINES'] = `${process.env['GYP_DEFINES'] ?? ''} with_mpi=1`;
  }
  const nodeGypScript = nodeGyp();
  console.log(`Compiling the addon, which takes ${mpi ? 'some seconds' : 'about half a minute'} …`);
  const folder = mkdtempSync(join(tmpdir(), 'schuss-build-'));
  const beside = join(dirname(file), `${process.pid}.node`);
  try {
    const built = compile(folder, nodeGypScript, environment, options);
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(built, beside);
    // Tried where it will lie. The folder for temporary files may be mounted with noexec.
    const check = spawnSync(
      process.execPath,
      ['-p', `require(process.argv[1]).${mpi ? 'library()' : 'isas'}`, beside],
      {
        env: environmentWithoutLoaders(),
        encoding: 'utf8',
      },
    );
    if (check.status !== 0) throw new CliError(`schuss build: the addon does not load:\n\n${check.stderr}`);
    // Renamed into place: programs that have the old file open keep it, and so do other projects whose package manager
    // shares the file.
    renameSync(beside, file);
  } finally {
    rmSync(beside, { force: true });
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`Built ${file}`);
}
