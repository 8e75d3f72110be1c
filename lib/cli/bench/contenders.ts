import { engine, withEngine } from '../../engine/backend.js';
import { referenceEngine } from '../../engine/reference.js';
import { Adam, SGD } from '../../optimizers/index.js';
import { type Loop, loops } from './loops.js';

/** The options that each update is measured with, which the plain loops read too. */
export const updates = {
  Adam: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8 },
  SGD: { lr: 0.01 },
  'SGD, momentum': { lr: 0.01, momentum: 0.9 },
} as const;

export type Update = keyof typeof updates;

/** What contenders compute: steps on `tensors` tensors with `elements` elements in total. */
export interface Task {
  readonly update: Update;
  readonly elements: number;
  readonly tensors: number;
}

/** `native` is the addon, `js` the JavaScript backend, `loop` a plain loop by hand. */
export type ContenderName = 'native' | 'js' | 'loop';

/** One of the implementations compared. */
export interface Contender {
  readonly name: ContenderName;
  readonly params: readonly Float32Array[];
  step(grads: readonly Float32Array[]): void;
  dispose(): void;
}

/** Fills with value(0) … value(period − 1), repeated. */
function periodic(array: Float32Array, period: number, value: (i: number) => number): Float32Array {
  for (let i = 0; i < Math.min(period, array.length); i++) array[i] = value(i);
  for (let filled = period; filled < array.length; filled *= 2) array.copyWithin(filled, 0, filled);
  return array;
}

function arrays({ elements, tensors }: Task): Float32Array[] {
  return Array.from({ length: tensors }, () => engine().allocate(elements / tensors));
}

function paramsOf(task: Task): Float32Array[] {
  return arrays(task).map((array) => periodic(array, 1009, (i) => (i - 504) / 1009));
}

/** Gradients for a task. None is near 0, where moving averages would become denormal and steps slow. */
export function gradsOf(task: Task, shift = 0): Float32Array[] {
  return arrays(task).map((array) => periodic(array, 101, (i) => (((i + shift) % 101) - 50.5) / 50));
}

function optimizerContender(name: ContenderName, task: Task): Contender {
  const params = paramsOf(task);
  // A user with one tensor passes it without a list.
  const one = task.tensors === 1;
  const given = one ? (params[0] as Float32Array) : params;
  const optimizer =
    task.update === 'Adam'
      ? new Adam(given, { ...updates.Adam, betas: [...updates.Adam.betas] })
      : new SGD(given, updates[task.update]);
  return {
    name,
    params,
    step: one ? ([grad]) => void optimizer.step(grad as Float32Array) : (grads) => void optimizer.step(grads),
    dispose: () => optimizer.dispose(),
  };
}

/** A loop over each tensor, with zero-initialized state arrays. */
export function loopContender(task: Task, loop: Loop = loops[task.update](updates[task.update] as never)): Contender {
  const params = paramsOf(task);
  const [first, second] = [arrays(task), arrays(task)];
  let t = 0;
  return {
    name: 'loop',
    params,
    step(grads) {
      t++;
      for (let i = 0; i < params.length; i++)
        loop(
          params[i] as Float32Array,
          grads[i] as Float32Array,
          first[i] as Float32Array,
          second[i] as Float32Array,
          t,
        );
    },
    dispose() {},
  };
}

/** All contenders on a task, each with params of its own. There is no `native` without an addon. */
export function contendersOf(task: Task): Contender[] {
  return [
    ...(engine().name === 'native' ? [optimizerContender('native', task)] : []),
    withEngine(referenceEngine, () => optimizerContender('js', task)),
    loopContender(task),
  ];
}

/** The plain loops round less often than float32 arithmetic does: tolerance as a fraction of the largest change. */
const tolerance = 1e-3;

/**
 * Steps all contenders on the same values, with another gradient each time, and compares their params. The two backends
 * must agree to the bit, and the plain loop up to rounding.
 * @throws Error if they do not
 */
export function checkAgreement(task: Task, contenders: readonly Contender[]): void {
  const before = paramsOf(task);
  for (const shift of [0, 17, 60, 38]) for (const { step } of contenders) step(gradsOf(task, shift));
  const reference = contenders.find(({ name }) => name === 'js') as Contender;
  const change = largestDifference(before, reference.params);
  if (!(change > 0)) throw new Error(`schuss bench: ${task.update}: the steps changed nothing`);
  for (const { name, params } of contenders) {
    const allowed = name === 'loop' ? tolerance * change : 0;
    const difference = largestDifference(params, reference.params);
    // Not `>`: NaN is wrong too.
    if (!(difference <= allowed))
      throw new Error(`schuss bench: ${task.update}: the params of ${name} differ by ${difference} from those of js`);
  }
}

function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let most = 0;
  for (const [i, array] of a.entries())
    for (const [k, value] of array.entries()) {
      const difference = Math.abs(value - (b[i] as Float32Array)[k]!);
      if (!(difference <= most)) most = difference;
    }
  return most;
}
