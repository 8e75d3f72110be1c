import { refuseMembers } from '../../check/members.js';
import { optionsOf } from '../../core/internals.js';
import type { Optimizer } from '../../core/optimizer.js';

/** Names that one may assign as those of `tf.train` or Keras, and the options that they mean. */
const otherNames: Readonly<Record<string, string>> = {
  learningrate: 'lr',
  learning_rate: 'lr',
  beta1: 'betas',
  beta2: 'betas',
  epsilon: 'eps',
  weight_decay: 'weightDecay',
};

/**
 * Makes options throw as members of a wrapped optimizer: `optimizer.weightDecay = 0.1` would change nothing.
 * @param inner The optimizer of schuss inside.
 */
export function refuseOptions(wrapped: object, who: string, inner: Optimizer): void {
  const { params: _, ...ofGroups } = inner.paramGroups[0] as object as { params: unknown };
  const inGroup = (option: string): string => `optimizer.paramGroups[0].${option}, after the first step`;
  refuseMembers(wrapped, who, [...Object.keys(ofGroups), ...Object.keys(optionsOf(inner))], (option) =>
    Object.hasOwn(ofGroups, option) ? inGroup(option) : `an option { ${option} } where it is made`,
  );
  const others = Object.keys(otherNames).filter((name) => Object.hasOwn(ofGroups, otherNames[name] as string));
  const meant = (name: string): string => {
    const option = otherNames[name] as string;
    return option === 'lr' ? 'learningRate' : inGroup(option);
  };
  refuseMembers(wrapped, who, others, meant, 'no member');
}
