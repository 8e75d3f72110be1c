import { rangeError, show } from '../check/errors.js';

/** The lr of all groups; a group at 0 stands still. @throws RangeError for another one */
export function commonRate(name: string, groups: readonly { readonly lr: number }[]): number {
  const lr = groups.reduce((most, group) => Math.max(most, group.lr), 0);
  for (const [g, group] of groups.entries())
    if (group.lr !== lr && group.lr !== 0)
      throw rangeError(name, `paramGroups[${g}].lr`, show(group.lr), `${lr}, as in another group, or 0`);
  return lr;
}
