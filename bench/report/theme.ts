import * as vega from 'vega';

/** A colour of the pages, in light and in dark mode. Plots name it as `var(--name)`, which the page resolves. */
export interface Shade {
  readonly name: string;
  readonly light: string;
  readonly dark: string;
}

const shade = (name: string, light: string, dark: string): Shade => ({ name, light, dark });

/** Text, lines and surfaces. */
export const surfaces: readonly Shade[] = [
  shade('paper', '#ffffff', '#14181d'),
  shade('ink', '#1b1f24', '#e6e9ec'),
  shade('soft', '#57606a', '#a3adb8'),
  shade('line', '#dfe3e8', '#333b44'),
  shade('grid', '#e6e6e6', '#2a3139'),
  shade('axis', '#888888', '#76808b'),
  shade('accent', '#0072B2', '#5db4ee'),
  shade('warn', '#A84800', '#ff9a5c'),
  shade('warn-paper', '#fff7e6', '#33270f'),
  shade('diverged-paper', '#fbe3d6', '#45281a'),
  shade('chosen-paper', '#f0f7fc', '#1d2c39'),
  shade('best-paper', '#eef7f2', '#18301f'),
];

/** Colours of lines that have no order. Each stands out from the paper, and from the others. */
export const hues: readonly Shade[] = [
  shade('blue', '#2066b4', '#6aa9f4'),
  shade('vermilion', '#d1410c', '#ff7a4d'),
  shade('green', '#2f8f2f', '#6cc96c'),
  shade('purple', '#8a4fc4', '#b99bf0'),
  shade('amber', '#b87a00', '#f0b429'),
  shade('cyan', '#128ba0', '#45c8dc'),
  shade('pink', '#d6559d', '#f58fc4'),
  shade('black', '#1b1f24', '#e6e9ec'),
];

/** Number of steps of the two ordered scales, minus one. Many small numbers divide it. */
const last = 12;

function steps(name: string, light: (t: number) => string, dark: (t: number) => string): Shade[] {
  return Array.from({ length: last + 1 }, (_, i) => shade(`${name}-${i}`, light(i / last), dark(i / last)));
}

type Interpolator = (t: number) => string;
const viridis = vega.scheme('viridis') as unknown as Interpolator;
const blues = vega.scheme('blues') as unknown as Interpolator;

/** An ordered scale for lines: viridis, without the end that is too close to the paper. */
export const ordered = steps(
  'order',
  (t) => viridis(0.72 * t),
  (t) => viridis(0.35 + 0.65 * t),
);
/** An ordered scale for areas, from the paper's side to the ink's. */
export const heat = steps('heat', blues, (t) => blues(1 - 0.7 * t));

/** Text on `heat`. */
export const heatInk = steps(
  'heat-ink',
  (t) => (t < 0.68 ? '#1b1f24' : '#ffffff'),
  (t) => (t < 0.45 ? '#ffffff' : '#0b0e12'),
);

const at = (scale: readonly Shade[], t: number): string => `var(--${(scale[Math.round(last * t)] as Shade).name})`;

/** The colour at `t` in [0, 1] of the ordered scale for lines. */
export const orderedColor = (t: number): string => at(ordered, t);
/** The colour at `t` in [0, 1] of the ordered scale for areas. */
export const heatColor = (t: number): string => at(heat, t);
/** The colour of text on it. */
export const heatInkColor = (t: number): string => at(heatInk, t);

/** The CSS that defines all colours, in both modes. Paper is light. */
export function themeCss(): string {
  const all = [...surfaces, ...hues, ...ordered, ...heat, ...heatInk];
  const rule = (mode: 'light' | 'dark'): string =>
    `:root { color-scheme: ${mode}; ${all.map((each) => `--${each.name}: ${each[mode]};`).join(' ')} }`;
  return `${rule('light')}\n@media screen and (prefers-color-scheme: dark) { ${rule('dark')} }`;
}

/** A drawing with the colours of one mode in place of their names, for a file that stands alone. */
export function inMode(svg: string, mode: 'light' | 'dark'): string {
  const all = [...surfaces, ...hues, ...ordered, ...heat, ...heatInk];
  return svg.replace(
    /var\(--([a-z0-9-]+)\)/g,
    (whole, name) => all.find((each) => each.name === name)?.[mode] ?? whole,
  );
}
