import { config, type Spec, schema } from './charts.js';

/** What the plots with a title share. Colours are those of the page; text is large enough for a telephone. */
export function look(title: string, subtitle: readonly string[]): Spec {
  return {
    $schema: schema,
    background: 'transparent',
    padding: 8,
    title: {
      text: title,
      subtitle,
      anchor: 'start',
      frame: 'bounds',
      color: 'var(--ink)',
      fontSize: 17,
      subtitleFontSize: 13,
      subtitleColor: 'var(--soft)',
      offset: 12,
    },
    config: {
      ...config,
      axis: {
        ...config.axis,
        gridColor: 'var(--grid)',
        domainColor: 'var(--axis)',
        tickColor: 'var(--axis)',
        labelColor: 'var(--soft)',
        titleColor: 'var(--ink)',
        labelFontSize: 13,
        titleFontSize: 13,
      },
      legend: { labelColor: 'var(--ink)', titleColor: 'var(--ink)', labelFontSize: 13, titleFontSize: 13 },
    },
  };
}
