import type { Declaration, HyperParameter } from './declaration.js';
import type { ParamTree, Tensor } from './params.js';
import type { Settings } from './settings.js';

/** What a group shows: its params as given, and its hyper-parameters, readable and assignable. */
export type ParamGroup<S> = { readonly params: ParamTree } & S;

/** One group inside an optimizer: a run of its tensors, and their settings. */
export class Group {
  readonly given: ParamTree;
  readonly tensors: readonly Tensor[];
  /** The index of its first tensor in the optimizer. */
  readonly begin: number;
  readonly settings: Settings;
  /** The kernel that its settings choose. */
  kernel: string;

  constructor(given: ParamTree, tensors: readonly Tensor[], begin: number, settings: Settings, kernel: string) {
    this.given = given;
    this.tensors = tensors;
    this.begin = begin;
    this.settings = settings;
    this.kernel = kernel;
  }

  get end(): number {
    return this.begin + this.tensors.length;
  }

  /** The sealed object that users see; assigning goes through `assign`. */
  view<S>(
    table: Readonly<Record<string, HyperParameter>>,
    assign: (name: string, value: unknown) => void,
  ): ParamGroup<S> {
    const view: object = Object.defineProperty({}, 'params', { value: this.given, enumerable: true });
    for (const name of Object.keys(table)) {
      Object.defineProperty(view, name, {
        get: () => this.settings.set[name],
        set: (value: unknown) => assign(name, value),
        enumerable: true,
      });
    }
    return Object.seal(view) as ParamGroup<S>;
  }
}

/** The constants that all kernels share, of a group in one step. */
export function decayOf(
  declaration: Declaration,
  now: Readonly<Record<string, unknown>>,
): { readonly l2: number; readonly keep: number } {
  const weightDecay = (now['weightDecay'] as number | undefined) ?? 0;
  const decay = typeof declaration.decay === 'function' ? declaration.decay(now) : declaration.decay;
  return {
    l2: decay === 'l2' ? weightDecay : 0,
    keep: decay === 'decoupled' ? 1 - (now['lr'] as number) * weightDecay : 1,
  };
}
