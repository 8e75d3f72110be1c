// The picture at the top of the README: what a step of Adam costs, from bench.json. A test compares the committed files with it.
import { number } from './format.js';
import { isSkipped, type PeerRow, type Results } from './results.js';

/** The size that the picture shows: one million parameters in one tensor, in the processor's cache. */
export const headlineSize = 1e6;

const themes = {
  light: { ink: '#1f2328', soft: '#59636e', bar: '#afb8c1', ours: '#0072B2' },
  dark: { ink: '#f0f6fc', soft: '#9198a1', bar: '#4b535d', ours: '#56b4e9' },
} as const;

/** The peers of the picture. Of PyTorch's ways, the fused step counts if there is one, and else the fastest in the run. */
const shown: readonly (readonly [label: string, peers: readonly string[]])[] = [
  ['schuss', ['schuss']],
  ['PyTorch', ['torch-fused']],
  ['PyTorch', ['torch', 'torch-foreach']],
  ['jax-js (wasm)', ['jax-js']],
  ['JavaScript loop', ['js']],
  ['TensorFlow.js (wasm)', ['tfjs-wasm']],
];

export interface Bar {
  readonly label: string;
  readonly ns: number;
  /** Its time divided by ours. */
  readonly ofOurs: number;
}

/** What a step of Adam costs with each peer that the run measured at this size. */
export function barsOf({ against, peers: versions }: Results, n: number): Bar[] {
  const bars = shown.flatMap(([label, peers]) => {
    const version = versions.find(({ id }) => label === 'PyTorch' && peers.includes(id))?.version;
    const measured = against
      .filter(
        (row: PeerRow) =>
          row.method === 'adam' && row.tensors === 1 && row.threads === 1 && row.n === n && peers.includes(row.peer),
      )
      .flatMap((row) => (isSkipped(row.measured) ? [] : [row.measured]))
      .sort((a, b) => a.nsPerParam.median - b.nsPerParam.median)[0];
    const name = typeof version === 'string' ? `${label} ${/^\d+\.\d+/.exec(version)?.[0] ?? ''}` : label;
    return measured === undefined
      ? []
      : [
          {
            label: peers[0] === 'torch-fused' ? `${name} fused` : name,
            ns: measured.nsPerParam.median,
            ofOurs: measured.ofOurs.median,
          },
        ];
  });
  return bars.filter(({ label }, i) => !(label.startsWith('PyTorch') && bars[i - 1]?.label.startsWith('PyTorch')));
}

/** 5.6× below ten, 20× from there. */
export const ratio = (value: number): string => `${value < 9.95 ? value.toFixed(1) : Math.round(value)}×`;

const [width, top, rowHeight, left, barWidth] = [520, 66, 34, 172, 216];

/** The picture as an SVG, or undefined if the run measured nothing beside schuss at its size. */
export function headline(results: Results, theme: keyof typeof themes): string | undefined {
  const bars = barsOf(results, headlineSize);
  if (bars.length < 2) return undefined;
  const { ink, soft, bar, ours } = themes[theme];
  const { cpu, isa } = results.machine;
  const most = Math.max(...bars.map(({ ns }) => ns));
  const height = top + rowHeight * bars.length + 28;
  const rows = bars.map(({ label, ns, ofOurs }, i) => {
    const [y, length] = [top + rowHeight * i, Math.max(2, (barWidth * ns) / most)];
    const [fill, weight] = i === 0 ? [ours, 'bold'] : [bar, 'normal'];
    const times = i === 0 ? '' : ` · ${ratio(ofOurs)}`;
    return `<text x="${left - 12}" y="${y + 17}" text-anchor="end" font-weight="${weight}">${label}</text><rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="24" rx="3" fill="${fill}"/><text x="${(left + length + 9).toFixed(1)}" y="${y + 17}" font-weight="${weight}">${number(ns)} ns${times}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Nanoseconds per parameter of an Adam step: ${bars.map(({ label, ns }) => `${label} ${number(ns)}`).join(', ')}">
<style>text{font:15px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;fill:${ink}}.soft{font-size:13px;fill:${soft}}</style>
<text x="0" y="20" style="font-size:18px;font-weight:600">One step of Adam, nanoseconds per parameter</text>
<text x="0" y="44" class="soft">1 million parameters, one thread; × = times the time of schuss</text>
${rows.join('\n')}
<text x="0" y="${height - 8}" class="soft">${cpu}, ${isa}, Node ${results.machine.node}, ${results.machine.date}</text>
</svg>
`;
}

/** The files of the picture, by name. */
export function headlineFiles(results: Results): Record<string, string> {
  const files = (['light', 'dark'] as const).map((theme) => [`headline-${theme}.svg`, headline(results, theme)]);
  return Object.fromEntries(files.filter(([, text]) => text !== undefined));
}
