import { freePython } from '../peers/python.js';
import type { Trainer, Training } from './model.js';

let ids = 0;

/** `torch.nn.Embedding` and `EmbeddingBag` with `sparse=True`. @throws Error if no Python here has PyTorch */
export async function torchTrainer({ model, method, sizes, batches }: Training): Promise<Trainer> {
  const python = await freePython();
  const id = ids++;
  const lists = batches.map((batch) =>
    Object.fromEntries(Object.entries(batch).map(([name, numbers]) => [name, Array.from(numbers as Int32Array)])),
  );
  await python.call('train_start', id, model, method, sizes, lists);
  return {
    name: 'torch',
    run: (steps) => python.call('train_run', id, steps),
    sample: (stride) => python.call('train_sample', id, stride),
    dispose: () => python.call('train_drop', id),
  };
}
