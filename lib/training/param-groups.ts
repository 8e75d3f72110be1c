import { show, typeError } from '../check/errors.js';

/** The param groups of an optimizer of any class. @throws TypeError if it is not an optimizer, or is disposed */
export function groupsOf<Group>(who: string, optimizer: { readonly paramGroups: readonly Group[] }): readonly Group[] {
  const groups: unknown = (optimizer as { paramGroups?: unknown } | null | undefined)?.paramGroups;
  if (!Array.isArray(groups)) throw typeError(who, 'optimizer', show(optimizer), 'an optimizer');
  return groups as readonly Group[];
}
