import type { Spec } from '../report/charts.js';
import { draw } from '../report/draw.js';
import { hues, surfaces } from '../report/theme.js';
import { type Drawn, worthPanels } from './worth.js';

/** The first plot of the figure `worth` as pictures for a page without scripts, by file name. */
export async function pictures(rows: readonly Drawn[]): Promise<Record<string, string>> {
  const spec = worthPanels(rows)[0]?.spec as Spec;
  const files = (['light', 'dark'] as const).map(async (mode) => {
    const colors = new Map([...surfaces, ...hues].map((shade) => [shade.name, shade[mode]]));
    const text = JSON.stringify({ ...spec, width: 480, background: 'var(--paper)' });
    const resolved = text.replace(/var\(--([a-z-]+)\)/g, (_, name: string) => colors.get(name) as string);
    return [`worth-${mode}.svg`, await draw(JSON.parse(resolved) as Spec)] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}
