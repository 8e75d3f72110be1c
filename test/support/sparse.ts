import { expect } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import type { Engine } from '../../lib/engine/engine.js';
import type { Optimizer } from '../../lib/index.js';
import { nativeEngines, reference } from './engines.js';
import { type Case, classes, type Kind, numbers, type Options, refused, snapshot } from './rig.js';

export const engines: readonly Engine[] = [nativeEngines[0]!, reference];
export const sparse = classes.filter(({ declaration }) => declaration.denseOnly === undefined);

export const onEach = (action: (engine: Engine) => void) => {
  for (const engine of engines) withEngine(engine, () => action(engine));
};
/** A gradient of some rows. */
export const sparseGrad = (
  rows: ArrayLike<number>,
  size: number,
  seed = 1,
): { rows: Int32Array; values: Float32Array } => ({
  rows: Int32Array.from(rows),
  values: numbers(rows.length * size, seed),
});
export const detach = <T extends ArrayBufferView>(array: T): T => {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};

export interface Rig {
  readonly optimizer: Optimizer;
  readonly table: Float32Array;
  readonly flat: Float32Array;
  readonly dense: Float32Array;
  readonly params: readonly Float32Array[];
  step(seed: number): void;
  seen(): string;
}

/** A table of 6 rows of 3, a flat param of 12 and a dense one of 5, after so many steps. */
export function rigOf(c: Case, more: Options = {}, steps = 2): Rig {
  const [table, flat, dense] = [numbers(18, 1), numbers(12, 2), numbers(5, 3)];
  const params = [table, flat, dense];
  const optimizer = c.make({ table: { data: table, shape: [6, 3] }, flat, dense }, more);
  const step = (seed: number) =>
    void optimizer.step({
      table: sparseGrad([4, 1, 4], 3, seed),
      flat: sparseGrad([0, 2], 4, seed),
      dense: numbers(5, seed),
    });
  for (let s = 1; s <= steps; s++) step(s);
  return { optimizer, table, flat, dense, params, step, seen: () => snapshot(optimizer, params) };
}

/** An attack on every engine, on a new optimizer and on one that has taken steps, that must leave no trace. */
export function harmless(
  c: Case,
  kind: Kind,
  message: RegExp,
  attack: (rig: Rig) => unknown,
  more: Options = {},
): void {
  onEach(() => {
    for (const steps of [0, 2]) {
      const [victim, twin] = [rigOf(c, more, steps), rigOf(c, more, steps)];
      refused(kind, message, () => attack(victim));
      expect(victim.seen()).toBe(twin.seen());
      for (const r of [victim, twin]) r.step(9);
      expect(victim.seen()).toBe(twin.seen());
    }
  });
}
