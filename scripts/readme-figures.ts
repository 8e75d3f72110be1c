// What the README says in figures, from the recorded benchmark. A test looks for each phrase.
import { barsOf, headlineSize, ratio } from '../bench/speed/headline.js';
import type { PairRow, Results } from '../bench/speed/results.js';

const found = (rows: readonly PairRow[], what: string, n?: number): PairRow => {
  const row = rows.find((r) => r.what === what && (n === undefined || r.n === n));
  if (row === undefined) throw new Error(`bench.json has no row "${what}"`);
  return row;
};

/** Phrases that the README must contain. Where the text is changed, this list is changed with it. */
export function readmeFigures(results: Results): string[] {
  const bar = (label: string, n: number) => barsOf(results, n).find((b) => b.label.startsWith(label))!;
  const [small, large] = [headlineSize, 1e7];
  const ns = (label: string, digits: number): string => bar(label, small).ns.toPrecision(digits);
  const { eventLoop, sparse, fused } = results;
  if ('skipped' in eventLoop || 'skipped' in sparse) throw new Error('bench.json: a part was skipped');
  const torch = bar('PyTorch', small).label;
  return [
    `schuss ${ns('schuss', 2)}, ${torch} ${ns('PyTorch', 2)}, jax-js ${ns('jax-js', 2)}, a JavaScript loop ${ns('JavaScript', 2)}, TensorFlow.js ${ns('TensorFlow', 2)}`,
    `the step takes ${bar('schuss', large).ns.toFixed(2)} ns, ${bar('PyTorch', large).label} ${bar('PyTorch', large).ns.toFixed(2)}, a JavaScript loop ${bar('JavaScript', large).ns.toFixed(2)}`,
    `${ratio(bar('JavaScript', small).ofOurs)} less time than a JavaScript loop, ${ratio(bar('TensorFlow', small).ofOurs)} less than TensorFlow.js and ${ratio(bar('PyTorch', small).ofOurs)} less than ${torch}`,
    `${ratio(found(fused, 'clipGradNorm, step, fill(0), WeightAverage', large).ratio.median)} faster than one after the other at ten million`,
    `updates 100 million parameters in ${Math.round(eventLoop.msPerStep)} ms`,
    `the event loop is ${eventLoop.delayMs.p99.toFixed(2)} ms late at the 99th percentile. An idle process has ${eventLoop.idleDelayMs.p99.toFixed(2)} ms`,
    `takes ${ratio(found(sparse.rows, 'the dense step').ratio.median)} less time than a dense one`,
  ];
}
