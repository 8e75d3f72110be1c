import type { Contender } from '../alternate.js';
import type { Method, Task } from '../task.js';

/** Another implementation of the optimizers. */
export interface Peer {
  readonly id: string;
  readonly label: string;
  readonly methods: readonly Method[];
  /** Whether one step can take several tensors. */
  readonly manyTensors: boolean;
  /** Loads it. @returns its version; @throws Error with the reason if it cannot take part */
  load(): Promise<string>;
  /** @throws Error with the reason if it cannot do this task */
  start(task: Task): Promise<Runner>;
  /** The same with its threads bound to cores. With several threads both ways run, and the faster one counts. */
  startBound?(task: Task): Promise<Runner>;
  close?(): void | Promise<void>;
}

/** A peer on a task. */
export interface Runner {
  /** The process that it runs in, if that is another one. */
  readonly pid?: number;
  run: Contender['run'];
  /** Every stride-th param of the first tensor. */
  sample(stride: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  dispose(): void | Promise<void>;
}

export function everyNth(values: ArrayLike<number>, stride: number): number[] {
  return Array.from({ length: Math.ceil(values.length / stride) }, (_, i) => values[i * stride] as number);
}
