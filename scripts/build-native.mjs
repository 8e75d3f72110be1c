// Compiles the addon, or that of the folder given. The scripts of package.json do not name node-gyp, because Yarn would then
// install it with the published package.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const [folder = '.'] = process.argv.slice(2);
const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const args = [nodeGyp, 'configure', 'build', '-j', 'max', '--directory', folder, '--loglevel=warn'];
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
