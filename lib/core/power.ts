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

// The cached powers of the last few bases; Adam uses two. They are arrays of numbers, not objects: a step asks for a power or
// two, and V8 then compiles the search for one into the code that asks.
const cached = 4;
const bases = new Float64Array(cached).fill(Number.NaN);
/** base^0 to base^63 of each; NaN marks a power that was not computed yet. */
const lows = new Float64Array(cached * digits);
/** base^(64·n), for the n that was asked for last. */
const uppers = new Float64Array(cached);
const upperExponents = new Int32Array(cached);
let nextPlace = 0;

/** The place of a new base: that of the oldest. */
function remember(base: number): number {
  const place = nextPlace;
  nextPlace = (nextPlace + 1) % cached;
  bases[place] = base;
  lows.fill(Number.NaN, place * digits, (place + 1) * digits);
  uppers[place] = 1;
  upperExponents[place] = 0;
  return place;
}

/** Completes the tables of a base: base^exponent is base^low · ((base^64)^middle · (base^4096)^high), over the exponent's digits. */
function complete(place: number, exponent: number): void {
  const base = bases[place]!;
  const low = exponent & 63;
  const upper = exponent >> 6;
  lows[place * digits + low] = squared(base, low);
  if (upper === upperExponents[place]) return;
  const base64 = squared(base, digits);
  uppers[place] = squared(base64, upper & 63) * squared(squared(base64, digits), upper >> 6);
  upperExponents[place] = upper;
}

/**
 * `base ** exponent`, with the last few results remembered: it is slow, and a step asks for the same ones again. The
 * cache does not change the result.
 */
export function rememberedPow(base: number, exponent: number): number {
  for (let i = 0; i < remembered; i++) if (powBases[i] === base && powExponents[i] === exponent) return powResults[i]!;
  const place = nextPow;
  nextPow = (nextPow + 1) % remembered;
  powBases[place] = base;
  powExponents[place] = exponent;
  powResults[place] = base ** exponent;
  return powResults[place]!;
}

const remembered = 4;
const powBases = new Float64Array(remembered).fill(Number.NaN);
const powExponents = new Float64Array(remembered);
const powResults = new Float64Array(remembered);
let nextPow = 0;

/**
 * base^exponent for a base in [0, 1] and an integer exponent ≥ 0. It is computed by multiplication alone, so that every
 * JavaScript engine gives the same bits, which `**` does not promise. The cache does not change the result.
 */
export function power(base: number, exponent: number): number {
  if (exponent > half) return powerOfLarge(base, exponent);
  let place = 0;
  while (place < cached && bases[place] !== base) place++;
  if (place === cached) place = remember(base);
  const low = place * digits + (exponent & 63);
  if (!(lows[low]! >= 0 && upperExponents[place] === exponent >> 6)) complete(place, exponent);
  const result = lows[low]! * uppers[place]!;
  return result < negligible ? 0 : result;
}

/** 32-bit integers are fast, so a larger exponent is split. */
function powerOfLarge(base: number, exponent: number): number {
  return power(power(base, half), Math.floor(exponent / half)) * power(base, exponent % half);
}
