import { typeError } from './errors.js';

/** A class, as the owner of its prototype. */
export interface Owner {
  readonly prototype: object;
}

/**
 * Makes options throw where they are read or assigned as members of an object. Otherwise `adam.weightDecay = 0.1` would
 * make a new property and change nothing. Members that the class has stay as they are. A subclass of the user may use
 * the names as its own.
 *
 * @param Class The class whose own instances throw.
 * @param expected Where the option of an object is, in the words of an error. Undefined for an object without it: there the
 *   name is that of any member.
 * @param given What the name is instead of a member.
 */
export function refuseMembers(
  { prototype }: Owner,
  who: string,
  options: readonly string[],
  expected: (option: string, object: object) => string | undefined,
  given = 'an option, not a member',
): void {
  for (const option of options) {
    if (option in prototype) continue;
    const refuse = (object: object): void => {
      if (Object.getPrototypeOf(object) !== prototype) return;
      const place = expected(option, object);
      if (place !== undefined) throw typeError(who, option, given, place);
    };
    // A frozen prototype refuses it, and the class still works.
    Reflect.defineProperty(prototype, option, {
      get(this: object) {
        refuse(this);
      },
      set(this: object, value: unknown) {
        refuse(this);
        Object.defineProperty(this, option, { value, writable: true, enumerable: true, configurable: true });
      },
      configurable: true,
    });
  }
}

/** The same for options that the constructor takes. A state that is loaded may set them, too. */
export function refuseFixed(Class: Owner, who: string, options: readonly string[]): void {
  refuseMembers(Class, who, options, (option) => `new ${who}(…, { ${option} })`);
}
