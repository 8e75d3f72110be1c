import { Random } from '../common/random.js';
import type { Data } from './data.js';
import type { Method, Settings } from './job.js';
import { middleOf, newOptimizer, stepOf } from './methods.js';

/** What a step of a method costs on the network of the study. */
export interface Cost {
  /** Median time of a step, in microseconds, without the gradients. It differs from run to run. */
  readonly micros: number;
  /** Bytes of state for each parameter, over the whole network. */
  readonly stateBytes: number;
}

/** Milliseconds after which a method is not timed further: a step of some takes a hundred times that of others. */
const enough = 300;

/** The cost of each method, one after the other, in this thread. */
export function costsOf(methods: readonly Method[], data: Data, settings: Settings): Map<Method, Cost> {
  return new Map(methods.map((method) => [method, costOf(method, data, settings)]));
}

function costOf(method: Method, { inputs, classes }: Data, settings: Settings): Cost {
  const random = new Random(settings.seed, 'cost');
  const sizes = [inputs, ...settings.hidden, classes];
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => 0.05 * random.normal());
  const params = sizes.slice(1).flatMap((width, i) => {
    const shape = [sizes[i] as number, width];
    return [{ data: normals((sizes[i] as number) * width), shape }, new Float32Array(width)];
  });
  const lengths = params.map((param) => ('data' in param ? param.data.length : param.length));
  const gradients = lengths.map(normals);
  const optimizer = newOptimizer(method, params, middleOf(method), settings);
  const times: number[] = [];
  const started = performance.now();
  // The first steps also allocate, and are no measure.
  for (let step = -2; step < 30 && (step < 1 || performance.now() - started < enough); step++) {
    const before = performance.now();
    stepOf(method, optimizer, gradients, 1);
    if (step >= 0) times.push(1000 * (performance.now() - before));
  }
  const bytes = bytesIn(optimizer.stateDict().state);
  optimizer.dispose();
  times.sort((a, b) => a - b);
  return {
    micros: times[times.length >> 1] as number,
    stateBytes: bytes / lengths.reduce((sum, length) => sum + length, 0),
  };
}

/** The bytes of all typed arrays in a value. */
function bytesIn(value: unknown): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, each: unknown) => sum + bytesIn(each), 0);
}
