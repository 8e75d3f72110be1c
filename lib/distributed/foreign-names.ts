// Names that other libraries have, and what stands for them here.
import { typeError } from '../check/errors.js';

type Names = Readonly<Record<string, string>>;

/** Methods around PyTorch's `DistributedDataParallel`. */
export const methodsOfDdp: Names = {
  noSync: 'accumulate(grads, { weight }), which never communicates',
  no_sync: 'accumulate(grads, { weight }), which never communicates',
  zero_grad: 'nothing: step() copies the gradients, and the option zeroGrads of the optimizer zeroes',
  consolidate_state_dict: 'await stateDict() on every rank',
  set_epoch: 'the option epoch of shardBatches',
};

/**
 * Makes methods of other libraries throw on a class.
 * @param who The name of the class; else that of the object.
 */
export function refuseMethods(prototype: object, who: string | undefined, names: Names): void {
  for (const [name, expected] of Object.entries(names))
    Object.defineProperty(prototype, name, {
      value(this: object): never {
        throw typeError(who ?? this.constructor.name, name, 'unknown method', expected);
      },
      configurable: true,
      writable: true,
    });
}

/** The same for names that are read. */
export function refuseProperties(prototype: object, who: string, names: Names): void {
  for (const [name, expected] of Object.entries(names))
    Object.defineProperty(prototype, name, {
      get: (): never => {
        throw typeError(who, name, 'unknown member', expected);
      },
      configurable: true,
    });
}

/** Refuses options of other libraries that no option of ours stands for. @throws TypeError */
export function refuseOptions(who: string, options: unknown, names: Names): void {
  for (const name of Object.keys(options ?? {})) {
    const plain = name.toLowerCase().replaceAll('_', '');
    if (Object.hasOwn(names, plain)) throw typeError(who, name, 'unknown option', names[plain] as string);
  }
}
