// What docs/guide/choosing-an-optimizer.md, README.md and bench/README.md say in figures, from the recorded run of the study. A
// test looks for each phrase.
import type { Settings } from '../bench/study/job.js';
import type { Middle } from '../bench/study/worth.js';

/** bench/results/worth.json. The rows have the highest median accuracy first. */
export interface WorthRecord {
  readonly command: string;
  readonly settings: Settings;
  readonly worth: readonly {
    readonly name: string;
    readonly tried: number;
    readonly atEdge?: boolean;
    /** Missing where every learning rate diverged. */
    readonly accuracy?: Middle;
    readonly loss?: Middle;
  }[];
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)}%`;

/** A class as the guide writes it; variants such as SGD + momentum are no classes. */
const named = (name: string): string => (name.includes(' ') ? name : `\`${name}\``);

/** The accuracy of each class or variant: `AdamW` 91.0% (90.2–91.5%). The guide quotes some of them. */
export function accuracyPhrases({ worth }: WorthRecord): string[] {
  return worth.map(({ name, accuracy }) =>
    accuracy === undefined
      ? `${named(name)} diverged`
      : `${named(name)} ${percent(accuracy.median)} (${(100 * accuracy.low).toFixed(1)}–${percent(accuracy.high)})`,
  );
}

/** Phrases that the guide must contain. Where the text is changed, this list is changed with it. */
export function guideFigures({ command, settings, worth }: WorthRecord): string[] {
  const { train, validation, batch, epochs, seeds, rates } = settings;
  const steps = (size: number): number => epochs * Math.floor(train / size);
  const first = worth[0]?.accuracy;
  if (first === undefined) throw new Error('worth.json: every run diverged');
  const tied = worth.filter(({ accuracy }) => accuracy !== undefined && accuracy.high >= first.low);
  const edge = worth.filter(({ atEdge }) => atEdge);
  const list = (rows: WorthRecord['worth']): string => rows.map(({ name }) => named(name)).join(', ');
  return [
    `${worth.length} classes and variants trained the same network`,
    `${rates} learning rates, half a decade apart, and ${seeds} seeds at each`,
    `${train.toLocaleString('en')} images, mini-batches of ${batch}, ${steps(batch)} steps (\`Rprop\`: of ${5 * batch}, ${steps(5 * batch)} steps)`,
    `on ${validation.toLocaleString('en')} images that chose nothing`,
    `${tied.length} of ${worth.length} reach into the range of the first one, ${named(worth[0]!.name)}`,
    list(tied),
    `${edge.length} of ${worth.length} are best at the lowest or highest rate tried`,
    list(edge),
    command,
  ];
}

/** What README.md must contain of the study. */
export function readmeStudyFigures({ settings, worth }: WorthRecord): string[] {
  const { rates, seeds } = settings;
  return [`${rates} learning rates and ${seeds} seeds for each of ${worth.length} classes and variants`];
}
