// How many evaluations a method takes on the standard problems, counted as lbfgsb.py counts SciPy's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { minimize } from '../../../lib/index.js';
import type { Objective } from './problems.js';

/** What lbfgsb.py has recorded of a problem. */
export interface Row {
  readonly least: number;
  readonly startValue: number;
  readonly startGradNorm: number;
  readonly evaluations: number;
  /** From starts nearby; null where it did not get there. */
  readonly scattered: readonly (number | null)[];
}

export const recorded = JSON.parse(readFileSync(join(__dirname, 'scipy.json'), 'utf8')) as {
  readonly scipy: string;
  readonly gap: number;
  readonly problems: Readonly<Record<string, Row>>;
};

export const rowOf = (name: string): Row => recorded.problems[name] as Row;

class Reached extends Error {}

/**
 * Calls, up to and with the first whose value satisfies f − f* ≤ gap·(f₀ − f*), f₀ the value at the start and f* the least
 * one. Infinity if a run ends before.
 */
export function evaluations(f: Objective, start: Float64Array, least: number, run = minimize): number {
  let calls = 0;
  let first = 0;
  try {
    run(
      (x, grad) => {
        const value = f(x, grad);
        if (calls++ === 0) first = value;
        if (value - least <= recorded.gap * (first - least)) throw new Reached();
        return value;
      },
      start,
      { gradTol: 0, funTol: 0, maxEvaluations: 10_000 },
    );
  } catch (error) {
    if (error instanceof Reached) return calls;
    throw error;
  }
  return Number.POSITIVE_INFINITY;
}
