// npm run test:exhaustive [-- --sample]
// Proves that the roots of native/kernels/root.h have the bits of the CPU's own square root, with every float and every
// approximation that a CPU may make. It takes about a minute on two cores; --sample, as in CI, two seconds. Needs CMake.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { sample: { type: 'boolean', default: false } } });
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build-cmake', 'exhaustive');
if (process.arch !== 'x64') {
  console.log('SKIPPED: only x64 computes roots with FMA');
  process.exit(0);
}
for (const args of [
  ['-S', 'native', '-B', folder, '-DCMAKE_BUILD_TYPE=Release'],
  ['--build', folder, '--target', 'root_proof', '--parallel'],
]) {
  const { status, stdout, stderr } = spawnSync('cmake', args, { encoding: 'utf8', cwd: root });
  if (status === 0) continue;
  console.error(`${stdout ?? ''}${stderr ?? 'no cmake found'}`);
  process.exit(1);
}
const { status } = spawnSync(join(folder, 'root_proof'), values.sample ? ['--sample'] : [], { stdio: 'inherit' });
process.exit(status ?? 1);
