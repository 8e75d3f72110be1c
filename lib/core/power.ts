/** base^exponent for a whole exponent ≥ 0, by repeated squaring: unlike `**`, the same bits in every JavaScript engine. */
export function power(base: number, exponent: number): number {
  let result = 1;
  for (let square = base, rest = exponent; rest > 0; rest = Math.floor(rest / 2), square *= square) {
    if (rest % 2 === 1) result *= square;
  }
  return result;
}
