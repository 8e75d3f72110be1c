// A run that survives `kill -9`: it saves while it trains, and continues bit for bit when it is started again.
//
// npx tsx examples/checkpoint.mts [FOLDER] [STEPS]
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdamW, CheckpointManager, cosine, WeightAverage, writeSafetensors } from 'schuss';

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'schuss-run-'));
const steps = Number(process.argv[3] ?? 300);

// Linear regression with gradients written by hand: y = 2·x₀ − 3·x₁ + 0.5.
const params = { weight: { data: new Float32Array(2), shape: [1, 2] as const }, bias: new Float32Array(1) };
const grads = { weight: new Float32Array(2), bias: new Float32Array(1) };

/** The state of the data loader is part of the run: an object with stateDict and loadStateDict. */
class Batches {
  #seed = 1;

  next(): readonly [x0: number, x1: number] {
    return [this.#random(), this.#random()];
  }

  stateDict(): { seed: number } {
    return { seed: this.#seed };
  }

  loadStateDict({ seed }: { seed: number }): void {
    this.#seed = seed;
  }

  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed / 2 ** 31 - 1;
  }
}

const optimizer = new AdamW(params, { lr: cosine(0.1, { steps: 300 }), weightDecay: 0 });
const objects = { batches: new Batches(), average: new WeightAverage(params, { decay: 0.95 }) };
const checkpoints = new CheckpointManager(folder, { keep: 3, every: 20 });

let step = 0;
if ((await checkpoints.latest()) !== undefined) {
  ({ step } = await checkpoints.load({ params, optimizer, objects }));
  console.log(`continues after step ${step}`);
}

let saving: Promise<unknown> = Promise.resolve();
let loss = Number.NaN;
while (step < steps) {
  const [w0, w1] = params.weight.data as unknown as [number, number];
  grads.weight.fill(0);
  grads.bias.fill(0);
  loss = 0;
  for (let i = 0; i < 16; i++) {
    const [x0, x1] = objects.batches.next();
    const error = w0 * x0 + w1 * x1 + params.bias[0]! - (2 * x0 - 3 * x1 + 0.5);
    loss += error ** 2 / 32;
    grads.weight[0]! += (error * x0) / 16;
    grads.weight[1]! += (error * x1) / 16;
    grads.bias[0]! += error / 16;
  }
  optimizer.step(grads);
  objects.average.update();
  step++;
  // The copy is taken now; the file is written while the next steps run. Waiting for the save before bounds the memory.
  await saving;
  saving = checkpoints.save(step, { params, optimizer, objects, metadata: { loss: String(loss) } });
}
await saving;

// The weights alone, for PyTorch: safetensors.torch.load_file('weights.safetensors').
await writeSafetensors(join(folder, 'weights.safetensors'), params, { metadata: { format: 'pt' } });
console.log(
  `step ${step}: weight ${[...params.weight.data].map((w) => w.toFixed(3))}, bias ${params.bias[0]!.toFixed(3)}`,
);
