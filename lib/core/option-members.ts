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
}

/**
 * Makes options of a class throw as members of `object`: of its optimizer, or of a wrapper around one.
 * @param create What takes the options, in the words of an error. It is the same for all objects of the class.
 */
export function refuseOptions(object: object, who: string, create: string, options: readonly string[]): void {
  refuseMembers(object, who, options, (option) =>
    Object.hasOwn(optimizerHyperParameters, option)
      ? `${create}(params, { ${option} }), which alone sets it`
      : `paramGroups[0].${option}`,
  );
}
