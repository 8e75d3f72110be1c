// TypeDoc options for `npm run docs`: guide and reference as pages that need neither network nor server.
import { guide, load, optimizerPages, order } from './sections.mjs';

export default {
  name: 'schuss',
  entryPoints: ['../lib/index.mts', '../lib/tfjs/index.mts'],
  tsconfig: '../tsconfig.json',
  readme: '../README.md',
  projectDocuments: [
    ...guide.map((page) => `guide/${page}.md`),
    ...optimizerPages.map((page) => `${page}.md`),
    '../examples/README.md',
    '../bench/README.md',
    '../bench/results/goals.md',
    '../bench/results/limit.md',
    '../CONTRIBUTING.md',
    '../CHANGELOG.md',
  ],
  out: '../build/docs',
  plugin: [load],
  customCss: 'site.css',

  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: false },
  // Building blocks of the option types. The pages of the options show the resulting types.
  intentionallyNotExported: ['Declaration', 'SettingsFrom', 'GroupOptionsOf', 'KnownNames', 'Steppable', 'Tunable'],
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  excludeExternals: true,
  disableSources: true,
  skipErrorChecking: true, // `npm run typecheck` does that

  navigation: { includeCategories: true, includeGroups: false, includeFolders: false },
  categorizeByGroup: false,
  categoryOrder: order,
  kindSortOrder: ['Document', 'Module', 'Class', 'Function', 'Variable', 'Interface', 'TypeAlias'],
  sort: ['documents-first', 'kind', 'alphabetical'],
  sortEntryPoints: false,
  searchInDocuments: true,
  highlightLanguages: ['typescript', 'tsx', 'javascript', 'bash', 'console', 'json', 'cpp', 'python', 'dockerfile'],
  hideGenerator: true,
  cleanOutputDir: true,
};
