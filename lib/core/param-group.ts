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
  /** What all kernels share, in the step at hand. */
  gradScale = 1;
  clipValue = Number.POSITIVE_INFINITY;
  l2 = 0;
  decayFactor = 1;

  constructor(given: ParamTree, tensors: readonly Tensor[], begin: number, settings: Settings) {
    this.given = given;
    this.tensors = tensors;
    this.begin = begin;
    this.settings = settings;
  }

  get end(): number {
    return this.begin + this.tensors.length;
  }

  /** Reads from the settings of this step what all kernels share; they are the same as in the last step most often. */
  share(decay: Declaration['decay']): void {
    if (!this.settings.hasChanged) return;
    const now = this.settings.resolved;
    const weightDecay = (now['weightDecay'] as number | undefined) ?? 0;
    const kind = typeof decay === 'function' ? decay(now) : decay;
    this.gradScale = now['maximize'] ? -1 : 1;
    this.clipValue = (now['clipValue'] as number | undefined) ?? Number.POSITIVE_INFINITY;
    this.l2 = kind === 'l2' ? weightDecay : 0;
    this.decayFactor = kind === 'decoupled' ? 1 - (now['lr'] as number) * weightDecay : 1;
    this.settings.hasChanged = false;
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
