import { themeCss } from './theme.js';

/** The CSS shared by all pages. */
export const style = `
${themeCss()}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 1280px; padding: 40px 28px 64px; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { margin: 0 0 12px; font-size: 40px; line-height: 1.15; letter-spacing: -0.02em; }
h2 { margin: 0 0 6px; font-size: 23px; letter-spacing: -0.01em; }
h2 a { color: var(--soft); text-decoration: none; font-weight: 400; margin-right: 4px; }
p { max-width: 78ch; margin: 0 0 12px; }
a { color: var(--accent); }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.brand { margin: 0 0 4px; color: var(--accent); font-weight: 700; letter-spacing: 0.04em; }
.lead { font-size: 18px; }
.quick { padding: 10px 14px; border-left: 4px solid var(--amber); background: var(--warn-paper); }
.how { color: var(--soft); }
details { margin: 16px 0; border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 12px 0 4px; font-size: 15px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
nav ol { columns: 3 260px; column-gap: 32px; margin: 20px 0 28px; padding-left: 32px; font-size: 15px; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { padding: 30px 0 14px; border-top: 1px solid var(--line); scroll-margin-top: 8px; }
.panels { display: grid; gap: 16px 24px; grid-template-columns: repeat(3, minmax(0, 1fr)); }
.panels.of-2, .panels.of-4 { grid-template-columns: repeat(2, minmax(0, 1fr)); }
@media (max-width: 980px) { .panels, .panels.of-2, .panels.of-4 { grid-template-columns: minmax(0, 1fr); } }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: 15px; margin-bottom: 2px; }
.plot { width: 100%; min-height: 250px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 8px; margin: 4px 0 14px; }
.legend button { display: inline-flex; align-items: center; gap: 8px; padding: 3px 10px; border: 1px solid var(--line); border-radius: 999px; background: var(--paper); color: inherit; font: inherit; font-size: 14px; cursor: pointer; }
.legend button:hover, .legend button[aria-pressed="true"] { border-color: var(--accent); background: var(--chosen-paper); }
.legend em { font-style: normal; font-weight: 600; color: var(--warn); }
.seen { margin-top: 12px; padding-left: 14px; border-left: 3px solid var(--accent); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 18px 5px 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; font-weight: 400; }
thead th, thead th:first-child { font-weight: 600; border-bottom-color: var(--axis); }
tr.best th, tr.best td { font-weight: 700; background: var(--best-paper); }
td.diverged { text-align: left; color: var(--warn); font-weight: 600; }
#vg-tooltip-element.vg-tooltip { border-color: var(--line); background: var(--paper); color: var(--ink); }
footer { margin-top: 28px; color: var(--soft); font-size: 14px; }
@media (max-width: 600px) { body { padding: 24px 16px; } h1 { font-size: 32px; } dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } .wide th, .wide th:first-child { white-space: normal; } .wide th:first-child { min-width: 8em; } td, th { padding-right: 12px; } }
@media print { .legend button { border: 0; } nav { display: none; } section { break-inside: avoid; } }
`;
