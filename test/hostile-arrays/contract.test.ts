// No method or property of a user's array is looked up: arrays whose own ones throw give the same results as plain ones.
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import {
  Adam,
  ASGD,
  averageLogits,
  averagePredictions,
  averageWeights,
  clipGradNorm,
  clipGradValue,
  distillationLoss,
  Ensemble,
  findNonFinite,
  GradAccumulator,
  gradNorm,
  groupBy,
  Lookahead,
  LossScale,
  lrRangeTest,
  majorityVote,
  ScheduleFreeAdamW,
  ScheduleFreeSGD,
  SGD,
  WeightAverage,
} from '../../lib/index.js';
import { type Any, bits, classes, numbers } from '../support/rig.js';
import { engines } from '../support/step-async.js';

/** Everything that user code can redefine on a typed array. */
const traps: readonly (string | symbol)[] = [
  ...new Set(
    [Float32Array.prototype, Object.getPrototypeOf(Float32Array.prototype)].flatMap((of) => Reflect.ownKeys(of)),
  ),
];

let lookedUp: (string | symbol)[] = [];

function arm<A extends object>(array: A): A {
  for (const name of traps)
    Object.defineProperty(array, name, {
      configurable: true,
      get() {
        lookedUp.push(name);
        throw new Error(`looked up ${String(name)}`);
      },
    });
  return array;
}

/** Makes arrays for one run, and remembers plain views of them. */
class Arrays {
  readonly plain: Float32Array[] = [];
  readonly #armed: boolean;

  constructor(armed: boolean) {
    this.#armed = armed;
  }

  of(...values: number[]): Float32Array {
    const plain = Float32Array.from(values);
    this.plain.push(plain);
    return this.arm(new Float32Array(plain.buffer));
  }

  random(length: number, seed: number): Float32Array {
    return this.of(...numbers(length, seed));
  }

  ints(...values: number[]): Int32Array {
    return this.arm(Int32Array.from(values));
  }

  /** Makes an array of the library hostile. */
  arm<A extends object>(array: A): A {
    return this.#armed ? arm(array) : array;
  }
}

const disarm = <A extends object>(array: A): A => {
  for (const name of traps) Reflect.deleteProperty(array, name);
  return array;
};

type Entry = (make: Arrays) => unknown;

const sgd = (w: Any) => new SGD(w, { lr: 0.1, momentum: 0.9 });

const entries: Record<string, Entry> = {
  'clipGradNorm, p = 2': (m) => clipGradNorm([m.random(5, 1), m.random(7, 2)], 0.1),
  'clipGradNorm, p = 3': (m) => clipGradNorm({ a: m.random(5, 1), b: null }, 0.1, { p: 3 }),
  'clipGradNorm, p = Infinity': (m) => clipGradNorm([m.random(5, 1)], 0.1, { p: Number.POSITIVE_INFINITY }),
  'clipGradNorm, overlapping': (m) => {
    const whole = m.random(8, 1);
    const { buffer } = m.plain[0]!;
    return clipGradNorm([whole, m.arm(new Float32Array(buffer, 8, 4)), m.arm(new Float32Array(buffer, 4, 7))], 0.1);
  },
  clipGradValue: (m) => clipGradValue([m.random(9, 1)], 0.2),
  gradNorm: (m) => [gradNorm(m.random(9, 1)), gradNorm([m.random(9, 1)], { p: 1 })],
  findNonFinite: (m) => [
    findNonFinite([m.random(4, 1), m.of(1, Number.NaN)]),
    findNonFinite({ a: { rows: m.ints(0, 1), values: m.of(1, Number.POSITIVE_INFINITY) } }),
  ],
  GradAccumulator: (m) => {
    const sum = new GradAccumulator({ w: m.random(6, 1) });
    sum.add({ w: m.random(6, 2) });
    m.arm((sum.grads as Any).w);
    sum.add({ w: m.random(6, 3) });
    return [...disarm((sum.grads as Any).w)];
  },
  LossScale: (m) => {
    const optimizer = sgd({ w: m.random(6, 1) });
    const lossScale = new LossScale({ initScale: 4 });
    lossScale.step(optimizer, { w: m.random(6, 2) });
    lossScale.update();
    return [lossScale.step(optimizer, { w: m.of(1, 2, Number.NaN, 3, 4, 5) }), optimizer.stateDict()];
  },
  lrRangeTest: (m) => {
    const w = m.random(4, 1);
    const optimizer = sgd({ w });
    const train = (i: number) => {
      optimizer.step({ w: m.random(4, i) });
      return 10 - i;
    };
    train(7);
    return [lrRangeTest(optimizer, train, { steps: 5 }), optimizer.stateDict()];
  },
  groupBy: (m) => sgd(groupBy({ a: m.random(3, 1), b: m.random(2, 2) }, () => ({ lr: 0.5 }))).stateDict(),
  'averagePredictions of probabilities': (m) => [
    ...disarm(
      averagePredictions([m.random(6, 1), m.random(6, 2)], { weights: m.of(1, 3) as Any, out: m.random(6, 3) }),
    ),
  ],
  'averagePredictions of logits': (m) =>
    averagePredictions([m.random(6, 1), m.random(6, 2)], { from: 'logits', classes: 3 }),
  averageLogits: (m) => averageLogits([m.random(6, 1), m.random(6, 2)]),
  majorityVote: (m) => majorityVote([m.random(6, 1), m.random(6, 2), m.random(6, 3)], { classes: 2 }),
  averageWeights: (m) =>
    averageWeights([
      [m.random(3, 1), m.random(2, 2)],
      [m.random(3, 3), m.random(2, 4)],
    ]),
  Ensemble: (m) => new Ensemble([() => m.random(6, 1), async () => m.random(6, 2)]).predict(m.random(2, 3)),
  'distillationLoss, logits': (m) =>
    distillationLoss(m.random(6, 1), m.random(6, 2), { classes: 3, labels: m.ints(2, 0), grad: m.random(6, 3) }),
  'distillationLoss, members': (m) =>
    distillationLoss(m.random(6, 1), [m.random(6, 2), m.random(6, 3)], { classes: 3, temperature: 2 }),
  'distillationLoss, probabilities': (m) =>
    distillationLoss(m.random(4, 1), { probabilities: m.of(0.5, 0.5, 1, 0) }, { classes: 2, grad: m.random(4, 3) }),
  ...Object.fromEntries(
    [{ mode: 'swa' }, { decay: 0.5 }, { decay: 0.5, debias: true }].map((options): [string, Entry] => [
      `WeightAverage ${JSON.stringify(options)}`,
      (m) => {
        const average = new WeightAverage({ a: m.random(5, 1), b: m.random(20_000, 2) }, options as Any);
        average.update();
        for (const array of average.params) m.arm(array);
        average.update();
        average.swap();
        average.swap();
        const dict = average.stateDict();
        for (const array of Object.values(dict.params)) m.arm(array);
        average.loadStateDict(dict);
        return [average.count, average.params.map((array) => bits(disarm(array)))];
      },
    ]),
  ),
  Lookahead: (m) => {
    const make = (w: Any) => new Lookahead(sgd({ w }), { k: 2 });
    const lookahead = make(m.random(5, 1));
    for (const seed of [2, 3, 4]) lookahead.step({ w: m.random(5, seed) });
    const dict = lookahead.stateDict();
    m.arm(dict.slow['w']!);
    m.arm(dict.inner.state['w']!['velocity'] as Float32Array);
    const resumed = make(m.random(5, 1));
    resumed.loadStateDict(dict);
    resumed.step({ w: m.random(5, 5) });
    return resumed.stateDict();
  },
  'emaParams and loadStateDict': (m) => {
    const adam = new Adam({ w: m.random(4, 1) }, { ema: 0.5 });
    adam.step({ w: m.random(4, 2) });
    const dict = adam.stateDict();
    m.arm((adam.emaParams as Any).w);
    for (const array of Object.values(dict.state['w']!)) if (typeof array !== 'number') m.arm(array);
    adam.step({ w: m.random(4, 3) });
    adam.loadStateDict(dict);
    return adam.stateDict();
  },
  'averagedParams of ASGD': (m) => {
    const asgd = new ASGD({ w: m.random(4, 1) }, { t0: 0 });
    m.arm((asgd.averagedParams as Any).w);
    for (const seed of [2, 3]) asgd.step({ w: m.random(4, seed) });
    return asgd.stateDict();
  },
  ...Object.fromEntries(
    [ScheduleFreeSGD, ScheduleFreeAdamW].map((Class): [string, Entry] => [
      `averagedParams of ${Class.optimizerName}`,
      (m) => {
        const free = new (Class as typeof ScheduleFreeSGD)({ w: m.random(4, 1) }, {
          lr: 0.1,
          skipNonFinite: true,
        } as Any);
        m.arm((free.averagedParams as Any).w);
        for (const seed of [2, 3]) free.step({ w: m.random(4, seed) });
        free.eval();
        free.train();
        return free.stateDict();
      },
    ]),
  ),
  ...Object.fromEntries(
    classes.map((c): [string, Entry] => [
      `step of ${c.title}`,
      (m) => {
        const optimizer = c.make({ a: m.random(6, 1), b: { data: m.random(6, 2), shape: [2, 3] } }, { clipNorm: 1 });
        const sparse = { rows: m.ints(1, 1), values: m.random(6, 4) };
        optimizer.step({ a: m.random(6, 3), b: c.declaration.denseOnly === undefined ? sparse : m.random(6, 5) });
        optimizer.step({ a: null, b: m.random(6, 6) });
        return optimizer.stateDict();
      },
    ]),
  ),
};

describe.each(engines.map((engine) => [engine.name, engine] as const))('%s', (_, engine) => {
  test.each(Object.entries(entries))('%s', async (_, entry) => {
    const [ours, theirs] = [new Arrays(true), new Arrays(false)];
    const run = (make: Arrays) => withEngine(engine, () => entry(make));
    const expected = await run(theirs);
    lookedUp = [];
    const result = await run(ours);
    expect(lookedUp).toEqual([]);
    expect(result).toEqual(expected);
    expect(ours.plain.map(bits)).toEqual(theirs.plain.map(bits));
  });
});
