/** Mistakes that any class could make. */
import type { Cell, Gradient, Hyper } from './reference.js';
import { Reference } from './reference.js';
import type { Wrong } from './run.js';

/** A null gradient must leave state and t alone; for runs that leave gradients out. */
export const nullMistake: Record<string, Wrong> = {
  'null as a gradient of 0': {
    reference: class extends Reference {
      override step(grads: readonly Gradient[], gradScale?: number): void {
        super.step(
          grads.map((grad, p) => grad ?? (this.params[p] ?? []).map(() => 0)),
          gradScale,
        );
      }
    },
  },
};

/** The same for formulas with a t. */
export const stepMistakes: Record<string, Wrong> = {
  ...nullMistake,
  't of the optimizer, not of the param': {
    reference: class extends Reference {
      protected override update(x: Cell<string>, h: Hyper): void {
        super.update(x, h, this.stepCount);
      }
    },
  },
};

/** For runs whose lr changes: `lr` is that of the run. */
export function lrMistakes(lr: (step: number) => number): Record<string, Wrong> {
  return {
    'the first lr for ever': { options: { lr: lr(1) } },
    'the lr of the step before': { options: { lr: (step) => lr(Math.max(1, step - 1)) } },
  };
}
