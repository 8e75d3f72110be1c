// The cube root of MADGRAD is rounded correctly: floats of every exponent, against the exact root.
import { expect, test } from 'vitest';
import { MADGRAD } from '../../../lib/index.js';
import { nativeEngines, reference, withEngine } from '../../support/engines.js';

/** Exactly rounded: the cube of the middle of two floats is compared with the float, in integers. */
function rootOf(a: number): number {
  const guess = Math.fround(Math.cbrt(a));
  return [below(guess), guess, above(guess)].find((x) => isRoot(x, a)) as number;
}

const word = new Int32Array(1);
const float = new Float32Array(word.buffer);
function moved(x: number, by: number): number {
  float[0] = x;
  word[0]! += by;
  return float[0];
}
const below = (x: number): number => moved(x, -1);
const above = (x: number): number => moved(x, 1);

/** x · 2^300, exactly. */
function scaled(x: number): bigint {
  let [exponent, fraction] = [0, x];
  while (!Number.isInteger(fraction)) [exponent, fraction] = [exponent + 1, fraction * 2];
  return BigInt(fraction) << BigInt(300 - exponent);
}

function isRoot(x: number, a: number): boolean {
  const exact = scaled(a) << 600n; // (2^300)³ = 2^900
  return scaled((below(x) + x) / 2) ** 3n < exact && exact < scaled((x + above(x)) / 2) ** 3n;
}

test('the exact cube root', () => {
  const words = Int32Array.from({ length: 1 << 14 }, (_, i) => 1 + i * 130_055); // up to the largest float
  const squares = new Float32Array(words.buffer);
  const roots = squares.map(rootOf);
  for (const engine of [reference, ...nativeEngines])
    withEngine(engine, () => {
      const w = new Float32Array(words.length);
      const optimizer = new MADGRAD(w, { eps: 0, momentum: 0 });
      const dict = optimizer.stateDict();
      const state = Object.values(dict.state)[0] as unknown as Record<'gradSumSq' | 's', Float32Array>;
      state.gradSumSq.set(squares);
      state.s.fill(1);
      optimizer.loadStateDict(dict);
      optimizer.step(new Float32Array(words.length));
      expect(w, engine.isa).toEqual(roots.map((root) => -1 / root));
    });
});
