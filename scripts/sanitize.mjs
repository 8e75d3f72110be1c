// npm run test:asan, npm run test:tsan: node scripts/sanitize.mjs <sanitizers> [arguments of vitest]
// Builds the addon with GCC's sanitizers, and runs the tests in a copy of the checkout, build/sanitized/<sanitizers>. CMake
// builds it in build-cmake/<sanitizers>, where `.ci/run` builds the unit tests: both link the same kernels.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [sanitizers = 'address,undefined', ...tests] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const copy = join(root, 'build', 'sanitized', sanitizers);

/** Copies what git tracks, or would. Keeps the build of the last time, so that make compiles only what changed. */
function copyCheckout() {
  for (const folder of ['lib', 'native', 'test']) rmSync(join(copy, folder), { recursive: true, force: true });
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const file of files.toString().split('\0')) {
    if (file === '' || !existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file), { preserveTimestamps: true });
  }
  if (!existsSync(join(copy, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

function run(command, args, env = {}) {
  const { status, signal } = spawnSync(command, args, {
    cwd: copy,
    stdio: 'inherit',
    timeout: 45 * 60_000, // a report of a sanitizer can leave Vitest waiting for its worker
    env: { ...process.env, ...env },
  });
  if (status !== 0) {
    console.log(`${command}: ${signal ?? `exit code ${status}`}`);
    process.exit(1);
  }
}

const libraryOf = (name) => execFileSync('gcc', [`-print-file-name=lib${name}.so`], { encoding: 'utf8' }).trim();
const runtimes = { address: 'asan', undefined: 'ubsan', thread: 'tsan' };
const preload = sanitizers.split(',').map((name) => libraryOf(runtimes[name]));
if (process.platform !== 'linux' || !preload.every((library) => existsSync(library))) {
  console.log(`SKIPPED: no GCC with the libraries of -fsanitize=${sanitizers}`);
  process.exit(0);
}

copyCheckout();
run('npx', ['node-gyp', 'configure', '--loglevel=warn']);
// node-gyp knows, or has fetched, the headers of this Node.
const { nodedir } = JSON.parse(
  readFileSync(join(copy, 'build', 'config.gypi'), 'utf8').replace(/^#.*/gm, ''),
).variables;
const cmake = join(root, 'build-cmake', sanitizers.replaceAll(',', '-'));
const configure = ['-S', join(root, 'native'), '-B', cmake, '-DCMAKE_BUILD_TYPE=Release', '-DCMAKE_CXX_COMPILER=g++'];
run('cmake', [...configure, `-DSCHUSS_SANITIZE=${sanitizers}`, `-DCMAKE_JS_INC=${join(nodedir, 'include', 'node')}`]);
run('cmake', ['--build', cmake, '--target', 'schuss', '--parallel', String(availableParallelism())]);
mkdirSync(join(copy, 'build', 'Release'), { recursive: true });
cpSync(join(cmake, 'schuss.node'), join(copy, 'build', 'Release', 'schuss.node'));
run('npm', ['run', '--silent', 'build:ts']);
// setarch -R: ThreadSanitizer refuses the addresses that the kernel chooses at random.
run('setarch', ['-R', process.execPath, 'node_modules/vitest/vitest.mjs', 'run', ...tests], {
  LD_PRELOAD: preload.join(' '),
  // V8 keeps memory until the process ends. A failed allocation must return null as it does without a sanitizer. Each
  // allocation fills its shadow memory, so tests that ask for gigabytes would take minutes.
  ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1024:halt_on_error=1:exitcode=99',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  // Node itself is not instrumented.
  TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:halt_on_error=1:exitcode=99:report_signal_unsafe=0',
  SCHUSS_SANITIZED: sanitizers,
});
