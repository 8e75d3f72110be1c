import { show, typeError } from '../../check/errors.js';
import { isThenable } from '../../second-order/task.js';

/** Evaluates one portion at the current x: writes its gradient to `grad`, and returns its loss. */
export type EvaluatePortion = (portion: number, grad: Float32Array) => number;

/** The sum of all portions. Every rank makes one, and calls it alike. */
export interface PortionSum {
  /** Writes the gradient of all portions at the current x to `grad`, and returns the loss. All ranks get the same bits. */
  evaluate(portion: EvaluatePortion, grad: Float32Array): Promise<number>;
}

/** Returns `loss` if it is a number. @throws TypeError */
export function checkLoss(who: string, loss: unknown): number {
  if (typeof loss === 'number') return loss;
  const hint = isThenable(loss) ? 'it must not be async' : undefined;
  throw typeError(who, 'f', `returned ${show(loss)}`, 'the loss, a number', hint);
}
