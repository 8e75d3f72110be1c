import { show, typeError } from '../check/errors.js';
import type { Owner } from '../check/members.js';
import { otherCopyHint, thisCopy } from '../engine/copies.js';
import { Optimizer } from './optimizer.js';
import { refuseOptions, refuseOtherNames } from './option-members.js';
import type { ParamState } from './param-state.js';
import type { Watcher } from './watcher.js';

thisCopy.isOptimizer = (value) =>
  value instanceof Optimizer || (typeof value === 'function' && value.prototype instanceof Optimizer);

/** The error for a value that is no optimizer, or one of another copy of the package. */
export function notAnOptimizer(
  who: string,
  value: unknown,
  argument = 'optimizer',
  expected = 'an optimizer',
): TypeError {
  const isWrapped = typeof (value as { applyGradients?: unknown } | null | undefined)?.applyGradients === 'function';
  const hint = isWrapped
    ? 'an optimizer for TensorFlow.js has one as its property optimizer after the first step'
    : otherCopyHint((copy) => copy.isOptimizer?.(value));
  return typeError(who, argument, show(value), expected, hint);
}

// What other floors of the library may do with an optimizer, and users may not.

/** The parts of an optimizer, for a wrapper that reads gradients and moves params itself. */
export const partsOf = Optimizer.internals;

/** Registers a watcher of an optimizer's steps, and returns the optimizer's params. */
export function watch(optimizer: Optimizer, watcher: Watcher): readonly ParamState[] {
  const { stepper, store } = Optimizer.internals(optimizer);
  stepper.checkNotDisposed();
  stepper.checkNoPendingStep(); // the watcher reads the params
  if (stepper.watcher !== undefined && stepper.watcher !== watcher)
    throw typeError(watcher.name, 'optimizer', `one that a ${stepper.watcher.name} has`, 'one of its own');
  stepper.watcher = watcher;
  return store.params;
}

/**
 * Replaces a param's array by another of the same length and keeps the param's state. For memory that moved, such as a
 * WebAssembly heap that grew.
 */
export function rebind(optimizer: Optimizer, key: string | number, array: Float32Array): void {
  const { stepper, store } = Optimizer.internals(optimizer);
  stepper.checkNotDisposed();
  stepper.checkNoPendingStep();
  store.rebind(key, array);
}

/** The options of an optimizer as a whole, such as `clipNorm`, as they are now. */
export function optionsOf(optimizer: Optimizer): Readonly<Record<string, unknown>> {
  return Optimizer.internals(optimizer).options.set;
}

/** Makes the options of an optimizer, and names of other libraries, throw as members of a wrapper around it. */
export function refuseOptionsOf(Wrapper: Owner, who: string, optimizer: Optimizer): void {
  const { store, options } = Optimizer.internals(optimizer);
  const group = store.groups[0]?.settings.set ?? {};
  // Another wrapper of the class may have an optimizer of another class inside.
  refuseOptions(Wrapper, who, 'new Optimizer', [...Object.keys(group), ...Object.keys(options.set)]);
  refuseOtherNames(Wrapper, who);
}

/**
 * Refuses an optimizer that cannot step now: in a hook, with a step in flight, its own or one on its params, or with a param
 * that was transferred.
 * @throws TypeError, RangeError
 */
export function checkIdle(optimizer: Optimizer): void {
  const { stepper, store } = Optimizer.internals(optimizer);
  stepper.checkNotBusy();
  stepper.checkNoPendingStep();
  store.checkParams();
  stepper.checkParamsSettled();
}

/** Makes the state of each param and the counts those of a new optimizer. Params and options stay. */
export function resetState(optimizer: Optimizer): void {
  const { stepper, store } = Optimizer.internals(optimizer);
  stepper.checkNotBusy();
  stepper.checkNoPendingStep();
  store.resetState();
  stepper.stepCount = 0;
  stepper.skippedSteps = 0;
}

/** The method by which an optimizer of a class with several updates a param. @throws TypeError for an unknown name */
export function methodOf(optimizer: Optimizer, who: string, name: unknown): string | undefined {
  const { stepper, store } = Optimizer.internals(optimizer);
  stepper.checkNotDisposed();
  const param = store.params.find(({ key }) => key === name);
  if (param === undefined) throw typeError(who, 'name', show(name), 'the name of a param');
  return store.methodOf(param);
}
