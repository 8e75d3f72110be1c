import type { Add } from './mean.js';

// The largest logit is subtracted first: no exponential overflows, and one of them is 1. NaN, and a row without a finite
// largest, give NaN, as in PyTorch.
function largest(z: Float32Array, begin: number, length: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = begin; i < begin + length; i++) if (z[i]! > max) max = z[i]!;
  return max;
}

/** Writes log softmax(z/T) of one row, in float64. */
export function logSoftmax(z: Float32Array, begin: number, temperature: number, out: Float64Array): void {
  const max = largest(z, begin, out.length);
  let sum = 0;
  for (let c = 0; c < out.length; c++) {
    out[c] = (z[begin + c]! - max) / temperature;
    sum += Math.exp(out[c]!);
  }
  const logSum = Math.log(sum);
  for (let c = 0; c < out.length; c++) out[c] = out[c]! - logSum;
}

/** Adds softmax(z/T) of one row of `classes`, times a weight. */
export function addSoftmax(classes: number, temperature: number): Add {
  const exponentials = new Float64Array(classes);
  return (sum, z, begin, _length, weight) => {
    const max = largest(z, begin, classes);
    let total = 0;
    for (let c = 0; c < classes; c++) {
      exponentials[c] = Math.exp((z[begin + c]! - max) / temperature);
      total += exponentials[c]!;
    }
    const scale = weight / total;
    for (let c = 0; c < classes; c++) sum[c] = sum[c]! + scale * exponentials[c]!;
  };
}
