import type { Engine } from './engine.js';
import { root } from './prebuilds.js';

/** One loaded copy of the package. A project can install two, and a test runner can load one twice. */
export interface Copy {
  readonly root: string;
  owns?: Engine['owns'];
  /** Whether a value is one of its optimizers, or a class of them. */
  isOptimizer?(value: unknown): boolean;
}

/** This copy. Other modules add what is theirs. */
export const thisCopy: Copy = { root };

// The one thing that copies share. Weak, so that a copy which a test runner drops can be collected.
const key = Symbol.for('schuss.copies');
const shared = globalThis as { [key]?: WeakRef<Copy>[] };
shared[key] = [...(shared[key] ?? []).filter((copy) => copy.deref() !== undefined), new WeakRef(thisCopy)];

/** A hint for the error about a value that belongs to another copy. undefined if it belongs to none. */
export function otherCopyHint(isFrom: (copy: Copy) => boolean | undefined): string | undefined {
  const other = shared[key]?.map((copy) => copy.deref()).find((copy) => copy && copy !== thisCopy && isFrom(copy));
  if (other === undefined) return undefined;
  return other.root === root
    ? `it is from an earlier load of schuss: ${root} was loaded twice`
    : `two copies of schuss are loaded: it is from ${other.root}, and this one is ${root}`;
}
