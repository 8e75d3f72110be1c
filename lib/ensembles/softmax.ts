import type { Add } from './mean.js';

// The largest logit is subtracted first, so that no exponential overflows and one of them is 1. As in PyTorch, a matrix
// row with NaN, or without a finite maximum, gives NaN.
function maximum(z: Float32Array, offset: number, length: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = offset; i < offset + length; i++) if (z[i]! > max) max = z[i]!;
  return max;
}

/** out ← log softmax(z/T) of the matrix row of z that starts at `offset`, in float64. */
export function logSoftmax(z: Float32Array, offset: number, temperature: number, out: Float64Array): void {
  const max = maximum(z, offset, out.length);
  let sum = 0;
  for (let c = 0; c < out.length; c++) {
    out[c] = (z[offset + c]! - max) / temperature;
    sum += Math.exp(out[c]!);
  }
  const logSum = Math.log(sum);
  for (let c = 0; c < out.length; c++) out[c] = out[c]! - logSum;
}

/** Returns a function that adds weight·softmax(z/T) of one matrix row of `classes` elements. */
export function addSoftmax(classes: number, temperature: number): Add {
  const exponentials = new Float64Array(classes);
  return (sum, z, offset, _length, weight) => {
    const max = maximum(z, offset, classes);
    let total = 0;
    for (let c = 0; c < classes; c++) {
      exponentials[c] = Math.exp((z[offset + c]! - max) / temperature);
      total += exponentials[c]!;
    }
    const scale = weight / total;
    for (let c = 0; c < classes; c++) sum[c] = sum[c]! + scale * exponentials[c]!;
  };
}
