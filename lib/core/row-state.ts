import type { Block } from '../engine/block.js';

/** One number per matrix row, for each of its elements. */
export function spread(ofRows: Block, columns: number): Float32Array {
  const numbers = ofRows.read();
  return Float32Array.from({ length: ofRows.length * columns }, (_, i) => numbers[Math.floor(i / columns)]!);
}

/** The mean of each matrix row. */
export function rowMeans(elements: Block, columns: number): Float32Array {
  const numbers = elements.read();
  return Float32Array.from({ length: elements.length / columns }, (_, row) => {
    const sum = numbers.subarray(row * columns, (row + 1) * columns).reduce((total, x) => total + x, 0);
    return sum / columns;
  });
}
