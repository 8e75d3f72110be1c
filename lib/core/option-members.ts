import { typeError } from '../check/errors.js';
import { refuseMembers } from '../check/members.js';
import { checkOptions } from '../check/options.js';
import { type Declaration, optimizerHyperParameters, optionNamesOf } from './declaration.js';

/** Checks the options of a new optimizer. Reading or assigning one as its member throws from then on. @throws TypeError */
export function checkOptionsOf(
  optimizer: object,
  declaration: Declaration,
  options: unknown,
): asserts options is Readonly<Record<string, unknown>> {
  const { name } = declaration;
  checkOptions(name, options, optionNamesOf(declaration));
  refuseOptions(optimizer, name, `new ${name}`, optionNamesOf(declaration));
  refuseOtherNames(optimizer, name);
}

/** Names of PyTorch and Keras that TypeScript would refuse, and what has that meaning here. */
const otherNames: Readonly<Record<string, string>> = {
  learningRate: 'lr',
  learning_rate: 'lr',
  weight_decay: 'paramGroups[0].weightDecay',
  param_groups: 'paramGroups',
  add_param_group: 'addParamGroup(group)',
  state_dict: 'stateDict()',
  load_state_dict: 'loadStateDict(dict)',
  zero_grad: 'the option zeroGrads: true, or grad.fill(0)',
  zeroGrad: 'the option zeroGrads: true, or grad.fill(0)',
};

/** Makes names of other libraries throw as members of an optimizer, or of a wrapper around one: assigning one would change nothing. */
export function refuseOtherNames(optimizer: object, who: string): void {
  refuseMembers(optimizer, who, Object.keys(otherNames), (name) => otherNames[name]!, 'no member');
}

/**
 * Makes options of a class throw as members of `object`: of its optimizer, or of a wrapper around one.
 * @param create What takes the options, in the words of an error. It is the same for all objects of the class.
 */
export function refuseOptions(object: object, who: string, create: string, options: readonly string[]): void {
  refuseMembers(object, who, options, (option) =>
    Object.hasOwn(optimizerHyperParameters, option) ? placeOf(create, option) : `paramGroups[0].${option}`,
  );
}

/** Where an option of the optimizer as a whole is set. A state that is loaded sets all but the number format. */
function placeOf(create: string, option: string): string {
  const made = `${create}(params, { ${option} })`;
  if (option === 'stateDtype') return `${made}, which alone sets it`;
  return `${made}, or its loadStateDict({ ...state, options: { ...state.options, ${option} } })`;
}

/**
 * The prototype of a param group. Assigning an option that the group lacks reaches it, and throws what the constructor
 * would; the engine would only say that the group is not extensible.
 */
export function refusingPrototype(who: string, known: readonly string[]): object {
  return new Proxy(
    {},
    {
      set(_, name) {
        if (typeof name === 'string' && Object.hasOwn(optimizerHyperParameters, name))
          throw typeError(who, name, 'an option of the optimizer as a whole', placeOf(`new ${who}`, name));
        checkOptions(who, { [name]: undefined }, known);
        return false;
      },
    },
  );
}
