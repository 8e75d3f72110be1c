import { allocate, type OptimizerClass, optimizers, setThreads } from '../common/schuss.js';
import { alternate, type Contender, secondsOf } from './alternate.js';
import { ofMatrices } from './cases.js';
import type { Context } from './context.js';
import { type PairRow, pair } from './results.js';
import { fillGrads, fillStart } from './task.js';

/** Classes whose steps multiply or decompose the matrix, and how many steps have all kinds of work among them. */
const periods: Readonly<Record<string, number>> = { muon: 1, shampoo: 1, soap: 10 };
const wide = ['muon'];

/** A step of the classes of matrices, in one thread and in all. The time is the mean over a period. */
export async function matrices({ settings, say }: Context): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  const most = Math.max(...settings.threads);
  const { square, wider } = settings.special.matrices;
  for (const name of ['muon', ...ofMatrices].filter((name) => settings.classes.includes(name))) {
    const Class = optimizers[name] as OptimizerClass;
    const shapes = wide.includes(name) ? [...square, ...wider] : square;
    for (const shape of shapes) {
      const what = `${Class.optimizerName}, ${shape.join(' × ')}`;
      say(`matrices, ${what}`);
      const contenders = [...new Set([1, most])].map((threads) => contender(Class, shape, threads, periods[name] ?? 1));
      const outcomes = await alternate(contenders, settings.pace);
      rows.push(pair(what, shape[0] * shape[1], secondsOf(outcomes, '1'), secondsOf(outcomes, String(most))));
    }
  }
  setThreads(1);
  return rows;
}

function contender(
  Class: OptimizerClass,
  shape: readonly [number, number],
  threads: number,
  period: number,
): Contender {
  const n = shape[0] * shape[1];
  const optimizer = new Class({ data: fillStart(allocate(n)), shape }, { lr: 1e-3 });
  const grads = fillGrads(allocate(n));
  return {
    name: String(threads),
    run(steps) {
      setThreads(threads);
      const start = performance.now();
      for (let i = 0; i < steps * period; i++) optimizer.step(grads);
      return (performance.now() - start) / 1000 / period;
    },
  };
}
