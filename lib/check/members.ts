import { typeError } from './errors.js';

/**
 * Makes options throw where they are read or assigned as members of an object. Otherwise `adam.weightDecay = 0.1` would
 * make a new property and change nothing. Members that the class has stay as they are.
 *
 * @param expected Where the option is, in the words of an error.
 * @param given What the name is instead of a member.
 */
export function refuseMembers(
  object: object,
  who: string,
  options: readonly string[],
  expected: (option: string) => string,
  given = 'an option, not a member',
): void {
  for (const option of options) {
    if (option in object) continue;
    const refuse = (): never => {
      throw typeError(who, option, given, expected(option));
    };
    // A frozen prototype refuses it, and the class still works.
    Reflect.defineProperty(Object.getPrototypeOf(object), option, { get: refuse, set: refuse, configurable: true });
  }
}

/** The same for options that the constructor takes. A state that is loaded may set them, too. */
export function refuseFixed(object: object, who: string, options: readonly string[]): void {
  refuseMembers(object, who, options, (option) => `new ${who}(…, { ${option} })`);
}
