/** base^exponent for a whole exponent ≥ 0, by repeated squaring: unlike `**`, the same bits in every JavaScript engine. */
export function power(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; ) {
    const odd = rest & 1; // right for any whole number, and far faster than %
    if (odd === 1) result *= square;
    rest = (rest - odd) / 2;
    square *= square;
  }
  return result;
}
