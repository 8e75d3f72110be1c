/** A value that TypeScript would refuse: half of what the tests pass. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Any = any;

/** The error that `action` throws, as `Name: message`. */
export function thrown(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return String(error);
  }
  return 'nothing was thrown';
}

/** A Float32Array whose buffer was transferred. */
export function detached(length = 2): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

/** Values of a wrong type for a number, and how errors show them. */
export const notNumbers = [
  [null, 'null'],
  ['1', '"1"'],
  [true, 'true'],
  [1n, '1n'],
  [[1], '[1]'],
] as const;
