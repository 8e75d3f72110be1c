import type { Optimizer } from '../../lib/core/optimizer.js';
import { allocate } from '../../lib/engine/backend.js';
import type { Contender } from './alternate.js';
import { stepping } from './alternate.js';
import { fillGrads, fillStart, methods, type Task, tensorsOf } from './task.js';

/** schuss on a task, on memory of its own making, as peers have theirs. */
export function oursOn(task: Task): Contender & { readonly params: readonly Float32Array[]; dispose(): void } {
  const { Class, options } = methods[task.method];
  const params = tensorsOf(task, (length) => fillStart(allocate(length)));
  const grads = tensorsOf(task, (length) => fillGrads(allocate(length)));
  // As a user of one tensor writes it.
  const one = task.tensors === 1;
  const optimizer: Optimizer = new Class(one ? params[0]! : params, options as never);
  const given = one ? grads[0]! : grads;
  return { ...stepping('schuss', () => optimizer.step(given)), params, dispose: () => optimizer.dispose() };
}
