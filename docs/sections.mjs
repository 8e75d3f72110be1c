// TypeDoc plugin: sorts pages and exports into sections, links names, and shows the default and range of each option.
import { copyFileSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Comment,
  CommentTag,
  Converter,
  makeRecursiveVisitor,
  PageEvent,
  ReflectionKind,
  RendererEvent,
  UnknownType,
} from 'typedoc';
import ts from 'typescript';
import { linkExamples, writeExamples } from './example-pages.mjs';

const lib = fileURLToPath(new URL('../lib', import.meta.url));

/** The pages of docs/guide, in reading order. */
export const guide = [
  'getting-started',
  'installation',
  'choosing-an-optimizer',
  'schedules',
  'checkpoints',
  'server',
  'distributed',
  'from-pytorch',
  'from-tensorflowjs',
  'from-keras',
  'from-optax',
  'second-order',
  'ensembles',
  'performance',
  'reliability',
  'faq',
  'glossary',
];

/** The pages of docs/optimizers, which `npm run docs:readme` writes, in the order of the README. */
export const optimizerPages = [
  ...readFileSync(new URL('../README.md', import.meta.url), 'utf8').matchAll(/\(docs\/(optimizers\/\w+)\.md\)/g),
].map(([, page]) => page);

/** Section of each export of `schuss`: the first entry whose path is a prefix of the export's file. */
const sections = [
  ['optimizers/', 'Optimizers'],
  ['schedules/', 'Schedules'],
  ['core/schedule.ts', 'Schedules'],
  ['checkpoint/', 'Checkpoints'],
  ['check/typed-array.ts', 'Checkpoints'], // TypedArray
  ['training/', 'Training'],
  ['ensembles/', 'Ensembles'],
  ['second-order/', 'Second order'],
  ['engine/', 'Backend'],
  ['index.ts', 'Optimizers'],
  ['core/optimizer.ts', 'Optimizers'],
  ['core/', 'Params, steps and state'],
];

export const order = ['Guide', 'Formulas', 'Reference', ...new Set(sections.map(([, name]) => name)), '*', 'Project'];

/** @param {import('typedoc').Application} app */
export function load(app) {
  let pages = [];
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    const { children: modules = [], documents = [] } = context.project;
    pages = [...documents];
    for (const [i, page] of pages.entries()) {
      page.name = headingOf(page);
      putInto(page, i < guide.length ? 'Guide' : i < guide.length + optimizerPages.length ? 'Formulas' : 'Project');
    }
    for (const module of modules) putInto(module, 'Reference');
    for (const part of [context.project.readme ?? [], ...pages.slice(0, guide.length)])
      linkNames(part.content ?? part, exportedFor(part, modules));
    for (const reflection of modules.find(({ name }) => name === 'schuss')?.children ?? []) {
      const file = context.getSymbolFromReflection(reflection)?.declarations?.[0]?.getSourceFile().fileName;
      const path = file === undefined ? 'no file' : relative(lib, file).split(sep).join('/');
      const section = sections.find(([start]) => path.startsWith(start))?.[1];
      if (section === undefined) app.logger.warn(`docs/sections.mjs: ${reflection.name} of ${path} has no section`);
      else putInto(reflection, section);
    }
    for (const reflection of Object.values(context.project.reflections)) nameDeclarations(reflection);
    for (const property of context.project.getReflectionsByKind(ReflectionKind.Property)) {
      const declaration = context.getSymbolFromReflection(property)?.declarations?.[0];
      if (declaration !== undefined && ts.isPropertyAssignment(declaration)) showAllowed(property, declaration);
    }
  });

  // TypeDoc sorts by kind and name. This restores the order of the guide's pages.
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    ({ project }) => {
      const places = new Map(pages.map((page, i) => [page, i]));
      const lists = [
        project.documents,
        project.childrenIncludingDocuments,
        ...[...(project.groups ?? []), ...(project.categories ?? [])].map(({ children }) => children),
        ...(project.groups ?? []).flatMap(({ categories = [] }) => categories.map(({ children }) => children)),
      ];
      for (const list of lists) list?.sort((a, b) => (places.get(a) ?? -1) - (places.get(b) ?? -1));
    },
    -1000,
  );

  // A script puts the icons into each page. From a file: URL, a browser refuses to load them from another file.
  app.renderer.on(PageEvent.END, (page) => {
    page.contents = page.contents?.replace(/href="[^"]*\/icons\.svg#/g, 'href="#');
    page.contents &&= linkExamples(page.contents, page.project.files);
  });
  app.renderer.on(
    RendererEvent.END,
    ({ outputDirectory, project }) => {
      copyFileSync(new URL('404.html', import.meta.url), join(outputDirectory, '404.html'));
      writeExamples(outputDirectory, project.files);
    },
    -1000,
  ); // after TypeDoc has made the folder of files that pages link
}

/** Names the declaration of a class in the types of a reflection. TypeDoc spells it out, which is longer than the page. */
function nameDeclarations({ type, default: standard }) {
  const visitor = makeRecursiveVisitor({
    reference({ typeArguments: types = [] }) {
      for (const [i, one] of types.entries()) {
        const isDeclaration =
          one.type === 'reflection' && one.declaration.getChildByName('hyperParameters') !== undefined;
        const name = isDeclaration ? one.declaration.getChildByName('name')?.type?.value : undefined;
        if (typeof name === 'string') types[i] = new UnknownType(`typeof ${name.toLowerCase()}`);
      }
    },
  });
  for (const one of [type, standard]) one?.visit?.(visitor);
}

/** The title of a page is its first heading. */
function headingOf({ content, name }) {
  return /^# (.+)$/m.exec(content.map(({ text }) => text).join(''))?.[1] ?? name;
}

/** The exports that a page links. `momentum` or `adam` are factories of schuss/tfjs on its own page only, `gradNorm` is an option. */
function exportedFor(page, modules) {
  const linked = modules.filter(({ name }) => name !== 'schuss/tfjs' || page.name === 'From TensorFlow.js');
  const exported = new Map(
    linked.toReversed().flatMap(({ children = [] }) => children.map((child) => [`\`${child.name}\``, child])),
  );
  exported.delete('`gradNorm`');
  return exported;
}

/** Turns names of exports that the text formats as code into links. */
function linkNames(parts, exported) {
  for (const [i, { kind, text }] of parts.entries()) {
    const isLink = /\[$/.test(parts[i - 1]?.text ?? '') && /^\]\(/.test(parts[i + 1]?.text ?? '');
    const target = kind === 'code' && !isLink ? exported.get(text) : undefined;
    if (target !== undefined) parts[i] = { kind: 'inline-tag', tag: '@linkcode', text: target.name, target };
  }
}

function putInto(reflection, section) {
  // TypeDoc keeps the comment of a function with its signatures.
  const documented = reflection.signatures?.[0] ?? reflection;
  documented.comment ??= new Comment();
  documented.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: section }]));
}

/** Adds the default and the range of an option, as its declaration gives them: `lr: { default: 1e-3, range: '[0, inf)', … }`. */
function showAllowed(property, { initializer }) {
  const stated = new Map();
  if (ts.isObjectLiteralExpression(initializer))
    for (const entry of initializer.properties)
      if (ts.isPropertyAssignment(entry)) stated.set(entry.name.getText(), entry.initializer.getText());
  property.defaultValue = stated.get('default');
  const facts = [];
  if (stated.has('required')) facts.push('Required.');
  if (stated.has('range')) facts.push(`In ${stated.get('range').slice(1, -1)}.`);
  if (stated.has('choices')) facts.push(`One of ${stated.get('choices').slice(1, -1)}.`);
  if (stated.has('fixed')) facts.push('Shapes the state, so it cannot be a schedule.');
  if (facts.length === 0) return;
  property.comment ??= new Comment();
  property.comment.summary.push({ kind: 'text', text: ` ${facts.join(' ')}` });
}
