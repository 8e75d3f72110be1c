import type { ParamState } from './param-state.js';

/** A wrapper that follows the steps of an inner optimizer, in their order, those on other threads included. */
export interface Watcher {
  readonly name: string;
  /** Called before a param's first update, and again if that update was skipped. */
  started(param: ParamState): void;
  /** Called after an applied step, before the next one starts. */
  applied(stepCount: number, params: readonly ParamState[]): void;
}
