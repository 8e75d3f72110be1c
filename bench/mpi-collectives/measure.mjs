// What an allReduce costs over MPI, beside MPI's own in the same job: microseconds, medians of rounds that alternate.
//
// mpicc -shared -fPIC -O2 -I<headers of Node> bench/mpi-collectives/plain.c -o build/Release/plain.node
// mpirun -np 2 node bench/mpi-collectives/measure.mjs [rounds] [lengths…]
import { createRequire } from 'node:module';
import { init } from '../../dist/distributed/index.mjs';

const world = await init({ transport: 'mpi' });
const plain = createRequire(import.meta.url)('../../build/Release/plain.node');
const [rounds = 40, ...lengths] = process.argv.slice(2).map(Number);

const ways = {
  await: async (x, burst) => {
    for (let i = 0; i < burst; i++) await world.allReduce(x);
  },
  blocking: (x, burst) => {
    for (let i = 0; i < burst; i++) world.allReduceSync(x);
  },
  plain: (x, burst) => plain.allReduce(x, burst),
};

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

if (world.rank === 0) console.log(['floats', ...Object.keys(ways), 'await/plain', 'blocking/plain'].join('\t'));
for (const length of lengths.length > 0 ? lengths : [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]) {
  const x = new Float32Array(length);
  const burst = Math.max(1, Math.min(50, Math.round(1e6 / length)));
  const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  // The first rounds warm up.
  for (let round = -5; round < (length < 1e7 ? rounds : Math.min(rounds, 10)); round++)
    for (const [name, way] of Object.entries(ways)) {
      world.barrierSync();
      const begun = performance.now();
      await way(x, burst);
      if (round >= 0) times[name].push(((performance.now() - begun) / burst) * 1000);
    }
  const us = Object.values(times).map(median);
  const ratios = [us[0] / us[2], us[1] / us[2]];
  if (world.rank === 0)
    console.log([length.toExponential(), ...[...us, ...ratios].map((v) => Number(v.toPrecision(3)))].join('\t'));
}
await world.close();
