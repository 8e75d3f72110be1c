// Compiles the addon, or that of the folder given. The scripts of package.json do not name node-gyp, because Yarn would then
// install it with the published package.
//
// SCHUSS_WITH_MPI=1 also compiles the addon for schuss/distributed over MPI if there is an MPI: its compiler wrapper is that of
// MPICC, or mpicc. SCHUSS_WITH_MPI=require fails without one.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const [folder = '.'] = process.argv.slice(2);
const { SCHUSS_WITH_MPI: wish = '', MPICC } = process.env;

function findsMpi() {
  if (folder !== '.' || wish === '' || wish === '0') return false;
  if (wish !== '1' && wish !== 'require') {
    console.error(`SCHUSS_WITH_MPI: ${wish}, expected 1, require, or 0`);
    process.exit(1);
  }
  const [wrapper, ...args] = (MPICC || 'mpicc').trim().split(/\s+/);
  if (spawnSync(wrapper, [...args, '-show']).status === 0) return true;
  console.error(`SCHUSS_WITH_MPI=${wish}: no ${wrapper}${wish === '1' ? ', so there will be no MPI build' : ''}`);
  if (wish === 'require') process.exit(1);
  return false;
}

const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const args = [nodeGyp, 'configure', 'build', '-j', 'max', '--directory', folder, '--loglevel=warn'];
const env = findsMpi() ? { ...process.env, GYP_DEFINES: `${process.env.GYP_DEFINES ?? ''} with_mpi=1` } : process.env;
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;
