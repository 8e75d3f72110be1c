import { stepping } from '../alternate.js';
import { everyNth } from '../peers/peer.js';
import { fillStart, methods } from '../task.js';
import type { Batch } from './batches.js';
import { optionsOf, type SparseMethod, type Trainer, type Training } from './model.js';

/** A table with its optimizer, by hand: each step sums the gradients of the rows that it names, and updates those rows. */
class HandTable {
  readonly weights: Float32Array;
  readonly #width: number;
  readonly #slots: Int32Array;
  readonly #named: Int32Array;
  readonly sums: Float32Array;
  readonly #states: readonly Float32Array[];
  #count = 0;
  #t = 0;

  constructor(rows: number, width: number, most: number, method: SparseMethod) {
    this.#width = width;
    this.weights = fillStart(new Float32Array(rows * width));
    this.#slots = new Int32Array(rows).fill(-1);
    this.#named = new Int32Array(most);
    this.sums = new Float32Array(most * width);
    const first = method === 'adagrad' ? optionsOf.adagrad.initialAccumulatorValue : 0;
    this.#states = Array.from({ length: methods[method].states }, () => new Float32Array(rows * width).fill(first));
  }

  /** Where the sum of a row's gradients begins in `sums`. */
  slot(row: number): number {
    const known = this.#slots[row]!;
    if (known >= 0) return known;
    const slot = this.#count * this.#width;
    this.#slots[row] = slot;
    this.#named[this.#count++] = row;
    this.sums.fill(0, slot, slot + this.#width);
    return slot;
  }

  update(method: SparseMethod): void {
    this.#t++;
    if (method === 'sgd') this.#sgd();
    else if (method === 'adagrad') this.#adagrad();
    else this.#adam();
    for (let r = 0; r < this.#count; r++) this.#slots[this.#named[r]!] = -1;
    this.#count = 0;
  }

  #sgd(): void {
    const { lr } = optionsOf.sgd;
    const [w, g, width] = [this.weights, this.sums, this.#width];
    for (let r = 0, k = 0; r < this.#count; r++) {
      const begin = this.#named[r]! * width;
      for (let i = begin; i < begin + width; i++, k++) w[i] = w[i]! - lr * g[k]!;
    }
  }

  #adagrad(): void {
    const { lr } = optionsOf.adagrad;
    const [w, g, width] = [this.weights, this.sums, this.#width];
    const sum = this.#states[0]!;
    for (let r = 0, k = 0; r < this.#count; r++) {
      const begin = this.#named[r]! * width;
      for (let i = begin; i < begin + width; i++, k++) {
        const x = g[k]!;
        const next = sum[i]! + x * x;
        sum[i] = next;
        w[i] = w[i]! - (lr * x) / (Math.sqrt(next) + 1e-10);
      }
    }
  }

  #adam(): void {
    const {
      lr,
      betas: [beta1, beta2],
      eps,
    } = optionsOf.adam;
    const [w, g, width] = [this.weights, this.sums, this.#width];
    const [m, v] = this.#states as [Float32Array, Float32Array];
    const stepSize = lr / (1 - beta1 ** this.#t);
    const correction = 1 / Math.sqrt(1 - beta2 ** this.#t);
    for (let r = 0, k = 0; r < this.#count; r++) {
      const begin = this.#named[r]! * width;
      for (let i = begin; i < begin + width; i++, k++) {
        const x = g[k]!;
        const first = beta1 * m[i]! + (1 - beta1) * x;
        const second = beta2 * v[i]! + (1 - beta2) * x * x;
        m[i] = first;
        v[i] = second;
        w[i] = w[i]! - (stepSize * first) / (Math.sqrt(second) * correction + eps);
      }
    }
  }
}

/** The recommender as loops over plain arrays, without a library. */
export function byHand({ model, method, sizes, batches }: Training): Trainer {
  const { width, history } = sizes;
  const size = batches[0]!.clicked.length;
  const isPairs = model === 'pairs';
  const others = new HandTable(
    isPairs ? sizes.users : sizes.items,
    width,
    Math.min(isPairs ? size : size * history, isPairs ? sizes.users : sizes.items),
    method,
  );
  const items = new HandTable(sizes.items, width, Math.min(size, sizes.items), method);
  const mean = new Float64Array(width);
  const step = isPairs ? pairs : bags;
  let turn = 0;
  const { run } = stepping('by-hand', () => {
    step(batches[turn++ % batches.length]!);
    others.update(method);
    items.update(method);
  });
  return { name: 'by-hand', run, sample: (stride) => everyNth(items.weights, stride), dispose() {} };

  function pairs({ users, items: named, clicked }: Batch): void {
    const [a, b, ga, gb] = [others.weights, items.weights, others.sums, items.sums];
    for (let e = 0; e < size; e++) {
      const i = users[e]! * width;
      const j = named[e]! * width;
      let dot = 0;
      for (let k = 0; k < width; k++) dot += a[i + k]! * b[j + k]!;
      const error = 1 / (1 + Math.exp(-dot)) - clicked[e]!;
      const p = others.slot(users[e]!);
      const q = items.slot(named[e]!);
      for (let k = 0; k < width; k++) {
        ga[p + k] = ga[p + k]! + error * b[j + k]!;
        gb[q + k] = gb[q + k]! + error * a[i + k]!;
      }
    }
  }

  function bags({ histories, items: named, clicked }: Batch): void {
    const [a, b, ga, gb] = [others.weights, items.weights, others.sums, items.sums];
    for (let e = 0; e < size; e++) {
      mean.fill(0);
      for (let h = e * history; h < (e + 1) * history; h++) {
        const i = histories[h]! * width;
        for (let k = 0; k < width; k++) mean[k] = mean[k]! + a[i + k]!;
      }
      const j = named[e]! * width;
      let dot = 0;
      for (let k = 0; k < width; k++) {
        mean[k] = mean[k]! / history;
        dot += mean[k]! * b[j + k]!;
      }
      const error = 1 / (1 + Math.exp(-dot)) - clicked[e]!;
      const q = items.slot(named[e]!);
      for (let k = 0; k < width; k++) gb[q + k] = gb[q + k]! + error * mean[k]!;
      const share = error / history;
      for (let h = e * history; h < (e + 1) * history; h++) {
        const p = others.slot(histories[h]!);
        for (let k = 0; k < width; k++) ga[p + k] = ga[p + k]! + share * b[j + k]!;
      }
    }
  }
}
