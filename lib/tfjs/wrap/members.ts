import { type Owner, refuseMembers } from '../../check/members.js';
import { optionsOf } from '../../core/internals.js';
import type { Optimizer } from '../../core/optimizer.js';

/** Names that one may assign as those of `tf.train` or Keras, and the options that they mean. */
const otherOptions: Readonly<Record<string, string>> = {
  learningrate: 'lr',
  learning_rate: 'lr',
  beta1: 'betas',
  beta2: 'betas',
  beta_1: 'betas',
  beta_2: 'betas',
  epsilon: 'eps',
  weight_decay: 'weightDecay',
};

/** Names of other members, here and in other libraries, that the optimizer inside has. */
const inside: Readonly<Record<string, string>> = {
  paramGroups: 'paramGroups',
  param_groups: 'paramGroups',
  emaParams: 'emaParams',
  averagedParams: 'averagedParams',
  stepCount: 'stepCount',
  skippedSteps: 'skippedSteps',
};

const zeroing = ['zeroGrads', 'zeroGrad', 'zero_grad'];

/** A class of wrapped optimizers. */
interface Class extends Owner {
  readonly className?: string;
  /** The constructor's arguments, which are members, and the options that they set. */
  readonly signature?: { readonly arguments: readonly (readonly [name: string, option: string, ...rest: unknown[]])[] };
}

/** The class of the library that a class is or extends. */
function ownClass(Class: Class): Class {
  return Object.hasOwn(Class, 'className') && Class.className?.startsWith('Schuss')
    ? Class
    : ownClass(Object.getPrototypeOf(Class));
}

/**
 * Makes options throw as members of a wrapped optimizer: `optimizer.weightDecay = 0.1` would change nothing.
 * @param inner The optimizer of schuss inside.
 */
export function refuseOptions(Given: Class, who: string, inner: Optimizer): void {
  const Class = ownClass(Given);
  const { params: _, ...ofGroups } = inner.paramGroups[0] as object as { params: unknown };
  const after = (member: string): string => `optimizer.${member}, after the first step`;
  const place = (option: string): string => {
    if (option === 'lr') return 'learningRate';
    const members = Class.signature?.arguments.filter(([, its]) => its === option).map(([name]) => name) ?? [];
    return members.length > 0 ? members.join(' and ') : after(`paramGroups[0].${option}`);
  };
  refuseMembers(Class, who, zeroing, () => 'nothing: TensorFlow.js makes new gradients for each step', 'no member');
  refuseMembers(Class, who, Object.keys(ofGroups), place);
  refuseMembers(Class, who, Object.keys(optionsOf(inner)), (option) => `an option { ${option} } where it is made`);
  const others = Object.keys(otherOptions).filter((name) => Object.hasOwn(ofGroups, otherOptions[name] as string));
  refuseMembers(Class, who, others, (name) => place(otherOptions[name] as string), 'no member');
  const members = Object.keys(inside).filter((name) => (inside[name] as string) in inner);
  refuseMembers(Class, who, members, (name) => after(inside[name] as string), 'no member');
  refuseMembers(
    Class,
    who,
    ['state_dict', 'load_state_dict'],
    (name) => (name === 'state_dict' ? 'stateDict()' : 'loadStateDict(dict)'),
    'no member',
  );
}
