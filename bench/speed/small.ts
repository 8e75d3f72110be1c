import { Adam, backend, type OptimizerClass, SGD } from '../common/schuss.js';
import { aloneOnCore, alternate, type Contender, type Pace, secondsOf, stepping } from './alternate.js';
import { casesOf } from './cases.js';
import type { Context } from './context.js';
import { JsBackend } from './js-backend.js';
import { stepOnOneParam } from './ours.js';
import { type FixedCostRow, type Measured, type PairRow, pair } from './results.js';
import type { Settings } from './settings.js';
import { scaled } from './statistics.js';
import { fillGrads, fillStart } from './task.js';

function stepsOf(name: string, Class: OptimizerClass, lengths: readonly number[], options: object): Contender {
  const params = lengths.map((length) => fillStart(new Float32Array(length)));
  const grads = lengths.map((length) => fillGrads(new Float32Array(length)));
  const optimizer = new Class(params, options);
  return stepping(name, () => optimizer.step(grads));
}

/** V8 compiles the code of a step of nanoseconds only after some ten thousand steps. */
const warmUp = ({ pace, quick }: Settings): Pace => ({ ...pace, warmup: quick ? 0.2 : 0.5 });
const alone = ({ pace, quick }: Settings): Pace => aloneOnCore(pace, quick);

const adamAndSgd: readonly (readonly [OptimizerClass, object])[] = [
  [Adam, {}],
  [SGD, { lr: 0.01 }],
];

/** The time of a step on 16 elements, which is nearly all overhead. */
export async function fixedCost({ settings, say }: Context): Promise<FixedCostRow[]> {
  const rows: FixedCostRow[] = [];
  for (const [Class, options] of adamAndSgd) {
    say(`fixed cost, ${Class.optimizerName}`);
    const n = 16;
    const outcomes = await alternate([stepsOf('step', Class, [n], options)], alone(settings));
    rows.push({ optimizer: Class.optimizerName, n, ns: scaled(secondsOf(outcomes, 'step'), 1e9) });
  }
  return rows;
}

/** 200 tensors of 1000 elements against one of 200 000. */
export async function manyTensors({ settings, say }: Context): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  for (const [Class, options] of adamAndSgd) {
    say(`200 tensors, ${Class.optimizerName}`);
    const contenders = [
      stepsOf('flat', Class, [200_000], options),
      stepsOf('many', Class, new Array<number>(200).fill(1000), options),
    ];
    const outcomes = await alternate(contenders, alone(settings));
    rows.push(pair(Class.optimizerName, 200_000, secondsOf(outcomes, 'flat'), secondsOf(outcomes, 'many')));
  }
  return rows;
}

/** The addon against the JavaScript backend at sizes so small that a native call might not pay. */
export async function nativeAgainstJs({ settings, say }: Context): Promise<Measured<{ rows: PairRow[] }>> {
  if (backend().name === 'js') return { skipped: 'there is no native addon here' };
  const rows: PairRow[] = [];
  const js = new JsBackend();
  try {
    // The worker has compiled nothing yet, unlike this thread.
    const [first] = casesOf(settings.classes);
    if (first !== undefined) await alternate([await js.contender('js', first, 16)], warmUp(settings));
    for (const item of casesOf(settings.classes)) {
      for (const n of settings.quick ? [16] : [16, 64, 1024]) {
        say(`native against JavaScript, ${item.label}, n = ${n}`);
        const contenders = [stepping('native', stepOnOneParam(item, n)), await js.contender('js', item, n)];
        // V8 has compiled most of the code of a step by now, so that samples may be short.
        const outcomes = await alternate(contenders, { ...settings.pace, seconds: settings.pace.seconds / 4 });
        rows.push(pair(item.label, n, secondsOf(outcomes, 'native'), secondsOf(outcomes, 'js')));
      }
    }
  } finally {
    await js.close();
  }
  return { rows };
}
