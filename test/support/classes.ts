import type { Declaration } from '../../lib/core/declaration.js';
import { type OptimizerClass, classes as ours } from '../../lib/optimizers/index.js';
import { classes as tensorflow } from '../../lib/tfjs/formulas/index.js';

/** What a step minimizes in a test that is not about the loss: the loss, or with `maximize` its negative. */
const anyLoss = 0.7;

type Steps = new (
  ...given: unknown[]
) => {
  readonly paramGroups: readonly { readonly maximize: boolean }[];
  step(grads: unknown, options?: object): unknown;
  stepAsync(grads: unknown, options?: object): Promise<unknown>;
};

/** A class whose steps take {@link anyLoss} where a test gives no loss: most tests are about other things. */
function withLoss(Class: OptimizerClass): OptimizerClass {
  const Filled = class extends (Class as unknown as Steps) {
    override step(grads: unknown, options?: object): unknown {
      return super.step(grads, this.#filled(options));
    }

    override async stepAsync(grads: unknown, options?: object): Promise<unknown> {
      return super.stepAsync(grads, this.#filled(options));
    }

    #filled(options: object | undefined): object | undefined {
      const loss = this.paramGroups[0]?.maximize ? -anyLoss : anyLoss;
      if (options === undefined) return { loss };
      const isLeft = typeof options !== 'object' || options === null || Array.isArray(options) || 'loss' in options;
      if (isLeft) return options;
      // Descriptors, so that a getter is called by the step.
      return Object.create(Object.prototype, {
        ...Object.getOwnPropertyDescriptors(options),
        loss: { value: loss, enumerable: true },
      });
    }
  };
  return Object.defineProperty(Filled, 'name', { value: Class.name }) as unknown as OptimizerClass;
}

/** A class that cuts matrices into small blocks where a test does not say how: to decompose large ones takes minutes. */
function withSmallBlocks(Class: OptimizerClass): OptimizerClass {
  const Small = class extends (Class as unknown as new (params: unknown, options?: object) => object) {
    constructor(params: unknown, options: unknown = {}) {
      const isRecord = typeof options === 'object' && options !== null && !Array.isArray(options);
      const given = isRecord ? Object.getOwnPropertyDescriptor(options, 'maxPreconditionerDim') : undefined;
      const isGiven = given !== undefined && (given.get !== undefined || given.value !== undefined);
      super(params, isRecord && !isGiven ? smallBlocks(options) : (options as object));
    }
  };
  return Object.defineProperty(Small, 'name', { value: Class.name }) as unknown as OptimizerClass;
}

// Descriptors, so that a getter is called by the class.
const smallBlocks = (options: object): object =>
  Object.create(Object.getPrototypeOf(options), {
    ...Object.getOwnPropertyDescriptors(options),
    maxPreconditionerDim: { value: 20, enumerable: true },
  });

const withLosses = ours.map(([Class, declaration]): readonly [OptimizerClass, Declaration] => {
  if (declaration.side !== undefined) return [withSmallBlocks(Class), declaration] as const;
  return [declaration.needsLoss ? withLoss(Class) : Class, declaration] as const;
});

/** Every optimizer class with its declaration, those by TensorFlow.js's formulas included. */
export const allClasses = [...withLosses, ...tensorflow];

/** The declarations of the classes that `schuss` exports. */
export const declarations = ours.map(([, declaration]) => declaration);
