import { typeError } from '../../check/errors.js';
import type { Schedule } from '../../core/schedule.js';
import { type Recipe, recipeOf, scheduleFrom } from '../../schedules/recipe.js';

type Options = Readonly<Record<string, unknown>>;

/** What a resumed run needs beyond the config and the weights of TensorFlow.js. */
export interface Extras {
  /** The schedules of the library among the options: recipes by option, or lists of them for a pair. */
  readonly schedules?: Readonly<Record<string, Recipe | null | (Recipe | null)[]>>;
  /** The options that are infinite, because JSON has no such number. */
  readonly infinite?: readonly string[];
  readonly skippedSteps?: number;
  readonly mode?: 'train' | 'eval';
}

/**
 * The recipes of schedules among options, and the names of those that have none.
 * @param canHold Whether a config can hold a schedule for an option.
 */
export function recipesOf(
  options: Options,
  canHold: (name: string) => boolean,
): {
  readonly schedules: NonNullable<Extras['schedules']>;
  readonly lost: string[];
} {
  const schedules: Record<string, Recipe | null | (Recipe | null)[]> = {};
  const lost: string[] = [];
  const find = (name: string, path: string, value: unknown): Recipe | null => {
    if (typeof value !== 'function') return null;
    const recipe = canHold(name) ? recipeOf(value as Schedule) : undefined;
    if (recipe === undefined) lost.push(path);
    return recipe ?? null;
  };
  for (const [name, value] of Object.entries(options)) {
    const recipes = Array.isArray(value)
      ? value.map((v, i) => find(name, `${name}[${i}]`, v))
      : find(name, name, value);
    if (Array.isArray(recipes) ? recipes.some((recipe) => recipe !== null) : recipes !== null)
      schedules[name] = recipes;
  }
  return { schedules, lost };
}

/** Options of a config, with the saved schedules and infinite numbers in their places. @throws TypeError */
export function withSchedules(
  who: string,
  options: Options,
  { schedules = {}, infinite = [] }: Extras,
): Record<string, unknown> {
  const revive = (recipe: unknown, value: unknown) => (recipe === null ? value : scheduleFrom(who, recipe));
  const revived = Object.entries(schedules).map(([name, recipes]) => {
    const value = options[name];
    return [
      name,
      Array.isArray(recipes) ? recipes.map((r, i) => revive(r, (value as unknown[])[i])) : revive(recipes, value),
    ];
  });
  const unbounded = infinite.map((name) => [name, Number.POSITIVE_INFINITY]);
  return { ...options, ...Object.fromEntries([...revived, ...unbounded]) };
}

/** The key of a config that holds the extras. TensorFlow.js's own optimizers ignore it. */
export const extrasKey = 'schuss';

/**
 * The extras as a config holds them: JSON in one string. TensorFlow.js rewrites keys and strings with underscores when it
 * loads a model, so the string has none.
 */
export function encodeExtras(extras: Extras): { readonly [extrasKey]?: string } {
  if (Object.keys(extras).length === 0) return {};
  return { [extrasKey]: JSON.stringify(extras).replaceAll('_', '\\u005f') };
}

/** Reads the extras of a config. @throws TypeError */
export function decodeExtras(who: string, config: Options): Extras {
  const text = config[extrasKey];
  if (text === undefined) return {};
  try {
    return JSON.parse(text as string) as Extras;
  } catch {
    throw typeError(who, extrasKey, 'damaged JSON', 'a config that getConfig returned');
  }
}
