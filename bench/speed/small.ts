import { allocate, backend, withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { Adam, type OptimizerClass, SGD } from '../../lib/optimizers/index.js';
import { alternate, type Contender, type Outcome, type Pace, stepping } from './alternate.js';
import { type Case, casesOf } from './cases.js';
import type { Context } from './context.js';
import type { FixedCostRow, Measured, PairRow } from './results.js';
import type { Settings } from './settings.js';
import { ratioOf, scaled } from './statistics.js';
import { fillGrads, fillStart } from './task.js';

/** The seconds of one that must not fail: what is measured is ours. */
export function secondsOf(outcomes: ReadonlyMap<string, Outcome>, name: string): readonly number[] {
  const outcome = outcomes.get(name) as Outcome;
  if ('failed' in outcome) throw new Error(`bench: ${name}: ${outcome.failed}`);
  return outcome.seconds;
}

export function pair(what: string, n: number, ours: readonly number[], others: readonly number[]): PairRow {
  return { what, n, ns: scaled(ours, 1e9), otherNs: scaled(others, 1e9), ratio: ratioOf(others, ours) };
}

function stepsOf(name: string, Class: OptimizerClass, lengths: readonly number[], options: object): Contender {
  const params = lengths.map((length) => fillStart(allocate(length)));
  const grads = lengths.map((length) => fillGrads(allocate(length)));
  const optimizer = new Class(params, options);
  return stepping(name, () => optimizer.step(grads));
}

/** The way to a step of nanoseconds is compiled only after some ten thousand of them. */
const warmUp = ({ pace, quick }: Settings): Pace => ({ ...pace, warmup: quick ? 0.2 : 0.5 });

const two: readonly (readonly [OptimizerClass, object])[] = [
  [Adam, {}],
  [SGD, { lr: 0.01 }],
];

/** What a step costs that has next to nothing to do. */
export async function fixedCost({ settings, say }: Context): Promise<FixedCostRow[]> {
  const rows: FixedCostRow[] = [];
  for (const [Class, options] of two) {
    say(`fixed cost, ${Class.optimizerName}`);
    const n = 16;
    const outcomes = await alternate([stepsOf('step', Class, [n], options)], warmUp(settings));
    rows.push({ optimizer: Class.optimizerName, n, ns: scaled(secondsOf(outcomes, 'step'), 1e9) });
  }
  return rows;
}

/** 200 tensors of 1000 in place of one of 200 000. */
export async function manyTensors({ settings, say }: Context): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  for (const [Class, options] of two) {
    say(`200 tensors, ${Class.optimizerName}`);
    const contenders = [
      stepsOf('flat', Class, [200_000], options),
      stepsOf('many', Class, new Array<number>(200).fill(1000), options),
    ];
    const outcomes = await alternate(contenders, warmUp(settings));
    rows.push(pair(Class.optimizerName, 200_000, secondsOf(outcomes, 'flat'), secondsOf(outcomes, 'many')));
  }
  return rows;
}

function onOneParam({ Class, options }: Case, n: number): () => unknown {
  const optimizer = new Class(fillStart(allocate(n)), options);
  const grads = fillGrads(allocate(n));
  return () => optimizer.step(grads);
}

/** The addon against the JavaScript that gives the same bits, where a native call might not pay. */
export async function nativeAgainstJs({ settings, say }: Context): Promise<Measured<{ rows: PairRow[] }>> {
  if (backend().name === 'js') return { skipped: 'no native addon here' };
  const rows: PairRow[] = [];
  // The way to a step is compiled by now: what is new with each class is little.
  for (const item of casesOf(settings.classes)) {
    for (const n of settings.quick ? [16] : [16, 64, 1024]) {
      say(`native against JavaScript, ${item.label}, n = ${n}`);
      const contenders = [
        stepping('native', onOneParam(item, n)),
        stepping(
          'js',
          withEngine(referenceEngine, () => onOneParam(item, n)),
        ),
      ];
      const outcomes = await alternate(contenders, { ...settings.pace, seconds: settings.pace.seconds / 4 });
      rows.push(pair(item.label, n, secondsOf(outcomes, 'native'), secondsOf(outcomes, 'js')));
    }
  }
  return { rows };
}
