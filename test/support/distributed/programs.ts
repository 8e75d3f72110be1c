// Programs of jobs that run alike on worker threads and under MPI.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { joined } from '../job.js';
import { root } from '../root.js';

/** Sums and means of several lengths, waiting and blocking. */
export const randomSums = `${joined}
  let state = 12345 + world.rank;
  const next = () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state / 2 ** 31 - 1) * 2 ** (state & 15); };
  const all = [];
  for (const length of [3, 79, 81, 5000, 70_001])
    for (const op of ['sum', 'mean']) {
      const [a, b] = [Float32Array.from({ length }, next), new Float32Array(length)];
      b.set(a);
      await world.allReduce(a, { op });
      world.allReduceSync(b, { op });
      all.push(digest(a), digest(a) === digest(b));
    }
  say(all);`;

/** Collectives of all kinds and types: of nothing, short enough to travel with the headers, and longer than a bucket. */
export const allKinds = `${joined}
  const types = { Float32Array, Float64Array, Int32Array, Uint8Array };
  const value = (r, i) => {
    let h = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(r + 1, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    h ^= h >>> 13;
    return ((h >>> 0) / 2 ** 31 - 1) * 2 ** (h & 31);
  };
  const { rank, size } = world;
  const fill = (type, length, r = rank) => {
    const x = new types[type](new SharedArrayBuffer(8 * length + 64), 16, length);
    for (let i = 0; i < length; i++) x[i] = value(r, i);
    return x;
  };
  for (const length of [0, 1, 17, 513, 1025, 5003, (1 << 20) + 12_345])
    for (const type of length > 1e6 ? ['Float32Array'] : Object.keys(types)) {
      const said = [type, length];
      const [begin, end] = world.partition(length)[rank];
      for (const op of ['sum', 'max', 'min', ...(type.startsWith('Float') ? ['mean'] : [])]) {
        const sums = await world.allReduce(fill(type, length), { op });
        const blocking = world.allReduceSync(fill(type, length), { op });
        const part = await world.reduceScatter(fill(type, length), { op });
        const own = sums.subarray(begin, end);
        said.push(digest(sums), digest(blocking) === digest(sums), digest(part) === digest(own));
        if (length > 1e6) break;
      }
      const gathered = fill(type, length, 99);
      gathered.fill(0, 0, begin).fill(0, end);
      await world.allGather(gathered);
      const root = size - 1;
      const dealt = await world.broadcast(fill(type, length), { root });
      said.push(digest(gathered) === digest(fill(type, length, 99)), digest(dealt) === digest(fill(type, length, root)));
      say(said);
    }
  const bytes = new Uint8Array(rank === 0 ? 9_000_000 : 10 * rank).fill(rank + 1);
  say((await world.allGatherObject(bytes)).map((b) => [b.length, b[0] ?? 0, b.at(-1) ?? 0]));
  say(await world.broadcastObject({ rank, x: Float32Array.of(rank) }, { root: 1 }));
  const nan = (op) => world.allReduceSync(Float32Array.of(rank === 1 ? NaN : 5, rank, -rank), { op });
  say([...nan('max'), ...nan('min')].map(String));
  await world.barrier();
  world.barrierSync();
  await world.close();`;

/** The URL of a file of the built package. */
export const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;

/** DataParallel with several classes: the digest of the params of each. */
export const dataParallel = (compression: 'none' | 'bf16' = 'none'): string => `
const compression = '${compression}';
import { Adagrad, Adam, LAMB, SAM, SGD, Sophia } from '${entry('index.mjs')}';
import { DataParallel, shardBatches } from '${entry('distributed', 'index.mjs')}';

const world = await init();
const classes = {
  sgd: (params) => new SGD(params, { lr: 0.1, momentum: 0.9 }),
  adam: (params) => new Adam(params, { lr: 0.01, clipNorm: 1 }),
  adagrad: (params) => new Adagrad(params, { lr: 0.1 }),
  lamb: (params) => new LAMB(params, { lr: 0.01 }),
  sam: (params) => new SAM(new SGD(params, { lr: 0.1, momentum: 0.9 }), { rho: 0.5 }),
  sophia: (params) => new Sophia(params, { lr: 0.1 }),
};
let state = 1;
const noise = () => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31) * 3;
const fill = (x) => x.map(noise);
const digests = {};
for (const [name, make] of Object.entries(classes)) {
  state = 5;
  const params = { table: { data: fill(new Float32Array(400)), shape: [100, 4] }, w: fill(new Float32Array(20000)) };
  const more = compression === 'none' ? { microBatches: 8 } : { compression };
  const optimizer = await DataParallel.create(make(params), world, { bucketBytes: 65536, ...more });
  for (let epoch = 0; epoch < 2; epoch++)
    for (const parts of shardBatches(60, world, { batch: 32, microBatches: 8, seed: 1, epoch }))
      for (const step of name === 'sam' ? ['firstStep', 'secondStep'] : ['step']) {
        for (const rows of parts) {
          state = rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7);
          const g = fill(new Float32Array(20000)).map((x, i) => x + params.w[i]);
          const isDense = name === 'lamb' || step === 'firstStep';
          const table = isDense ? null : { rows, values: fill(new Float32Array(4 * rows.length)) };
          const hessian = name === 'sophia' ? { hessian: { table: null, w: g.map(Math.abs) } } : {};
          optimizer.accumulate({ table, w: g }, { weight: rows.length, ...hessian });
        }
        await optimizer[step](null);
      }
  digests[name] = [digest(params.w), digest(params.table.data), optimizer.stepCount];
}
say(digests);
await world.close();
`;

/** What a program of Downpour SGD begins with. */
export const downpour = `
import { Adagrad } from '${entry('index.mjs')}';
import { DownpourWorker, ParameterServer } from '${entry('distributed', 'index.mjs')}';
${joined}`;

/** The same, with least squares of 20 unknowns: each worker draws its own examples. */
export const leastSquares = `${downpour}
  const truth = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
  const w = new Float32Array(20);
  const loss = () => w.reduce((sum, x, i) => sum + (x - truth[i]) ** 2, 0) / 20;
  let state = 1 + world.rank;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  const gradient = () => {
    const g = new Float32Array(20);
    for (let example = 0; example < 16; example++) {
      const x = truth.map(random);
      const error = x.reduce((sum, v, i) => sum + v * (w[i] - truth[i]), 0);
      for (let i = 0; i < 20; i++) g[i] += error * x[i];
    }
    return g;
  };
`;

/** Settings of {@link roundRobins}. */
export interface DownpourSettings {
  readonly servers?: number;
  readonly warmStart?: number;
  readonly maxStaleness?: number;
  readonly fetchEvery?: number;
  readonly pushEvery?: number;
  /** Elements of the largest param. */
  readonly length?: number;
}

/** Downpour SGD in round-robin order: what each server counts, and the params on every rank. Worker 2 has a NaN now and then. */
export const roundRobins = (all: readonly DownpourSettings[]): string => `${downpour}
for (const settings of ${JSON.stringify(all)}) {
  const { servers = 1, warmStart, maxStaleness, fetchEvery, pushEvery, length = 1000 } = settings;
  if (servers >= world.size) continue;
  const { rank } = world;
  const params = { large: new Float32Array(length), empty: new Float32Array(0), small: Float32Array.of(rank, 1, 2) };
  if (rank < servers) {
    const optimizer = (part) => new Adagrad(part, { lr: 0.1 });
    const options = { servers, optimizer, order: 'roundRobin', warmStart, maxStaleness };
    say(await new ParameterServer(world, params, options).serve());
  } else {
    const worker = new DownpourWorker(world, params, { lr: 0.03, servers, fetchEvery, pushEvery });
    await worker.fetch();
    for (let step = 1; step <= 9 - rank; step++) {
      if (Math.random() < 0.3) await sleep(3 * Math.random());
      const large = params.large.map((w, i) => w - Math.sin(rank * i + step));
      if (rank === 2 && step % 3 === 0) large[5] = NaN;
      await worker.step({ large, empty: null, small: step % 2 === 0 ? null : params.small.map((w) => w / rank) });
    }
    await worker.close();
  }
  say([digest(params.large), ...params.small]);
}
await world.close();`;
