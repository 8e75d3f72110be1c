/** Powers below this count as 0: what is left of them is lost in 1 − power, and the processor is slow on denormals. */
const negligible = 1e-100;
const half = 2 ** 30;
/** The factors of a bit that is 0 and of one that is 1: a look-up, for a branch on a bit is guessed wrong every other time. */
const factors = new Float64Array([1, 1]);

/**
 * base^exponent for a base in [0, 1] and a whole exponent ≥ 0, by repeated squaring: unlike `**`, the same bits in every
 * JavaScript engine.
 */
export function power(base: number, exponent: number): number {
  // The loop counts in 32-bit integers, which engines are fast at.
  if (exponent > half) return power(power(base, half), Math.floor(exponent / half)) * power(base, exponent % half);
  let result = 1;
  let square = base;
  for (let rest = exponent | 0; rest > 0; rest >>= 1) {
    factors[1] = square;
    result *= factors[rest & 1]!;
    if (square < negligible && rest > 1) return 0;
    square *= square;
  }
  return result < negligible ? 0 : result;
}
