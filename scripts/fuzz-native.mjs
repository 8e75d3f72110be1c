// npm run fuzz:native -- [--runs 10000000] [--seed 1] [--sanitize] [--only adam,sgd]
// libFuzzer on every kernel, against the scalar one. Needs Clang with its libFuzzer (Debian: clang-14 and
// libclang-rt-14-dev). With --sanitize also under AddressSanitizer and UndefinedBehaviorSanitizer, which is ten times slower.
// Inputs that found something new are kept in build-cmake/fuzz/corpus, inputs that fail in build-cmake/fuzz/failures.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    sanitize: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build-cmake', values.sanitize ? 'fuzz-sanitized' : 'fuzz');
const run = (command, args, options = {}) => spawnSync(command, args, { encoding: 'utf8', cwd: root, ...options });

/** Clang that has libFuzzer, of any version. */
function findClang() {
  const names = [process.env.CXX, 'clang++', ...[20, 19, 18, 17, 16, 15, 14].map((version) => `clang++-${version}`)];
  return names.find((name) => {
    if (name === undefined || run(name, ['--version']).status !== 0) return false;
    return run(name, ['-fsanitize=fuzzer', '-x', 'c++', '-', '-o', '/dev/null'], { input: probe }).status === 0;
  });
}
const probe = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }';

function build(clang) {
  const sanitize = values.sanitize ? 'address,undefined' : '';
  const configure = ['-S', 'native', '-B', folder, `-DCMAKE_CXX_COMPILER=${clang}`, '-DCMAKE_BUILD_TYPE=Release'];
  for (const args of [
    [...configure, '-DSCHUSS_FUZZ=ON', `-DSCHUSS_SANITIZE=${sanitize}`],
    ['--build', folder, '--target', 'kernels_fuzz', '--parallel'],
  ]) {
    const { status, stdout, stderr } = run('cmake', args);
    if (status === 0) continue;
    console.error(stdout + stderr);
    process.exit(1);
  }
}

const clang = findClang();
if (clang === undefined) {
  console.log('SKIPPED: no Clang with libFuzzer');
  process.exit(0);
}
build(clang);
const fuzzer = join(folder, 'kernels_fuzz');
const kernels = values.only?.split(',') ?? run(fuzzer, ['--list']).stdout.trim().split('\n');
let failures = 0;
for (const kernel of kernels) {
  const corpus = join(folder, 'corpus', kernel);
  const failed = join(folder, 'failures', `${kernel}-`);
  for (const needed of [corpus, join(folder, 'failures')]) mkdirSync(needed, { recursive: true });
  const args = [`--kernel=${kernel}`, `-runs=${values.runs}`, `-seed=${values.seed}`, `-artifact_prefix=${failed}`];
  const { status, signal, stderr } = run(fuzzer, [...args, '-max_len=400', '-len_control=1', corpus], {
    maxBuffer: 2 ** 30,
  });
  const done = /^Done (\d+) runs in (\d+) second/m.exec(stderr);
  const isGood = status === 0 && done !== null;
  const line = isGood
    ? `${kernel}: ${done[1]} inputs in ${done[2]} s`
    : `${kernel}: FAILED (${signal ?? status})\n${stderr.split('\n').slice(-40).join('\n')}`;
  console.log(line);
  appendFileSync(join(folder, 'log.txt'), `seed ${values.seed}: ${line}\n`);
  if (!isGood) failures++;
}
console.log(`${kernels.length - failures} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
