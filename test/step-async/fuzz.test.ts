// stepAsync: random calls, right and wrong. Only documented errors are thrown, and every step gives the bits of a
// synchronous twin.
import { expect, test } from 'vitest';
import type { Optimizer } from '../../lib/core/optimizer.js';
import { engine, withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import { random } from '../support/random.js';
import { type Any, type Case, classes, numbers, shape, snapshot } from '../support/rig.js';
import { all } from '../support/sample.js';

const pinned = (length: number, seed: number) => {
  const array = new Float32Array(new SharedArrayBuffer(4 * length));
  array.set(numbers(length, seed));
  return array;
};

interface World {
  readonly optimizer: Optimizer;
  readonly params: readonly Float32Array[];
}

function world(c: Case, seed: number): World {
  const params = [pinned(1 + (seed % 33), seed), pinned(12, seed + 1)];
  const more = [{}, { ema: 0.9 }, { skipNonFinite: true, zeroGrads: true }, { clipNorm: 1, ema: 0.5 }][seed % 4] as Any;
  return { optimizer: c.make(params.slice(), more), params };
}

/** Gradients, most of them valid. They depend on the seed alone, so a twin gets the same. */
function grads({ params: [first, second] }: World, c: Case, seed: number): Any {
  const next = random(seed);
  const wrong = next() < 0.2;
  const [a, b] = [pinned(first!.length, seed), pinned(12, seed + 1)];
  if (wrong) {
    const bad = [
      () => [a],
      () => [a, new Float32Array(12)],
      () => [a.subarray(1), b],
      () => [second!.subarray(0, first!.length), b],
      () => [a, { rows: Int32Array.of(1), values: b.subarray(0, 4) }],
      () => [a, new Float32Array(new ArrayBuffer(48))],
      () => 'x',
    ];
    return bad[Math.floor(next() * bad.length)]!();
  }
  if (next() < 0.1) b[3] = Number.NaN;
  if (next() < 0.2) return [null, b];
  if (next() < 0.7 || c.declaration.denseOnly !== undefined) return [a, b];
  const rows = new Uint32Array(new SharedArrayBuffer(8));
  rows.set([Math.floor(next() * 4), Math.floor(next() * 4)]); // a param of 12 with rows of 4 has no row 3
  return [a, { rows, values: b.subarray(0, 8) }];
}

const rounds = Number(process.env['FUZZ_ROUNDS'] ?? (all ? 2 : 1));

const engines = [engine(), referenceEngine];

test.each(classes.map((c) => [c.title, c] as const))(
  '%s: random calls give the bits of a synchronous twin',
  async (_, c) => {
    let [done, refused] = [0, 0];
    for (let round = 0; round < rounds * engines.length; round++) {
      const over = engines[round % engines.length]!;
      const seed = 1000 * round + 17;
      const next = random(seed);
      const subject = withEngine(over, () => world(c, seed));
      const { optimizer } = subject;
      const twin = world(c, seed);
      const controls = Array.from({ length: 60 }, () => new AbortController());
      const pending: Promise<unknown>[] = [];
      let open = 0;
      let settled = 0;
      /** The calls for the twin, in the order in which they took effect. */
      const effects: (() => unknown)[] = [];

      for (let n = 0; n < 60; n++) {
        const [what, which] = [next(), next()];
        const own = seed + n;
        if (what < 0.5) {
          const options: Any = which < 0.3 ? { gradScale: which } : {};
          if (what < 0.25) options.signal = controls[n]!.signal;
          open++;
          const promise = optimizer.stepAsync(grads(subject, c, own), options);
          pending.push(
            promise.then(
              (result) => {
                done++;
                settled++;
                effects.push(() =>
                  expect(twin.optimizer.step(grads(twin, c, own), { gradScale: options.gradScale })).toEqual(result),
                );
              },
              (error: Error) => {
                refused++;
                settled++;
                if (error.name !== 'AbortError') expect(error.message).toMatch(shape);
              },
            ),
          );
          continue;
        }
        if (what < 0.6) {
          controls[Math.floor(which * n)]!.abort();
          continue;
        }
        if (what < 0.65) {
          await Promise.all(pending);
          continue;
        }
        // From here to the call no pending step can end.
        await new Promise((resolve) => setImmediate(resolve));
        const call: (w: World) => unknown =
          what < 0.75
            ? (w) => w.optimizer.step(grads(w, c, own))
            : what < 0.85
              ? (w) => w.optimizer.loadStateDict(w.optimizer.stateDict())
              : what < 0.9
                ? (w) => void w.optimizer.addParamGroup({ params: [] })
                : (w) => void (w.optimizer.lr = open === settled ? which : Number.NaN);
        try {
          call(subject);
          effects.push(() => call(twin));
        } catch (error) {
          expect((error as Error).message).toMatch(shape);
          if (what < 0.85 && open > settled) expect((error as Error).message).toMatch(/with a step in flight/);
        }
      }
      await Promise.all(pending);
      for (const effect of effects) effect();
      expect(snapshot(optimizer, subject.params)).toBe(snapshot(twin.optimizer, twin.params));
    }
    expect(done).toBeGreaterThan(8 * rounds);
    expect(refused).toBeGreaterThan(4 * rounds);
  },
);
