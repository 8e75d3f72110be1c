import { rangeError } from '../../check/errors.js';
import type { ParamStateDict } from '../../core/state-dict.js';

/** Optimizer state by variable name. */
export type States = Map<string, ParamStateDict>;

/**
 * States under the names of these variables. If no name is known, states are matched by position, as in `tf.train`,
 * because a model that is loaded next to another one gets new variable names.
 *
 * @throws RangeError if neither names nor count match
 */
export function matchStates(who: string, states: States, names: readonly string[]): States {
  if (states.size === 0 || names.some((name) => states.has(name))) return states;
  if (states.size !== names.length) {
    throw rangeError(
      who,
      'state',
      `for ${listed(states.keys())}`,
      `it for ${listed(names)}`,
      'loaded state is matched by name, else by position',
    );
  }
  const values = [...states.values()];
  return new Map(names.map((name, i) => [name, values[i] as ParamStateDict]));
}

/** A copy without the states of these variables. */
export function without(states: States, names: readonly string[]): States {
  return new Map([...states].filter(([name]) => !names.includes(name)));
}

function listed(names: Iterable<string>): string {
  return [...names].map((name) => JSON.stringify(name)).join(', ');
}
