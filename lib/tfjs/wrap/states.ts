import { rangeError } from '../../check/errors.js';
import type { ParamStateDict } from '../../core/state-dict.js';

/** Optimizer state by variable name. */
export type States = Map<string, ParamStateDict>;

/**
 * States under the names of these variables. They are matched by name if every variable has a state or every state a
 * variable; else by position, as in `tf.train`, because a model that is loaded next to another one gets some new names. A
 * variable unlike all that have a state begins without one.
 *
 * @param isWhole Whether these may be all variables that the states are for, so that positions count.
 * @throws RangeError if neither names nor positions match
 */
export function matchStates(who: string, states: States, names: readonly string[], isWhole: boolean): States {
  const known = [...states.keys()];
  const found = names.filter((name) => states.has(name));
  if (found.length === names.length || found.length === known.length) return states;
  // If some names are known, the others differ in numbers alone: `kernel_1` for `kernel`.
  const isRenamed = known.length === names.length && (found.length === 0 || names.every((n, i) => alike(n, known[i]!)));
  if (isWhole && isRenamed) return new Map(names.map((name, i) => [name, states.get(known[i]!) as ParamStateDict]));
  // The others are new, unless the state of one of them may be there under another number.
  const left = known.filter((name) => !names.includes(name));
  const fresh = names.filter((name) => !states.has(name));
  if ((isWhole && found.length === 0) || fresh.some((name) => left.some((other) => alike(name, other)))) {
    throw rangeError(
      who,
      'state',
      `for ${listed(known)}`,
      `it for ${listed(names)}`,
      'loaded state is matched by name, or by position if the first step has all variables; a new optimizer starts without it',
    );
  }
  return states;
}

function alike(one: string, other: string): boolean {
  const number = /_?\d+/g;
  return one.replaceAll(number, '') === other.replaceAll(number, '');
}

/** A copy without the states of these variables. */
export function without(states: States, names: readonly string[]): States {
  return new Map([...states].filter(([name]) => !names.includes(name)));
}

function listed(names: readonly string[]): string {
  const all = names.map((name) => JSON.stringify(name));
  return all.length > 6 ? `${all.slice(0, 4).join(', ')}, … (${all.length})` : all.join(', ');
}
