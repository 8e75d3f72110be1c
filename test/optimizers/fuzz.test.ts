// Random valid and invalid calls in random order. Only documented errors are thrown, and a refused call changes
// nothing.
// A twin gets only the accepted calls, and must be equal in the end.
import { expect, test } from 'vitest';
import type { Optimizer } from '../../lib/core/optimizer.js';
import { withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { random } from '../support/random.js';
import {
  type Any,
  type Case,
  expectRefusal,
  expectSame,
  numbers,
  shape,
  snapshot,
  titled,
  variants,
} from '../support/rig.js';
import { all, sample } from '../support/sample.js';

interface World {
  optimizer: Optimizer;
  readonly params: Float32Array[];
  saved: Any;
}

/** A call that depends on the seed alone, so that it can be repeated on a twin. */
type Call = (world: World) => unknown;

function calls(c: Case, next: () => number): Call {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const int = (n: number) => Math.floor(next() * n);
  const junk = [
    undefined,
    null,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    1,
    2,
    0.5,
    'x',
    '',
    true,
    [],
    {},
    [0.5, 0.5],
    new Array(2),
    () => 0.5,
    () => Number.NaN,
    () => 'x',
    1n,
    Symbol('s'),
    new Float64Array(3),
    new Float32Array(3),
  ];
  const seed = int(1000);
  const [a, b, d, e] = [next(), next(), next(), next()];
  const option = pick([...Object.keys(c.declaration.hyperParameters), 'maximize', 'clipValue', 'clipNorm', 'nonsense']);
  const value = next() < 0.5 ? pick([0, 0.1, 0.5, 0.9, true, false, [0.5, 0.9], () => 0.3]) : pick(junk);

  /** A sparse gradient: rows of any length that divides the param, repeated rows, or invalid rows. */
  const ofRows = (length: number): unknown => {
    const size = [4, 3, 2, 1].find((n) => length % n === 0 && n <= 1 + (seed % 4)) as number;
    const last = length / size - 1;
    const at = [0, last, last, seed % (last + 1), ...(b < 0.9 ? [] : [last + 1]), ...(d < 0.95 ? [] : [-1])];
    const rows = Int32Array.from(length === 0 || d < 0.05 ? [] : at);
    const values = numbers(rows.length * size, seed);
    if (a > 0.9)
      return { rows: pick([Uint32Array.from(rows), value]), values: pick([values, values.subarray(1), value]) };
    return { rows, values };
  };
  const sparse = c.declaration.denseOnly === undefined || next() < 0.1;
  const grads = ({ params }: World): unknown => {
    const good: unknown[] = params.map((p, i) => {
      if (e > 0.8 && i % 2 === 0) return null;
      return sparse && (seed + i) % 3 === 0 ? ofRows(p.length) : numbers(p.length, seed + i);
    });
    const at = seed % params.length;
    if (a < 0.6) return good;
    if (a < 0.65) good[at] = value as Any;
    else if (a < 0.7) good[at] = numbers((params[at]!.length + 1) % 40, seed);
    else if (a < 0.75) good[at] = params[seed % 2 ? at : 0]!.subarray(0);
    else if (a < 0.8) good.pop();
    else if (a < 0.85) good[at] = good[0]!;
    else if (a < 0.9)
      good[at] = new Float32Array(params[at]!.length).fill(
        pick([Number.NaN, Number.POSITIVE_INFINITY, 3e38, 1e-45, 0]),
      );
    else if (a < 0.95) return value;
    else
      for (const [i, p] of params.entries())
        good[i] = Object.defineProperty(numbers(p.length, seed), 'length', { value: 1e9 });
    return good;
  };
  const assign = (target: Any, path: readonly string[], to: unknown) => {
    const holder = path.slice(0, -1).reduce((h, key) => h?.[key], target);
    if (typeof holder === 'object' && holder !== null) holder[path.at(-1) as string] = to;
  };
  const path = pick([
    ['stepCount'],
    ['skippedSteps'],
    ['version'],
    ['optimizer'],
    ['state'],
    ['state', '0'],
    ['state', '0', 'step'],
    ['state', '0', 'ema'],
    ['paramGroups'],
    ['paramGroups', '0'],
    ['paramGroups', '0', option],
    ['paramGroups', '0', 'params'],
    ['extra'],
  ]);
  const spread = pick([{}, { lr: 0.2 }, { [option]: value }]);

  const what = next();
  if (what < 0.45)
    return (w) =>
      w.optimizer.step(
        grads(w) as Any,
        b < 0.8 ? undefined : (pick([{ gradScale: d * 2 }, { gradScale: value }, { nonsense: 1 }, value]) as Any),
      );
  if (what < 0.62)
    return ({ optimizer }) => assign(optimizer.paramGroups[seed % optimizer.paramGroups.length], [option], value);
  if (what < 0.67) return ({ optimizer }) => assign(optimizer, ['lr'], value);
  if (what < 0.75)
    return ({ optimizer, params }) => {
      if (params.length > 5 && b < 0.7) return;
      const added =
        b < 0.7
          ? numbers(int(30), seed)
          : b < 0.8
            ? params[0]!.subarray(1)
            : b < 0.9
              ? (value as Any)
              : { name: numbers(3, seed) };
      optimizer.addParamGroup({ params: added, ...spread } as Any);
      params.push(added);
    };
  if (what < 0.83) return (w) => void (w.saved = structuredClone(w.optimizer.stateDict()));
  if (what < 0.97)
    return ({ optimizer, saved }) => {
      const dict = {
        ...saved,
        paramGroups: saved.paramGroups.map((g: Any) => ({ ...g })),
        state: Object.fromEntries(Object.entries<Any>(saved.state).map(([k, s]) => [k, { ...s }])),
      };
      if (b < 0.6) assign(dict, path, value);
      optimizer.loadStateDict(dict);
    };
  return ({ optimizer }) => [optimizer.toString(), optimizer.lr, optimizer.stepCount];
}

function world(c: Case, seed: number): World {
  const params = [numbers(1 + (seed % 33), seed), numbers(seed % 5, seed + 1)];
  const more = [{}, { ema: 0.9 }, { skipNonFinite: true, zeroGrads: true }, { clipNorm: 1, ema: 0.5, gradNorm: true }][
    seed % 4
  ] as Any;
  const optimizer = c.make(params.slice(), more);
  return { optimizer, params, saved: optimizer.stateDict() };
}

const rounds = Number(process.env['FUZZ_ROUNDS'] ?? (all ? 3 : 1));

test.each(titled(sample(variants, 24)))('%s', (_, c) => {
  const count = { taken: 0, refused: 0 };
  for (let seed = 1; seed <= rounds; seed++) {
    const subject = world(c, seed);
    const twins = [world(c, seed), withEngine(referenceEngine, () => world(c, seed))];
    for (let n = 0; n < 60; n++) {
      // The same seed makes the same call for each.
      const call = () => calls(c, random(seed * 1000 + n));
      const title = `seed ${seed}, call ${n}`;
      const before = snapshot(subject.optimizer, subject.params);
      try {
        call()(subject);
        count.taken++;
      } catch (e) {
        const error = e as Error;
        count.refused++;
        expectRefusal(error, title);
        if (!/^Cannot add property|^Cannot convert a Symbol/.test(error.message))
          expect(error.message, title).toMatch(shape);
        expectSame(snapshot(subject.optimizer, subject.params), before, `${title}: ${error.message}`);
        continue;
      }
      for (const twin of twins) call()(twin);
    }
    const end = snapshot(subject.optimizer, subject.params);
    for (const twin of twins) expect(snapshot(twin.optimizer, twin.params)).toBe(end);
  }
  expect(count.taken).toBeGreaterThan(all ? 15 * rounds : 10);
  expect(count.refused).toBeGreaterThan(all ? 5 * rounds : 3);
});
