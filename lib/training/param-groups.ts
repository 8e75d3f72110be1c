import { notAnOptimizer } from '../core/internals.js';
import { Optimizer } from '../core/optimizer.js';
import { Lookahead } from '../optimizers/lookahead.js';

/** The param groups of an optimizer of any class. @throws TypeError if it is not an optimizer, or is disposed */
export function groupsOf<Group>(who: string, optimizer: { readonly paramGroups: readonly Group[] }): readonly Group[] {
  const groups: unknown = (optimizer as { paramGroups?: unknown } | null | undefined)?.paramGroups;
  if (!Array.isArray(groups)) throw notAnOptimizer(who, optimizer);
  return groups as readonly Group[];
}

/**
 * The optimizer that has the state: `optimizer` itself, or the one inside a Lookahead. @throws TypeError for another
 */
export function innerOptimizer(who: string, optimizer: unknown): Optimizer {
  const inner: unknown = optimizer instanceof Lookahead ? optimizer.optimizer : optimizer;
  if (!(inner instanceof Optimizer)) throw notAnOptimizer(who, optimizer);
  return inner;
}
