import { type Optimizer, setThreads } from '../../common/schuss.js';
import { dots, gather, meanRows, scaled, type Table } from '../../common/schuss-rows.js';
import { stepping } from '../alternate.js';
import { everyNth } from '../peers/peer.js';
import { fillStart, methods } from '../task.js';
import type { Batch } from './batches.js';
import { optionsOf, type Trainer, type Training } from './model.js';

const tableOf = (rows: number, width: number): Table => ({
  data: fillStart(new Float32Array(rows * width)),
  shape: [rows, width],
});

const counting = (length: number, each = 1): Int32Array => Int32Array.from({ length }, (_, i) => Math.floor(i / each));

/** The gradient of the logistic loss for each score. */
function errorsOf(scores: Float32Array, clicked: Float32Array, out: Float32Array): Float32Array {
  for (let i = 0; i < scores.length; i++) out[i] = 1 / (1 + Math.exp(-scores[i]!)) - clicked[i]!;
  return out;
}

/** schuss and `schuss/rows`, as the guide shows it. */
export function ours({ model, method, sizes, batches }: Training): Trainer {
  const { width, history } = sizes;
  const size = batches[0]!.clicked.length;
  const others = tableOf(model === 'pairs' ? sizes.users : sizes.items, width);
  const items = tableOf(sizes.items, width);
  const optimizer: Optimizer = new (methods[method].Class as new (params: object, options: object) => Optimizer)(
    { others, items },
    optionsOf[method],
  );
  const [scores, errors] = [new Float32Array(size), new Float32Array(size)];
  // The same arrays in each step, so that they are checked once.
  const rowsOf = (count: number) => ({ rows: new Int32Array(count), values: new Float32Array(count * width) });
  const grads = { others: rowsOf(model === 'pairs' ? size : size * history), items: rowsOf(size) };
  const step = model === 'pairs' ? pairs() : bags();
  let turn = 0;
  const { run } = stepping(
    'schuss',
    () => step(batches[turn++ % batches.length]!),
    () => setThreads(1),
  );
  return {
    name: 'schuss',
    run,
    sample: (stride) => everyNth(items.data, stride),
    dispose: () => optimizer.dispose(),
  };

  function pairs(): (batch: Batch) => void {
    return (batch) => {
      grads.others.rows.set(batch.users);
      grads.items.rows.set(batch.items);
      dots(others, grads.others.rows, items, grads.items.rows, scores);
      errorsOf(scores, batch.clicked, errors);
      scaled(items, grads.items.rows, errors, grads.others.values);
      scaled(others, grads.others.rows, errors, grads.items.values);
      optimizer.step(grads);
    };
  }

  function bags(): (batch: Batch) => void {
    const offsets = counting(size).map((i) => i * history);
    const [places, bagOf] = [counting(size), counting(size * history, history)];
    const means = { data: new Float32Array(size * width), shape: [size, width] };
    const ofMeans = { data: new Float32Array(size * width), shape: [size, width] };
    return (batch) => {
      grads.others.rows.set(batch.histories);
      grads.items.rows.set(batch.items);
      meanRows(others, grads.others.rows, offsets, means.data);
      dots(means, places, items, grads.items.rows, scores);
      errorsOf(scores, batch.clicked, errors);
      scaled(means, places, errors, grads.items.values);
      // Each row of a history has its share of the gradient for the mean.
      for (let i = 0; i < size; i++) errors[i] = errors[i]! / history;
      scaled(items, grads.items.rows, errors, ofMeans.data);
      gather(ofMeans, bagOf, grads.others.values);
      optimizer.step(grads);
    };
  }
}
