import { type Optimizer, setThreads } from '../common/schuss.js';
import { type Contender, stepping } from './alternate.js';
import { type Case, stepOf } from './cases.js';
import { fillGrads, fillStart, methods, type Task, tensorsOf } from './task.js';

/** schuss on a task, with params and gradients of its own, as every peer has. */
export function oursOn(task: Task): Contender & { readonly params: readonly Float32Array[]; dispose(): void } {
  const { Class, options } = methods[task.method];
  const params = tensorsOf(task, (length) => fillStart(new Float32Array(length)));
  const grads = tensorsOf(task, (length) => fillGrads(new Float32Array(length)));
  // A user with one tensor passes it without a list.
  const one = task.tensors === 1;
  const optimizer: Optimizer = new (Class as new (params: object, options: object) => Optimizer)(
    one ? params[0]! : params,
    options,
  );
  const given = one ? grads[0]! : grads;
  const { run } = stepping(
    'schuss',
    () => optimizer.step(given),
    () => setThreads(task.threads),
  );
  return { name: 'schuss', run, params, dispose: () => optimizer.dispose() };
}

/** The step of an optimizer with one param of n elements. */
export function stepOnOneParam({ Class, options }: Case, n: number): () => unknown {
  const optimizer = new Class(fillStart(new Float32Array(n)), options);
  const grads = fillGrads(new Float32Array(n));
  return () => stepOf(Class, optimizer, grads);
}
