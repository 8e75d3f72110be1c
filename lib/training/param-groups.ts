import { show, typeError } from '../check/errors.js';

/** The groups of an optimizer, whichever class it is of. @throws TypeError for what is none, or is disposed */
export function groupsOf<Group>(who: string, optimizer: { readonly paramGroups: readonly Group[] }): readonly Group[] {
  const groups: unknown = (optimizer as { paramGroups?: unknown } | null | undefined)?.paramGroups;
  if (!Array.isArray(groups)) throw typeError(who, 'optimizer', show(optimizer), 'an optimizer');
  return groups as readonly Group[];
}
