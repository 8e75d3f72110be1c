// Makes the pages of docs/optimizers, one for each class, from its declaration and its docstring. A test compares them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Declaration, HyperParameter } from '../lib/core/declaration.js';
import { classes } from '../lib/optimizers/index.js';
import { bestPath, caption, pathPlot } from './optimizer-paths.js';

const folder = join(__dirname, '..', 'lib', 'optimizers');
export const pagesPath = join(__dirname, '..', 'docs', 'optimizers');

export const pageOf = (name: string): string => `${name.toLowerCase()}.md`;

/** The default of an option, as the docs show it. */
export function shown({ default: value, required }: HyperParameter): string {
  if (required) return 'required';
  if (value === undefined) return 'none';
  if (value === Number.POSITIVE_INFINITY) return '∞'; // JSON has no infinity
  return JSON.stringify(value).replaceAll(',', ', ').replace('0.000001', '1e-6');
}

/** How `weightDecay` acts. */
export function decayOf({ decay, hyperParameters }: Declaration): string {
  if (typeof decay === 'function') return 'l2 or decoupled';
  return decay === 'none' && 'weightDecay' in hyperParameters ? 'in the formula' : decay;
}

/** The papers, as links. */
export function links(reference: string): string {
  return reference
    .split('; ')
    .map((part) => {
      const url = /https:\S+/.exec(part)?.[0];
      const name = part.replace(/,?\s*https:\S+/, '').replace(/"([^"]+)"/, '*$1*');
      return url === undefined ? name : `[${name}](${url})`;
    })
    .join('; ');
}

/** Bytes of state per weight with the default options, and what more the other kernels keep. */
export function stateBytes({ name, kernels }: Declaration): string {
  if (name === 'Adafactor') return '4 per row and column';
  // Numbers per matrix row are few beside those per weight.
  const counts = Object.values(kernels).map(
    ({ state, layout }) => 4 * state.filter((name) => layout?.[name] === undefined).length,
  );
  const [least, most] = [counts[0]!, Math.max(...counts)];
  const hasFactors = Object.values(kernels).some(({ layout }) => Object.values(layout ?? {}).includes('own'));
  return `${least === most ? least : `${least} to ${most}`}${hasFactors ? ', and factors' : ''}`;
}

const sources = readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }));

interface Docstring {
  readonly text: string;
  readonly example: string;
  readonly when: string;
  readonly pitfalls: string;
}

/** `{@link Adam}` becomes a link to the page of the class. */
function linked(text: string): string {
  return text.replace(/\{@link\s+(\w+)(?:\.(\w+))?\}/g, (_, name: string, member?: string) => {
    const code = member === undefined ? `\`${name}\`` : `\`${member}()\``;
    return member === undefined && classes.some(([, d]) => d.name === name) ? `[${code}](${pageOf(name)})` : code;
  });
}

function docstringOf(name: string): Docstring {
  const declared = new RegExp(`^export class ${name}\\b`, 'm');
  const source = sources.find(({ text }) => declared.test(text))!.text;
  const before = source.slice(0, source.search(declared));
  const lines = before.slice(before.lastIndexOf('/**') + 3, before.lastIndexOf('*/')).replace(/^ \* ?/gm, '');
  const [text = '', ...tags] = lines.split(/^@(?=\w)/m);
  const tag = (start: string): string =>
    tags
      .find((t) => t.startsWith(start))
      ?.slice(start.length)
      .trim() ?? '';
  const [when = '', pitfalls = ''] = tag('remarks').split('**Pitfalls:**');
  const plain = (part: string): string => linked(part.replace('**When:**', '').trim());
  return { text: linked(text.trim()), example: tag('example'), when: plain(when), pitfalls: plain(pitfalls) };
}

/** The comment of an option in the declaration of a class, or in one that the declaration spreads. */
function meaningOf(name: string, option: string): string {
  const text = sources.find((source) => source.text.includes(`name: '${name}'`))!.text;
  const declared = text.indexOf(`name: '${name}'`);
  const comment = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*${option}: \\{`);
  const found = comment.exec(text.slice(declared)) ?? comment.exec(text);
  return (found?.[1] ?? '')
    .replace(/^\s*\*/gm, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replaceAll('|', '\\|');
}

function optionRow(name: string, option: string, h: HyperParameter): string {
  const choices = h.choices?.map((choice) => `\`'${choice}'\``) ?? [];
  const range = h.range?.replaceAll('inf', '∞') ?? '';
  const allowed = choices.length === 0 ? range : [...choices, ...(range === '' ? [] : [`in ${range}`])].join(' or ');
  return `| \`${option}\` | ${shown(h)} | ${allowed} | ${meaningOf(name, option)} |`;
}

/** Whether a class takes sparse gradients. */
function sparseOf({ denseOnly, blockLength }: Declaration): string {
  const yes = 'Rows that the gradient does not name keep their weights and state.';
  if (denseOnly === undefined) return `yes. ${yes}`;
  return blockLength === undefined ? `no; ${denseOnly}.` : `where rows are blocks. ${yes} Elsewhere ${denseOnly}.`;
}

/** The page of a class. */
export function optimizerPage(declaration: Declaration): string {
  const { name, formula, hyperParameters, reference } = declaration;
  const { text, example, when, pitfalls } = docstringOf(name);
  const [summary = '', ...rest] = text.split(/^```$/m).map((part) => part.trim());
  // Between the docstring's formula and its options is what one should know about them.
  const notes = (rest.at(-1) ?? '').split(/^Options: /m)[0]!.trim();
  const state = (text.split('State: ')[1] ?? '').split('\n\n')[0]!.replace(/^[a-z]/, (c) => c.toUpperCase());
  const decays = {
    l2: '`weightDecay` λ is L2: g ← g + λ·w before the formula.',
    decoupled: '`weightDecay` λ is decoupled: w ← w·(1 − η·λ) before the update.',
    'l2 or decoupled': '`weightDecay` λ is L2, g ← g + λ·w, or decoupled, w ← w·(1 − η·λ).',
    'in the formula': '`weightDecay` λ is in the formula.',
    none: 'It has no `weightDecay`.',
  }[decayOf(declaration)];
  const path = bestPath(name);
  const sections: readonly (readonly [heading: string, text: string])[] = [
    ['When to use it', when],
    [
      'Formula',
      `\`\`\`text\n${formula.join('\n')}\n\`\`\`\n\nw: weight, g: gradient, η: \`lr\`, t: updates of the param so far, with this one. ${decays}\n\n${notes}`,
    ],
    [
      'Options',
      `| option | default | range | |\n|---|---|---|---|\n${Object.entries<HyperParameter>(hyperParameters)
        .map(([option, h]) => optionRow(name, option, h))
        .join(
          '\n',
        )}\n\nEvery class also takes \`maximize\` and \`clipValue\` (per group), and \`clipNorm\`, \`skipNonFinite\`, \`zeroGrads\`, \`ema\`, \`gradNorm\` and\n\`flushDenormals\`: [common options](../guide/getting-started.md#options).`,
    ],
    ['Pitfalls', pitfalls],
    [
      'State',
      `Bytes of state per weight: ${stateBytes(declaration)}. ${state}\n\nSparse gradients: ${sparseOf(declaration)}`,
    ],
    ['Example', example],
    ['Path', `![Path of ${name} on Rosenbrock's function](${name.toLowerCase()}.svg)\n\n${caption(name, path)}`],
    ['Source', `${links(reference)}.`],
  ];
  return `<!-- Written by \`npm run docs:readme\` from lib/optimizers. -->\n# ${name}\n\n${summary.replace(/^\w+: /, '').replace(/^./, (c) => c.toUpperCase())}\n\n${sections
    .filter(([, body]) => body !== '')
    .map(([heading, body]) => `## ${heading}\n\n${body.trim()}`)
    .join('\n\n')}\n`;
}

/** The files of docs/optimizers, by name. */
export function optimizerPages(): Record<string, string> {
  return Object.fromEntries(
    classes.flatMap(([, declaration]) => [
      [pageOf(declaration.name), optimizerPage(declaration)],
      [`${declaration.name.toLowerCase()}.svg`, pathPlot(declaration.name, bestPath(declaration.name))],
    ]),
  );
}
