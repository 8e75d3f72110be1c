// What follows by itself from a new optimizer's two files and its lines in the tables: printed as JSON. Runs in the copy, on
// the built package, as the study and the benchmark do.

import { backend, createOptimizer, minimize, optimizers, type StepsMethod } from 'schuss';
import { casesOf, statesOf } from '../../bench/speed/cases.js';
import { classNames } from '../../bench/speed/settings.js';
import { families, methods, middleOf } from '../../bench/study/methods.js';

const name = process.argv[2] as string;
const [rows, columns] = [5, 3];
const table = Float32Array.from({ length: rows * columns }, (_, i) => 1 + i / 10);
const before = table.slice();
const optimizer = createOptimizer(name, { table: { data: table, shape: [rows, columns] } });
optimizer.step({ table: { rows: Int32Array.of(3, 1, 3), values: new Float32Array(9).fill(0.5) } });
const { state } = optimizer.stateDict();

const resumed = createOptimizer(name, { table: { data: table.slice(), shape: [rows, columns] } });
resumed.loadStateDict(structuredClone(optimizer.stateDict()));

const method = name as StepsMethod;
/** ½(x − i)², for i = 0 and 1. */
const f = (i: number, x: Float32Array, grad: Float32Array): number => {
  grad[0] = x[0]! - i;
  return grad[0] ** 2 / 2;
};
console.log(
  JSON.stringify({
    backend: backend().name,
    className: optimizers[name]?.optimizerName,
    state: Object.fromEntries(
      Object.entries(state['table'] ?? {}).map(([key, value]) => [key, ArrayBuffer.isView(value) ? [...value] : value]),
    ),
    changedRows: Array.from({ length: rows }, (_, row) => row).filter((row) =>
      table.subarray(row * columns, (row + 1) * columns).some((value, i) => value !== before[row * columns + i]),
    ),
    resumes: JSON.stringify(resumed.stateDict()) === JSON.stringify(optimizer.stateDict()),
    // TypeScript checks a union of up to 25 methods, and there are more.
    minimum: minimize({ N: 2, f }, new Float32Array([3]), { method: method as 'adam', passes: 2000, lr: 0.01 }).x[0],
    study: {
      method: methods[method],
      middle: middleOf(method),
      family: families.find((f) => f.methods.includes(method)),
    },
    bench: {
      isAmong: classNames.includes(name),
      cases: casesOf([name]).map((c) => ({ label: c.label, states: statesOf(c) })),
    },
  }),
);
