import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Spec } from './charts.js';

export { compile };

/** Draws a chart as SVG. */
export function draw(spec: Spec): Promise<string> {
  const { spec: compiled } = compile(spec as unknown as TopLevelSpec);
  return new vega.View(vega.parse(compiled), { renderer: 'none' }).toSVG();
}
