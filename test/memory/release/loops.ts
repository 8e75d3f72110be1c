// Run in another process by contract.slow.test.ts: makes and drops what holds memory, in a loop that gives the event loop
// a turn or never does. Prints how far the resident memory rose, in MB.
import {
  Adam,
  allocate,
  GradAccumulator,
  Lookahead,
  ScheduleFreeAdamW,
  SGD,
  WeightAverage,
} from '../../../lib/index.js';

const length = 500_000;
const w = new Float32Array(length);
const g = new Float32Array(length).fill(1);
const table = { data: w, shape: [length / 10, 10] as const };
const rows = Uint32Array.from({ length: 20_000 }, (_, i) => i);
const values = new Float32Array(200_000).fill(1);
const [pinned, pinnedGrad] = [allocate(length), allocate(length).fill(1)];

const bodies: Record<string, () => unknown> = {
  allocate: () => allocate(length).fill(1),
  dispose: () => {
    const adam = new Adam(w);
    adam.step(g);
    adam.dispose();
  },
  drop: () => new Adam(w).step(g),
  'drop what has averages': () => {
    const adam = new Adam(w, { ema: 0.9 });
    adam.step(g);
    return adam.emaParams;
  },
  'own params': () => new SGD(new Float32Array(length), { lr: 1, momentum: 0.9 }).step(new Float32Array(length)),
  sparse: () => new Adam(table).step({ rows, values }),
  'state dicts': () => {
    const adam = new Adam(w);
    adam.step(g);
    new Adam(w).loadStateDict(adam.stateDict());
  },
  averagedParams: () => {
    const optimizer = new ScheduleFreeAdamW(w);
    optimizer.step(g);
    return optimizer.averagedParams;
  },
  Lookahead: () => new Lookahead(new SGD(w, { lr: 1 })).step(g),
  GradAccumulator: () => new GradAccumulator(w).add(g),
  WeightAverage: () => new WeightAverage(w, { decay: 0.9 }).update(),
  stepAsync: () => new Adam(pinned).stepAsync(pinnedGrad),
};

async function main(name: string, yields: boolean): Promise<void> {
  const body = bodies[name] as () => unknown;
  await body();
  const before = process.memoryUsage.rss();
  let peak = before;
  for (let i = 0; i < 300; i++) {
    const result = body();
    if (yields) await Promise.resolve(result).then(() => new Promise(setImmediate));
    if (i % 10 === 0) peak = Math.max(peak, process.memoryUsage.rss());
  }
  console.log(Math.round((peak - before) / 1e6));
}

const [name = '', yields] = process.argv.slice(2);
if (name === '') console.log(JSON.stringify(Object.keys(bodies)));
else void main(name, yields === 'yields');
