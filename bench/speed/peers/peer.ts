import type { Contender } from '../alternate.js';
import type { Method, Task } from '../task.js';

/** Somebody else's optimizer. */
export interface Peer {
  readonly id: string;
  readonly label: string;
  readonly methods: readonly Method[];
  /** Whether it takes several tensors in a step. */
  readonly manyTensors: boolean;
  /** Makes it ready. @returns its version, for the reader; @throws why it can't take part */
  load(): Promise<string>;
  /** @throws why it can't do this task */
  start(task: Task): Promise<Runner>;
  close?(): void | Promise<void>;
}

/** A peer at a task. */
export interface Runner {
  run: Contender['run'];
  /** Every stride-th param of the first tensor, as it is now. */
  sample(stride: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  dispose(): void | Promise<void>;
}

export function everyNth(values: ArrayLike<number>, stride: number): number[] {
  return Array.from({ length: Math.ceil(values.length / stride) }, (_, i) => values[i * stride] as number);
}
