import { typeError } from '../check/errors.js';
import { type Owner, refuseMembers } from '../check/members.js';
import { checkOptions } from '../check/options.js';
import { type Declaration, optimizerHyperParameters, optionNamesOf } from './declaration.js';

/**
 * Checks the options of a new optimizer. Reading or assigning one as its member throws from then on.
 * @param Class The class of the optimizer, which may be a subclass of the declared one.
 * @throws TypeError
 */
export function checkOptionsOf(
  Class: Named,
  declaration: Declaration,
  options: unknown,
): asserts options is Readonly<Record<string, unknown>> {
  const { name } = declaration;
  const known = optionNamesOf(declaration);
  const withheld = (options as Withholding | null | undefined)?.[key] ?? [];
  checkOptions(
    name,
    options,
    known,
    known.filter((option) => !withheld.includes(option)),
  );
  const declared = declaredClass(Class, name);
  if (declared === undefined) return;
  refuseOptions(declared, name, `new ${name}`, known);
  refuseOtherNames(declared, name);
}

const key = Symbol('withheld');

interface Withholding {
  readonly [key]?: readonly string[];
}

/** Options for an optimizer inside another object, whose user cannot give the options `names`: errors do not offer them. */
export function withhold<O extends object>(options: O, names: readonly string[]): O {
  return { ...options, [key]: [...names, ...((options as Withholding)[key] ?? [])] };
}

interface Named extends Owner {
  readonly optimizerName?: string;
}

/** The class of the library that a class is or extends: the one that has the name itself. */
function declaredClass(Class: Named | null, name: string): Named | undefined {
  if (Class === null) return undefined;
  const isIt = Object.hasOwn(Class, 'optimizerName') && Class.optimizerName === name;
  return isIt ? Class : declaredClass(Object.getPrototypeOf(Class), name);
}

/** Names of PyTorch and Keras that TypeScript would refuse, and what has that meaning here. Assigning one would change nothing. */
const otherNames: Readonly<Record<string, string>> = {
  learningRate: 'lr',
  learning_rate: 'lr',
  param_groups: 'paramGroups',
  add_param_group: 'addParamGroup(group)',
  state_dict: 'stateDict()',
  load_state_dict: 'loadStateDict(dict)',
  zero_grad: 'the option zeroGrads: true, or grad.fill(0)',
  zeroGrad: 'the option zeroGrads: true, or grad.fill(0)',
};

/** Makes names of other libraries throw as members of a class of optimizers, or of a wrapper around them. */
export function refuseOtherNames(Class: Owner, who: string): void {
  refuseMembers(Class, who, Object.keys(otherNames), (name) => otherNames[name], 'no member');
  refuseMembers(Class, who, ['weight_decay'], (_, object) => groupPlaceOf(object, 'weightDecay'), 'no member');
}

/**
 * Makes options throw as members: of the class that has them, or of a wrapper around an optimizer that has them.
 * @param create What takes the options, in the words of an error. It is the same for all objects of the class.
 */
export function refuseOptions(Class: Owner, who: string, create: string, options: readonly string[]): void {
  refuseMembers(Class, who, options, (option, object) =>
    Object.hasOwn(optimizerHyperParameters, option) ? placeOf(create, option) : groupPlaceOf(object, option),
  );
}

/** Where an option of a group is set: nowhere in an optimizer of another class, which another wrapper may have inside. */
function groupPlaceOf(optimizer: object, option: string): string | undefined {
  const [group] = (optimizer as { readonly paramGroups: readonly object[] }).paramGroups;
  return group !== undefined && Object.hasOwn(group, option) ? `paramGroups[0].${option}` : undefined;
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
