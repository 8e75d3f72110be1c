/**
 * A computation that calls the user's function. It is a generator, so that the same algorithm serves `minimize`, which
 * never waits, and `minimizeAsync`: where it has to wait, it yields what the user's function returned and receives the
 * awaited value.
 */
export type Task<T> = Generator<unknown, T, unknown>;

/**
 * A value, or the task that returns it. A function returns the value where it need not wait, because that is faster:
 * `const value = typeof result === 'number' ? result : yield* result`.
 */
export type MaybeTask<T> = T | Task<T>;

/** Runs a task that never waits. */
export function finish<T>(task: Task<T>): T {
  const { done, value } = task.next();
  if (done !== true) throw new Error('this task must not wait');
  return value;
}

/** Whether a value is a promise, or can be awaited like one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown } | null)?.then === 'function'
  );
}
