import { allocate, type Optimizer, setThreads } from '../common/schuss.js';
import { type Contender, stepping } from './alternate.js';
import { type Case, stepOf } from './cases.js';
import { fillGrads, fillStart, methods, type Task, tensorsOf } from './task.js';

export interface Ours extends Contender {
  readonly params: readonly Float32Array[];
  dispose(): void;
}

const plain = (length: number): Float32Array => new Float32Array(length);

/** schuss on a task, with params and gradients of its own, as every peer has. */
export function oursOn(task: Task): Ours {
  return oursIn('schuss', task, plain);
}

/** The same, with params and gradients in the memory of `allocate`. */
export function oursInAllocated(task: Task): Ours {
  return oursIn('schuss-allocate', task, allocate);
}

function oursIn(name: string, task: Task, memory: (length: number) => Float32Array): Ours {
  const { Class, options } = methods[task.method];
  const params = tensorsOf(task, (length) => fillStart(memory(length)));
  const grads = tensorsOf(task, (length) => fillGrads(memory(length)));
  // A user with one tensor passes it without a list.
  const one = task.tensors === 1;
  const optimizer: Optimizer = new (Class as new (params: object, options: object) => Optimizer)(
    one ? params[0]! : params,
    options,
  );
  const given = one ? grads[0]! : grads;
  const { run } = stepping(
    name,
    () => optimizer.step(given),
    () => setThreads(task.threads),
  );
  return { name, run, tries: true, params, dispose: () => optimizer.dispose() };
}

/** The step of an optimizer with one param of n elements. */
export function stepOnOneParam({ Class, options }: Case, n: number): () => unknown {
  const optimizer = new Class(fillStart(new Float32Array(n)), options);
  const grads = fillGrads(new Float32Array(n));
  return () => stepOf(Class, optimizer, grads);
}
