import { type Optimizer, type OptimizerClass, optimizers } from '../common/schuss.js';

/** A class with options, as the library's own classes are measured. */
export interface Case {
  readonly label: string;
  readonly Class: OptimizerClass;
  readonly options: Readonly<Record<string, unknown>>;
}

// Options that select another kernel and deserve their own row.
const variants: Readonly<Record<string, readonly { label: string; options: Readonly<Record<string, unknown>> }[]>> = {
  sgd: [{ label: 'SGD, momentum', options: { momentum: 0.9 } }],
};

/** Their work depends on the shape: a vector as long as those of the benchmark has hundreds of blocks to decompose. */
export const ofMatrices: readonly string[] = ['shampoo', 'soap'];

/** They measure params, gradients or state before they update, so they read memory twice; Adafactor does three or four times. */
export const measuring: readonly string[] = [
  ...['LARS', 'LAMB', 'StableAdamW', 'NovoGrad', 'AdamMini', 'SM3', 'Prodigy', 'DAdaptAdamW', 'DoG', 'DoWG', 'Fromage'],
  ...['MARS', 'Muon', 'PolyakSGD', 'Momo', 'MomoAdam'],
];

/** They keep a number for each row and column of a matrix. Without a shape they would move more memory than their limit loop. */
const ofRowsAndColumns: readonly string[] = ['Adafactor', 'SM3'];

/** The params of a case over an array: a matrix, for a class that needs one to keep less state. */
export function paramsOf({ Class }: Case, data: Float32Array): Float32Array | { data: Float32Array; shape: number[] } {
  const columns = Math.min(1000, 10 ** Math.ceil(Math.log10(data.length) / 2));
  return ofRowsAndColumns.includes(Class.optimizerName) && data.length % columns === 0
    ? { data, shape: [data.length / columns, columns] }
    : data;
}

/** Every class with its default options, and the variants. Those of matrices are left out. */
export function casesOf(classes: readonly string[]): Case[] {
  return classes
    .filter((name) => !ofMatrices.includes(name))
    .flatMap((name) => {
      const Class = optimizers[name] as OptimizerClass;
      const needed = {
        ...(Class.defaults['lr'] === undefined ? { lr: 0.01 } : {}),
        ...('useMuon' in Class.defaults ? { useMuon: false } : {}), // for a vector: AdamW updates it
      };
      return [{ label: Class.optimizerName, options: {} }, ...(variants[name] ?? [])].map(({ label, options }) => ({
        label,
        Class,
        options: { ...needed, ...options },
      }));
    });
}

/** A step of any class. Those that need the loss get one. */
export function stepOf({ needsLoss }: OptimizerClass, optimizer: Optimizer, grad: Float32Array): unknown {
  return optimizer.step(grad, needsLoss ? ({ loss: 1 } as object) : undefined);
}

/** How many arrays of the params' size an optimizer keeps, counted after a step on a small param. */
export function statesOf({ Class, options }: Case): number {
  const n = 4096;
  const optimizer = new Class({ data: new Float32Array(n), shape: [64, 64] }, options);
  stepOf(Class, optimizer, new Float32Array(n).fill(0.1));
  const [state] = Object.values(optimizer.stateDict().state);
  optimizer.dispose();
  const elements = Object.values(state ?? {}).reduce<number>(
    (sum, value) => sum + (value instanceof Float32Array ? value.length : 0),
    0,
  );
  return Math.round(elements / n);
}
