import type { Declaration } from '../../lib/core/declaration.js';
import { classes as ours, type OptimizerClass } from '../../lib/optimizers/index.js';
import { classes as tensorflow } from '../../lib/tfjs/formulas/index.js';

/** A loss for a step of a test that is not about the loss: another one each step. */
export const lossAt = (step: number): number => 3 / step + Math.sin(step) / 8;

type Steps = new (
  ...given: unknown[]
) => {
  readonly stepCount: number;
  step(grads: unknown, options?: object): unknown;
  stepAsync(grads: unknown, options?: object): Promise<unknown>;
};

/** A class with steps that take {@link lossAt} where a test gives no loss: most tests are about other things. */
function withLoss(Class: OptimizerClass): OptimizerClass {
  const Filled = class extends (Class as unknown as Steps) {
    override step(grads: unknown, options?: object): unknown {
      return super.step(grads, this.#filled(options));
    }

    override async stepAsync(grads: unknown, options?: object): Promise<unknown> {
      return super.stepAsync(grads, this.#filled(options));
    }

    #filled(options: object | undefined): object | undefined {
      if (options !== undefined && (typeof options !== 'object' || options === null || 'loss' in options)) return options;
      if (Array.isArray(options)) return options;
      return Object.create(Object.prototype, {
        ...Object.getOwnPropertyDescriptors(options ?? {}),
        loss: { value: lossAt(this.stepCount + 1), enumerable: true },
      });
    }
  };
  return Object.defineProperty(Filled, 'name', { value: Class.name }) as unknown as OptimizerClass;
}

const withLosses = ours.map(
  ([Class, declaration]): readonly [OptimizerClass, Declaration] =>
    [declaration.needsLoss ? withLoss(Class) : Class, declaration] as const,
);

/** Every optimizer class with its declaration, those by TensorFlow.js's formulas included. */
export const allClasses = [...withLosses, ...tensorflow];

/** The declarations of the classes that `schuss` exports. */
export const declarations = ours.map(([, declaration]) => declaration);
