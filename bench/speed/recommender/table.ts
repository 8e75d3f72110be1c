import { number, spread, times } from '../format.js';
import { isSkipped, type RecommenderRow, type Results } from '../results.js';
import type { Table } from '../table.js';
import { methods } from '../task.js';
import { models } from './model.js';

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** A line for each model, method and library, and a column for each size of a batch. */
export function recommenderTables({ recommender }: Results): Table[] {
  if (recommender === undefined) return [];
  const title = 'A recommender, one thread: scores, gradients and step';
  if (isSkipped(recommender)) return [{ title, head: [], rows: [], notes: [`left out: ${recommender.skipped}`] }];
  const { rows } = recommender;
  const batches = unique(rows.map(({ batch }) => batch));
  const cell = ({ measured }: RecommenderRow): string =>
    isSkipped(measured)
      ? 'left out'
      : `${number(measured.nsPerEvent.median)}  ${times(measured.ofOurs.median)}  ${spread(measured.ofOurs)}`;
  const nameOf = ({ model, method, label }: RecommenderRow): string =>
    `${models[model]}, ${methods[method].label}: ${label}`;
  return [
    {
      title,
      head: ['model, method: library', ...batches.map((batch) => `batch of ${batch}`)],
      rows: unique(rows.map(nameOf)).map((name) => {
        const own = rows.filter((row) => nameOf(row) === name);
        return [name, ...batches.map((batch) => cell(own.find((row) => row.batch === batch)!))];
      }),
      notes: [
        'ns for each event of a batch, and the ratio to the time of schuss in the same round. Rows are named as often as Zipf’s law says.',
        ...unique(
          rows.flatMap(({ label, measured }) =>
            isSkipped(measured) ? [`${label} left out: ${measured.skipped}`] : [],
          ),
        ),
      ],
    },
  ];
}
