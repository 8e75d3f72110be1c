import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageFolder, requireOptional } from '../../lib/cli/optional.js';

/** The packages that draw. */
export const plotting = ['vega', 'vega-lite'] as const;

/** A Vega-Lite specification; its own type needs the optional package. */
export interface Spec {
  readonly $schema: string;
  readonly [key: string]: unknown;
}

/** What all plots share. */
export function look(title: string, subtitle: string): Spec {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 560,
    background: 'white',
    padding: 12,
    title: {
      text: title,
      subtitle,
      anchor: 'start',
      fontSize: 17,
      subtitleFontSize: 12,
      subtitleColor: '#57606a',
      offset: 14,
    },
    config: {
      font: 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif',
      view: { stroke: null },
      axis: {
        labelFontSize: 12,
        titleFontSize: 13,
        titleFontWeight: 'normal',
        gridColor: '#e6e6e6',
        domainColor: '#888',
        tickColor: '#888',
      },
    },
  };
}

interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: object) => { toSVG(): Promise<string> };
}
interface VegaLite {
  compile(spec: unknown): { readonly spec: unknown };
}

/** Draws in this process: the pages need no script. */
export async function drawer(): Promise<(spec: Spec) => Promise<string>> {
  const vega = await load<Vega>('vega', 'build/vega.module.js');
  const { compile } = await load<VegaLite>('vega-lite', 'build/index.js');
  return (spec) => new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}

async function load<T>(name: string, file: string): Promise<T> {
  requireOptional('bench', [name]);
  return (await import(pathToFileURL(join(packageFolder(name) as string, file)).href)) as T;
}
