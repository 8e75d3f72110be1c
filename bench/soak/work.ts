// The mixed work of a soak: everything that holds memory, made and dropped at random. Each round is a second or less.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Random } from '../common/random.js';
import * as schuss from '../common/schuss.js';

const { allocate, createOptimizer, LBFGS, loadCheckpoint, Lookahead, optimizers, saveCheckpoint, WeightAverage } =
  schuss;

export interface Soak {
  /** Does one round of work. @throws Error if a result is wrong */
  round(): Promise<void>;
  /** The number of rounds of each kind. */
  readonly counts: Readonly<Record<string, number>>;
  end(): void;
}

export function startSoak(seed: number): Soak {
  const random = new Random(seed, 'soak');
  const upTo = (n: number): number => Math.floor(random.uniform() * n);
  const folder = mkdtempSync(join(tmpdir(), 'schuss-soak-'));
  const names = Object.keys(optimizers);
  const counts: Record<string, number> = {};

  // One model lives through the whole run.
  const rows = 20_000;
  const width = 16;
  const params = {
    table: { data: allocate(rows * width).fill(0.1), shape: [rows, width] as const },
    bias: allocate(1000),
  };
  const model = createOptimizer('adam', params, { lr: 1e-3, ema: 0.99, clipNorm: 1, skipNonFinite: true });
  const average = new WeightAverage(params, { decay: 0.9 });
  const bias = allocate(1000).fill(0.01);

  const sparse = () => {
    const count = 1 + upTo(500);
    const values = allocate(count * width).fill(random.uniform() - 0.5);
    return { rows: Uint32Array.from({ length: count }, () => upTo(rows)), values };
  };

  const kinds: Record<string, () => unknown> = {
    sparse: () => {
      for (let i = 0; i < 20; i++) model.step({ table: sparse(), bias });
    },
    async: async () => {
      const shared = new Uint32Array(new SharedArrayBuffer(400)).map(() => upTo(rows));
      const named = new Uint32Array(new SharedArrayBuffer(400));
      named.set(shared);
      const values = allocate(100 * width).fill(random.uniform() - 0.5);
      await Promise.all([1, 2, 3].map(() => model.stepAsync({ table: { rows: named, values }, bias })));
    },
    drop: () => {
      for (let i = 0; i < 20; i++) {
        const name = names[upTo(names.length)] as string;
        const length = 1 + upTo(200_000);
        const w = random.uniform() < 0.5 ? allocate(length) : new Float32Array(length);
        // A vector of 200,000 elements has 200 blocks of 1024 otherwise, which take minutes to decompose.
        const small = name === 'shampoo' ? { maxPreconditionerDim: 16 } : {};
        const options = { lr: 1e-3, ...small, ...(random.uniform() < 0.5 ? { ema: 0.9 } : {}) } as never;
        const optimizer = createOptimizer(name as 'sgd', w, options);
        const given = optimizers[name]?.needsLoss ? { loss: 1 } : {};
        optimizer.step(new Float32Array(length).fill(0.1), given as object);
        if (random.uniform() < 0.5) optimizer.dispose();
      }
    },
    state: () => model.loadStateDict(structuredClone(model.stateDict())),
    average: () => {
      average.update();
      average.swap();
      average.swap();
    },
    checkpoint: async () => {
      const path = join(folder, 'run.safetensors');
      await saveCheckpoint(path, { params, optimizer: model, objects: { average } });
      await loadCheckpoint(path, { params, optimizer: model, objects: { average } });
    },
    lookahead: () => {
      const w = new Float32Array(50_000);
      const optimizer = new Lookahead(createOptimizer('sgd', w, { lr: 0.1, momentum: 0.9 }), { k: 2 });
      for (let i = 0; i < 4; i++) optimizer.step(new Float32Array(50_000).fill(0.1));
    },
    lbfgs: () => {
      const [w, grads] = [new Float32Array(5_000).fill(3), new Float32Array(5_000)];
      const optimizer = new LBFGS(w, { grads });
      const { loss } = optimizer.step(() => {
        let sum = 0;
        for (let i = 0; i < w.length; i++) {
          grads[i] = w[i]!;
          sum += w[i]! ** 2 / 2;
        }
        return sum;
      });
      if (!(loss < 1)) throw new Error(`L-BFGS ended at ${loss}`);
    },
    refused: () => {
      for (const grads of [{ table: null }, { table: null, bias: new Float32Array(3) }, null]) {
        try {
          model.step(grads as never);
        } catch {
          continue;
        }
        throw new Error('a wrong gradient was taken');
      }
    },
    worker: async () => {
      const worker = new Worker(new URL('./worker.mjs', import.meta.url));
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
    },
  };
  // A worker takes as long as many rounds of the others.
  const bag = Object.keys(kinds).flatMap((kind) => Array<string>(kind === 'worker' ? 1 : 6).fill(kind));

  return {
    counts,
    async round() {
      const kind = bag[upTo(bag.length)] as string;
      await (kinds[kind] as () => unknown)();
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (!params.bias.every(Number.isFinite)) throw new Error('the model is not finite');
    },
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}
