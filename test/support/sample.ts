import { random } from './random.js';

/** Whether everything runs (`npm run test:all`), or a sample of it (`npm test`). */
export const all = process.env['SCHUSS_TEST_ALL'] === '1';

/** All cases, or `size` of them in `npm test`: a seeded choice, in the order given. */
export function sample<T>(cases: readonly T[], size: number, seed = 1): readonly T[] {
  if (all || cases.length <= size) return cases;
  const next = random(seed);
  let [left, missing] = [cases.length, size];
  return cases.filter(() => {
    const isChosen = next() * left-- < missing;
    if (isChosen) missing--;
    return isChosen;
  });
}
