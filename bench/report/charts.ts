/** A Vega-Lite specification. */
export interface Spec {
  readonly $schema: string;
  readonly [key: string]: unknown;
}

export const schema = 'https://vega.github.io/schema/vega-lite/v6.json';

/** The font, and axes without frames, of all charts. */
export const config = {
  font: 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif',
  view: { stroke: null },
  axis: { titleFontWeight: 'normal', gridColor: '#e6e6e6', domainColor: '#888', tickColor: '#888' },
} as const;

/**
 * The palette of Okabe and Ito, distinguishable with every kind of colour vision. Its yellow is left out: it is too pale
 * on white.
 */
export const colors = {
  black: '#000000',
  orange: '#E69F00',
  sky: '#56B4E9',
  green: '#009E73',
  blue: '#0072B2',
  vermilion: '#D55E00',
  purple: '#CC79A7',
} as const;

/** Ticks for a logarithmic axis: the powers of ten, and 3 times each where there are few. */
export function logTicks(from: number, to: number): number[] {
  const tens = decades(from, to);
  if (tens.length > 2) return tens;
  return decades(from / 10, to).flatMap((ten) =>
    [ten, Number((3 * ten).toPrecision(1))].filter((t) => from <= t && t <= to),
  );
}

/** The powers of ten in [from, to]. */
export function decades(from: number, to: number): number[] {
  const [low, high] = [Math.ceil(Math.log10(from)), Math.floor(Math.log10(to))];
  return Array.from({ length: high - low + 1 }, (_, i) => Number(`1e${low + i}`));
}
