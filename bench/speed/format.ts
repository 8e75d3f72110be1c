import type { Summary } from './statistics.js';

/** Three significant digits without an exponent, with spaces between thousands. */
export function number(value: number): string {
  if (value === 0) return '0';
  if (value >= 999.5) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value.toPrecision(3);
}

/** 1e5 instead of 1e+5, and 200 as it is. */
export function size(n: number): string {
  const short = n.toExponential().replace('+', '');
  return short.length < String(n).length ? short : String(n);
}

export function times(ratio: number): string {
  return `${ratio < 10 ? ratio.toFixed(2) : number(ratio)}×`;
}

/** Half the distance between the quartiles, as a percentage of the median. */
export function spread({ low, median, high }: Summary): string {
  return `±${Math.round((50 * (high - low)) / median)}%`;
}
