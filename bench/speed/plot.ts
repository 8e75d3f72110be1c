import { config, type Spec, schema } from '../report/charts.js';

/** What all plots of the benchmark share. */
export function look(title: string, subtitle: string): Spec {
  return {
    $schema: schema,
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
    config: { ...config, axis: { ...config.axis, labelFontSize: 12, titleFontSize: 13 } },
  };
}
