import type { Vector } from './linalg.js';
import type { MaybeTask, Task } from './task.js';

/**
 * Words of a signalling NaN, which marks an element that nobody has written. No arithmetic returns a signalling NaN: an
 * element with these bits was not written, and any other NaN was.
 */
const marks = { float32: 0x7fa1a1a1, float64: 0x7ff1a1a1 } as const;

/** The words of an array of the library, and what marks each of them. */
function wordsOf(array: Vector): { readonly words: Uint32Array; readonly mark: number; readonly perElement: 1 | 2 } {
  const words = new Uint32Array(array.buffer, array.byteOffset, array.byteLength / Uint32Array.BYTES_PER_ELEMENT);
  return array instanceof Float32Array
    ? { words, mark: marks.float32, perElement: 1 }
    : { words, mark: marks.float64, perElement: 2 };
}

/** Fills an array with NaNs that {@link findUnwritten} knows. */
function markUnwritten(array: Vector): void {
  const { words, mark } = wordsOf(array);
  words.fill(mark);
}

/**
 * What was not written since {@link markUnwritten}: `first` is the index of the first such element, or −1;
 * `hasOtherNaN` whether a NaN was written, because the function returned one or added to what it found.
 */
function findUnwritten(array: Vector): { readonly first: number; readonly hasOtherNaN: boolean } {
  const { words, mark, perElement } = wordsOf(array);
  let [first, hasOtherNaN] = [-1, false];
  for (let i = 0; i < array.length; i++) {
    if (!Number.isNaN(array[i])) continue;
    const isMarked = words[perElement * i] === mark && words[perElement * (i + 1) - 1] === mark;
    if (!isMarked) hasOtherNaN = true;
    else if (first < 0) first = i;
  }
  return { first, hasOtherNaN };
}

/**
 * Evaluates a function that writes a gradient, and refuses the first calls that leave elements unwritten. Later calls
 * find zeros in the gradient.
 */
export class GradientCheck {
  /** Calls that are still checked. */
  #remaining: number;

  /** @param calls number of calls to check: the first of each term */
  constructor(calls: number) {
    this.#remaining = calls;
  }

  /** Whether calls are still checked. If not, fill the gradient with zeros and call the function. */
  get isPending(): boolean {
    return this.#remaining > 0;
  }

  /**
   * Evaluates once. A function that adds to the gradient needs zeros, and is called again with them.
   *
   * @param grads arrays of the library that the function fills
   * @param call calls the function
   * @param unwritten returns the error for element `index` of array `k`
   */
  *evaluate(
    grads: readonly Vector[],
    call: () => MaybeTask<number>,
    unwritten: (k: number, index: number) => TypeError,
  ): Task<number> {
    if (!this.isPending) return yield* withZeros(grads, call);
    this.#remaining--;
    for (const grad of grads) markUnwritten(grad);
    const result = call();
    const value = typeof result === 'number' ? result : yield* result;
    // Where the value is not finite, the gradient means nothing, and many functions leave it as it is.
    if (!Number.isFinite(value)) return value;
    const found = grads.map(findUnwritten);
    if (found.some(({ hasOtherNaN }) => hasOtherNaN)) {
      // If zeros remove the NaNs, the function adds to what it finds. All terms are taken to do the same.
      const again = yield* withZeros(grads, call);
      if (!grads.some((grad) => findUnwritten(grad).hasOtherNaN)) this.#remaining = 0;
      return again;
    }
    const k = found.findIndex(({ first }) => first >= 0);
    if (k >= 0) throw unwritten(k, found[k]!.first);
    return value;
  }
}

function* withZeros(grads: readonly Vector[], call: () => MaybeTask<number>): Task<number> {
  for (const grad of grads) grad.fill(0);
  const value = call();
  return typeof value === 'number' ? value : yield* value;
}

/**
 * Calls a function that writes one array, with zeros in it, and refuses a first call that leaves elements unwritten.
 *
 * @param unwritten returns the error for element `index`
 */
export function writeInto(
  check: GradientCheck,
  out: Vector,
  call: () => MaybeTask<void>,
  unwritten: (index: number) => TypeError,
): MaybeTask<void> {
  if (!check.isPending) {
    out.fill(0);
    return call();
  }
  return firstWrite(check, out, call, unwritten);
}

function* firstWrite(
  check: GradientCheck,
  out: Vector,
  call: () => MaybeTask<void>,
  unwritten: (index: number) => TypeError,
): Task<void> {
  function* asNumber(): Task<number> {
    const pending = call();
    if (pending !== undefined) yield* pending;
    return 0;
  }
  yield* check.evaluate([out], asNumber, (_, index) => unwritten(index));
}
