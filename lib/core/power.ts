/** Powers below this are treated as 0: they vanish in 1 − power, and denormal numbers would be slow. */
const negligible = 1e-100;
const half = 2 ** 30;
const digits = 64;

/** base^exponent by repeated squaring, for an exponent below 2^31. */
function squared(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest >>= 1) {
    if (rest & 1) result *= square;
    if (square < negligible && rest > 1) return 0;
    square *= square;
  }
  return result;
}

/** The cached powers of one base. An optimizer needs the next power in each step. */
class Powers {
  readonly base: number;
  readonly #base64: number;
  readonly #base4096: number;
  readonly #low = new Float64Array(digits).fill(Number.NaN);
  #upperExponent = 0;
  #upper = 1;

  constructor(base: number) {
    this.base = base;
    this.#base64 = squared(base, digits);
    this.#base4096 = squared(this.#base64, digits);
  }

  /** base^low · ((base^64)^middle · (base^4096)^high), over the digits of the exponent. */
  at(exponent: number): number {
    const low = exponent & 63;
    const upper = exponent >> 6;
    // NaN marks a power that was not computed yet.
    if (!(this.#low[low]! >= 0)) this.#low[low] = squared(this.base, low);
    if (upper !== this.#upperExponent) {
      this.#upper = squared(this.#base64, upper & 63) * squared(this.#base4096, upper >> 6);
      this.#upperExponent = upper;
    }
    const result = this.#low[low]! * this.#upper;
    return result < negligible ? 0 : result;
  }
}

/**
 * `base ** exponent`, with the last few results remembered: it is slow, and a step asks for the same ones again. The
 * cache does not change the result.
 */
export function rememberedPow(base: number, exponent: number): number {
  for (let i = 0; i < results.length; i++) {
    const known = results[i]!;
    if (known.base === base && known.exponent === exponent) return known.result;
  }
  const oldest = results[next]!;
  next = (next + 1) % results.length;
  oldest.base = base;
  oldest.exponent = exponent;
  oldest.result = base ** exponent;
  return oldest.result;
}

const results = Array.from({ length: 4 }, () => ({ base: Number.NaN, exponent: Number.NaN, result: Number.NaN }));
let next = 0;

/** The bases in use, the newest first. Adam uses two. */
const recent: Powers[] = [];

/**
 * base^exponent for a base in [0, 1] and an integer exponent ≥ 0. It is computed by multiplication alone, so that every
 * JavaScript engine gives the same bits, which `**` does not promise. The cache does not change the result.
 */
export function power(base: number, exponent: number): number {
  // 32-bit integers are fast, so a larger exponent is split.
  if (exponent > half) return power(power(base, half), Math.floor(exponent / half)) * power(base, exponent % half);
  for (let i = 0; i < recent.length; i++) if (recent[i]!.base === base) return recent[i]!.at(exponent);
  const powers = new Powers(base);
  recent.unshift(powers);
  recent.length = Math.min(recent.length, 4);
  return powers.at(exponent);
}
