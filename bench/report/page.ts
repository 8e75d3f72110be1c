import { escapeHtml } from './html.js';
import { style } from './style.js';

export interface Page {
  readonly title: string;
  readonly heading: string;
  /** HTML of the first paragraph. */
  readonly lead: string;
  /** HTML after "Quick run." if the run was a quick one. */
  readonly quick: string | undefined;
  /** How the page was made, as pairs of name and value. */
  readonly made: readonly (readonly [string, string])[];
  /** HTML after those pairs. */
  readonly contents?: string;
  /** HTML of the body. */
  readonly main: string;
  /** HTML of the footer. */
  readonly footer: string;
  /** CSS beside that of all pages. */
  readonly css?: string;
  /** Script elements at the end of the page. */
  readonly scripts?: string;
}

/** A self-contained HTML page: it loads nothing. */
export function pageHtml(page: Page): string {
  const { title, heading, lead, quick, made, contents = '', main, footer, css = '', scripts = '' } = page;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}${css}</style>
</head>
<body>
<header>
<p class="brand">schuss</p>
<h1>${heading}</h1>
<p class="lead">${lead}</p>
${quick === undefined ? '' : `<p class="quick"><strong>Quick run.</strong> ${quick}</p>`}
<details open><summary>How this page was made</summary><dl>${made
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join('')}</dl></details>
${contents}
</header>
<main>
${main}
</main>
<footer>${footer}</footer>
${scripts}
</body>
</html>
`;
}
