import { coreUseText } from './core.js';
import { goalsOf } from './goals.js';
import type { Results } from './results.js';

/** The goals as a Markdown page for the repository. */
export function goalsMarkdown(results: Results): string {
  const { machine, settings, core } = results;
  const goals = goalsOf(results);
  const count = (reached: boolean | undefined): number => goals.filter((goal) => goal.reached === reached).length;
  const mark = (reached: boolean | undefined): string => (reached === undefined ? '–' : reached ? 'yes' : '**no**');
  return `# Goals, and what was measured

Written by \`npm run bench\` from \`bench.json\` beside it: medians of ratios within a round, ${settings.pace.rounds} rounds, all in
one run.${settings.quick ? ' **A quick run: a look, not a result.**' : ''} ${count(true)} reached, ${count(false)} not, ${count(undefined)} not measured.

Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.os} ${machine.arch}, Node ${machine.node}, schuss ${machine.schuss} (${machine.backend}, ${machine.isa}).
${machine.date}.${core === undefined ? '' : ` In this run ${coreUseText(core)}.`}

| what | goal | measured | reached |
|---|---|---|---|
${goals.map(({ what, goal, measured, reached }) => `| ${what} | ${goal} | ${measured} | ${mark(reached)} |`).join('\n')}
`;
}
