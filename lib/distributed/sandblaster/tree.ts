// The tree of the contract: part i += part i+d for d = 1, 2, 4, … and every i that is a multiple of 2d with i + d < count.
import { engine } from '../../engine/backend.js';

/** target ← target + source, in float32. */
export function addTo(target: Float32Array, source: Float32Array): void {
  engine().add(target, source);
}

/** The number of nodes of each level, from the leaves to the root. */
export function levelsOf(count: number): number[] {
  const levels = [count];
  for (let nodes = count; nodes > 1; nodes = levels.at(-1)!) levels.push(Math.ceil(nodes / 2));
  return levels;
}

/** The sum of numbers, in float64. */
export function treeSumOf(values: Float64Array): number {
  const sums = values.slice();
  for (let d = 1; d < sums.length; d *= 2)
    for (let i = 0; i + d < sums.length; i += 2 * d) sums[i] = sums[i]! + sums[i + d]!;
  return sums[0]!;
}

/** Sums vectors that come in order, in little memory: of complete branches only the sum is kept. */
export class TreeSum {
  readonly #length: number;
  /** Sums of complete branches, from left to right: the branches of the ones in the binary form of `#count`. */
  readonly #branches: Float32Array[] = [];
  readonly #free: Float32Array[] = [];
  #count = 0;

  constructor(length: number) {
    this.#length = length;
  }

  /** A vector to write the next part to, then to hand to {@link add}. */
  next(): Float32Array {
    return this.#free.pop() ?? new Float32Array(this.#length);
  }

  add(part: Float32Array): void {
    this.#branches.push(part);
    this.#count++;
    for (let count = this.#count; count % 2 === 0; count /= 2) this.#join();
  }

  /** Writes the sum to `out`, and starts anew. Without parts it is −0, which added to x gives x. */
  finish(out: Float32Array): void {
    while (this.#branches.length > 1) this.#join();
    const [sum] = this.#branches.splice(0);
    if (sum === undefined) out.fill(-0);
    else {
      out.set(sum);
      this.#free.push(sum);
    }
    this.#count = 0;
  }

  #join(): void {
    const right = this.#branches.pop()!;
    addTo(this.#branches.at(-1)!, right);
    this.#free.push(right);
  }
}
