import { lengthOf } from '../check/typed-array.js';
import type { Matmul } from './matmul.js';
import { dot } from './reference-linalg.js';
import { constantsOf, prologue, type Tensor, type Work, walk } from './reference-walk.js';

// The executable specification of native/engine/matmul.cpp and matrix_step.cpp: the same operations in the same order.
const f = Math.fround;

/** The plain triple loop. Storing a sum rounds it. */
export const multiply: Matmul = ({ a, b, out, rows, columns, depth }) => {
  out.fill(0, 0, rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < depth; k++) {
      const factor = a.data[i * a.rowStride + k * a.columnStride]!;
      for (let j = 0; j < columns; j++) {
        const at = i * columns + j;
        out[at] = out[at]! + f(factor * b.data[k * b.rowStride + j * b.columnStride]!);
      }
    }
  }
};

/** Runs a matrix kernel: a walk that fills the matrix, products, and a walk that updates the param. */
export function walkMatrix(tensor: Tensor, grad: Float32Array, work: Work): void {
  const { kernel, param, columns, side, state } = tensor;
  const { fill, transform } = kernel.matrix!;
  const length = lengthOf(param);
  if (length === 0) return;
  const constants = constantsOf(kernel, work);
  const data = new Float32Array(length);
  const at = fill(constants, state);
  for (let i = 0; i < length; i++) data[i] = at(i, prologue(work, param[i]!, grad[i]!));
  const norm = Math.sqrt(dot(data, data, length));
  const after = transform(constants, { data, rows: length / columns, columns, norm, state, side }, multiply);
  walk({ ...tensor, state: [after.matrix] }, grad, work, after.constants.map(f));
}
