import { show, typeError } from '../check/errors.js';
import { howMade, type Schedule } from '../core/schedule.js';
import * as compose from './compose.js';
import * as cosines from './cosine.js';
import * as cyclic from './cyclic.js';
import * as decay from './decay.js';
import { multiplicative } from './multiplicative.js';
import { nesterovMomentum } from './nesterov-momentum.js';
import * as oneCycle from './one-cycle.js';
import { swaAnnealing } from './swa-annealing.js';
import * as warmup from './warmup.js';

/** How to make a schedule of the library again: plain data that survives JSON. */
export interface Recipe {
  /** Name of the function that makes it. */
  readonly schedule: string;
  /** Its arguments. A schedule among them is a recipe again. */
  readonly arguments: readonly unknown[];
}

const makers: Readonly<Record<string, unknown>> = {
  ...compose,
  ...cosines,
  ...cyclic,
  ...decay,
  multiplicative,
  nesterovMomentum,
  ...oneCycle,
  swaAnnealing,
  ...warmup,
};

/** The recipe of a schedule. undefined if it is, or contains, a function that the library did not make. */
export function recipeOf(schedule: Schedule): Recipe | undefined {
  const made = howMade(schedule);
  if (made === undefined) return undefined;
  let isComplete = true;
  const args = deepMap(made.args, (value) => {
    if (typeof value !== 'function') return undefined;
    const recipe = recipeOf(value as Schedule);
    isComplete &&= recipe !== undefined;
    return recipe ?? null;
  });
  return isComplete ? { schedule: made.name, arguments: args as unknown[] } : undefined;
}

function isRecipe(value: unknown): value is Recipe {
  return typeof value === 'object' && value !== null && 'schedule' in value && 'arguments' in value;
}

/** Makes the schedule of a recipe. @throws TypeError for anything else, and whatever the maker throws */
export function scheduleFrom(who: string, recipe: unknown): Schedule {
  const make = isRecipe(recipe) && Object.hasOwn(makers, recipe.schedule) ? makers[recipe.schedule] : undefined;
  if (typeof make !== 'function')
    throw typeError(who, 'schedule', isRecipe(recipe) ? show(recipe.schedule) : show(recipe), 'a schedule of schuss');
  const args = deepMap((recipe as Recipe).arguments, (value) =>
    isRecipe(value) ? scheduleFrom(who, value) : undefined,
  );
  return make(...(args as unknown[])) as Schedule;
}

/** A deep copy of plain data, in which what `replace` returns stands for a value, unless it is undefined. */
function deepMap(value: unknown, replace: (value: unknown) => unknown): unknown {
  const replaced = replace(value);
  if (replaced !== undefined) return replaced;
  if (Array.isArray(value)) return value.map((entry) => deepMap(entry, replace));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, deepMap(entry, replace)]));
}
