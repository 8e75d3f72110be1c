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
  refuseOptions(optimizer, name, name, optionNamesOf(declaration));
}

/** Makes options of a class throw as members of `object`: of its optimizer, or of a wrapper around one. */
export function refuseOptions(object: object, who: string, className: string, options: readonly string[]): void {
  refuseMembers(object, who, options, (option) =>
    Object.hasOwn(optimizerHyperParameters, option)
      ? `new ${className}(params, { ${option} }), which alone sets it`
      : `paramGroups[0].${option}`,
  );
}
