import type { Declaration, HyperParameter } from './declaration.js';
import { refusingPrototype } from './option-members.js';
import type { ParamTree, Tensor } from './params.js';
import { inspect } from './print.js';
import type { Settings } from './settings.js';

/** A param group as users see it: its params as given, and its hyper-parameters, readable and assignable. */
export type ParamGroup<S> = { readonly params: ParamTree } & S;

/** A param group inside an optimizer: consecutive params that share their settings. */
export class Group {
  readonly given: ParamTree;
  readonly tensors: readonly Tensor[];
  /** Index of its first param in the optimizer. */
  readonly begin: number;
  /** Index after its last param. */
  readonly end: number;
  readonly settings: Settings;
  // The values of the current step that all kernels share.
  gradScale = 1;
  clipValue = Number.POSITIVE_INFINITY;
  l2 = 0;
  decayFactor = 1;

  constructor(given: ParamTree, tensors: readonly Tensor[], begin: number, settings: Settings) {
    this.given = given;
    this.tensors = tensors;
    this.begin = begin;
    this.end = begin + tensors.length;
    this.settings = settings;
  }

  /** Computes the values that all kernels share. Does nothing while the settings are those of the last step. */
  resolveShared(decay: Declaration['decay']): void {
    if (!this.settings.hasChanged) return;
    const { resolved } = this.settings;
    const weightDecay = (resolved['weightDecay'] as number | undefined) ?? 0;
    const kind = typeof decay === 'function' ? decay(resolved) : decay;
    this.gradScale = resolved['maximize'] ? -1 : 1;
    this.clipValue = (resolved['clipValue'] as number | undefined) ?? Number.POSITIVE_INFINITY;
    this.l2 = kind === 'l2' ? weightDecay : 0;
    this.decayFactor = kind === 'decoupled' ? 1 - (resolved['lr'] as number) * weightDecay : 1;
    this.settings.hasChanged = false;
  }

  /**
   * The sealed object that users see. Assigning a hyper-parameter calls `assign`.
   * @param who The class, for errors.
   */
  view<S>(
    who: string,
    table: Readonly<Record<string, HyperParameter>>,
    assign: (name: string, value: unknown) => void,
  ): ParamGroup<S> {
    const view: object = Object.create(refusingPrototype(who, Object.keys(table)));
    Object.defineProperty(view, 'params', { value: this.given, enumerable: true });
    for (const name of Object.keys(table)) {
      Object.defineProperty(view, name, {
        get: () => this.settings.set[name],
        set: (value: unknown) => assign(name, value),
        enumerable: true,
      });
    }
    // console.log would show the accessors, not the values.
    Object.defineProperty(view, inspect, { value: () => ({ ...view }) });
    return Object.seal(view) as ParamGroup<S>;
  }
}
